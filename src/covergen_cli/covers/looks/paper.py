"""Paper and grain: textures at one fixed resolution, so that they are as large beside the picture at every size."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from scipy import ndimage

from covergen_cli.covers.looks.raster import blur, enlarge

if TYPE_CHECKING:
    from covergen_cli.covers.looks.arrays import Array

_SIDE = 1024


def noise(rng: np.random.Generator, softness: float, side: int = _SIDE) -> Array:
    """Return noise ``(side, side)`` of mean 0 and deviation 1, blurred by a share of the side."""
    field = rng.standard_normal((side, side), dtype=np.float32)
    if softness:
        field = blur(field, softness)
    return np.asarray((field - field.mean()) / field.std(), dtype=np.float32)


def paper(rng: np.random.Generator) -> Array:
    """Return the relief of uncoated paper ``(n, n)``: tooth, fibres in both directions, and slow clouds."""
    fibres = noise(rng, 0)
    across = ndimage.uniform_filter1d(fibres, 9, axis=1)
    down = ndimage.uniform_filter1d(fibres.T, 9, axis=0)
    clouds = enlarge(noise(rng, 0.02, 256), _SIDE, 0, _SIDE)
    field = 0.45 * noise(rng, 0.0008) + 0.9 * (across + down) + 0.35 * clouds
    return np.asarray(field / field.std(), dtype=np.float32)


def on_paper(values: Array, sheet: Array, size: int, top: int, bottom: int, strength: float) -> Array:
    """Multiply rows ``(h, size, 3)`` in place by the relief of a sheet; a strength of 0.02 is a fine paper."""
    if strength:
        values *= 1 + np.float32(strength) * np.clip(enlarge(sheet, size, top, bottom), -3, 3)[..., None]
    return values
