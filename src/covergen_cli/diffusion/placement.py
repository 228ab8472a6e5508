"""Placement of models on a device, and the number of covers drawn at once, chosen by the memory of the device.

The memory that drawing takes beside the weights is an estimate: 1 GB for a cover of 512 pixels in half precision, and
2 GB to decode it. It has not been measured on a GPU.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch

from covergen_cli.models.unet import UNet
from covergen_cli.weights.device import use_repeatable_algorithms

if TYPE_CHECKING:
    from covergen_cli.config import GenerateConfig
    from covergen_cli.models.base import Base

_GB = 10**9
_USED = 0.9
"""Share of the memory that is used; GPUs report a little less than they are sold with, and drivers take some."""
_DECODE_BYTES, _COVER_BYTES = 2.0 * _GB, 1.0 * _GB
_COVER_SIDE = 512
_MOST_AT_ONCE = 8
"""Sixteen items, with both sides of guidance, keep the largest GPUs busy."""


@dataclass(frozen=True)
class Placement:
    """How models share a device.

    Args:
        together: base and refiner both stay on the device; otherwise each is moved there before it is used.
        piecewise: the U-Nets are moved layer by layer.
        tiled: pictures are encoded and decoded in tiles.
        batch: number of covers drawn at once.
    """

    together: bool = True
    piecewise: bool = False
    tiled: bool = False
    batch: int = 1


ONE_AT_A_TIME = Placement()
"""All models stay on the device, and covers are drawn one at a time."""


def choose_placement(device: torch.device, models: Sequence[Base], config: GenerateConfig) -> Placement:
    """Return a placement for a device.

    Args:
        device: the device to compute on.
        models: the base and, if covers are refined, the refiner; on the CPU.
        config: ``batch_size`` and ``low_memory`` are used here.
    """
    total = torch.cuda.get_device_properties(device).total_memory if device.type == "cuda" else None
    side = max(model.native_size for model in models)
    return placement_for_memory(total, [_bytes_of(model) for model in models], side, config)


def _bytes_of(model: Base) -> int:
    parameters = (parameter for part in (model.unet, model.vae) for parameter in part.parameters())
    return sum(parameter.numel() * parameter.element_size() for parameter in parameters)


def placement_for_memory(
    total_bytes: float | None, model_bytes: Sequence[float], side: int, config: GenerateConfig
) -> Placement:
    """Return a placement for an amount of memory; ``config`` as for :func:`choose_placement`.

    Args:
        total_bytes: memory of the GPU; ``None`` for a device that uses the machine's memory, where moving frees none.
        model_bytes: sizes of the models' weights.
        side: pixels per side of the largest picture that a model draws.
        config: the settings.
    """
    if total_bytes is None:
        return Placement(piecewise=config.low_memory, tiled=config.low_memory, batch=config.batch_size or 1)
    usable, larger = _USED * total_bytes, (side / _COVER_SIDE) ** 2
    cover, decoding = _COVER_BYTES * larger, _DECODE_BYTES * larger
    piecewise = config.low_memory or max(model_bytes) + cover > usable
    together = len(model_bytes) == 1 or (not piecewise and sum(model_bytes) + cover <= usable)
    free = usable - (sum(model_bytes) if together else max(model_bytes))
    tiled = piecewise or decoding > free
    covers = int((free if tiled else free - decoding) / cover)
    batch = config.batch_size or (1 if piecewise else max(1, min(_MOST_AT_ONCE, covers)))
    return Placement(together=together, piecewise=piecewise, tiled=tiled, batch=batch)


def prepare_model(model: Base, device: torch.device, placement: Placement) -> None:
    """Move a model to where it stays while it is not used, and prepare it for ``device``."""
    if device.type == "cuda":
        use_repeatable_algorithms()
        model.unet.to(memory_format=torch.channels_last)
    # AutoencoderTiny is small, and its tiling assumes eight pixels per latent, which not all of its kind have.
    if placement.tiled and type(model.vae).__name__ != "AutoencoderTiny":
        model.vae.enable_tiling()
        model.vae.enable_slicing()
    if placement.piecewise and device.type == "cuda" and not isinstance(model.unet, UNet):  # ours is small
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
