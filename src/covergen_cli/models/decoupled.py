"""Decoupled cross-attention (Ye et al., IP-Adapter, 2023): the audio has keys and values of its own in a frozen U-Net.

Every cross-attention of the U-Net attends to its text or null tokens as before. To the result it adds attention to the
audio, with the same queries and output projection::

    softmax(Q Kᵀ/√d) V + scale · softmax(Q K_aᵀ/√d) V_a,    K_a = W_k a,  V_a = W_v a

``a`` are the adapter's tokens, normalised (layer norm, at first to the spread of the null condition's tokens); ``W_k``
and ``W_v`` are part of the adapter, one pair for each cross-attention, and start as copies of the U-Net's own. The
U-Net keeps its weights.

What the U-Net takes are *audio projections*: the keys of all layers, then the values of all layers, side by side,
``(B, K, S)`` with ``S`` twice the sum of the layers' widths.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any, cast

import torch
from torch import Tensor, nn
from torch.nn import functional

from covergen_cli.models.condition import Condition
from covergen_cli.models.unet import UNet

if TYPE_CHECKING:
    from covergen_cli.models.base import Base

PROJECTIONS = "projections."
"""Start of the names of their weights in an adapter."""

_NAME = "attn2"


def cross_attentions(unet: nn.Module) -> dict[str, Any]:
    """Return the cross-attentions of a U-Net by name, in an order that depends on the names alone."""
    found = {
        name.removesuffix(f".{_NAME}").replace(".", "-"): module
        for name, module in unet.named_modules()
        if name.endswith(f".{_NAME}")
    }
    return dict(sorted(found.items(), key=lambda item: _parts(item[0])))


def _parts(name: str) -> list[str | int]:
    """Return the words and numbers of a name, so that 10 comes after 9."""
    return [int(part) if part.isdigit() else part for part in re.split(r"(\d+)", name)]


def projection_widths(unet: nn.Module) -> dict[str, int]:
    """Return the width of the keys of each cross-attention of a U-Net."""
    return {name: int(module.to_k.out_features) for name, module in cross_attentions(unet).items()}


def own_projections(base: Base) -> dict[str, Tensor]:
    """Return the first weights of audio projections by the names that they have in an adapter: the U-Net's own."""
    named = {f"{PROJECTIONS}norm.weight": base.null_tokens.float().std().cpu().expand(base.cross_attention_dim).clone()}
    for name, module in cross_attentions(base.unet).items():
        named[f"{PROJECTIONS}keys.{name}.weight"] = module.to_k.weight.detach().float().cpu()
        named[f"{PROJECTIONS}values.{name}.weight"] = module.to_v.weight.detach().float().cpu()
    return named


def widths_of(tensors: Mapping[str, Tensor]) -> dict[str, int]:
    """Return the width of each layer's keys in the weights of an adapter; empty if it has no projections."""
    start, end = f"{PROJECTIONS}keys.", ".weight"
    return {
        name.removeprefix(start).removesuffix(end): len(tensor)
        for name, tensor in tensors.items()
        if name.startswith(start) and name.endswith(end)
    }


class Projection(nn.Module):
    """A linear layer without bias; with ``rank`` above 0, ``W`` is frozen and a low-rank update is trained."""

    def __init__(self, width: int, out_width: int, rank: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.empty(out_width, width), requires_grad=rank == 0)
        nn.init.kaiming_uniform_(self.weight, a=math.sqrt(5))
        self.lora_a = self.lora_b = None
        if rank:
            self.lora_a = nn.Parameter(torch.empty(rank, width))
            self.lora_b = nn.Parameter(torch.zeros(out_width, rank))
            nn.init.kaiming_uniform_(self.lora_a, a=math.sqrt(5))

    def forward(self, values: Tensor) -> Tensor:
        """Map ``(…, width)`` to ``(…, out_width)``."""
        mapped = functional.linear(values, self.weight)
        if self.lora_a is None or self.lora_b is None:
            return mapped
        return mapped + functional.linear(functional.linear(values, self.lora_a), self.lora_b)


class Projections(nn.Module):
    """Maps an adapter's tokens to audio projections for all cross-attentions of a U-Net.

    Args:
        widths: the width of each layer's keys, by name; see :func:`projection_widths`.
        token_width: ``D``.
        rank: of low-rank updates; 0 trains the projections themselves.
    """

    def __init__(self, widths: Mapping[str, int], token_width: int, rank: int) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(token_width)
        self.keys = nn.ModuleDict({name: Projection(token_width, width, rank) for name, width in widths.items()})
        self.values = nn.ModuleDict({name: Projection(token_width, width, rank) for name, width in widths.items()})

    @property
    def widths(self) -> dict[str, int]:
        """Width of each layer's keys."""
        return {name: cast("Projection", layer).weight.shape[0] for name, layer in self.keys.items()}

    def forward(self, tokens: Tensor) -> Tensor:
        """Map tokens ``(B, K, D)`` to audio projections ``(B, K, S)``."""
        tokens = self.norm(tokens)
        return torch.cat([layer(tokens) for part in (self.keys, self.values) for layer in part.values()], dim=-1)


def scale_audio(projections: Tensor, scale: float) -> Tensor:
    """Return audio projections ``(B, K, S)`` whose attention weighs ``scale`` times as much."""
    keys, values = projections.chunk(2, dim=-1)
    return torch.cat([keys, scale * values], dim=-1)


def condition_on(base: Base, audio: Tensor, text: Condition | None = None, scale: float = 1.0) -> Condition:
    """Return the condition of songs, alone or beside a text.

    Args:
        base: the image model.
        audio: what an adapter returned: tokens ``(B, K, D)``, or audio projections ``(B, K, S)`` of a decoupled one.
        text: the condition of the text; ``None`` for none.
        scale: weight of audio projections; tokens have none.
    """
    if audio.shape[-1] != base.cross_attention_dim:
        return replace((text or base.null).expand(len(audio)), audio=scale_audio(audio, scale))
    if text is None:
        return Condition(audio, base.null.expand(len(audio)).added)
    return text.with_prefix(audio)


class _Audio:
    """The audio projections that the U-Net attends to during one call; ``None`` for none."""

    def __init__(self) -> None:
        self.projections: Tensor | None = None


class AudioAttention:
    """Attention of one layer to its part of the audio projections.

    Args:
        audio: holds the projections of the current call.
        start: place of the layer's keys in the projections.
        width: of its keys.
    """

    def __init__(self, audio: _Audio, start: int, width: int) -> None:
        self._audio, self._keys = audio, slice(start, start + width)

    def __call__(self, attention: Any, hidden: Tensor, gathered: Tensor) -> Tensor:
        """Add to ``gathered`` ``(B, N, width)``, what the layer returned for ``hidden``, what it finds in the audio.

        Args:
            attention: the layer, of diffusers or our own.
            hidden: its input ``(B, N, width)``.
            gathered: its output.
        """
        if self._audio.projections is None:
            return gathered
        keys, values = self._audio.projections.to(hidden.dtype).chunk(2, dim=-1)
        query, key, value = (
            part.unflatten(-1, (attention.heads, -1)).transpose(1, 2)
            for part in (attention.to_q(hidden), keys[..., self._keys], values[..., self._keys])
        )
        # There are few keys, so the scores take little memory, and fused kernels gain nothing.
        scores = (query * query.shape[-1] ** -0.5) @ key.transpose(-1, -2)
        found = (torch.softmax(scores.float(), dim=-1).to(value.dtype) @ value).transpose(1, 2).flatten(2)
        return gathered + functional.linear(found, attention.to_out[0].weight)


class AudioProcessor:
    """An attention processor for diffusers that adds attention to the audio to what another processor returns."""

    def __init__(self, inner: Any, attend: AudioAttention) -> None:
        self.inner, self.attend = inner, attend

    def __call__(
        self,
        attn: Any,
        hidden_states: Tensor,
        encoder_hidden_states: Tensor | None = None,
        attention_mask: Tensor | None = None,
        temb: Tensor | None = None,
    ) -> Tensor:
        """Return ``(B, N, width)``; the arguments are those of diffusers' own processors."""
        gathered = self.inner(attn, hidden_states, encoder_hidden_states, attention_mask, temb)
        return self.attend(attn, hidden_states, gathered)


def decouple(base: Base) -> None:
    """Let the U-Net of a base attend to audio projections; without them it gives what it gave.

    It then takes them in place of tokens, and attends to the null condition besides; or as the keyword ``audio``,
    beside tokens.
    """
    unet, audio, start = base.unet, _Audio(), 0
    for name, width in projection_widths(unet).items():
        attention = cross_attentions(unet)[name]
        attend = AudioAttention(audio, start, width)
        if isinstance(unet, UNet):
            attention.audio = attend
        else:
            attention.set_processor(AudioProcessor(attention.processor, attend))
        start += width
    width, null = 2 * start, base.null_tokens

    def take_audio(_: nn.Module, arguments: tuple[Any, ...], keywords: dict[str, Any]) -> tuple[Any, dict[str, Any]]:
        audio.projections = keywords.pop("audio", None)
        if "encoder_hidden_states" not in keywords:
            keywords["encoder_hidden_states"] = arguments[2]
        tokens = keywords["encoder_hidden_states"]
        if tokens.shape[-1] == width != null.shape[-1]:
            audio.projections = tokens
            keywords["encoder_hidden_states"] = null.to(tokens.device, tokens.dtype).expand(len(tokens), -1, -1)
        return arguments[:2], keywords

    unet.register_forward_pre_hook(take_audio, with_kwargs=True)
