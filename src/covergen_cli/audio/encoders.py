"""Audio encoders by name (§3.2)."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Protocol, TypeVar, runtime_checkable

from covergen_cli.audio.mel import MelEncoder
from covergen_cli.errors import ModelError

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    from covergen_cli.audio.io import Resample

_Key = TypeVar("_Key")


@runtime_checkable
class Encoder(Protocol):
    """Audio encoder: a clip → an embedding.

    Attributes:
        name: short name, as users type it.
        sample_rate_hz: sample rate that needs no resampling.
        embedding_dim: width of its embeddings.
    """

    name: str
    sample_rate_hz: int
    embedding_dim: int

    @property
    def resample(self) -> Resample | None:
        """Function that resamples files of other rates; ``None`` for soxr."""
        ...

    def spec(self) -> dict[str, object]:
        """Return name, version, constants and a hash: JSON-able, equal for encoders that give equal embeddings."""
        ...

    def embed(self, samples: npt.NDArray[np.float32], sample_rate_hz: int) -> npt.NDArray[np.float32]:
        """Embed mono samples ``(n,)``; return float32 ``(T, embedding_dim)``, T ≥ 1."""
        ...


@runtime_checkable
class BatchEncoder(Encoder, Protocol):
    """Audio encoder that computes windows of many clips at once, so that a device is always busy."""

    def embed_many(
        self, clips: Iterable[tuple[_Key, npt.NDArray[np.float32] | None]]
    ) -> Iterator[tuple[_Key, npt.NDArray[np.float32] | None]]:
        """Embed clips at ``sample_rate_hz``; see :func:`covergen_cli.audio.batches.in_batches`."""
        ...


ENCODERS = ("mel", "musicnn", "openl3")
"""The names of the encoders."""


def get_encoder(
    spec_or_name: str | Mapping[str, object], *, weights_file: str | os.PathLike[str] | None = None, device: str = "cpu"
) -> Encoder:
    """Return the encoder of a name, or exactly the one that a spec describes.

    Args:
        spec_or_name: one of :data:`ENCODERS`, or the result of :meth:`Encoder.spec`, which an adapter's config holds.
        weights_file: weights of ``openl3`` to use instead of those in the cache.
        device: device of ``openl3``.

    Raises:
        ModelError: there is no such encoder, its version is another than that of the spec, or its weights are missing
            or damaged.
    """
    spec = {"name": spec_or_name} if isinstance(spec_or_name, str) else dict(spec_or_name)
    name = spec.get("name")
    if name not in ENCODERS:
        raise ModelError(f"there is no audio encoder {name!r}", hint=f"Known encoders: {', '.join(ENCODERS)}.")
    encoder = _load(spec, weights_file, device)
    if not isinstance(spec_or_name, str) and spec != encoder.spec():
        raise ModelError(
            f"the adapter was trained with another version of the audio encoder {name!r}",
            hint="Train the adapter again, or use the release of CoverGen that it was trained with.",
        )
    return encoder


def _load(spec: Mapping[str, object], weights_file: str | os.PathLike[str] | None, device: str) -> Encoder:
    if spec["name"] == "mel":
        return MelEncoder()
    # Networks are imported late, because torch takes seconds to import.
    if spec["name"] == "musicnn":
        from covergen_cli.audio.musicnn_encoder import MusicnnEncoder  # noqa: PLC0415

        return MusicnnEncoder()
    from covergen_cli.audio.openl3_encoder import OpenL3Encoder  # noqa: PLC0415

    if spec.keys() == {"name"}:
        return OpenL3Encoder(weights_file=weights_file, device=device)
    return OpenL3Encoder.from_spec(spec, weights_file=weights_file, device=device)
