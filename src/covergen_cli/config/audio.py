"""Settings of the audio side: segment, encoders, embeddings."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Literal

from covergen_cli.config.fields import Between, Device


@dataclass(frozen=True)
class SegmentConfig:
    """Settings of the search for the salient segment of a song (§3.4.1).

    Args:
        clip_seconds: Length of the segment in seconds; a shorter song is used completely.
        hop_seconds: Seconds between the starts of two candidate segments.
    """

    clip_seconds: Annotated[float, Between(0.1, 3600)] = 30.0
    hop_seconds: Annotated[float, Between(0.01, 3600)] = 1.0


@dataclass(frozen=True)
class OpenL3Config:
    """Settings of the audio encoder ``openl3`` (§3.2).

    Args:
        input_repr: Input spectrogram of the network; each has its own weights.
        content: Training data of the network: ``music``, or ``env`` for environmental sounds.
        hop_seconds: Seconds between two frames of an embedding.
        center: Center each one-second window on its time; otherwise the window starts there.
    """

    input_repr: Literal["mel256", "mel128"] = "mel256"
    content: Literal["music", "env"] = "music"
    hop_seconds: Annotated[float, Between(0.001, 60)] = 0.1
    center: bool = True


@dataclass(frozen=True)
class EmbedConfig:
    """Settings of the computation of embeddings (§3.2).

    Args:
        encoder: Audio encoder: ``mel`` needs no weights, ``musicnn`` is a bundled network that was trained to tag
            genre and mood, ``openl3`` is the one used in the paper.
        hop_seconds: Seconds between two frames of an embedding (``openl3`` only). Defaults to the encoder's own hop.
        device: Device for ``openl3``; ``auto`` uses a GPU if there is one. The others always run on the CPU.
        dtype: Precision of ``openl3``. The file always holds float32.
        batch_size: Number of audio windows that ``openl3`` processes at once. By default it suits the device.
        openl3_weights: OpenL3 weights file (``.h5``, ``.h5.gz`` or ``.safetensors``). Defaults to the published
            weights, which are downloaded once.
        workers: Number of threads that read audio, or of Ray actors on CPUs. Defaults to one per core.
        engine: Where to run: ``local``, or on a Ray cluster (``ray``). Without ``RAY_ADDRESS``, a local cluster is
            started for the run.
    """

    encoder: Literal["mel", "musicnn", "openl3"] = "mel"
    hop_seconds: Annotated[float | None, Between(0.001, 60)] = None
    device: Device = "auto"
    dtype: Literal["fp32", "tf32", "bf16", "fp16"] = "fp32"
    batch_size: Annotated[int | None, Between(1, 65536)] = None
    openl3_weights: str | None = None
    workers: Annotated[int | None, Between(1, 1024)] = None
    engine: Literal["local", "ray"] = "local"
