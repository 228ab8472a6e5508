"""The file layout of IP-Adapter (Ye et al., 2023), which diffusers and other programs read, from a decoupled adapter.

::

    image_proj.proj.weight, .bias     (4 D, 4 D): the identity, as the adapter's own tokens take the image's place
    image_proj.norm.weight, .bias     (D,): the layer norm of the tokens
    ip_adapter.N.to_k_ip.weight       keys of the cross-attentions, N = 1, 3, 5 … in the order of diffusers
    ip_adapter.N.to_v_ip.weight       values

Where those programs take the embedding of an image, they are given a song's four tokens, one after the other.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, cast

import safetensors
import safetensors.torch
import torch

from covergen_cli.errors import ModelError, OutputError
from covergen_cli.files import atomic_path

if TYPE_CHECKING:
    from collections.abc import Mapping

    from torch import Tensor

    from covergen_cli.models.adapter import Adapter
    from covergen_cli.models.decoupled import Projection

TOKENS = 4
"""The layout is recognised by the names of its weights, and read as one of four tokens."""

_PARTS = ("down_blocks", "up_blocks", "mid_block")
"""The order in which diffusers counts a U-Net's attention layers."""


def ip_adapter_weights(adapter: Adapter) -> dict[str, Tensor]:
    """Return the weights of a decoupled adapter in the layout of IP-Adapter, float32.

    Raises:
        ModelError: the adapter is not decoupled, or does not give four tokens.
    """
    projections, config = adapter.projections, adapter.config
    if projections is None:
        raise ModelError(
            "the adapter has no projections of its own, which are what an IP-Adapter consists of",
            hint="Train one with --preset decoupled.",
        )
    if config.tokens != TOKENS:
        raise ModelError(
            f"the adapter gives {config.tokens} tokens, files of IP-Adapter hold {TOKENS}",
            hint="Train one with --preset decoupled.",
        )
    width = TOKENS * config.output_dim
    weights = {
        "image_proj.proj.weight": torch.eye(width),
        "image_proj.proj.bias": torch.zeros(width),
        "image_proj.norm.weight": projections.norm.weight,
        "image_proj.norm.bias": projections.norm.bias,
    }
    names = sorted(projections.keys, key=lambda name: _PARTS.index(name.partition("-")[0]))
    for number, name in enumerate(names):
        for part, layers in (("k", projections.keys), ("v", projections.values)):
            weights[f"ip_adapter.{2 * number + 1}.to_{part}_ip.weight"] = _merged(cast("Projection", layers[name]))
    return {name: tensor.detach().float().cpu().contiguous() for name, tensor in weights.items()}


def _merged(projection: Projection) -> Tensor:
    """Return the weight of a projection with its low-rank update."""
    if projection.lora_a is None or projection.lora_b is None:
        return projection.weight
    return projection.weight + projection.lora_b @ projection.lora_a


@torch.inference_mode()
def image_embeds(adapter: Adapter, embedding: Tensor) -> Tensor:
    """Return what an IP-Adapter takes for an image, float32 ``(2, 1, 4 D)``: zeros for no music, then the song.

    Args:
        adapter: in evaluation mode, with four tokens.
        embedding: of the song, ``(T, E)``.
    """
    tokens = adapter.tokens(embedding[None]).float().reshape(1, 1, -1)
    return torch.cat([torch.zeros_like(tokens), tokens])


def save_tensors(path: str | os.PathLike[str], tensors: Mapping[str, Tensor]) -> None:
    """Write tensors to a safetensors file.

    Raises:
        OutputError: it cannot be written.
    """
    path = Path(path)
    with atomic_path(path) as temporary:
        try:
            safetensors.torch.save_file(dict(tensors), temporary)
        except (OSError, safetensors.SafetensorError) as error:
            raise OutputError(f"cannot write {path}: {error}") from error
