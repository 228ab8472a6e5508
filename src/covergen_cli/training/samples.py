"""Covers drawn while an adapter learns: the same few songs of the validation part after every epoch (§3.3.1 step 6)."""

from __future__ import annotations

from collections.abc import Generator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
from PIL import Image

from covergen_cli.covers.pipeline import song_seed
from covergen_cli.diffusion.guidance import guide
from covergen_cli.diffusion.sampler import denoise
from covergen_cli.files import atomic_path
from covergen_cli.training.latent_cache import load_cover
from covergen_cli.training.run_folder import SAMPLES

if TYPE_CHECKING:
    import numpy.typing as npt
    from torch import Tensor

    from covergen_cli.config import GenerateConfig
    from covergen_cli.dataset.pairs import Pair
    from covergen_cli.models.adapter import Adapter
    from covergen_cli.models.base import Base
    from covergen_cli.training.embedding_cache import Embeddings


class Gallery:
    """Draws the sheets of a run.

    Args:
        base: the frozen image model.
        pairs: whose covers stand above.
        embeddings: of at least these pairs, in their order.
        settings: steps, guidance, scheduler and first seed.
    """

    def __init__(self, base: Base, pairs: Sequence[Pair], embeddings: Embeddings, settings: GenerateConfig) -> None:
        self._base, self._settings = base, settings
        self._batch = embeddings.batch(range(len(pairs)))
        self._covers = [_pixels(load_cover(pair.image, base.native_size)) for pair in pairs]
        padded, lengths = self._batch
        self._seeds = [
            song_seed(settings.seed, row[:length].numpy()) for row, length in zip(padded, lengths.tolist(), strict=True)
        ]

    def draw(self, adapter: Adapter, run: Path, epoch: int) -> Generator[tuple[int, int], None, Path]:
        """Draw one sheet: the covers that the songs have above, those that the adapter makes of them below.

        Args:
            adapter: in evaluation mode.
            run: the run folder.
            epoch: names the file.

        Yields:
            ``(done, total)`` denoising steps.

        Returns:
            The sheet, ``samples/epoch-NNN.jpg``.

        Raises:
            OutputError: it cannot be written.
        """
        with torch.inference_mode():
            tokens: Tensor = adapter(*(part.to(self._base.device) for part in self._batch))
        settings = self._settings
        terms = guide(tokens, self._base.null_tokens, settings.guidance)
        latents = yield from denoise(self._base, terms, self._seeds, settings.steps, settings.scheduler)
        with torch.inference_mode():
            drawn = [_pixels(self._base.decode(latent[None])[0]) for latent in latents]
        sheet = np.concatenate([np.concatenate(row, axis=1) for row in (self._covers, drawn)])
        path = run / SAMPLES / f"epoch-{epoch:03d}.jpg"
        with atomic_path(path) as temporary:
            Image.fromarray(sheet).save(temporary, "JPEG", quality=90)
        return path


def _pixels(image: Tensor) -> npt.NDArray[np.uint8]:
    """``(3, H, W)`` in [-1, 1] → bytes ``(H, W, 3)``."""
    scaled = (image.float().cpu().nan_to_num().clamp(-1, 1) + 1) * 127.5
    return scaled.round().byte().permute(1, 2, 0).numpy()
