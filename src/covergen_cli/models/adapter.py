"""The adapter: maps an audio embedding over time to conditioning tokens for a frozen image model (§3.2).

Shapes: ``B`` clips, ``T`` frames of the longest clip, ``E`` = ``embedding_dim``, ``K`` tokens, ``D`` =
``output_dim`` (768 for Stable Diffusion 1.5).

Shorter clips of a batch are padded at the end; ``lengths`` holds the number of real frames of each. Padded frames get
no weight, whatever their values, so the tokens of a clip do not depend on the other clips of its batch.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, cast

import torch
from torch import Tensor, nn
from torch.nn import functional

from covergen_cli.errors import ConfigError
from covergen_cli.models.decoupled import Projections

if TYPE_CHECKING:
    from covergen_cli.config import AdapterConfig

_POSITION_OCTAVES = 6


def frame_mask(embeddings: Tensor, lengths: Tensor | None) -> Tensor:
    """Return which frames are real, bool ``(B, T)``.

    Args:
        embeddings: ``(B, T, E)``.
        lengths: integers ``(B,)`` in ``1..T``, real frames per clip; ``None`` when every frame is real.

    Raises:
        ValueError: the shapes do not fit, or a length is out of range. Lengths on a GPU are not checked, as reading
            them would wait for the device; a length of 0 gives NaN there.
    """
    if embeddings.ndim != 3 or embeddings.shape[1] == 0:
        raise ValueError(f"embeddings must be (B, T, E) with T >= 1, got {tuple(embeddings.shape)}")
    batch, frames = embeddings.shape[:2]
    if lengths is None:
        return torch.ones(batch, frames, dtype=torch.bool, device=embeddings.device)
    if lengths.shape != (batch,) or lengths.is_floating_point():
        raise ValueError(f"lengths must be {batch} integers, got {lengths.dtype} {tuple(lengths.shape)}")
    if lengths.device.type == "cpu" and bool(((lengths < 1) | (lengths > frames)).any()):
        raise ValueError(f"lengths must lie in 1..{frames}, got {lengths.tolist()}")
    positions = torch.arange(frames, device=embeddings.device)
    return positions[None, :] < lengths.to(embeddings.device)[:, None]


class AttentionPooling(nn.Module):
    """Pools a clip to one vector: a learned, softmax-weighted mean over its frames (§3.2.1).

    ``s_t = wᵀ tanh(W E_t + b)``, ``α = softmax(s)`` over the real frames, result ``Σ_t α_t E_t``.
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
        """Pool ``(B, T, E)`` to ``(B, E)``; raises as :func:`frame_mask`."""
        mask = frame_mask(embeddings, lengths)
        # 0 · NaN is NaN, so a weight of 0 alone would not keep NaN in the padding out of the sum.
        embeddings = embeddings.masked_fill(~mask[..., None], 0.0)
        return torch.einsum("bt,bte->be", self._weights(embeddings, mask), embeddings)


class AttentionResampler(nn.Module):
    """Pools a clip to ``K`` vectors: learned queries that attend over its frames.

    The paper's pooling gives one token, between which the U-Net's cross-attention cannot choose. Here every frame goes
    through a small network (so that a mean over time holds more than the mean embedding), its relative time in the clip
    is added (0 at the start, 1 at the end, for clips of any length), and ``K`` queries collect the frames by multi-head
    attention. The queries are added to the result, which keeps the tokens distinct.

    Args:
        embedding_dim: ``E``. Attention is ``A`` wide, the next multiple of ``heads``.
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
        attention_dim = math.ceil(embedding_dim / heads) * heads
        self.to_query = nn.Linear(embedding_dim, attention_dim, bias=False)
        self.to_key = nn.Linear(embedding_dim, attention_dim, bias=False)
        self.to_value = nn.Linear(embedding_dim, attention_dim)
        self.out = nn.Linear(attention_dim, embedding_dim)
        self.norm = nn.LayerNorm(embedding_dim)

    def forward(self, embeddings: Tensor, lengths: Tensor | None = None) -> Tensor:
        """Resample ``(B, T, E)`` to ``(B, K, E)``; raises as :func:`frame_mask`."""
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
        """Return the attention weights, averaged over queries and heads, as :meth:`AttentionPooling.weights`."""
        mask = frame_mask(embeddings, lengths)
        keys = self._split(self.to_key(self._frames(embeddings, mask)))
        queries = self._split(self.to_query(self.queries.expand(embeddings.shape[0], -1, -1)))
        scores = queries @ keys.transpose(-1, -2) / math.sqrt(keys.shape[-1])
        scores = scores.masked_fill(~mask[:, None, None, :], -math.inf)
        return torch.softmax(scores, dim=-1).mean(dim=(1, 2))

    def _frames(self, embeddings: Tensor, mask: Tensor) -> Tensor:
        """Return the frames that are attended to, ``(B, T, E)``: transformed, with their relative time added."""
        embeddings = embeddings.masked_fill(~mask[..., None], 0.0)
        positions = self.position(_relative_time(mask).to(embeddings.dtype))
        return cast("Tensor", self.frame_norm(self.frame(embeddings) + positions))

    def _split(self, values: Tensor) -> Tensor:
        """Split ``(B, N, A)`` into heads: ``(B, heads, N, A / heads)``."""
        batch, count, width = values.shape
        return values.view(batch, count, self.heads, width // self.heads).transpose(1, 2)


def _relative_time(mask: Tensor) -> Tensor:
    """Return ``sin`` and ``cos`` of ``π 2^j τ`` with ``τ = (t + ½) / length``, float32 ``(B, T, 2 · octaves)``."""
    lengths = mask.sum(dim=1, keepdim=True)
    place = (torch.arange(mask.shape[1], device=mask.device)[None, :] + 0.5) / lengths
    octaves = math.pi * 2.0 ** torch.arange(_POSITION_OCTAVES, device=mask.device)
    angles = place[..., None] * octaves
    return torch.cat([angles.sin(), angles.cos()], dim=-1)


class LoRALinear(nn.Module):
    """A frozen linear layer with a trainable low-rank update (§3.2.2.1): ``y = (W + α · B A) x + b``.

    ``W`` and ``b`` are initialised as in ``nn.Linear``, are saved with the adapter and get no gradient. ``A`` starts
    random and ``B`` zero, so that ``y = W x + b`` at first.

    Args:
        in_features: ``d``.
        out_features: ``d'``.
        rank: ``r``, at least 1.
        alpha: ``α``; not divided by the rank.
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
    """Computes ``y = LayerNorm(x + Linear₂(Dropout(ReLU(Linear₁(x)))))`` (§3.2.2.2)."""

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
    """Maps audio space to the image model's conditioning space (§3.2.2.3).

    ``h₀ = LayerNorm(ReLU(LoRALinear(x)))``, then ``N`` residual blocks, then a final LoRALinear.
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
    """Maps an embedding to conditioning tokens: pooling and mapper, the only module that ``train`` trains.

    With ``pooling="attention"`` this is the paper's adapter, with one token. (The paper repeats the token 77 times; a
    U-Net's cross-attention gives the same result for one, as all keys are equal.) With ``pooling="resampler"`` there
    are ``K`` tokens, which share one mapper; a learned offset is added to each. With ``cross_attention="decoupled"``
    the tokens are mapped on, to audio projections (see :mod:`covergen_cli.models.decoupled`).

    Args:
        config: the settings.
        widths: of the cross-attentions of the base, for a decoupled adapter.

    Raises:
        ConfigError: the configuration is invalid.
    """

    def __init__(self, config: AdapterConfig, widths: Mapping[str, int] | None = None) -> None:
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
        self.projections: Projections | None = None
        if config.cross_attention == "decoupled":
            if not widths:
                raise ConfigError("a decoupled adapter needs the widths of its base's cross-attentions")
            self.projections = Projections(widths, config.output_dim, config.projection_rank)

    def forward(self, embeddings: Tensor, lengths: Tensor | None = None) -> Tensor:
        """Map embeddings ``(B, T, E)`` to what the base attends to; raises as :func:`frame_mask`.

        Returns:
            conditioning tokens ``(B, K, D)``, or audio projections ``(B, K, S)`` from a decoupled adapter.
        """
        tokens = self.tokens(embeddings, lengths)
        return tokens if self.projections is None else cast("Tensor", self.projections(tokens))

    def tokens(self, embeddings: Tensor, lengths: Tensor | None = None) -> Tensor:
        """Map embeddings ``(B, T, E)`` to conditioning tokens ``(B, K, D)``; raises as :func:`frame_mask`."""
        pooled: Tensor = self.pooling(embeddings, lengths)
        if self.offsets is None:
            return cast("Tensor", self.mapper(pooled)).unsqueeze(1)
        return cast("Tensor", self.mapper(pooled)) + self.offsets

    def trainable_parameters(self) -> list[nn.Parameter]:
        """Return all parameters but the frozen ``W`` and ``b`` of the two LoRALinear layers."""
        return [parameter for parameter in self.parameters() if parameter.requires_grad]


def check_config(config: AdapterConfig) -> None:
    """Check the settings of an adapter.

    Raises:
        ConfigError: one is invalid; the message names it.
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
