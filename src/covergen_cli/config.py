"""Every setting and its only default: one frozen dataclass per stage.

Command-line options, presets and the reference in the docs derive from these fields; a default is typed nowhere else.
Units stand in the names. Presets (``presets/*.yaml``) hold only what differs from here. The bounds of a value ride in
its annotation, its help text in the ``Args`` section of its class: each is written once.
"""

from __future__ import annotations

import inspect
import re
from dataclasses import dataclass
from typing import Annotated, Literal

__all__ = [
    "AdapterConfig",
    "Between",
    "EmbedConfig",
    "GenerateConfig",
    "Matches",
    "OpenL3Config",
    "SegmentConfig",
    "field_docs",
    "stage_of",
]


@dataclass(frozen=True)
class Between:
    """Bounds of a number, both included.

    Args:
        low: smallest value allowed.
        high: largest value allowed; ``None`` for no upper bound.
    """

    low: float
    high: float | None = None

    def __str__(self) -> str:
        return f"{self.low} or more" if self.high is None else f"{self.low} to {self.high}"

    def __contains__(self, value: float) -> bool:
        return self.low <= value and (self.high is None or value <= self.high)


@dataclass(frozen=True)
class Matches:
    """Form of a text.

    Args:
        pattern: regular expression that the whole text has to match.
        words: the same for people, e.g. ``"auto, cpu or cuda"``.
    """

    pattern: str
    words: str

    def __str__(self) -> str:
        return self.words

    def __contains__(self, value: str) -> bool:
        return re.fullmatch(self.pattern, value) is not None


def stage_of(kind: type) -> str:
    """Name of a stage in presets, config file and environment: ``GenerateConfig`` → ``generate``."""
    return kind.__name__.removesuffix("Config").lower()


def field_docs(kind: type) -> dict[str, str]:
    """Help text of every field, read from the ``Args`` section of the class's docstring.

    Args:
        kind: one of the dataclasses of this module.

    Returns:
        field name → text on one line, without the double backticks of the docstring.
    """
    lines = (inspect.getdoc(kind) or "").partition("Args:\n")[2].splitlines()
    docs: dict[str, str] = {}
    name = ""
    for line in lines:
        if not line.startswith("    "):
            break
        if start := re.match(r" {4}(\w+): (.+)", line):
            name, text = start.groups()
            docs[name] = text
        else:
            docs[name] += " " + line.strip()
    return {name: text.replace("``", "") for name, text in docs.items()}


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


@dataclass(frozen=True)
class AdapterConfig:
    """Shape of the adapter: embedding ``(T, embedding_dim)`` → conditioning tokens ``(tokens, output_dim)`` (§3.2).

    Args:
        pooling: ``"resampler"`` gives ``tokens`` distinct tokens (learned queries attend over time);
            ``"attention"`` is the paper's attention pooling, one token.
        tokens: number of conditioning tokens; must be 1 with ``"attention"``.
        embedding_dim: width of the audio embedding.
        hidden_dim: width inside the mapper (the paper's 1024).
        output_dim: the base's ``cross_attention_dim`` (768 for Stable Diffusion 1.5).
        blocks: residual blocks in the mapper (the paper's N, which it leaves open).
        rank: LoRA rank r (left open by the paper).
        alpha: LoRA scale α (left open by the paper).
        dropout: dropout inside the residual blocks (left open by the paper).
        heads: attention heads of the resampler.
    """

    pooling: Literal["resampler", "attention"] = "resampler"
    tokens: Annotated[int, Between(1, 1024)] = 8
    embedding_dim: Annotated[int, Between(1)] = 512
    hidden_dim: Annotated[int, Between(1)] = 1024
    output_dim: Annotated[int, Between(1)] = 768
    blocks: Annotated[int, Between(0, 100)] = 2
    rank: Annotated[int, Between(1)] = 16
    alpha: Annotated[float, Between(0)] = 1.0
    dropout: Annotated[float, Between(0, 1)] = 0.1
    heads: Annotated[int, Between(1)] = 8


@dataclass(frozen=True)
class GenerateConfig:
    """How covers are drawn (§3.4).

    Args:
        adapter: which adapter: ``starter``, a run folder, an adapter folder, or a hub id.
        base: which image model: ``starter``, ``sd15``, a folder in Stable-Diffusion layout, or a hub id; without it,
            the one that the adapter was trained for.
        variations: covers per song; each has its own seed.
        seed: first seed; variation ``i`` (from 0) is drawn with ``seed + i``.
        steps: denoising steps.
        guidance: weight of classifier-free guidance; 1 switches it off.
        scheduler: which sampler: ``dpm++``, ``unipc``, ``euler``, ``ddim``, a diffusers scheduler class, or ``own`` for
            the one that the base names.
        size: pixels per side of the file.
        format: file format of the cover.
        grain: strength of the film grain that finishes an enlarged cover.
        segment: start and end of the part to listen to, seconds or m:ss; without it, the salient part is found.
        save_segment: also write the part that was listened to, as mp3 beside the cover.
        device: where to compute; ``auto`` takes a GPU where there is one.
        overwrite: what to do with a cover that exists: ``changed`` redraws it when the song, the settings or the model
            changed, ``skip`` never touches it, ``force`` always redraws.
    """

    adapter: str = "starter"
    base: str | None = None
    variations: Annotated[int, Between(1, 1000)] = 1
    seed: Annotated[int, Between(0, 2**32 - 1)] = 0
    steps: Annotated[int, Between(1, 1000)] = 30
    guidance: Annotated[float, Between(0, 50)] = 7.5
    scheduler: str = "dpm++"
    size: Annotated[int, Between(64, 4096)] = 512
    format: Literal["png", "jpg"] = "png"
    grain: Annotated[float, Between(0, 1)] = 0.25
    segment: tuple[float, float] | None = None
    save_segment: bool = False
    device: Annotated[str, Matches(r"auto|cpu|mps|cuda(:\d+)?", "auto, cpu, cuda, cuda:N or mps")] = "auto"
    overwrite: Literal["changed", "skip", "force"] = "changed"


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
