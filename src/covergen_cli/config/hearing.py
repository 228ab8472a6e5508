"""Settings of hearing: segment, encoders, embedding."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Literal

from covergen_cli.config.fields import Between, Matches


@dataclass(frozen=True)
class SegmentConfig:
    """The salient part of a song (§3.4.1).

    Args:
        clip_seconds: length of the window; a shorter song is used whole.
        hop_seconds: distance between two windows that are scored.
    """

    clip_seconds: Annotated[float, Between(0.1, 3600)] = 30.0
    hop_seconds: Annotated[float, Between(0.01, 3600)] = 1.0


@dataclass(frozen=True)
class OpenL3Config:
    """The audio encoder ``openl3`` (§3.2).

    Args:
        input_repr: spectrogram that the network looks at; each has weights of its own.
        content: what the network was trained on: ``music``, or ``env``, sounds of the environment.
        hop_seconds: distance between two rows of an embedding.
        center: whether a row's second of sound is centred on its time, or begins there.
    """

    input_repr: Literal["mel256", "mel128"] = "mel256"
    content: Literal["music", "env"] = "music"
    hop_seconds: Annotated[float, Between(0.001, 60)] = 0.1
    center: bool = True


@dataclass(frozen=True)
class EmbedConfig:
    """How music becomes embeddings (§3.2).

    Args:
        encoder: which audio encoder: ``mel`` needs no weights, ``openl3`` is the paper's.
        hop_seconds: distance between two rows of an embedding; without it, the encoder's own. That of ``mel`` is fixed.
        device: where ``openl3`` computes; ``auto`` takes a GPU where there is one. ``mel`` always takes the CPU.
        dtype: precision with which ``openl3`` computes; the file always holds float32.
        batch_size: windows, of one clip or of several, that ``openl3`` computes at once; without it, what keeps the
            device busy.
        openl3_weights: file of weights for ``openl3``, ``.h5``, ``.h5.gz`` or ``.safetensors``; without it, the
            published ones, from the cache or the network.
        workers: threads that read audio (with ``ray``: actors, when there is no GPU); without it, one per core.
        engine: where it runs: ``local``, or on a Ray cluster, the one that ``RAY_ADDRESS`` names, else one that is
            started here for the run.
    """

    encoder: Literal["mel", "openl3"] = "mel"
    hop_seconds: Annotated[float | None, Between(0.001, 60)] = None
    device: Annotated[str, Matches(r"auto|cpu|mps|cuda(:\d+)?", "auto, cpu, cuda, cuda:N or mps")] = "auto"
    dtype: Literal["fp32", "tf32", "bf16", "fp16"] = "fp32"
    batch_size: Annotated[int | None, Between(1, 65536)] = None
    openl3_weights: str | None = None
    workers: Annotated[int | None, Between(1, 1024)] = None
    engine: Literal["local", "ray"] = "local"
