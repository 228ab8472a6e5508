"""The blocks of the U-Net of Stable Diffusion in plain torch, with the weights' names of diffusers.

Shapes: ``B`` items, ``C`` channels, ``h × w`` latents, ``N = h w`` pixels, ``K`` conditioning tokens of width ``D``.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.utils.checkpoint import checkpoint


class ResnetBlock(nn.Module):
    """Two convolutions around a shift by the time, added to the input: ``(B, C, h, w)`` → ``(B, C', h, w)``."""

    def __init__(self, channels: int, out_channels: int, time_width: int, groups: int, eps: float) -> None:
        super().__init__()
        self.norm1 = nn.GroupNorm(groups, channels, eps=eps)
        self.conv1 = nn.Conv2d(channels, out_channels, 3, padding=1)
        self.time_emb_proj = nn.Linear(time_width, out_channels)
        self.norm2 = nn.GroupNorm(groups, out_channels, eps=eps)
        self.conv2 = nn.Conv2d(out_channels, out_channels, 3, padding=1)
        self.conv_shortcut = nn.Conv2d(channels, out_channels, 1) if channels != out_channels else nn.Identity()

    def forward(self, pixels: Tensor, time: Tensor) -> Tensor:
        """Transform ``pixels``; ``time`` is ``(B, time_width)``."""
        hidden = self.conv1(functional.silu(self.norm1(pixels)))
        hidden = hidden + self.time_emb_proj(functional.silu(time))[:, :, None, None]
        hidden = self.conv2(functional.silu(self.norm2(hidden)))
        return cast("Tensor", self.conv_shortcut(pixels) + hidden)


class Attention(nn.Module):
    """Multi-head attention of ``(B, N, width)`` over itself or over tokens ``(B, K, D)``."""

    fused = True
    """Use the fused kernel; on a CPU its backward pass is several times slower than that of plain products."""

    def __init__(self, width: int, context_width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.audio: Callable[[Attention, Tensor, Tensor], Tensor] | None = None  # adds attention to the audio
        self.to_q = nn.Linear(width, width, bias=False)
        self.to_k = nn.Linear(context_width, width, bias=False)
        self.to_v = nn.Linear(context_width, width, bias=False)
        self.to_out = nn.ModuleList([nn.Linear(width, width)])

    def forward(self, values: Tensor, context: Tensor | None = None) -> Tensor:
        """Attend from ``values`` to ``context``, by default to themselves."""
        context = values if context is None else context
        query, key, value = (
            projected.unflatten(-1, (self.heads, -1)).transpose(1, 2)
            for projected in (self.to_q(values), self.to_k(context), self.to_v(context))
        )
        if self.fused:
            gathered = functional.scaled_dot_product_attention(query, key, value)
        else:
            gathered = torch.softmax(query @ key.transpose(-1, -2) * query.shape[-1] ** -0.5, dim=-1) @ value
        projected = cast("Tensor", self.to_out[0](gathered.transpose(1, 2).flatten(2)))
        return projected if self.audio is None else self.audio(self, values, projected)


class GEGLU(nn.Module):
    """A linear layer gated by GELU (Shazeer, 2020): ``(…, width)`` → ``(…, inner)``."""

    def __init__(self, width: int, inner: int) -> None:
        super().__init__()
        self.proj = nn.Linear(width, 2 * inner)

    def forward(self, values: Tensor) -> Tensor:
        """Transform ``(…, width)``."""
        hidden, gate = self.proj(values).chunk(2, dim=-1)
        return cast("Tensor", hidden * functional.gelu(gate))


class FeedForward(nn.Module):
    """GEGLU at four times the width, then a linear layer back."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.net = nn.Sequential(GEGLU(width, 4 * width), nn.Identity(), nn.Linear(4 * width, width))

    def forward(self, values: Tensor) -> Tensor:
        """Transform ``(…, width)``."""
        return cast("Tensor", self.net(values))


class TransformerBlock(nn.Module):
    """Self-attention, cross-attention and a feed-forward network, each on normalised values and added to them."""

    def __init__(self, width: int, context_width: int, heads: int) -> None:
        super().__init__()
        self.norm1 = nn.LayerNorm(width)
        self.attn1 = Attention(width, width, heads)
        self.norm2 = nn.LayerNorm(width)
        self.attn2 = Attention(width, context_width, heads)
        self.norm3 = nn.LayerNorm(width)
        self.ff = FeedForward(width)

    def forward(self, values: Tensor, tokens: Tensor) -> Tensor:
        """Transform ``(B, N, width)`` under tokens ``(B, K, D)``."""
        values = self.attn1(self.norm1(values)) + values
        values = self.attn2(self.norm2(values), tokens) + values
        return cast("Tensor", self.ff(self.norm3(values)) + values)


class Transformer(nn.Module):
    """A transformer block over the pixels, between two projections, added to its input ``(B, C, h, w)``."""

    def __init__(self, channels: int, context_width: int, heads: int, groups: int, *, linear: bool) -> None:
        super().__init__()
        self.linear = linear
        self.norm = nn.GroupNorm(groups, channels, eps=1e-6)
        self.proj_in = nn.Linear(channels, channels) if linear else nn.Conv2d(channels, channels, 1)
        self.transformer_blocks = nn.ModuleList([TransformerBlock(channels, context_width, heads)])
        self.proj_out = nn.Linear(channels, channels) if linear else nn.Conv2d(channels, channels, 1)

    def forward(self, pixels: Tensor, tokens: Tensor) -> Tensor:
        """Transform ``pixels`` under tokens ``(B, K, D)``."""
        height = pixels.shape[2]
        hidden = self.norm(pixels)
        if not self.linear:
            hidden = self.proj_in(hidden)
        hidden = hidden.permute(0, 2, 3, 1).flatten(1, 2)
        if self.linear:
            hidden = self.proj_in(hidden)
        hidden = self.transformer_blocks[0](hidden, tokens)
        if self.linear:
            hidden = self.proj_out(hidden)
        hidden = hidden.unflatten(1, (height, -1)).permute(0, 3, 1, 2).contiguous()
        if not self.linear:
            hidden = self.proj_out(hidden)
        return cast("Tensor", hidden + pixels)


class Resample(nn.Module):
    """The 3 × 3 convolution of a change of size."""

    def __init__(self, channels: int, stride: int = 1) -> None:
        super().__init__()
        self.conv = nn.Conv2d(channels, channels, 3, stride=stride, padding=1)

    def forward(self, pixels: Tensor) -> Tensor:
        """Transform ``(B, C, h, w)``."""
        return cast("Tensor", self.conv(pixels))


class Block(nn.Module):
    """ResNet blocks, each followed by a transformer where the block has cross-attention."""

    checkpointing = False
    """Keep no activations inside a layer for the backward pass, which computes them again."""

    def __init__(self, resnets: list[ResnetBlock], attentions: list[Transformer]) -> None:
        super().__init__()
        self.resnets = nn.ModuleList(resnets)
        self.attentions = nn.ModuleList(attentions)

    def layer(self, index: int, pixels: Tensor, time: Tensor, tokens: Tensor) -> Tensor:
        """Apply one ResNet block and its transformer."""
        if self.checkpointing and torch.is_grad_enabled():
            return cast("Tensor", checkpoint(self._layer, index, pixels, time, tokens, use_reentrant=False))
        return self._layer(index, pixels, time, tokens)

    def _layer(self, index: int, pixels: Tensor, time: Tensor, tokens: Tensor) -> Tensor:
        pixels = self.resnets[index](pixels, time)
        return self.attentions[index](pixels, tokens) if index < len(self.attentions) else pixels


class DownBlock(Block):
    """A block that halves the sides at its end, if it is not the last one."""

    def __init__(self, resnets: list[ResnetBlock], attentions: list[Transformer], downsamplers: list[Resample]) -> None:
        super().__init__(resnets, attentions)
        self.downsamplers = nn.ModuleList(downsamplers)

    def forward(self, pixels: Tensor, time: Tensor, tokens: Tensor) -> list[Tensor]:
        """Return the result of each layer."""
        results = []
        for index in range(len(self.resnets)):
            pixels = self.layer(index, pixels, time, tokens)
            results.append(pixels)
        return results + [downsample(pixels) for downsample in self.downsamplers]


class MiddleBlock(Block):
    """Two ResNet blocks with a transformer between them."""

    def forward(self, pixels: Tensor, time: Tensor, tokens: Tensor) -> Tensor:
        """Transform ``(B, C, h, w)``."""
        return self.layer(1, self.layer(0, pixels, time, tokens), time, tokens)


class UpBlock(Block):
    """A block whose layers take the results of the way down too, and that doubles the sides if it is not the last."""

    def __init__(self, resnets: list[ResnetBlock], attentions: list[Transformer], upsamplers: list[Resample]) -> None:
        super().__init__(resnets, attentions)
        self.upsamplers = nn.ModuleList(upsamplers)

    def forward(self, pixels: Tensor, time: Tensor, tokens: Tensor, skips: list[Tensor]) -> Tensor:
        """Transform ``(B, C, h, w)``, and remove what it takes from the end of ``skips``."""
        for index in range(len(self.resnets)):
            pixels = self.layer(index, torch.cat([pixels, skips.pop()], dim=1), time, tokens)
        for upsample in self.upsamplers:
            pixels = upsample(functional.interpolate(pixels, size=skips[-1].shape[2:], mode="nearest"))
        return pixels
