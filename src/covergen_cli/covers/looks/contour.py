"""Lines of equal tone, like those of a map, on a dark or a light ground."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, ClassVar, Literal

import numpy as np

from covergen_cli.config.fields import Between
from covergen_cli.covers.looks.base import Look
from covergen_cli.covers.looks.paper import noise, on_paper, paper
from covergen_cli.covers.looks.raster import blur, cover, enlarge, mix, steepness, with_slope
from covergen_cli.covers.looks.sketch import SIDE
from covergen_cli.covers.looks.trace import open_paths
from covergen_cli.measures.colour import oklab_to_srgb

if TYPE_CHECKING:
    from covergen_cli.covers.looks.arrays import Array
    from covergen_cli.covers.looks.base import Stripe
    from covergen_cli.covers.looks.sketch import Sketch


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
    weight: Annotated[float, Between(0.5, 8)] = 3.0
    ground: Literal["auto", "dark", "light"] = "auto"
    relief: Annotated[float, Between(0, 1)] = 0.35

    def stripe(self, sketch: Sketch, size: int, rng: np.random.Generator) -> Stripe:
        """Return the function that draws rows of the picture."""
        height = self._height(sketch, rng)
        ground, ink = self._colours(sketch)
        sheet = paper(rng)
        half = self.weight / 2000 * size

        def draw(top: int, bottom: int) -> Array:
            level, down, right = with_slope(height, size, top, bottom)
            slope = steepness(down, right)
            values = enlarge(ground, size, top, bottom)
            colours = enlarge(ink, size, top, bottom)
            # Where lines come closer than three of their widths, every second one goes, as on a map.
            crowd = np.log2(np.maximum(slope * (6 * half), 1))
            for step in (1, 2, 4, 8):
                keep = np.clip(np.log2(step) + 1.0 - crowd, 0, 1)
                heavier = 1.5 if step == 4 else 1.0
                away = np.abs(level / step - np.rint(level / step)) * step / slope
                mix(values, colours, cover(half * heavier * np.sqrt(keep) - away) * (keep > 0.02))
            return on_paper(values, sheet, size, top, bottom, 0.012)

        return draw

    def svg(self, sketch: Sketch, rng: np.random.Generator) -> str:
        """Return one path per level, in the mean colour that the picture has along it."""
        height = self._height(sketch, rng)
        ground, ink = self._colours(sketch)
        parts = [f'<rect width="1000" height="1000" fill="{_hex(ground.mean((1, 2)))}"/>']
        for level in range(int(np.ceil(height.min())), int(np.floor(height.max())) + 1):
            near = np.abs(height - level) < 0.5
            if near.any() and (data := open_paths(height, float(level))):
                width = self.weight * (1.5 if level % 4 == 0 else 1)
                stroke = f'stroke="{_hex(ink[:, near].mean(1))}" stroke-width="{width:.2f}"'
                parts.append(f'<path fill="none" {stroke} stroke-linejoin="round" d="{data}"/>')
        return "\n".join(parts)

    def _height(self, sketch: Sketch, rng: np.random.Generator) -> Array:
        """Return the field whose whole numbers are the lines."""
        bumps = noise(rng, 0.12, SIDE)
        tone = blur(sketch.tone, 0.014) + np.float32(0.16 * self.relief) * bumps
        return np.asarray((tone * np.float32(self.lines) + np.float32(0.5)).astype(np.float32))

    def _colours(self, sketch: Sketch) -> tuple[Array, Array]:
        """Return the ground and the colour of the lines, float32 sRGB ``(3, n, n)`` each."""
        dark = self.ground == "dark" or (self.ground == "auto" and sketch.is_dark)
        lab = sketch.palette.lab
        ends = lab if dark else lab[::-1]
        last = len(ends) - 1
        ranks = sketch.labels if dark else last - sketch.labels
        ground = ends[0] + np.float32(0.1) * (ends[ranks] - ends[0])
        line = ends[ranks].copy()
        # Lines stand out from the ground by a lightness of 0.45 or more, and keep their hue.
        if dark:
            ground[..., 0] = np.minimum(ground[..., 0], 0.26)
            line[..., 0] = np.maximum(line[..., 0], 0.72)
        else:
            ground[..., 0] = np.maximum(ground[..., 0], 0.9)
            line[..., 0] = np.minimum(line[..., 0], 0.45)
        line[..., 1:] *= 1.2
        soft = [np.stack([blur(part[..., i], 0.006) for i in range(3)], axis=-1) for part in (ground, line)]
        ground_rgb, line_rgb = (oklab_to_srgb(part).astype(np.float32).transpose(2, 0, 1) / 255 for part in soft)
        return ground_rgb, line_rgb


def _hex(colour: Array) -> str:
    return "#" + bytes(np.rint(np.clip(colour, 0, 1) * 255).astype(np.uint8)).hex()
