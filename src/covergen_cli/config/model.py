"""Settings of the adapter."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Literal

from covergen_cli.config.fields import Between


@dataclass(frozen=True)
class AdapterConfig:
    """Architecture of the adapter (§3.2): embedding ``(T, embedding_dim)`` → tokens ``(tokens, output_dim)``.

    Args:
        pooling: Pooling over time: ``resampler`` gives several tokens by attention of learned queries, ``attention`` is
            the paper's attention pooling and gives one token.
        tokens: Number of conditioning tokens; must be 1 with ``attention``.
        embedding_dim: Width of the audio embedding.
        hidden_dim: Width of the mapper's hidden layers (1024 in the paper).
        output_dim: Width of a token, the base's ``cross_attention_dim`` (768 for Stable Diffusion 1.5).
        blocks: Number of residual blocks in the mapper (N, not given in the paper).
        rank: LoRA rank r (not given in the paper).
        alpha: LoRA scale α (not given in the paper).
        dropout: Dropout probability in the residual blocks (not given in the paper).
        heads: Number of attention heads of the resampler.
        cross_attention: What the image model attends to: ``shared`` gives it the tokens in place of those of a text,
            ``decoupled`` adds keys and values of their own for the audio to every cross-attention (IP-Adapter).
        projection_rank: Rank of the trained updates of the decoupled key and value projections; 0 trains the
            projections themselves.
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
    cross_attention: Literal["shared", "decoupled"] = "shared"
    projection_rank: Annotated[int, Between(0)] = 0
