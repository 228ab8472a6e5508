"""What can be measured on a cover, so that "it follows the music" is a number and not an opinion.

Each quality is the visible counterpart of something heard; the pairs come from what people match (Palmer, Schloss, Xu
and Prado-León, PNAS 2013; Whiteford et al., i-Perception 2018): faster and major with lighter, warmer and more
saturated, louder and harsher with more saturated and more contrast, busier with more edges.
"""

from __future__ import annotations

from dataclasses import astuple, dataclass, fields

import numpy as np
import numpy.typing as npt

from covergen_cli.synthetic.colour import srgb_to_oklab

__all__ = ["EXPECTED", "FIELDS", "Qualities", "measure"]


@dataclass(frozen=True)
class Qualities:
    """Measured on one image.

    Args:
        lightness: mean OKLab L, [0, 1].
        saturation: mean OKLab chroma, about [0, 0.3].
        contrast: standard deviation of OKLab L, about [0, 0.4].
        warmth: chroma-weighted mean sine of the hue angle, [−1, 1]; −1 is blue, 1 is yellow, violet and red
        lie between.
        edge_density: mean gradient of colour per pixel over the image's colour deviation; high where forms
        are many, whatever
            their contrast. Measured at 256 pixels per side.
    """

    lightness: float
    saturation: float
    contrast: float
    warmth: float
    edge_density: float

    def as_array(self) -> npt.NDArray[np.float32]:
        """Return the five numbers, in the order of the fields, as float32 ``(5,)``."""
        return np.array(astuple(self), dtype=np.float32)


FIELDS: tuple[str, ...] = tuple(field.name for field in fields(Qualities))
"""Names of the qualities, in their order."""

EXPECTED: tuple[tuple[str, str], ...] = (
    ("energy", "saturation"),
    ("energy", "contrast"),
    ("mode", "warmth"),
    ("tempo", "warmth"),
    ("mode", "lightness"),
    ("brightness", "lightness"),
    ("density", "edge_density"),
)
"""(descriptor, quality) pairs that should rise together."""


def measure(image: npt.NDArray[np.uint8]) -> Qualities:
    """Measure a square sRGB image ``(H, H, 3)``; from 512 pixels on it is averaged down to about 256 first."""
    factor = max(1, image.shape[0] // 256)
    side = image.shape[0] // factor
    lab = srgb_to_oklab(image[: side * factor, : side * factor])
    lab = lab.reshape(side, factor, side, factor, 3).mean(axis=(1, 3))
    chroma = np.hypot(lab[..., 1], lab[..., 2])
    gradient = np.abs(np.diff(lab, axis=0))[:, :-1] + np.abs(np.diff(lab, axis=1))[:-1]
    return Qualities(
        lightness=float(lab[..., 0].mean()),
        saturation=float(chroma.mean()),
        contrast=float(lab[..., 0].std()),
        warmth=float(lab[..., 2].sum() / max(float(chroma.sum()), 1e-6)),
        edge_density=float(gradient.sum(axis=-1).mean() / max(float(lab.std(axis=(0, 1)).sum()), 0.01)),
    )
