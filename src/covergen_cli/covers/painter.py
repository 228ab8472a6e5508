"""The painter of the synthetic world as an engine of its own: covers from the descriptors alone, without any model.

It stands in for :class:`~covergen_cli.covers.pipeline.CoverPipeline` with ``--base painter``, and needs no torch.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image

from covergen_cli.audio.descriptors import NAMES, describe
from covergen_cli.audio.features import RATE_HZ
from covergen_cli.covers.listen import DESCRIPTORS
from covergen_cli.covers.looks import apply_look, parse_look
from covergen_cli.covers.prompts import NO_PROMPTS, Prompts
from covergen_cli.covers.steering import steered
from covergen_cli.synthetic.painter import paint

if TYPE_CHECKING:
    import numpy.typing as npt

    from covergen_cli.config import GenerateConfig
    from covergen_cli.covers.heard import Heard

_STYLED_SIZE = 512  # looks redraw the picture, so more pixels would not show


class DescriptorEncoder:
    """An audio encoder that returns the descriptors of a clip."""

    name: str = DESCRIPTORS["name"]
    sample_rate_hz = RATE_HZ
    embedding_dim = len(NAMES)
    resample = None

    def spec(self) -> dict[str, object]:
        """Return the name and version of this encoder."""
        return DESCRIPTORS

    def embed(self, samples: npt.NDArray[np.float32], sample_rate_hz: int) -> npt.NDArray[np.float32]:
        """Return the descriptors of mono samples ``(n,)`` as float32 ``(1, 7)``."""
        return describe(samples, sample_rate_hz).as_array()[None]


@dataclass(frozen=True)
class PainterPipeline:
    """Paints covers, as a :class:`~covergen_cli.covers.loading.Pipeline`."""

    seconds: float = 0.0
    batch: int = 1
    native_size: int = _STYLED_SIZE

    def audio_tokens(self, *embeddings: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
        """Return the mean descriptors of ``B`` songs or albums, float32 ``(B, 7)``."""
        return np.stack([embedding.mean(axis=0) for embedding in embeddings])

    def steer(self, tokens: npt.NDArray[np.float32], heard: Sequence[Heard], steer: str) -> npt.NDArray[np.float32]:
        """Return descriptors ``(B, 7)``, moved as ``steer`` asks."""
        return np.stack([steered(descriptors, steer) for descriptors, _ in zip(tokens, heard, strict=True)])

    def attention(self, embedding: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
        """Return equal weights for all frames of an embedding ``(T, 7)``: the painter attends to none in particular."""
        return np.full(len(embedding), 1 / len(embedding), np.float32)

    def write_prompts(self, _heard: Heard | None, _seed: int, _config: GenerateConfig) -> Prompts:
        """Return no prompts."""
        return NO_PROMPTS

    def draw(
        self,
        tokens: npt.NDArray[np.float32],
        seeds: Sequence[int],
        config: GenerateConfig,
        callback: Callable[[int, int], None] | None = None,
        _prompts: Sequence[Prompts] = (),
    ) -> list[Image.Image]:
        """Return one painting per song, at the size of the file, or at 512 pixels when a look redraws it."""
        size = config.size if config.raw or config.look == "paint" else _STYLED_SIZE
        pictures = []
        for done, (descriptors, seed) in enumerate(zip(tokens, seeds, strict=True), start=1):
            pictures.append(Image.fromarray(paint(descriptors, seed, size)))
            if callback is not None:
                callback(done, len(seeds))
        return pictures

    def to_image(self, picture: Image.Image) -> Image.Image:
        """Return a painting as it is."""
        return picture

    def enlarge(self, picture: Image.Image, _seed: int, config: GenerateConfig) -> Image.Image:
        """Return a painting at the size of the file."""
        return apply_look(picture, parse_look("paint"), config.size)
