"""Printers' screens: dots and grains that cover as much of the paper as the tone asks for."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import scipy

from covergen_cli.covers.looks.paper import noise
from covergen_cli.covers.looks.raster import coordinates, cover, steepness, with_slope

if TYPE_CHECKING:
    from covergen_cli.covers.looks.arrays import Array


_STEPS = 1024


def _spot_levels() -> Array:
    """Return the quantiles of the spot function, from the highest, so that a tone of 0.3 covers 30 % of the paper."""
    u = (np.arange(512) + 0.5) / 512 * np.pi
    spot = np.cos(u)[:, None] * np.cos(u)[None, :]
    return np.asarray(np.quantile(spot, np.linspace(1, 0, _STEPS + 1)), dtype=np.float32)


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
    # cos·cos has its dots on a lattice turned by 45° against its axes.
    angle, wave = np.deg2rad(angle_degrees + 45), np.float32(np.pi * np.sqrt(2) * pitch)
    across, down = np.float32(np.cos(angle)) * wave, np.float32(np.sin(angle)) * wave
    cos_u = np.cos(across * x) * np.cos(down * y) - np.sin(across * x) * np.sin(down * y)
    cos_v = np.cos(down * x) * np.cos(across * y) + np.sin(down * x) * np.sin(across * y)
    spot = cos_u * cos_v
    slope = np.sqrt(np.maximum(cos_u * cos_u + cos_v * cos_v - 2 * spot * spot, np.float32(1e-4))) * (wave / size)
    ink = cover((spot - _LEVELS[(amount * _STEPS + np.float32(0.5)).astype(np.int16)]) / slope)
    ink[amount < 0.01] = 0
    return ink


def grains(rng: np.random.Generator, softness: float = 0.00055) -> Array:
    """Return a field ``(n, n)``, every value of [0, 1] equally often, whose blobs are the grains of a random screen."""
    # The normal distribution function makes the blurred noise uniform.
    return np.asarray(scipy.special.ndtr(noise(rng, softness)), dtype=np.float32)


def grain(amount: Array, field: Array, size: int, top: int, bottom: int) -> Array:
    """Return the ink ``(rows, size)`` in [0, 1] of a random screen, whose grains have edges one pixel wide."""
    blobs, down, right = with_slope(field, size, top, bottom)
    return cover((amount - blobs) / np.maximum(steepness(down, right), np.float32(0.02)))
