"""The second half of the way: load the models once, then draw cover after cover."""

from __future__ import annotations

import hashlib
import time
from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from covergen_cli.errors import ModelError
from covergen_cli.generation.finish import finish
from covergen_cli.generation.provenance import save_cover
from covergen_cli.generation.sampler import denoise, make_scheduler
from covergen_cli.generation.stores import max_bytes
from covergen_cli.generation.typography import letter
from covergen_cli.models.base import Base, check_adapter_fits, load_base
from covergen_cli.models.checkpoint import load_adapter
from covergen_cli.weights.device import choose_device

if TYPE_CHECKING:
    from collections.abc import Generator

    import numpy.typing as npt
    from PIL import Image
    from torch import Tensor

    from covergen_cli.config import GenerateConfig
    from covergen_cli.generation.identity import Models
    from covergen_cli.generation.plan import Job
    from covergen_cli.models.adapter import Adapter

__all__ = ["Painter", "choose_device", "load_painter", "song_seed"]


def song_seed(seed: int, embedding: npt.NDArray[np.float32]) -> int:
    """Mix the seed with the song: from the same noise, every song of a folder would get the same composition.

    The song counts by the coarse outline of its mean embedding: sixteen values, rounded to hundredths of the largest.
    So the mixture survives another tag, another name, and the last bits in which machines differ.

    Args:
        seed: what the user chose.
        embedding: float32 ``(T, E)``.

    Returns:
        0 to 2^63 − 1.
    """
    mean = embedding.astype(np.float64).mean(axis=0)
    chosen = mean[:: max(1, len(mean) // 16)][:16]
    outline = np.round(chosen / max(float(np.abs(chosen).max()), 1e-12), 2) + 0.0
    digest = hashlib.sha256(f"{seed}:{outline.tolist()}".encode()).digest()
    return int.from_bytes(digest[:8], "big") >> 1


@dataclass(frozen=True)
class Painter:
    """The loaded models.

    Args:
        adapter: in evaluation mode, on the base's device.
        base: the frozen image model.
        seconds: wall-clock time that loading took.
    """

    adapter: Adapter
    base: Base
    seconds: float

    def draw(
        self,
        job: Job,
        embedding: npt.NDArray[np.float32],
        provenance: dict[str, Any],
        config: GenerateConfig,
    ) -> Generator[tuple[int, int], None, None]:
        """Draw one cover and write it.

        Args:
            job: where it goes, and its seed.
            embedding: float32 ``(T, E)`` of the song.
            provenance: what the file shall say about itself.
            config: how to draw.

        Yields:
            ``(done, total)`` denoising steps; the file is written after the last.

        Raises:
            ModelError: the base draws something that is no picture.
            OutputError: the file cannot be written.
        """
        image = yield from self.paint(self.listen(embedding), song_seed(job.seed, embedding), config)
        provenance = {**provenance, "native_size": self.base.native_size}
        if words := provenance.get("lettering"):
            image, contrast = letter(image, words, config.font)
            provenance["text_contrast"] = round(contrast, 2)
        save_cover(job.output, image, provenance, job.format, max_bytes(config.store))

    def listen(self, embedding: npt.NDArray[np.float32]) -> Tensor:
        """Turn the embedding ``(T, E)`` of a song into conditioning tokens ``(1, K, D)``."""
        with torch.inference_mode():
            tokens: Tensor = self.adapter(torch.from_numpy(embedding)[None].to(self.base.device))
        return tokens

    def attention(self, embedding: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
        """Tell how much each frame of the embedding ``(T, E)`` counts to the adapter: ``(T,)``, summing to 1."""
        with torch.inference_mode():
            weights = self.adapter.pooling.weights(torch.from_numpy(embedding)[None].to(self.base.device))
        shares: npt.NDArray[np.float32] = weights[0].float().cpu().numpy()
        return shares

    def paint(self, tokens: Tensor, seed: int, config: GenerateConfig) -> Generator[tuple[int, int], None, Image.Image]:
        """Draw one picture.

        Args:
            tokens: ``(1, K, D)``.
            seed: of the noise and of the grain, 0 to 2^63 − 1; :func:`song_seed` makes it.
            config: how to draw.

        Yields:
            ``(done, total)`` denoising steps.

        Returns:
            The finished picture, RGB, ``config.size`` pixels per side.

        Raises:
            ModelError: the base draws something that is no picture.
        """
        latents = yield from denoise(self.base, tokens, [seed], config.steps, config.guidance, config.scheduler)
        with torch.inference_mode():
            decoded = self.base.decode(latents)[0].float().cpu()
        if not bool(torch.isfinite(decoded).all()):
            raise ModelError(
                f"{self.base.reference} drew numbers that are no picture", hint="Try --device cpu, or less --guidance."
            )
        return finish(decoded, config.size, seed=seed, grain=config.grain)

    def cover(self, tokens: Tensor, seed: int, config: GenerateConfig) -> Image.Image:
        """Draw one picture to the end; see :meth:`paint`."""
        finished: list[Image.Image] = []

        def painting() -> Generator[tuple[int, int], None, None]:
            finished.append((yield from self.paint(tokens, seed, config)))

        deque(painting(), maxlen=0)
        return finished[0]


def load_painter(config: GenerateConfig, models: Models) -> Painter:
    """Load adapter and base, and check that they fit each other and the settings.

    Half precision on CUDA, where Stable Diffusion is made for it; full precision elsewhere.

    Raises:
        ModelError: a model is missing, damaged, or does not fit.
        ConfigError: device or scheduler make no sense.
    """
    started = time.monotonic()
    device = choose_device(config.device)
    loaded = load_adapter(models.adapter_folder)
    base = load_base(models.base_reference, device, torch.float16 if device.type == "cuda" else torch.float32)
    check_adapter_fits(loaded, base)
    make_scheduler(base, config.scheduler)
    return Painter(loaded.adapter.to(device), base, time.monotonic() - started)
