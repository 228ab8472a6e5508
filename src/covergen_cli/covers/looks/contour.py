"""Lines of equal tone, like those of a map, on a dark or a light ground."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, ClassVar, Literal

import numpy as np

from covergen_cli.config.fields import Between
from covergen_cli.covers.looks.base import Look
from covergen_cli.covers.looks.palette import hexes_of
from covergen_cli.covers.looks.paper import noise, on_paper, paper
from covergen_cli.covers.looks.raster import blur, cover, enlarge, mix, steepness, with_slope
from covergen_cli.covers.looks.sketch import SIDE
from covergen_cli.covers.looks.trace import closed_paths, smooth_paths
from covergen_cli.measures.colour import oklab_to_srgb

if TYPE_CHECKING:
    from covergen_cli.covers.looks.arrays import Array
    from covergen_cli.covers.looks.base import Stripe
    from covergen_cli.covers.looks.sketch import Sketch

_TRACED = 1536
"""Pixels per side at which lines are traced for SVG."""
_OVERLAP = np.float32(0.006)
_FLOW = 8
"""Lines that pass a point during a loop; a multiple of the largest step between lines that are left out."""


@dataclass(frozen=True)
class Contour(Look):
    """Isolines of the picture's tone in the picture's colours.

    Args:
        lines: Number of levels.
        weight: Thickness of a line, in thousandths of the side.
        ground: Background: dark, light, or auto for that of the picture.
        relief: Strength of additional forms that bend the lines.
    """

    name: ClassVar[str] = "contour"
    vector: ClassVar[bool] = True

    lines: Annotated[int, Between(6, 60)] = 22
    weight: Annotated[float, Between(0.5, 8)] = 3.2
    ground: Literal["auto", "dark", "light"] = "auto"
    relief: Annotated[float, Between(0, 1)] = 0.35

    def stripe(self, sketch: Sketch, size: int, rng: np.random.Generator) -> Stripe:
        """Return the function that draws rows of the picture."""
        height = self._height(sketch, rng)
        ground, ink = (_soft(tints[sketch.labels]) for tints in self._tints(sketch))
        sheet = paper(rng)

        def draw(top: int, bottom: int) -> Array:
            values = enlarge(ground, size, top, bottom)
            mix(values, enlarge(ink, size, top, bottom), cover(self._lines(height, size, top, bottom)))
            return on_paper(values, sheet, size, top, bottom, 0.012)

        return draw

    def svg(self, sketch: Sketch, rng: np.random.Generator) -> str:
        """Return the regions in the colours of the ground, and over them the lines, coloured by region."""
        lines = closed_paths(self._lines(self._height(sketch, rng), _TRACED, 0, _TRACED))
        layers = [sketch.layer(index, 0.006) for index in range(1, len(sketch.palette.hexes))]
        parts = [f'<defs><path id="lines" d="{lines}"/></defs>']
        ground, ink = (hexes_of(tints) for tints in self._tints(sketch))
        parts.append(f'<rect width="1000" height="1000" fill="{ground[0]}"/>')
        for layer, colour in zip(layers, ground[1:], strict=True):
            parts.append(f'<path fill="{colour}" d="{smooth_paths(layer)}"/>')
        # Each region a little wider than it is: no gap shows where the lines change their colour.
        outer = ["M0 0H1000V1000H0Z", *(smooth_paths(layer + _OVERLAP) for layer in layers)]
        inner = [*(smooth_paths(layer - _OVERLAP) for layer in layers), ""]
        for index, colour in enumerate(ink):
            region = f'<path clip-rule="evenodd" d="{outer[index]}{inner[index]}"/>'
            parts.append(f'<clipPath id="region{index}">{region}</clipPath>')
            parts.append(f'<use xlink:href="#lines" fill="{colour}" clip-path="url(#region{index})"/>')
        return "\n".join(parts)

    def _height(self, sketch: Sketch, rng: np.random.Generator) -> Array:
        """Return the field whose whole numbers are the lines."""
        bumps = noise(rng, 0.12, SIDE)
        tone = blur(sketch.tone, 0.014) + np.float32(0.16 * self.relief) * bumps
        flow = np.float32(0.5 - _FLOW * sketch.phase)
        return np.asarray((tone * np.float32(self.lines) + flow).astype(np.float32))

    def _lines(self, height: Array, size: int, top: int, bottom: int) -> Array:
        """Return the distance to the edge of the nearest line in pixels, positive inside, ``(rows, size)``."""
        level, down, right = with_slope(height, size, top, bottom)
        slope = steepness(down, right)
        half = np.float32(self.weight / 2000 * size)
        # Where lines come closer than three of their widths, every second one goes, as on a map.
        crowd = np.log2(np.maximum(slope * (6 * half), 1))
        inside = np.full(level.shape, -1, dtype=np.float32)
        for step in (1, 2, 4, 8):
            keep = np.clip(np.float32(np.log2(step) + 1) - crowd, 0, 1)
            thickness = half * np.float32(1.5 if step == 4 else 1) * np.sqrt(keep)
            away = np.abs(level / step - np.rint(level / step)) * step / slope
            np.maximum(inside, np.where(keep > 0.02, thickness - away, -1), out=inside)
        return inside

    def _tints(self, sketch: Sketch) -> tuple[Array, Array]:
        """Return for each colour of the palette that of the ground and of the lines, OKLab ``(k, 3)`` each."""
        dark = self.ground == "dark" or (self.ground == "auto" and sketch.is_dark)
        lab = sketch.palette.lab
        ends = lab[0] if dark else lab[-1]
        ground, line = ends + np.float32(0.25) * (lab - ends), lab.copy()
        # Lines stand out from the ground by a lightness of 0.48 or more, and keep their hue.
        if dark:
            ground[:, 0] = np.minimum(ground[:, 0], 0.32)
            line[:, 0] = np.maximum(line[:, 0], 0.8)
        else:
            ground[:, 0] = np.maximum(ground[:, 0], 0.9)
            line[:, 0] = np.minimum(line[:, 0], 0.36)
        line[:, 1:] *= 1.2
        return ground, line


def _soft(lab: Array) -> Array:
    """Return OKLab ``(n, n, 3)`` as sRGB ``(3, n, n)`` in [0, 1], with soft borders between the colours."""
    soft = np.stack([blur(lab[..., i], 0.006) for i in range(3)], axis=-1)
    return np.asarray(oklab_to_srgb(soft).astype(np.float32).transpose(2, 0, 1) / 255)
