"""The refiner's pass over finished pictures: image to image (§3.4.4).

Each picture is enlarged to the size that the refiner was trained on, encoded, taken back into the noise as far as the
strength says, and denoised again with the refiner's prompt. It is what diffusers' ``StableDiffusionXLImg2ImgPipeline``
does, step by step, so that the run can show progress and stop; a test holds the two together.
"""

from __future__ import annotations

import hashlib
from collections.abc import Generator, Sequence
from typing import TYPE_CHECKING

import torch

from covergen_cli.diffusion.guidance import Term
from covergen_cli.diffusion.resize import resize
from covergen_cli.diffusion.sampler import OWN, Start, denoise

if TYPE_CHECKING:
    from torch import Tensor

    from covergen_cli.config import GenerateConfig
    from covergen_cli.models.refiner import Refiner


def refine_calls(config: GenerateConfig) -> int:
    """Return how many steps the refiner takes of its schedule; 0 when nothing is refined."""
    return max(1, int(config.refine_steps * config.refine_strength)) if config.refine else 0


def refine(
    refiner: Refiner, pictures: Tensor, seeds: Sequence[int], config: GenerateConfig
) -> Generator[tuple[int, int], None, Tensor]:
    """Work over pictures.

    Args:
        refiner: the loaded model.
        pictures: float ``(B, 3, H, H)`` in [-1, 1], on the CPU.
        seeds: one per picture, those that drew them; the refiner's noise is made from them.
        config: strength, steps and guidance count here.

    Yields:
        ``(done, total)`` calls of the U-Net.

    Returns:
        float ``(B, 3, S, S)`` in [-1, 1] on the CPU, S the refiner's native size.
    """
    model = refiner.model
    with torch.inference_mode():
        enlarged = [resize((picture + 1) / 2, model.native_size) * 2 - 1 for picture in pictures]
        latents = torch.cat([model.encode(picture[None]) for picture in enlarged])
    start = Start(latents, config.refine_strength)
    weights = (1 - config.refine_guidance, config.refine_guidance)
    terms = [Term(weight, *refiner.conditions(which)) for which, weight in enumerate(weights) if weight]
    noise = [_own_seed(seed) for seed in seeds]
    latents = yield from denoise(model, terms, noise, config.refine_steps, OWN, start)
    with torch.inference_mode():
        return torch.cat([model.decode(latent[None]).float().cpu() for latent in latents])


def _own_seed(seed: int) -> int:
    """Make a seed of its own from a picture's, so that the refiner does not meet the noise that the picture came of."""
    return int.from_bytes(hashlib.sha256(f"refine:{seed}".encode()).digest()[:8], "big") >> 1
