"""Covers generated while an adapter is trained: for the same few validation songs after every epoch (§3.3.1 step 6)."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
from PIL import Image

from covergen_cli.config import GenerateConfig
from covergen_cli.config.resolve import resolve
from covergen_cli.covers.fingerprint import song_seed
from covergen_cli.covers.pipeline import negative_condition
from covergen_cli.diffusion.guidance import guide
from covergen_cli.diffusion.sampler import denoise
from covergen_cli.files import atomic_path
from covergen_cli.models.decoupled import condition_on
from covergen_cli.training.latent_cache import load_cover

if TYPE_CHECKING:
    import numpy.typing as npt
    from torch import Tensor

    from covergen_cli.dataset.pairs import Pair
    from covergen_cli.models.adapter import Adapter
    from covergen_cli.models.base import Base
    from covergen_cli.training.embedding_cache import Embeddings


def draw_samples(path: Path, base: Base, adapter: Adapter, pairs: Sequence[Pair], embeddings: Embeddings) -> None:
    """Write an image with the pairs' covers in the top row and generated pictures below.

    The pictures are those of ``covergen generate``, default negative prompt included, before look and enlarging.

    Args:
        path: the JPEG file.
        base: the frozen image model.
        adapter: in evaluation mode, on the base's device.
        pairs: one per column.
        embeddings: of at least these pairs, in the same order.

    Raises:
        OutputError: the file cannot be written.
    """
    settings = resolve(GenerateConfig, overrides={"base": base.reference})
    padded, lengths = embeddings.batch(range(len(pairs)))
    seeds = [song_seed(settings.seed, row[:length].numpy()) for row, length in zip(padded, lengths, strict=True)]
    with torch.inference_mode():
        tokens = adapter(padded.to(base.device), lengths.to(base.device))
        unconditional = negative_condition(base, settings) or base.null
        terms = guide(unconditional, [(condition_on(base, tokens), 1.0)], settings.guidance)
        latents = denoise(base, terms, seeds, settings.steps, settings.scheduler)
        drawn = [_pixels(base.decode(latent[None])[0]) for latent in latents]
    covers = [_pixels(load_cover(pair.image, base.native_size)) for pair in pairs]
    sheet = np.concatenate([np.concatenate(row, axis=1) for row in (covers, drawn)])
    with atomic_path(path) as temporary:
        Image.fromarray(sheet).save(temporary, "JPEG", quality=90)


def _pixels(image: Tensor) -> npt.NDArray[np.uint8]:
    """Convert ``(3, H, W)`` in [-1, 1] to bytes ``(H, W, 3)``."""
    scaled = (image.float().cpu().nan_to_num().clamp(-1, 1) + 1) * 127.5
    return scaled.round().byte().permute(1, 2, 0).numpy()
