"""Placement of models on a device, and the number of covers drawn at once, chosen by the memory of the device.

The sizes are estimates from the published models in half precision: Stable Diffusion 1.5 takes 2.2 GB, the refiner
4.9 GB, and drawing a cover of 512 pixels 1 GB. They have not been measured on a GPU.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch

if TYPE_CHECKING:
    from covergen_cli.config import GenerateConfig
    from covergen_cli.models.base import Base

_GB = 10**9
_BOTH_FIT_BYTES = 16 * _GB * 0.95
"""GPUs sold as 16 GB report a little less."""
_LITTLE_BYTES = 8 * _GB * 0.95
_BASE_BYTES, _REFINER_BYTES, _DECODE_BYTES = 2.2 * _GB, 4.9 * _GB, 2 * _GB
_COVER_BYTES = 1.0 * _GB
_COVER_SIDE = 512
_MOST_AT_ONCE = 8
"""Sixteen items, with both sides of guidance, keep the largest GPUs busy."""


@dataclass(frozen=True)
class Placement:
    """How models share a device.

    Args:
        together: base and refiner both stay on the device; otherwise each is moved there before it is used.
        piecewise: the U-Nets are moved layer by layer, and pictures are encoded and decoded in tiles.
        batch: number of covers drawn at once.
    """

    together: bool = True
    piecewise: bool = False
    batch: int = 1


ONE_AT_A_TIME = Placement()
"""All models stay on the device, and covers are drawn one at a time."""


def choose_placement(device: torch.device, config: GenerateConfig, side: int) -> Placement:
    """Return a placement for a device.

    Args:
        device: the device to compute on.
        config: ``refine``, ``batch_size`` and ``low_memory`` are used here.
        side: pixels per side of the largest picture that a model draws.
    """
    total = torch.cuda.get_device_properties(device).total_memory if device.type == "cuda" else None
    return placement_for_memory(total, config, side)


def placement_for_memory(total_bytes: int | None, config: GenerateConfig, side: int) -> Placement:
    """Return a placement for an amount of memory; ``config`` and ``side`` as for :func:`choose_placement`.

    Args:
        total_bytes: memory of the GPU; ``None`` for a device that uses the machine's memory, where moving frees none.
        config: the settings.
        side: pixels per side.
    """
    if total_bytes is None:
        return Placement(piecewise=config.low_memory, batch=config.batch_size or 1)
    piecewise = config.low_memory or total_bytes < _LITTLE_BYTES
    together = not config.refine or (not piecewise and total_bytes >= _BOTH_FIT_BYTES)
    models = _BASE_BYTES + _REFINER_BYTES * config.refine if together else max(_BASE_BYTES, _REFINER_BYTES)
    room = 0.9 * total_bytes - models - _DECODE_BYTES * (side / _COVER_SIDE) ** 2
    covers = int(room / (_COVER_BYTES * (side / _COVER_SIDE) ** 2))
    batch = config.batch_size or (1 if piecewise else max(1, min(_MOST_AT_ONCE, covers)))
    return Placement(together=together, piecewise=piecewise, batch=batch)


def prepare_model(model: Base, device: torch.device, placement: Placement) -> None:
    """Move a model to where it stays while it is not used, and prepare it for ``device``."""
    if device.type == "cuda":
        model.unet.to(memory_format=torch.channels_last)
    # AutoencoderTiny is small, and its tiling assumes eight pixels per latent, which not all of its kind have.
    if placement.piecewise and type(model.vae).__name__ != "AutoencoderTiny":
        model.vae.enable_tiling()
        model.vae.enable_slicing()
    if placement.piecewise and device.type == "cuda":
        offload_layers(model, device)
    elif placement.together:
        model.unet.to(device)
    model.vae.to(device if placement.together else "cpu")


def offload_layers(model: Base, device: torch.device) -> None:
    """Keep a U-Net in the machine's memory and move each layer to the device only while it computes."""
    model.unet.to("cpu").enable_group_offload(
        device, torch.device("cpu"), offload_type="leaf_level", use_stream=device.type == "cuda"
    )


def swap_models(model: Base, other: Base | None, placement: Placement) -> None:
    """Move ``other`` off the device and ``model`` onto it, unless both stay there."""
    if placement.together or other is None:
        return
    for waiting, where in ((other, torch.device("cpu")), (model, model.device)):
        waiting.vae.to(where)
        if not placement.piecewise:
            waiting.unet.to(where)
    if model.device.type == "cuda":
        torch.cuda.empty_cache()
