"""What can be measured on a cover, so that "it follows the music" is a number and not an opinion.

Each quality is the visible counterpart of something heard. Louder and harsher with more saturated and more contrast,
major with warmer, and higher with lighter come from what people match (Palmer, Schloss, Xu and Prado-León, PNAS 2013;
Whiteford et al., i-Perception 2018); busier with more forms, percussive with harder edges and quicker with steeper
lines are this project's own choice, made so that each descriptor has a quality to itself.
"""

from __future__ import annotations

from dataclasses import astuple, dataclass, fields
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
from scipy.ndimage import gaussian_filter

from covergen_cli.measures.colour import srgb_to_oklab

if TYPE_CHECKING:
    from covergen_cli.measures.colour import Array


@dataclass(frozen=True)
class Qualities:
    """Measured on one image.

    Args:
        lightness: mean OKLab L, [0, 1].
        saturation: mean OKLab chroma, about [0, 0.3].
        contrast: standard deviation of OKLab L, about [0, 0.4].
        warmth: chroma-weighted mean sine of the hue angle, [−1, 1]; −1 is blue, 1 is yellow, violet, red and teal
            lie between.
        busyness: how many forms there are, whatever their contrast; see :func:`busyness`.
        uprightness: from lines that lie (0) to lines that stand (1); see :func:`uprightness`.
        hardness: from soft transitions (0) to sharp edges (1): the share of squared slopes that a blur of 1.6 % of the
            side takes away, which depends neither on how many edges there are nor on their contrast.
    """

    lightness: float
    saturation: float
    contrast: float
    warmth: float
    busyness: float
    uprightness: float
    hardness: float

    def as_array(self) -> npt.NDArray[np.float32]:
        """Return the numbers, in the order of the fields, as float32 ``(7,)``."""
        return np.array(astuple(self), dtype=np.float32)


FIELDS: tuple[str, ...] = tuple(field.name for field in fields(Qualities))
"""Names of the qualities, in their order."""

EXPECTED: tuple[tuple[str, str], ...] = (
    ("energy", "saturation"),
    ("energy", "contrast"),
    ("mode", "warmth"),
    ("tempo", "uprightness"),
    ("brightness", "lightness"),
    ("density", "busyness"),
    ("percussiveness", "hardness"),
)
"""(descriptor, quality) pairs that should rise together."""

_SIDE = 128
"""Pixels per side at which edges are measured: grain and the model's own noise are averaged out there."""


def _slopes(lab: Array) -> tuple[Array, Array]:
    """Absolute steps of colour, summed over L, a and b: to the right and down, each ``(H − 1, W − 1)``."""
    right = np.abs(np.diff(lab, axis=1))[:-1].sum(axis=-1)
    down = np.abs(np.diff(lab, axis=0))[:, :-1].sum(axis=-1)
    return right, down


def busyness(lab: Array) -> float:
    """Measure how many forms an OKLab picture ``(H, W, 3)`` has.

    The path of colour from one side to the other, in standard deviations of the picture's colour.
    """
    right, down = _slopes(lab)
    return float((right + down).mean() * len(lab) / max(float(lab.std(axis=(0, 1)).sum()), 0.01))


def uprightness(lab: Array) -> float:
    """Measure whether the lines of an OKLab picture ``(H, W, 3)`` lie (0) or stand (1).

    The share of all steps that go sideways; circles and diagonals give 0.5.
    """
    right, down = _slopes(lab)
    return float(right.sum() / max(float(right.sum() + down.sum()), 1e-6))


def hardness(lab: Array) -> float:
    """Measure whether the edges of an OKLab picture ``(H, W, 3)`` are soft (0) or hard (1), at its own resolution."""

    def energy(picture: Array) -> float:
        return float(sum((np.diff(picture, axis=axis) ** 2).sum() for axis in (0, 1)))

    blurred = gaussian_filter(lab, (0.016 * len(lab), 0.016 * len(lab), 0), mode="nearest")
    return 1 - energy(blurred) / max(energy(lab), 1e-9)


def measure(image: npt.NDArray[np.uint8]) -> Qualities:
    """Measure a square sRGB image ``(H, H, 3)``; from 256 pixels on it is averaged down to about 128 first."""
    factor = max(1, image.shape[0] // _SIDE)
    side = image.shape[0] // factor
    lab = srgb_to_oklab(image[: side * factor, : side * factor])
    lab = lab.reshape(side, factor, side, factor, 3).mean(axis=(1, 3))
    chroma = np.hypot(lab[..., 1], lab[..., 2])
    return Qualities(
        lightness=float(lab[..., 0].mean()),
        saturation=float(chroma.mean()),
        contrast=float(lab[..., 0].std()),
        warmth=float(lab[..., 2].sum() / max(float(chroma.sum()), 1e-6)),
        busyness=busyness(lab),
        uprightness=uprightness(lab),
        hardness=hardness(lab),
    )
