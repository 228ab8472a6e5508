"""Embed clips of several threads together on a GPU, which one clip at a time would not keep busy."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from typing import TYPE_CHECKING

from covergen_cli.audio.encoders import BatchEncoder, get_encoder
from covergen_cli.audio.openl3_encoder import OpenL3Encoder
from covergen_cli.weights.device import choose_device, use_repeatable_algorithms

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    from covergen_cli.audio.encoders import Encoder
    from covergen_cli.audio.io import Resample

_WINDOWS_AT_ONCE = 64
"""The image model needs memory too; 64 windows of OpenL3 take about 1.7 GB, computed from its layers."""


class _Clip:
    """A clip that waits for its embedding."""

    def __init__(self, samples: npt.NDArray[np.float32]) -> None:
        self.samples = samples
        self.embedding: npt.NDArray[np.float32] | None = None
        self.error: Exception | None = None

    @property
    def done(self) -> bool:
        """Whether there is an embedding or an error."""
        return self.embedding is not None or self.error is not None


class SharedEncoder:
    """An encoder that embeds the clips of all threads that wait for it in the same batches.

    Args:
        encoder: the encoder; one thread uses it at a time.
    """

    def __init__(self, encoder: BatchEncoder) -> None:
        self._encoder = encoder
        self.name, self.sample_rate_hz, self.embedding_dim = encoder.name, encoder.sample_rate_hz, encoder.embedding_dim
        self._waiting: list[_Clip] = []
        self._listing, self._computing = threading.Lock(), threading.Lock()

    @property
    def resample(self) -> Resample | None:
        """Function that resamples files of other rates."""
        return self._encoder.resample

    def spec(self) -> dict[str, object]:
        """Return what identifies the embeddings of this encoder; JSON-able."""
        return self._encoder.spec()

    def embed(self, samples: npt.NDArray[np.float32], sample_rate_hz: int) -> npt.NDArray[np.float32]:
        """Embed mono samples ``(n,)`` at the encoder's own rate; return float32 ``(T, embedding_dim)``.

        Raises:
            InputError: there are no samples.
            ModelError: the GPU has too little memory.
        """
        if sample_rate_hz != self.sample_rate_hz:
            raise ValueError(f"the samples are at {sample_rate_hz} Hz, not {self.sample_rate_hz}")
        clip = _Clip(samples)
        with self._listing:
            self._waiting.append(clip)
        with self._computing:
            if not clip.done:  # another thread may have embedded it with its own clip
                self._embed_waiting()
        if clip.embedding is None:
            raise clip.error or RuntimeError("the clip was not embedded")
        return clip.embedding

    def _embed_waiting(self) -> None:
        with self._listing:
            clips, self._waiting = self._waiting, []
        try:
            for clip, embedding in self._encoder.embed_many((clip, clip.samples) for clip in clips):
                clip.embedding = embedding
        except Exception as error:  # noqa: BLE001 — raised again in the thread of each clip
            for clip in clips:
                clip.error = error


def load_openl3(spec: Mapping[str, object], device_name: str) -> Encoder:
    """Return the encoder that a spec of ``openl3`` describes; on a CUDA GPU, one that is shared by threads.

    Args:
        spec: from :meth:`Encoder.spec`.
        device_name: as ``--device`` takes it; on devices other than CUDA GPUs the encoder runs on the CPU.

    Raises:
        ModelError: the encoder cannot be loaded.
        ConfigError: there is no such device.
    """
    device = choose_device(device_name)
    if device.type != "cuda":
        return get_encoder(spec)
    use_repeatable_algorithms()
    encoder = get_encoder(spec, device=str(device))
    if not isinstance(encoder, OpenL3Encoder):
        raise TypeError(f"{encoder.name} is not openl3")
    encoder.batch_size = _WINDOWS_AT_ONCE
    return SharedEncoder(encoder)
