"""Resizing of image tensors."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import torch
from PIL import Image

if TYPE_CHECKING:
    from torch import Tensor


def resize(pixels: Tensor, size: int) -> Tensor:
    """Return a square image ``(3, H, H)`` in [0, 1], resized by Lanczos to ``(3, size, size)``.

    Channels are float, so that rounding to 8 bits happens once, at the end, and gradients do not band.
    """
    if pixels.shape[1] == size:
        return pixels
    planes = [
        np.asarray(Image.fromarray(plane).resize((size, size), Image.Resampling.LANCZOS))
        for plane in pixels.contiguous().numpy()
    ]
    return torch.from_numpy(np.stack(planes)).clamp(0, 1)
