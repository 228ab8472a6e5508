"""Printers' screens: dots and grains that cover as much of the paper as the tone asks for."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from scipy import special

from covergen_cli.covers.looks.paper import noise
from covergen_cli.covers.looks.raster import coordinates, cover, enlarge

if TYPE_CHECKING:
    from covergen_cli.covers.looks.arrays import Array


def _spot_levels() -> Array:
    """Return the quantiles of the spot function, so that a tone of 0.3 covers 30 % of the paper."""
    u = (np.arange(512) + 0.5) / 512 * np.pi
    return np.asarray(np.quantile(np.cos(u)[:, None] * np.cos(u)[None, :], np.linspace(0, 1, 257)).astype(np.float32))


_LEVELS = _spot_levels()


def dots(amount: Array, size: int, top: int, pitch: float, angle_degrees: float) -> Array:
    """Return the ink ``(rows, size)`` in [0, 1] of a screen of round dots, which become round holes above one half.

    Args:
        amount: share of the paper to cover, ``(rows, size)``.
        size: pixels per side of the picture.
        top: first row.
        pitch: dots per side.
        angle_degrees: of the screen.
    """
    x, y = coordinates(size, top, top + len(amount))
    angle = np.deg2rad(angle_degrees)
    turn = np.array([np.cos(angle), np.sin(angle)], dtype=np.float32) * np.float32(np.pi * pitch)
    along, aside = x * turn[0] + y * turn[1], y * turn[0] - x * turn[1]
    # cos·cos has its dots on a lattice turned by 45° against its axes.
    u, v = along + aside, along - aside
    cos_u, cos_v = np.cos(u), np.cos(v)
    spot = cos_u * cos_v
    slope = np.sqrt(np.maximum(cos_u**2 + cos_v**2 - 2 * spot**2, 1e-4)) * np.float32(np.pi * np.sqrt(2) * pitch / size)
    level = np.interp(1 - amount, np.linspace(0, 1, 257), _LEVELS).astype(np.float32)
    ink = cover((spot - level) / slope)
    ink[amount < 0.01] = 0
    return ink


def grains(rng: np.random.Generator, softness: float = 0.00055) -> Array:
    """Return a field ``(n, n)``, every value of [0, 1] equally often, whose blobs are the grains of a random screen."""
    # The normal distribution function makes the blurred noise uniform.
    return np.asarray(special.ndtr(noise(rng, softness)), dtype=np.float32)


def grain(amount: Array, field: Array, size: int, top: int, bottom: int) -> Array:
    """Return the ink ``(rows, size)`` in [0, 1] of a random screen, whose grains have edges one pixel wide."""
    blobs = enlarge(field, size, top, bottom)
    down, right = np.gradient(blobs)
    return cover((amount - blobs) / np.maximum(np.hypot(down, right), np.float32(0.02)))
