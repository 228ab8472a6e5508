"""Closed lines of many points as few cubic Bézier curves.

The method is Philip J. Schneider's, "An Algorithm for Automatically Fitting Digitized Curves" (Graphics Gems, 1990):
least squares between two tangents, and a division where the curve is too far away. Points are complex numbers here,
x + iy, which NumPy computes with in half the time.
"""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterator

    from covergen_cli.covers.looks.arrays import Array

_TOLERANCE = 0.07
"""How far a curve may lie from a point, in the units of the points: a fifth of a pixel of a cover of 3000."""
_CORNER = np.cos(np.deg2rad(42))
_REACH = 2
"""How many points a tangent looks ahead."""


def path_data(points: Array) -> str:
    """Return SVG path data of a closed line ``(n, 2)`` whose last point is the first, empty if it encloses nothing."""
    line = points[:, 0] + 1j * points[:, 1]
    moved = np.abs(np.diff(line))
    line = line[:-1][moved > 0.25 * np.median(moved)]
    if len(line) < 3:
        return ""
    corners = _corners(line)
    start = int(corners[0]) if len(corners) else 0
    line = np.concatenate([line[start:], line[: start + 1]])
    here = np.round(line[0], 2)
    parts = [f"M{_numbers(line[:1])}"]
    knots = [*(corners - start), len(line) - 1] if len(corners) else [0, len(line) - 1]
    for first, last in itertools.pairwise(knots):
        part = line[first : last + 1]
        for curve in _curves(part, _tangents(part, closed=not len(corners))):
            # Relative to the point as it was rounded, so that errors do not add up.
            away = np.round(curve - here, 2)
            parts.append(("c" if len(away) == 3 else "l") + _numbers(away))
            here = here + away[-1]
    return "".join([*parts, "Z"])


def _corners(line: Array) -> Array:
    """Return the indices of the points at which a closed line turns sharply."""
    ahead, behind = np.roll(line, -_REACH) - line, line - np.roll(line, _REACH)
    turn = _dot(_unit(ahead), _unit(behind))
    sharpest = turn <= np.min([np.roll(turn, step) for step in range(-_REACH, _REACH + 1)], axis=0)
    return np.flatnonzero(sharpest & (turn < _CORNER))


def _tangents(line: Array, *, closed: bool) -> Array:
    """Return the direction of a line at every point; the last point of a closed one is its first."""
    ring = line[:-1] if closed else line
    padded = np.pad(ring, (_REACH, _REACH + closed), mode="wrap" if closed else "edge")
    return _unit(padded[2 * _REACH :] - padded[: -2 * _REACH])


def _curves(line: Array, tangents: Array) -> Iterator[Array]:
    """Yield curves along points, each as its second, third and last point, a straight one as its last point alone."""
    if len(line) == 2 or _is_straight(line):
        yield line[-1:]
        return
    curve, worst, where = _fitted(line, tangents[0], tangents[-1])
    if worst <= _TOLERANCE:
        yield curve[1:]
        return
    middle = min(max(where, 1), len(line) - 2)
    yield from _curves(line[: middle + 1], tangents[: middle + 1])
    yield from _curves(line[middle:], tangents[middle:])


def _is_straight(line: Array) -> bool:
    chord = line[-1] - line[0]
    away = np.abs(((line[1:-1] - line[0]) * chord.conjugate()).imag)
    return bool(abs(chord) > 0 and away.max() < 0.25 * _TOLERANCE * abs(chord))


def _fitted(line: Array, start: complex, end: complex) -> tuple[Array, float, int]:
    """Return the curve ``(4,)`` between two tangents that fits points best, its largest error and where that is."""
    along = np.concatenate([[0], np.cumsum(np.abs(np.diff(line)))])
    place = along / along[-1]
    for step in range(3):
        curve = _least_squares(line, place, start, end, float(along[-1]))
        away = _on(curve, place) - line
        errors = np.abs(away)
        where = int(errors.argmax())
        worst = float(errors[where])
        if worst <= _TOLERANCE or worst > 5 * _TOLERANCE or step == 2:
            break
        place = _nearer(place, away, curve)
    return curve, worst, where


def _on(curve: Array, place: Array) -> Array:
    """Return the points of a Bézier curve at places from 0 to 1."""
    points = curve[:, None]
    while len(points) > 1:
        points = points[:-1] + np.diff(points, axis=0) * place
    return np.asarray(points[0])


def _least_squares(line: Array, place: Array, start: complex, end: complex, length: float) -> Array:
    """Return the curve ``(4,)`` with the lengths of both handles that minimise the squared errors."""
    first, last = line[0], line[-1]
    back = 1 - place
    one, two = 3 * place * back * back, 3 * place * place * back
    rest = line - first - (two + place**3) * (last - first)
    a, b, c = one @ one, -(one @ two) * _dot(start, end), two @ two
    p, q = _dot(start, one @ rest), -_dot(end, two @ rest)
    determinant = a * c - b * b
    handles = np.zeros(2)
    if determinant > 1e-9 * a * c:
        handles = np.array([c * p - b * q, a * q - b * p]) / determinant
    if handles.min() < 1e-3 * length or handles.max() > length:
        handles[:] = abs(last - first) / 3
    return np.array([first, first + handles[0] * start, last - handles[1] * end, last])


def _nearer(place: Array, away: Array, curve: Array) -> Array:
    """Return the places on a curve moved nearer to the points, by one step of Newton's method."""
    first = 3 * np.diff(curve)
    second = 2 * np.diff(first)
    speed = _on(first, place)
    below = np.abs(speed) ** 2 + _dot(away, _on(second, place))
    moved = place - np.where(below > 1e-9, _dot(away, speed) / np.maximum(below, 1e-9), 0)
    return np.maximum.accumulate(np.clip(moved, 0, 1))


def _dot(one: Array | complex, other: Array | complex) -> Array:
    return np.asarray((one * np.conjugate(other)).real)


def _unit(vectors: Array) -> Array:
    return np.asarray(vectors / np.maximum(np.abs(vectors), 1e-9))


def _numbers(points: Array) -> str:
    """Return coordinates with two digits, without what SVG does not need."""
    texts = [f"{value:.2f}".rstrip("0").rstrip(".") for point in points for value in (point.real, point.imag)]
    return " ".join("0" if text == "-0" else text for text in texts).replace(" -", "-")
