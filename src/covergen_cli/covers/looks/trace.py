"""Fields traced to SVG paths of smooth curves, at sub-pixel accuracy."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from covergen_cli.covers.looks.bezier import path_data
from covergen_cli.covers.looks.raster import enlarge

if TYPE_CHECKING:
    from covergen_cli.covers.looks.arrays import Array

_FINE = 512
_OUTSIDE = -1e3


def smooth_paths(field: Array) -> str:
    """Return :func:`closed_paths` of a small smooth field ``(n, n)``, which is enlarged to 512 first."""
    return closed_paths(enlarge(field, _FINE, 0, _FINE))


def closed_paths(field: Array, left: float = 0, top: float = 0, side: float | None = None) -> str:
    """Return SVG path data in a 1000 × 1000 view box around the areas where a field ``(h, w)`` is above 0.

    Args:
        field: values at the centres of pixels.
        left: column of the whole picture in which the field begins.
        top: row in which it begins.
        side: pixels per side of the picture; the width of the field if it is the whole picture.
    """
    # Imported here: only SVG needs it.
    from contourpy import contour_generator

    side = side or field.shape[1]
    # The field goes on by a pixel beyond the border, where a rim far below 0 closes what leaves the picture.
    padded = np.pad(np.pad(field, 1, mode="edge"), 1, constant_values=_OUTSIDE)
    data = []
    for line in contour_generator(z=padded).lines(0.0):
        points = (np.asarray(line) - 1.5 + (left, top)) * (1000 / side)
        data.append(path_data(np.clip(points, 0, 1000)))
    return "".join(data)
