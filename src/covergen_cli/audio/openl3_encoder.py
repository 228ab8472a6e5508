"""The audio encoder ``openl3`` (§3.2)."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any, TypeVar

from covergen_cli.audio.batches import in_batches
from covergen_cli.audio.openl3 import OpenL3
from covergen_cli.audio.openl3_frontend import RATE_HZ, WINDOW, frame
from covergen_cli.audio.resample import resample
from covergen_cli.config import OpenL3Config
from covergen_cli.errors import ModelError
from covergen_cli.files import sha256_bytes
from covergen_cli.weights.openl3 import OPENL3, custom_openl3, openl3_weights

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt
    import torch

    from covergen_cli.audio.openl3 import Precision

VERSION = 2
"""Raise this whenever any number that reaches an embedding changes."""

_SIZE = 512
_Key = TypeVar("_Key")


class OpenL3Encoder:
    """Encoder with OpenL3's network; an :class:`~covergen_cli.audio.encoders.Encoder`.

    Args:
        config: which network, and the distance between rows.
        weights_file: weights to use instead of those in the cache; see
            :func:`covergen_cli.weights.openl3.openl3_weights`.
        device: where to compute.
        dtype: precision of the convolutions.
        batch_size: windows per batch; ``None`` for what suits the device.

    Raises:
        ModelError: the weights are missing and cannot be downloaded, or are damaged.
        OutputError: the cache cannot be written to.
    """

    name = "openl3"
    sample_rate_hz = RATE_HZ
    embedding_dim = _SIZE
    resample = staticmethod(resample)

    def __init__(
        self,
        config: OpenL3Config | None = None,
        *,
        weights_file: str | os.PathLike[str] | None = None,
        device: str | torch.device = "cpu",
        dtype: Precision = "fp32",
        batch_size: int | None = None,
    ) -> None:
        self.config = config or OpenL3Config()
        self.batch_size = batch_size
        path = openl3_weights(_weights_name(self.config), weights_file)
        self.network = OpenL3.from_safetensors(path, _SIZE).to(device, dtype)

    @classmethod
    def from_spec(
        cls,
        spec: Mapping[str, object],
        *,
        weights_file: str | os.PathLike[str] | None = None,
        device: str | torch.device = "cpu",
    ) -> OpenL3Encoder:
        """Return the encoder that a spec describes, with the weights in the cache that it names.

        Raises:
            ModelError: the spec is damaged, or the weights are others than those that it names.
        """
        fields: dict[str, Any] = {key: spec.get(key) for key in ("input_repr", "content", "hop_seconds", "center")}
        names = {(file.input_repr, file.content) for file in OPENL3.values()}
        hop = fields["hop_seconds"]
        if (fields["input_repr"], fields["content"]) not in names or not isinstance(hop, (int, float)) or hop <= 0:
            raise ModelError("the adapter's description of its audio encoder is damaged")
        config = OpenL3Config(**fields)
        wanted = str(spec.get("weights"))
        encoder = cls(config, weights_file=weights_file or custom_openl3(config.input_repr, wanted), device=device)
        here = encoder.network.weights_sha256
        if here != wanted:
            raise ModelError(
                f"the adapter was trained with other weights of openl3 ({wanted[:12]}) than those here ({here[:12]})",
                hint="Give those weights with --openl3-weights FILE.",
            )
        return encoder

    def embed_many(
        self, clips: Iterable[tuple[_Key, npt.NDArray[np.float32] | None]]
    ) -> Iterator[tuple[_Key, npt.NDArray[np.float32] | None]]:
        """Embed clips at 48 kHz in batches of one size; see :func:`covergen_cli.audio.batches.in_batches`."""
        config = self.config
        windows = (
            (key, None if clip is None else frame(clip, config.hop_seconds, config.center)) for key, clip in clips
        )
        return in_batches(windows, self.network, self.batch_size or self.network.batch_size)

    def spec(self) -> dict[str, object]:
        """Return what identifies the embeddings of this encoder; JSON-able."""
        spec: dict[str, object] = {
            "name": self.name,
            "version": VERSION,
            "sample_rate_hz": RATE_HZ,
            "embedding_dim": _SIZE,
            "input_repr": self.config.input_repr,
            "content": self.config.content,
            "window_seconds": WINDOW / RATE_HZ,
            "hop_seconds": self.config.hop_seconds,
            "center": self.config.center,
            "weights": self.network.weights_sha256,
        }
        return spec | {"hash": sha256_bytes(json.dumps(spec, sort_keys=True).encode())[:16]}

    def embed(self, samples: npt.NDArray[np.float32], sample_rate_hz: int) -> npt.NDArray[np.float32]:
        """Embed mono samples ``(n,)``; return float32 ``(T, 512)``, a row per ``hop_seconds``, at least one.

        Raises:
            InputError: there are no samples, or some are not finite.
        """
        hop, center = self.config.hop_seconds, self.config.center
        return self.network.embed(samples, sample_rate_hz, hop, center, self.batch_size)[0]


def _weights_name(config: OpenL3Config) -> str:
    wanted = (config.input_repr, config.content)
    return next(name for name, file in OPENL3.items() if (file.input_repr, file.content) == wanted)
