"""Where the models stay, and how many covers are drawn at once: fitted to the memory of the device.

The sizes are estimates from the published models in half precision: Stable Diffusion 1.5 takes 2.2 GB, the refiner
4.9 GB, and a cover at 512 pixels 1 GB while it is drawn. They have not been measured on a GPU.
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
"""Cards sold as 16 GB report a little less than that."""
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
        together: base and refiner both stay on it; else each comes for its turn.
        piecewise: the U-Nets come layer by layer, and pictures are encoded and decoded in tiles.
        batch: covers that are drawn at once.
    """

    together: bool = True
    piecewise: bool = False
    batch: int = 1


ONE_BY_ONE = Placement()
"""Everything stays where it is, and covers are drawn one at a time."""


def place(device: torch.device, config: GenerateConfig, side: int) -> Placement:
    """Fit the models to a device.

    Args:
        device: where to compute.
        config: refiner, batch size and low memory count here.
        side: pixels per side of the largest picture that a model draws.
    """
    total = torch.cuda.get_device_properties(device).total_memory if device.type == "cuda" else None
    return fit(total, config, side)


def fit(total_bytes: int | None, config: GenerateConfig, side: int) -> Placement:
    """Fit the models to an amount of memory.

    Args:
        total_bytes: memory of the GPU; ``None`` for devices whose memory is the machine's, where moving frees nothing.
        config: see :func:`place`.
        side: see :func:`place`.
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


def settle(model: Base, device: torch.device, placement: Placement) -> None:
    """Bring a model to where it stays between its turns.

    Args:
        model: base or refiner, wherever its parts are.
        device: where it computes.
        placement: from :func:`place`.
    """
    if device.type == "cuda":
        model.unet.to(memory_format=torch.channels_last)
    # AutoencoderTiny is small, and its tiles reckon with eight pixels to a latent, which not all of its kind have.
    if placement.piecewise and type(model.vae).__name__ != "AutoencoderTiny":
        model.vae.enable_tiling()
        model.vae.enable_slicing()
    if placement.piecewise and device.type == "cuda":
        come_piecewise(model, device)
    elif placement.together:
        model.unet.to(device)
    model.vae.to(device if placement.together else "cpu")


def come_piecewise(model: Base, device: torch.device) -> None:
    """Let a U-Net wait in the machine's memory; each layer comes to the device when it is needed, and goes again."""
    model.unet.to("cpu").enable_group_offload(
        device, torch.device("cpu"), offload_type="leaf_level", use_stream=device.type == "cuda"
    )


def take_turns(model: Base, other: Base | None, placement: Placement) -> None:
    """Bring a model to the device for its turn, and the other one off it first; nothing where both stay.

    Args:
        model: whose turn it is.
        other: the one that made room, if there is one.
        placement: from :func:`place`.
    """
    if placement.together or other is None:
        return
    for waiting, where in ((other, torch.device("cpu")), (model, model.device)):
        waiting.vae.to(where)
        if not placement.piecewise:
            waiting.unet.to(where)
    if model.device.type == "cuda":
        torch.cuda.empty_cache()
