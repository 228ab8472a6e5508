"""The adapter: an audio embedding over time becomes conditioning tokens for a frozen image model (§3.2).

Shapes, throughout: ``B`` clips, ``T`` frames of the longest clip, ``E`` = ``embedding_dim`` (512), ``K`` tokens,
``D`` = ``output_dim`` (768 for Stable Diffusion 1.5).

Shorter clips of a batch are padded at the end and ``lengths`` says how many frames are real. Padded frames get no
weight, whatever stands in them, so the tokens of a clip do not depend on what it was batched with.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, cast

import torch
from torch import Tensor, nn
from torch.nn import functional

from covergen_cli.errors import ConfigError

if TYPE_CHECKING:
    from covergen_cli.config import AdapterConfig

_POSITION_OCTAVES = 6


def frame_mask(embeddings: Tensor, lengths: Tensor | None) -> Tensor:
    """Return which frames are real.

    Args:
        embeddings: ``(B, T, E)``.
        lengths: ``(B,)`` integers, real frames per clip; ``None`` when every frame is real.

    Returns:
        bool ``(B, T)``, true where the frame is real.

    Raises:
        ValueError: the shapes do not fit, or a clip has no frame at all (a softmax over nothing is undefined).
    """
    if embeddings.ndim != 3 or embeddings.shape[1] == 0:
        raise ValueError(f"embeddings must be (B, T, E) with T >= 1, got {tuple(embeddings.shape)}")
    batch, frames = embeddings.shape[:2]
    if lengths is None:
        return torch.ones(batch, frames, dtype=torch.bool, device=embeddings.device)
    if lengths.shape != (batch,) or lengths.is_floating_point():
        raise ValueError(f"lengths must be {batch} integers, got {lengths.dtype} {tuple(lengths.shape)}")
    if bool(((lengths < 1) | (lengths > frames)).any()):
        raise ValueError(f"lengths must lie in 1..{frames}, got {lengths.tolist()}")
    positions = torch.arange(frames, device=embeddings.device)
    return positions[None, :] < lengths.to(embeddings.device)[:, None]


class AttentionPooling(nn.Module):
    """One vector per clip: a learned, softmax-weighted mean over its frames (§3.2.1).

    ``s_t = wᵀ tanh(W E_t + b)``, ``α = softmax(s)`` over the real frames, result ``Σ_t α_t E_t``.

    Args:
        embedding_dim: ``E``.
    """

    def __init__(self, embedding_dim: int) -> None:
        super().__init__()
        self.hidden = nn.Linear(embedding_dim, embedding_dim)
        self.score = nn.Linear(embedding_dim, 1, bias=False)

    def weights(self, embeddings: Tensor, lengths: Tensor | None = None) -> Tensor:
        """Return the attention weights ``α``, ``(B, T)``, each row summing to 1 and 0 where padded."""
        return self._weights(embeddings, frame_mask(embeddings, lengths))

    def _weights(self, embeddings: Tensor, mask: Tensor) -> Tensor:
        scores: Tensor = self.score(torch.tanh(self.hidden(embeddings))).squeeze(-1)
        return torch.softmax(scores.masked_fill(~mask, -math.inf), dim=1)

    def forward(self, embeddings: Tensor, lengths: Tensor | None = None) -> Tensor:
        """Pool ``(B, T, E)`` to ``(B, E)``.

        Raises:
            ValueError: as :func:`frame_mask`.
        """
        mask = frame_mask(embeddings, lengths)
        # Zeros, because 0 · NaN is NaN: not even rubbish in the padding may reach the sum.
        embeddings = embeddings.masked_fill(~mask[..., None], 0.0)
        return torch.einsum("bt,bte->be", self._weights(embeddings, mask), embeddings)


class AttentionResampler(nn.Module):
    """``K`` vectors per clip: learned queries that attend over its frames.

    The paper's pooling leaves one token, and one token gives the U-Net's cross-attention nothing to choose from. Here
    ``K`` queries each gather what they need: every frame goes through a small network of its own (so that a mean over
    time can hold more than the mean embedding), gets its relative time in the clip added (start 0, end 1, so clips of
    any length work), and multi-head attention collects it. The queries are added to the result; that keeps the tokens
    distinct.

    Args:
        embedding_dim: ``E``; a multiple of ``heads``.
        tokens: ``K``.
        heads: attention heads.
    """

    def __init__(self, embedding_dim: int, tokens: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.queries = nn.Parameter(torch.randn(tokens, embedding_dim))
        self.frame = nn.Sequential(
            nn.LayerNorm(embedding_dim),
            nn.Linear(embedding_dim, embedding_dim),
            nn.GELU(),
            nn.Linear(embedding_dim, embedding_dim),
        )
        self.position = nn.Linear(2 * _POSITION_OCTAVES, embedding_dim, bias=False)
        self.frame_norm = nn.LayerNorm(embedding_dim)
        self.to_query = nn.Linear(embedding_dim, embedding_dim, bias=False)
        self.to_key = nn.Linear(embedding_dim, embedding_dim, bias=False)
        self.to_value = nn.Linear(embedding_dim, embedding_dim)
        self.out = nn.Linear(embedding_dim, embedding_dim)
        self.norm = nn.LayerNorm(embedding_dim)

    def forward(self, embeddings: Tensor, lengths: Tensor | None = None) -> Tensor:
        """Resample ``(B, T, E)`` to ``(B, K, E)``.

        Raises:
            ValueError: as :func:`frame_mask`.
        """
        mask = frame_mask(embeddings, lengths)
        frames = self._frames(embeddings, mask)
        queries = self.queries.expand(embeddings.shape[0], -1, -1)
        gathered = functional.scaled_dot_product_attention(
            self._split(self.to_query(queries)),
            self._split(self.to_key(frames)),
            self._split(self.to_value(frames)),
            attn_mask=mask[:, None, None, :],
        )
        merged = gathered.transpose(1, 2).flatten(2)
        return cast("Tensor", self.norm(queries + self.out(merged)))

    def weights(self, embeddings: Tensor, lengths: Tensor | None = None) -> Tensor:
        """Return how much each frame counts, the mean over queries and heads of the attention weights.

        Returns:
            ``(B, T)``, each row summing to 1 and 0 where padded, as :meth:`AttentionPooling.weights`.

        Raises:
            ValueError: as :func:`frame_mask`.
        """
        mask = frame_mask(embeddings, lengths)
        keys = self._split(self.to_key(self._frames(embeddings, mask)))
        queries = self._split(self.to_query(self.queries.expand(embeddings.shape[0], -1, -1)))
        scores = queries @ keys.transpose(-1, -2) / math.sqrt(keys.shape[-1])
        scores = scores.masked_fill(~mask[:, None, None, :], -math.inf)
        return torch.softmax(scores, dim=-1).mean(dim=(1, 2))

    def _frames(self, embeddings: Tensor, mask: Tensor) -> Tensor:
        """What is attended to, ``(B, T, E)``: every frame through its network, with its place in the clip."""
        embeddings = embeddings.masked_fill(~mask[..., None], 0.0)
        positions = self.position(_relative_time(mask).to(embeddings.dtype))
        return cast("Tensor", self.frame_norm(self.frame(embeddings) + positions))

    def _split(self, values: Tensor) -> Tensor:
        """``(B, N, E)`` → ``(B, heads, N, E / heads)``."""
        batch, count, width = values.shape
        return values.view(batch, count, self.heads, width // self.heads).transpose(1, 2)


def _relative_time(mask: Tensor) -> Tensor:
    """Sines and cosines of each frame's place in its own clip.

    Args:
        mask: bool ``(B, T)``, true where the frame is real.

    Returns:
        float32 ``(B, T, 2 · octaves)``: ``sin`` and ``cos`` of ``π 2^j τ`` with ``τ = (t + ½) / length``.
    """
    lengths = mask.sum(dim=1, keepdim=True)
    place = (torch.arange(mask.shape[1], device=mask.device)[None, :] + 0.5) / lengths
    octaves = math.pi * 2.0 ** torch.arange(_POSITION_OCTAVES, device=mask.device)
    angles = place[..., None] * octaves
    return torch.cat([angles.sin(), angles.cos()], dim=-1)


class LoRALinear(nn.Module):
    """A frozen linear layer with a trainable low-rank update (§3.2.2.1): ``y = (W + α · B A) x + b``.

    ``W`` and ``b`` are drawn as ``nn.Linear`` draws them, are saved with the adapter and get no gradient. ``A`` starts
    random and ``B`` zero, so that at the start ``y = W x + b``.

    Args:
        in_features: ``d``.
        out_features: ``d'``.
        rank: ``r``, at least 1.
        alpha: ``α``; multiplies ``B A`` as it is, not divided by the rank.
    """

    def __init__(self, in_features: int, out_features: int, rank: int, alpha: float) -> None:
        super().__init__()
        self.alpha = alpha
        drawn = nn.Linear(in_features, out_features)
        self.weight = nn.Parameter(drawn.weight.detach(), requires_grad=False)
        self.bias = nn.Parameter(drawn.bias.detach(), requires_grad=False)
        self.lora_a = nn.Parameter(torch.empty(rank, in_features))
        self.lora_b = nn.Parameter(torch.zeros(out_features, rank))
        nn.init.kaiming_uniform_(self.lora_a, a=math.sqrt(5))

    def forward(self, values: Tensor) -> Tensor:
        """Map ``(…, d)`` to ``(…, d')``."""
        update = functional.linear(functional.linear(values, self.lora_a), self.lora_b)
        return functional.linear(values, self.weight, self.bias) + self.alpha * update


class ResidualBlock(nn.Module):
    """``y = LayerNorm(x + Linear₂(Dropout(ReLU(Linear₁(x)))))`` (§3.2.2.2).

    Args:
        features: ``d``, in and out.
        dropout: share of the hidden values that is dropped in training, 0 to 1.
    """

    def __init__(self, features: int, dropout: float) -> None:
        super().__init__()
        self.linear1 = nn.Linear(features, features)
        self.dropout = nn.Dropout(dropout)
        self.linear2 = nn.Linear(features, features)
        self.norm = nn.LayerNorm(features)

    def forward(self, values: Tensor) -> Tensor:
        """Map ``(…, d)`` to ``(…, d)``."""
        refined = self.linear2(self.dropout(functional.relu(self.linear1(values))))
        return cast("Tensor", self.norm(values + refined))


class LoRAAudioToImageMapper(nn.Module):
    """From audio space to the image model's conditioning space (§3.2.2.3).

    ``h₀ = LayerNorm(ReLU(LoRALinear(x)))``, then ``N`` residual blocks, then a final LoRALinear.

    Args:
        config: the widths, blocks, rank, alpha and dropout.
    """

    def __init__(self, config: AdapterConfig) -> None:
        super().__init__()
        self.first = LoRALinear(config.embedding_dim, config.hidden_dim, config.rank, config.alpha)
        self.norm = nn.LayerNorm(config.hidden_dim)
        self.blocks = nn.ModuleList(ResidualBlock(config.hidden_dim, config.dropout) for _ in range(config.blocks))
        self.final = LoRALinear(config.hidden_dim, config.output_dim, config.rank, config.alpha)

    def forward(self, values: Tensor) -> Tensor:
        """Map ``(…, E)`` to ``(…, D)``."""
        hidden = self.norm(functional.relu(self.first(values)))
        for block in self.blocks:
            hidden = block(hidden)
        return cast("Tensor", self.final(hidden))


class Adapter(nn.Module):
    """The whole way from an embedding to conditioning tokens; the only thing that ``train`` trains.

    With ``pooling="attention"`` this is the paper's adapter: one token. (It repeats the token 77 times; a U-Net's
    cross-attention gives the same result for one, as all keys are then equal.) With ``pooling="resampler"`` there are
    ``K`` tokens, which share one mapper and each add a learned offset of their own.

    Args:
        config: its shape.

    Raises:
        ConfigError: the shape makes no sense.
    """

    def __init__(self, config: AdapterConfig) -> None:
        super().__init__()
        check_config(config)
        self.config = config
        self.pooling: AttentionPooling | AttentionResampler
        if config.pooling == "attention":
            self.pooling = AttentionPooling(config.embedding_dim)
            self.offsets = None
        else:
            self.pooling = AttentionResampler(config.embedding_dim, config.tokens, config.heads)
            self.offsets = nn.Parameter(torch.zeros(config.tokens, config.output_dim))
        self.mapper = LoRAAudioToImageMapper(config)

    def forward(self, embeddings: Tensor, lengths: Tensor | None = None) -> Tensor:
        """Turn embeddings into conditioning tokens.

        Args:
            embeddings: float ``(B, T, E)``, padded at the end.
            lengths: integers ``(B,)`` in ``1..T``; ``None`` when nothing is padded.

        Returns:
            float ``(B, K, D)``.

        Raises:
            ValueError: as :func:`frame_mask`.
        """
        pooled: Tensor = self.pooling(embeddings, lengths)
        if self.offsets is None:
            return cast("Tensor", self.mapper(pooled)).unsqueeze(1)
        return cast("Tensor", self.mapper(pooled)) + self.offsets

    def trainable_parameters(self) -> list[nn.Parameter]:
        """Return everything that gets a gradient: all but the frozen ``W`` and ``b`` of the two LoRALinear layers."""
        return [parameter for parameter in self.parameters() if parameter.requires_grad]


def check_config(config: AdapterConfig) -> None:
    """Refuse a shape that makes no sense.

    Raises:
        ConfigError: with the setting that is wrong.
    """
    if config.pooling not in {"resampler", "attention"}:
        raise ConfigError(f"unknown pooling {config.pooling!r}", hint="Use resampler or attention.")
    for name in ("tokens", "embedding_dim", "hidden_dim", "output_dim", "rank", "heads"):
        if getattr(config, name) < 1:
            raise ConfigError(f"the adapter's {name} must be at least 1, not {getattr(config, name)}")
    if config.blocks < 0 or not 0 <= config.dropout < 1:
        raise ConfigError(f"the adapter cannot have {config.blocks} blocks with a dropout of {config.dropout}")
    if config.pooling == "attention" and config.tokens != 1:
        raise ConfigError("attention pooling gives one token", hint="Set tokens to 1, or pooling to resampler.")
    if config.pooling == "resampler" and config.embedding_dim % config.heads:
        raise ConfigError(f"{config.heads} heads do not divide an embedding of {config.embedding_dim}")
