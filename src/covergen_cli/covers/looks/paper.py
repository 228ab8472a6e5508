"""Paper and grain: textures at one fixed resolution, so that they are as large beside the picture at every size."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import scipy

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
    """Return the relief of uncoated paper ``(n, n)``: tooth, fibres in both directions, and slow clouds.

    Tooth and fibres repeat every half side, which is too fine to be seen and takes a quarter of the time.
    """
    fibres = rng.standard_normal((_SIDE // 2, _SIDE // 2), dtype=np.float32)
    across = scipy.ndimage.uniform_filter1d(fibres, 9, axis=1, mode="wrap")
    down = scipy.ndimage.uniform_filter1d(fibres.T, 9, axis=0, mode="wrap")
    tooth = scipy.ndimage.gaussian_filter(rng.standard_normal(fibres.shape, dtype=np.float32), 0.8, mode="wrap")
    clouds = enlarge(noise(rng, 0.02, 256), _SIDE, 0, _SIDE)
    field = np.tile(1.25 * tooth + 0.9 * (across + down), (2, 2)) + 0.35 * clouds
    return np.asarray(field / field.std(), dtype=np.float32)


def on_paper(values: Array, sheet: Array, size: int, top: int, bottom: int, strength: float) -> Array:
    """Multiply rows ``(3, h, size)`` in place by the relief of a sheet; a strength of 0.02 is a fine paper."""
    if strength:
        values *= 1 + np.float32(strength) * np.clip(enlarge(sheet, size, top, bottom), -3, 3)
    return values
