"""Fields traced to SVG paths, at sub-pixel accuracy."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from covergen_cli.covers.looks.raster import enlarge

if TYPE_CHECKING:
    from covergen_cli.covers.looks.arrays import Array

_FINE = 512
_TOLERANCE = 0.12
"""How far a path may leave the traced line, in thousandths of the side."""


def closed_paths(field: Array) -> str:
    """Return SVG path data in a 1000 × 1000 view box around the areas where a field ``(n, n)`` is above 0."""
    # The field goes on by a pixel beyond the border, where a rim far below 0 closes what leaves the picture.
    field = np.pad(enlarge(field, _FINE, 0, _FINE), 1, mode="edge")
    return _paths(np.pad(field, 1, constant_values=-1e3), 0.0, rim=2, closed=True)


def open_paths(field: Array, level: float) -> str:
    """Return SVG path data in a 1000 × 1000 view box along one isoline of a field ``(n, n)``."""
    padded = np.pad(enlarge(field, _FINE, 0, _FINE), 1, mode="reflect", reflect_type="odd")
    return _paths(padded, level, rim=1, closed=False)


def _paths(padded: Array, level: float, *, rim: int, closed: bool) -> str:
    # Imported here: only SVG needs it.
    from contourpy import contour_generator

    data = []
    for line in contour_generator(z=padded).lines(level):
        points = np.clip((np.asarray(line) - rim + 0.5) * (1000 / _FINE), 0, 1000)
        points = simplify(points, _TOLERANCE)
        if len(points) > 2 or not closed:
            body = "L".join(f"{x:.1f} {y:.1f}" for x, y in points)
            data.append(f"M{body}{'Z' if closed else ''}")
    return "".join(data)


def simplify(points: np.ndarray, tolerance: float) -> np.ndarray:
    """Drop the points of a line ``(n, 2)`` that lie nearer to it than the tolerance (Ramer–Douglas–Peucker)."""
    keep = np.zeros(len(points), dtype=bool)
    keep[[0, -1]] = True
    spans = [(0, len(points) - 1)]
    while spans:
        first, last = spans.pop()
        if last - first < 2:
            continue
        chord = points[last] - points[first]
        offset = points[first + 1 : last] - points[first]
        length = float(np.hypot(*chord))
        if length > 0:
            distance = np.abs(chord[0] * offset[:, 1] - chord[1] * offset[:, 0]) / length
        else:
            distance = np.hypot(offset[:, 0], offset[:, 1])
        farthest = int(distance.argmax())
        if distance[farthest] > tolerance:
            middle = first + 1 + farthest
            keep[middle] = True
            spans += [(first, middle), (middle, last)]
    return points[keep]
