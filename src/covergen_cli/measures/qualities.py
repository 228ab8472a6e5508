"""Measure the qualities of a cover that should follow the music.

Each quality corresponds to a descriptor of the music. Louder and harsher with more saturation and contrast, major with
warmer, and higher with lighter are what people match (Palmer, Schloss, Xu and Prado-León, PNAS 2013; Whiteford et al.,
i-Perception 2018). Denser with more forms, percussive with harder edges and faster with steeper lines are our choice,
so that every descriptor has a quality of its own.
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
    """The qualities of one image.

    Args:
        lightness: mean OKLab L, [0, 1].
        saturation: mean OKLab chroma, about [0, 0.3].
        contrast: standard deviation of OKLab L, about [0, 0.4].
        warmth: chroma-weighted mean sine of the hue angle, [−1, 1]; −1 is blue, 1 is yellow, violet, red and teal
            lie between.
        busyness: number of forms, independent of their contrast; see :func:`busyness`.
        uprightness: horizontal (0) to vertical lines (1); see :func:`uprightness`.
        hardness: soft transitions (0) to sharp edges (1); see :func:`hardness`.
    """

    lightness: float
    saturation: float
    contrast: float
    warmth: float
    busyness: float
    uprightness: float
    hardness: float

    def as_array(self) -> npt.NDArray[np.float32]:
        """Return the values in the order of the fields, float32 ``(7,)``."""
        return np.array(astuple(self), dtype=np.float32)


FIELDS: tuple[str, ...] = tuple(field.name for field in fields(Qualities))
"""Names of the qualities, in order."""

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
"""Pixels per side at which images are measured, which averages out grain and noise."""


def _slopes(lab: Array) -> tuple[Array, Array]:
    """Return absolute differences, summed over L, a and b, to the right and down, each ``(H − 1, W − 1)``."""
    right = np.abs(np.diff(lab, axis=1))[:-1].sum(axis=-1)
    down = np.abs(np.diff(lab, axis=0))[:, :-1].sum(axis=-1)
    return right, down


def busyness(lab: Array) -> float:
    """Return the total variation across an OKLab image ``(H, W, 3)``, in standard deviations of its colour."""
    right, down = _slopes(lab)
    return float((right + down).mean() * len(lab) / max(float(lab.std(axis=(0, 1)).sum()), 0.01))


def uprightness(lab: Array) -> float:
    """Return the share of horizontal differences in an OKLab image ``(H, W, 3)``; circles and diagonals give 0.5."""
    right, down = _slopes(lab)
    return float(right.sum() / max(float(right.sum() + down.sum()), 1e-6))


def hardness(lab: Array) -> float:
    """Return the share of squared slopes of an OKLab image ``(H, W, 3)`` that a blur of 1.6 % of the side removes.

    It depends neither on the number of edges nor on their contrast.
    """

    def energy(image: Array) -> float:
        return float(sum((np.diff(image, axis=axis) ** 2).sum() for axis in (0, 1)))

    blurred = gaussian_filter(lab, (0.016 * len(lab), 0.016 * len(lab), 0), mode="nearest")
    return 1 - energy(blurred) / max(energy(lab), 1e-9)


def measure(image: npt.NDArray[np.uint8]) -> Qualities:
    """Return the qualities of a square sRGB image ``(H, H, 3)``; large ones are reduced to about 128 pixels first."""
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
