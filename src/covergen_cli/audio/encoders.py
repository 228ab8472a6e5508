"""Audio encoders by name: what turns a clip into the embedding that an adapter reads (§3.2)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol, runtime_checkable

from covergen_cli.audio.mel import MelEncoder
from covergen_cli.errors import ModelError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    import numpy as np
    import numpy.typing as npt

__all__ = ["ENCODERS", "Encoder", "get_encoder"]


@runtime_checkable
class Encoder(Protocol):
    """Audio → embedding.

    Attributes:
        name: short name, as users type it.
        sample_rate_hz: the rate at which it listens; other rates are resampled.
        embedding_dim: width of its embeddings.
    """

    @property
    def name(self) -> str:
        """Short name."""
        ...

    @property
    def sample_rate_hz(self) -> int:
        """Rate at which it listens."""
        ...

    @property
    def embedding_dim(self) -> int:
        """Width of its embeddings."""
        ...

    def spec(self) -> dict[str, object]:
        """Return name, version, constants and a hash: JSON-able, equal for encoders that give equal embeddings."""
        ...

    def embed(self, samples: npt.NDArray[np.float32], sample_rate_hz: int) -> npt.NDArray[np.float32]:
        """Embed mono samples ``(n,)``; return float32 ``(T, embedding_dim)``, T ≥ 1."""
        ...


ENCODERS: dict[str, Callable[[], Encoder]] = {"mel": MelEncoder}
"""Every encoder there is, by name."""


def get_encoder(spec_or_name: str | Mapping[str, object]) -> Encoder:
    """Make the encoder of this name, or exactly the one that a spec describes.

    Args:
        spec_or_name: a name out of :data:`ENCODERS`, or what :meth:`Encoder.spec` returned, from an adapter's config.

    Raises:
        ModelError: there is no such encoder, or it is not the version that the spec describes.
    """
    name = spec_or_name if isinstance(spec_or_name, str) else spec_or_name.get("name")
    known = ", ".join(ENCODERS)
    if not isinstance(name, str) or name not in ENCODERS:
        raise ModelError(f"there is no audio encoder {name!r}", hint=f"Known encoders: {known}.")
    encoder = ENCODERS[name]()
    if not isinstance(spec_or_name, str) and dict(spec_or_name) != encoder.spec():
        raise ModelError(
            f"the adapter was trained with another version of the audio encoder {name!r}",
            hint="Train the adapter again, or use the release of CoverGen that it was trained with.",
        )
    return encoder
