"""Convert between sRGB and OKLab, the colour space of palettes and measures.

Formulas and matrices: Björn Ottosson, "A perceptual color space for image processing" (2020); the sRGB transfer
curve: IEC 61966-2-1.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float32]

_LMS_FROM_LINEAR = np.array(
    [
        [0.4122214708, 0.5363325363, 0.0514459929],
        [0.2119034982, 0.6806995451, 0.1073969566],
        [0.0883024619, 0.2817188376, 0.6299787005],
    ],
    dtype=np.float32,
)
_LAB_FROM_LMS = np.array(
    [
        [0.2104542553, 0.7936177850, -0.0040720468],
        [1.9779984951, -2.4285922050, 0.4505937099],
        [0.0259040371, 0.7827717662, -0.8086757660],
    ],
    dtype=np.float32,
)
_LINEAR_FROM_LMS = np.linalg.inv(_LMS_FROM_LINEAR).astype(np.float32)
_LMS_FROM_LAB = np.linalg.inv(_LAB_FROM_LMS).astype(np.float32)


def srgb_to_oklab(image: npt.NDArray[np.uint8]) -> Array:
    """Convert sRGB bytes ``(…, 3)`` to OKLab float32 ``(…, 3)``: L in [0, 1], a and b about ±0.3."""
    levels = np.arange(256, dtype=np.float32) / 255
    linear = np.where(levels <= 0.04045, levels / 12.92, ((levels + 0.055) / 1.055) ** 2.4).astype(np.float32)[image]
    lab: Array = np.cbrt(linear @ _LMS_FROM_LINEAR.T) @ _LAB_FROM_LMS.T
    return lab


def _oklab_to_linear(lab: Array) -> Array:
    linear: Array = (lab @ _LMS_FROM_LAB.T) ** 3 @ _LINEAR_FROM_LMS.T
    return linear


def oklab_to_srgb(lab: Array) -> npt.NDArray[np.uint8]:
    """Convert OKLab ``(…, 3)`` to sRGB bytes ``(…, 3)``; colours outside sRGB are clipped."""
    linear = np.clip(_oklab_to_linear(lab.astype(np.float32)), 0, 1)
    srgb = np.where(linear <= 0.0031308, 12.92 * linear, 1.055 * linear ** (1 / 2.4) - 0.055)
    return np.asarray(np.rint(srgb * 255), dtype=np.uint8)


def oklch(lightness: float, chroma: float, hue_degrees: float) -> Array:
    """Return an OKLab colour ``(3,)``, with the chroma reduced until it is inside sRGB."""
    angle = np.deg2rad(hue_degrees)
    direction = np.array([0, np.cos(angle), np.sin(angle)], dtype=np.float32)
    grey = np.array([lightness, 0, 0], dtype=np.float32)
    for share in np.linspace(1, 0, 21, dtype=np.float32):
        colour: Array = grey + chroma * share * direction
        linear = _oklab_to_linear(colour)
        if linear.min() >= -1e-3 and linear.max() <= 1.001:
            return colour
    return grey
