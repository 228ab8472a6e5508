"""The refiner's image-to-image pass over finished pictures (§3.4.4).

Each picture is resized to the size that the refiner was trained on, encoded, noised as the strength says, and denoised
again with a prompt, as in the image-to-image pipelines of diffusers; tests compare the two. Any base with a text
encoder can be the refiner.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import torch

from covergen_cli.diffusion.guidance import guide
from covergen_cli.diffusion.resize import resize
from covergen_cli.diffusion.sampler import OWN, Callback, Start, denoise
from covergen_cli.files import seed_from

if TYPE_CHECKING:
    from torch import Tensor

    from covergen_cli.config import GenerateConfig
    from covergen_cli.models.base import Base
    from covergen_cli.models.condition import Condition


def refine_calls(config: GenerateConfig) -> int:
    """Return how many steps of its schedule the refiner runs; 0 when nothing is refined."""
    return max(1, int(config.refine_steps * config.refine_strength)) if config.refine else 0


@torch.inference_mode()
def refine(
    refiner: Base,
    pictures: Tensor,
    seeds: Sequence[int],
    prompt: Condition,
    negative: Condition,
    config: GenerateConfig,
    callback: Callback | None = None,
) -> Tensor:
    """Return refined pictures, float ``(B, 3, S, S)`` in [-1, 1] on the CPU, S the refiner's native size.

    Args:
        refiner: the loaded model.
        pictures: float ``(B, 3, H, H)`` in [-1, 1], on the CPU.
        seeds: one per picture, those that drew them; the refiner's noise is derived from them.
        prompt: condition of the prompt, for all pictures or for each.
        negative: condition of the negative prompt.
        config: strength, steps and guidance are used here.
        callback: as for :func:`~covergen_cli.diffusion.sampler.denoise`.
    """
    resized = [resize((picture + 1) / 2, refiner.native_size) * 2 - 1 for picture in pictures]
    start = Start(torch.cat([refiner.encode(picture[None]) for picture in resized]), config.refine_strength)
    terms = guide(negative, [(prompt, 1.0)], config.refine_guidance)
    noise_seeds = [_refiner_seed(seed) for seed in seeds]
    latents = denoise(refiner, terms, noise_seeds, config.refine_steps, OWN, start, callback)
    return torch.cat([refiner.decode(latent[None]).float().cpu() for latent in latents])


def _refiner_seed(seed: int) -> int:
    """Derive another seed from a picture's: the refiner must not add the very noise that the picture was drawn from."""
    return seed_from(f"refine:{seed}")
