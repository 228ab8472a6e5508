"""Parallel lines that swell with the dark and bend over the forms, as on banknotes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, ClassVar

import numpy as np

from covergen_cli.config.fields import Between
from covergen_cli.covers.looks.base import Look
from covergen_cli.covers.looks.paper import on_paper, paper
from covergen_cli.covers.looks.raster import blur, coordinates, cover, enlarge, filled, mix, steepness
from covergen_cli.measures.colour import oklab_to_srgb

if TYPE_CHECKING:
    from covergen_cli.covers.looks.arrays import Array
    from covergen_cli.covers.looks.base import Stripe
    from covergen_cli.covers.looks.sketch import Sketch

_PLATE = 768
"""Side of the picture that colours the lines."""
_STEP = 0.3
"""How much darker in OKLab than a light ground lines are at least."""


@dataclass(frozen=True)
class Engraving(Look):
    """Lines whose width follows the tone.

    Args:
        lines: Number of lines per side.
        angle: Angle of the lines in degrees, 0 for level ones.
        bend: Strength with which the forms bend the lines.
    """

    name: ClassVar[str] = "engraving"

    lines: Annotated[int, Between(16, 200)] = 72
    angle: Annotated[int, Between(-90, 90)] = 0
    bend: Annotated[float, Between(0, 1)] = 0.5

    def stripe(self, sketch: Sketch, size: int, rng: np.random.Generator) -> Stripe:
        """Return the function that draws rows of the picture."""
        dark = sketch.is_dark
        relief = blur(sketch.tone, 0.02) * np.float32(0.16 * self.bend * self.lines)
        amount = sketch.tone if dark else 1 - sketch.tone
        least = 0.06 if dark else 0.22
        amount = (least + (0.96 - least) * amount).astype(np.float32)
        ground, ink = _colours(sketch, dark)
        sheet = paper(rng)
        angle = np.deg2rad(self.angle)
        across, along = np.float32(-np.sin(angle) * self.lines), np.float32(np.cos(angle) * self.lines)

        def draw(top: int, bottom: int) -> Array:
            x, y = coordinates(size, max(0, top - 1), min(size, bottom + 1))
            phase = x * across + y * along - enlarge(relief, size, max(0, top - 1), min(size, bottom + 1))
            down, right = np.gradient(phase)
            keep = slice(top - max(0, top - 1), top - max(0, top - 1) + bottom - top)
            phase, slope = phase[keep], steepness(down, right)[keep]
            away = np.abs(phase - np.rint(phase))
            width = enlarge(amount, size, top, bottom) * np.float32(0.5)
            values = filled(ground, bottom - top, size)
            mix(values, enlarge(ink, size, top, bottom), cover((width - away) / slope))
            return on_paper(values, sheet, size, top, bottom, 0.012)

        return draw


def _colours(sketch: Sketch, dark: bool) -> tuple[Array, Array]:
    """Return the ground ``(3,)`` and the ink of the lines ``(3, n, n)``, sRGB."""
    lab = sketch.palette.lab
    last = len(lab) - 1
    if dark:
        ground, inks = lab[0], lab[np.clip(np.arange(last + 1), min(2, last), last)]
    else:
        ground, inks = lab[-1], lab * np.array([1, 1.2, 1.2], dtype=np.float32)
        inks[:, 0] = np.minimum(inks[:, 0], ground[0] - _STEP)
    rgb = oklab_to_srgb(np.stack([ground, *inks])).astype(np.float32) / 255
    return rgb[0], sketch.plate(rgb[1:], _PLATE)
