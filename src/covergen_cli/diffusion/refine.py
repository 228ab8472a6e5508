"""The refiner's image-to-image pass over finished pictures (§3.4.4).

Each picture is enlarged to the size that the refiner was trained on, encoded, noised as the strength says, and denoised
again with the refiner's prompt, as in ``StableDiffusionXLImg2ImgPipeline`` of diffusers; a test compares the two.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import torch

from covergen_cli.diffusion.guidance import Term
from covergen_cli.diffusion.resize import resize
from covergen_cli.diffusion.sampler import OWN, Callback, Start, denoise
from covergen_cli.files import seed_from

if TYPE_CHECKING:
    from torch import Tensor

    from covergen_cli.config import GenerateConfig
    from covergen_cli.models.refiner import Refiner


def refine_calls(config: GenerateConfig) -> int:
    """Return how many steps of its schedule the refiner runs; 0 when nothing is refined."""
    return max(1, int(config.refine_steps * config.refine_strength)) if config.refine else 0


@torch.inference_mode()
def refine(
    refiner: Refiner,
    pictures: Tensor,
    seeds: Sequence[int],
    config: GenerateConfig,
    callback: Callback | None = None,
) -> Tensor:
    """Return refined pictures, float ``(B, 3, S, S)`` in [-1, 1] on the CPU, S the refiner's native size.

    Args:
        refiner: the loaded model.
        pictures: float ``(B, 3, H, H)`` in [-1, 1], on the CPU.
        seeds: one per picture, those that drew them; the refiner's noise is derived from them.
        config: strength, steps and guidance are used here.
        callback: as for :func:`~covergen_cli.diffusion.sampler.denoise`.
    """
    model = refiner.model
    enlarged = [resize((picture + 1) / 2, model.native_size) * 2 - 1 for picture in pictures]
    start = Start(torch.cat([model.encode(picture[None]) for picture in enlarged]), config.refine_strength)
    weights = (1 - config.refine_guidance, config.refine_guidance)
    terms = [Term(weight, *refiner.conditions(which)) for which, weight in enumerate(weights) if weight]
    noise_seeds = [_refiner_seed(seed) for seed in seeds]
    latents = denoise(model, terms, noise_seeds, config.refine_steps, OWN, start, callback)
    return torch.cat([model.decode(latent[None]).float().cpu() for latent in latents])


def _refiner_seed(seed: int) -> int:
    """Derive another seed from a picture's: the refiner must not add the very noise that the picture was drawn from."""
    return seed_from(f"refine:{seed}")
