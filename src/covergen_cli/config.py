"""Every setting and its only default: one frozen dataclass per stage.

Command-line options, presets and the reference in the docs derive from these fields; a default is typed nowhere else.
Units stand in the names. Presets (``presets/*.yaml``) hold only what differs from here.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

__all__ = ["AdapterConfig", "GenerateConfig", "SegmentConfig"]


@dataclass(frozen=True)
class SegmentConfig:
    """The salient part of a song (§3.4.1).

    Args:
        clip_seconds: length of the window; a shorter song is used whole.
        hop_seconds: distance between two windows that are scored.
    """

    clip_seconds: float = 30.0
    hop_seconds: float = 1.0


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
    tokens: int = 8
    embedding_dim: int = 512
    hidden_dim: int = 1024
    output_dim: int = 768
    blocks: int = 2
    rank: int = 16
    alpha: float = 1.0
    dropout: float = 0.1
    heads: int = 8


@dataclass(frozen=True)
class GenerateConfig:
    """How covers are drawn (§3.4).

    Args:
        adapter: ``starter``, a run folder, an adapter folder, or a hub id.
        base: ``starter``, ``sd15``, a folder in Stable-Diffusion layout, or a hub id; ``None`` takes the one that the
            adapter was trained for.
        variations: covers per song; each has its own seed.
        seed: first seed; variation ``i`` (from 0) is drawn with ``seed + i``.
        steps: denoising steps.
        guidance: weight of classifier-free guidance; 1 switches it off.
        scheduler: a diffusers scheduler class name, or its short name (``dpm++``, ``unipc``, ``euler``, ``ddim``);
            ``None`` takes the base's own.
        size: pixels per side of the file, 64 to 4096.
        format: ``png`` or ``jpg``.
        grain: strength of the film grain that finishes an enlarged cover, 0 to 1.
        segment: start and end in seconds of the part to listen to; ``None`` finds the salient one.
        device: ``auto``, ``cpu``, ``cuda``, ``cuda:1``, ``mps``.
        overwrite: what to do with a cover that exists: ``changed`` redraws it when the song, the settings or the model
            changed, ``skip`` never touches it, ``force`` always redraws.
    """

    adapter: str = "starter"
    base: str | None = None
    variations: int = 1
    seed: int = 0
    steps: int = 30
    guidance: float = 7.5
    scheduler: str | None = None
    size: int = 512
    format: Literal["png", "jpg"] = "png"
    grain: float = 0.25
    segment: tuple[float, float] | None = None
    device: str = "auto"
    overwrite: Literal["changed", "skip", "force"] = "changed"
