"""Settings of the adapter."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Literal

from covergen_cli.config.fields import Between


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
