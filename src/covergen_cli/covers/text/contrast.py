"""Contrast between text and what is behind it, as the Web Content Accessibility Guidelines (WCAG 2.2) define it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image, ImageFilter

if TYPE_CHECKING:
    import numpy.typing as npt

    Floats = npt.NDArray[np.float64]

CONTRAST = 4.5
"""Minimum contrast (success criterion 1.4.3)."""

_LEVELS = np.arange(256) / 255
_LINEAR = np.where(_LEVELS <= 0.04045, _LEVELS / 12.92, ((_LEVELS + 0.055) / 1.055) ** 2.4)
_WEIGHTS = np.array([0.2126, 0.7152, 0.0722])

AIM = CONTRAST * 1.03
"""What colours are chosen for, so that rounding to bytes never leads below the minimum."""


def contrast_ratio(one: Floats | float, other: Floats | float) -> Floats:
    """Return the contrast of two relative luminances, 1 to 21."""
    high, low = np.maximum(one, other), np.minimum(one, other)
    return np.asarray((high + 0.05) / (low + 0.05))


def luminance(pixels: npt.NDArray[Any]) -> Floats:
    """Return the relative luminance ``(…)`` of sRGB values ``(…, 3)`` from 0 to 255, rounded to whole numbers."""
    result: Floats = _LINEAR[np.rint(pixels).astype(np.uint8)] @ _WEIGHTS
    return result


def near_text(mask: Image.Image, reach: float = 1.0) -> npt.NDArray[np.bool_]:
    """Return which pixels lie in or near the letters of a mask: those that text has to stand out from.

    Args:
        mask: of kind ``L``.
        reach: factor on how far that is.
    """
    return np.asarray(np.asarray(mask.filter(ImageFilter.GaussianBlur(reach * max(1.0, mask.width / 300)))) > 8)
