"""Closed lines of many points as few cubic Bézier curves.

The method is Philip J. Schneider's, "An Algorithm for Automatically Fitting Digitized Curves" (Graphics Gems, 1990):
least squares between two tangents, and a division where the curve is too far away.
"""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterator

    from covergen_cli.covers.looks.arrays import Array

_TOLERANCE = 0.06
"""How far a curve may lie from a point, in the units of the points: a fifth of a pixel of a cover of 3000."""
_CORNER = np.cos(np.deg2rad(42))
_REACH = 2
"""How many points a tangent looks ahead."""


def path_data(points: Array) -> str:
    """Return SVG path data of a closed line ``(n, 2)`` whose last point is the first, empty if it encloses nothing."""
    moved = np.hypot(*np.diff(points, axis=0).T)
    points = points[:-1][moved > 0.25 * np.median(moved)]
    if len(points) < 3:
        return ""
    corners = _corners(points)
    start = int(corners[0]) if len(corners) else 0
    points = np.concatenate([points[start:], points[: start + 1]])
    here = np.round(points[0], 2)
    parts = [f"M{_numbers(here)}"]
    for first, last in itertools.pairwise([*(corners - start), len(points) - 1] if len(corners) else [0, -1]):
        line = points[first : last + 1] if len(corners) else points
        for curve in _curves(line, _tangents(line, closed=not len(corners))):
            # Relative to the point as it was rounded, so that errors do not add up.
            away = np.round(curve - here, 2)
            parts.append(f"c{_numbers(away.ravel())}" if len(away) == 3 else f"l{_numbers(away[-1])}")
            here = here + away[-1]
    return "".join([*parts, "Z"])


def _corners(points: Array) -> Array:
    """Return the indices of the points at which a closed line turns sharply."""
    ahead = _unit(np.roll(points, -_REACH, axis=0) - points)
    behind = _unit(points - np.roll(points, _REACH, axis=0))
    turn = (ahead * behind).sum(1)
    sharpest = turn <= np.min([np.roll(turn, step) for step in range(-_REACH, _REACH + 1)], axis=0)
    return np.flatnonzero(sharpest & (turn < _CORNER))


def _tangents(points: Array, *, closed: bool) -> Array:
    """Return the direction of a line at every point; the last point of a closed one is its first."""
    ring = points[:-1] if closed else points
    padded = np.pad(ring, ((_REACH, _REACH + closed), (0, 0)), mode="wrap" if closed else "edge")
    return _unit(padded[2 * _REACH :] - padded[: -2 * _REACH])


def _curves(points: Array, tangents: Array) -> Iterator[Array]:
    """Yield curves along points, each as its second, third and last point ``(3, 2)``, a straight one as ``(1, 2)``."""
    if len(points) == 2 or _is_straight(points):
        yield points[-1:]
        return
    curve, worst, where = _fitted(points, tangents[0], tangents[-1])
    if worst <= _TOLERANCE:
        yield curve[1:]
        return
    middle = int(np.clip(where, 1, len(points) - 2))
    yield from _curves(points[: middle + 1], tangents[: middle + 1])
    yield from _curves(points[middle:], tangents[middle:])


def _is_straight(points: Array) -> bool:
    chord = points[-1] - points[0]
    offset = points[1:-1] - points[0]
    length = float(np.hypot(*chord))
    away = np.abs(chord[0] * offset[:, 1] - chord[1] * offset[:, 0])
    return length > 0 and float(away.max()) < 0.25 * _TOLERANCE * length


def _fitted(points: Array, start: Array, end: Array) -> tuple[Array, float, int]:
    """Return the curve ``(4, 2)`` between two tangents that fits points best, its largest error and where that is."""
    along = np.concatenate([[0], np.cumsum(np.hypot(*np.diff(points, axis=0).T))])
    place = along / along[-1]
    for step in range(3):
        weights = np.stack(
            [(1 - place) ** 3, 3 * place * (1 - place) ** 2, 3 * place**2 * (1 - place), place**3], axis=1
        )
        curve = _least_squares(points, weights, start, end, float(along[-1]))
        away = weights @ curve - points
        errors = np.hypot(*away.T)
        worst = float(errors.max())
        if worst <= _TOLERANCE or worst > 12 * _TOLERANCE or step == 2:
            break
        place = _nearer(place, away, curve)
    return curve, worst, int(errors.argmax())


def _least_squares(points: Array, weights: Array, start: Array, end: Array, length: float) -> Array:
    """Return the curve ``(4, 2)`` with the lengths of both handles that minimise the squared errors."""
    fixed = weights[:, :2].sum(1)[:, None] * points[0] + weights[:, 2:].sum(1)[:, None] * points[-1]
    one, two = weights[:, 1:2] * start, -weights[:, 2:3] * end
    rest = points - fixed
    a, b, c = float((one * one).sum()), float((one * two).sum()), float((two * two).sum())
    p, q = float((one * rest).sum()), float((two * rest).sum())
    determinant = a * c - b * b
    lengths = np.array([c * p - b * q, a * q - b * p]) / determinant if determinant > 1e-9 * a * c else np.zeros(2)
    if lengths.min() < 1e-3 * length or lengths.max() > length:
        lengths = np.full(2, np.hypot(*(points[-1] - points[0])) / 3)
    return np.array([points[0], points[0] + lengths[0] * start, points[-1] - lengths[1] * end, points[-1]])


def _nearer(place: Array, away: Array, curve: Array) -> Array:
    """Return the places on a curve moved nearer to the points, by one step of Newton's method."""
    t = place[:, None]
    first = 3 * np.diff(curve, axis=0)
    second = 2 * np.diff(first, axis=0)
    speed = (1 - t) ** 2 * first[0] + 2 * t * (1 - t) * first[1] + t**2 * first[2]
    change = (1 - t) * second[0] + t * second[1]
    below = (speed * speed).sum(1) + (away * change).sum(1)
    moved = place - np.where(below > 1e-9, (away * speed).sum(1) / np.maximum(below, 1e-9), 0)
    return np.maximum.accumulate(np.clip(moved, 0, 1))


def _unit(vectors: Array) -> Array:
    return np.asarray(vectors / np.maximum(np.hypot(vectors[..., 0], vectors[..., 1]), 1e-9)[..., None])


def _numbers(values: Array) -> str:
    """Return numbers with two digits, without what SVG does not need."""
    texts = [f"{value:.2f}".rstrip("0").rstrip(".") for value in values]
    return " ".join("0" if text in {"-0", ""} else text for text in texts).replace(" -", "-")
