"""Cut paper: the picture's regions as sheets that lie on each other and throw soft shadows."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, ClassVar

import numpy as np

from covergen_cli.config.fields import Between
from covergen_cli.covers.looks.base import Look
from covergen_cli.covers.looks.paper import paper
from covergen_cli.covers.looks.raster import blur, cover, enlarge, filled, mix, steepness, with_slope
from covergen_cli.covers.looks.trace import smooth_paths

if TYPE_CHECKING:
    from covergen_cli.covers.looks.arrays import Array
    from covergen_cli.covers.looks.base import Stripe
    from covergen_cli.covers.looks.sketch import Sketch

_EDGE = 0.0011
"""Thickness of the paper's cut edge, as a share of the side."""
_SHADE = 0.62
_STEP, _NEAR, _WIDE = 0.006, 0.0035, 0.012
"""Distance to which shadows fall, and how soft the near and the wide one are, as shares of the side."""
_NEAR_SHARE = 0.45
_SHADOW = f"""\
<filter id="shadow" filterUnits="userSpaceOnUse" x="0" y="0" width="1000" height="1000">
<feOffset in="SourceAlpha" dx="{500 * _STEP:g}" dy="{500 * _STEP:g}"/>
<feGaussianBlur stdDeviation="{1000 * _NEAR:g}" result="near"/>
<feOffset in="SourceAlpha" dx="{1500 * _STEP:g}" dy="{1500 * _STEP:g}"/>
<feGaussianBlur stdDeviation="{1000 * _WIDE:g}" result="wide"/>
<feComposite in="near" in2="wide" operator="arithmetic" k2="{{near:g}}" k3="{{wide:g}}"/>
</filter>"""


@dataclass(frozen=True)
class Cutout(Look):
    """Sheets of paper that are cut along the forms of the picture.

    Args:
        colours: Number of sheets, each of one colour.
        depth: Strength of the shadows.
        round: Radius to which corners are rounded, in hundredths of the side.
        texture: Strength of the paper's relief.
    """

    name: ClassVar[str] = "cutout"
    vector: ClassVar[bool] = True

    colours: Annotated[int, Between(3, 8)] = 6  # type: ignore[misc]
    depth: Annotated[float, Between(0, 1)] = 0.5
    round: Annotated[float, Between(0.4, 3)] = 1.1
    texture: Annotated[float, Between(0, 1)] = 0.4

    def stripe(self, sketch: Sketch, size: int, rng: np.random.Generator) -> Stripe:
        """Return the function that draws rows of the picture."""
        colours, layers = sheets(sketch, self.round / 100)
        shadows = [_shadow(layer) for layer in layers]
        relief = paper(rng)
        shifts = rng.integers(0, relief.shape[0], (len(colours), 2))

        def draw(top: int, bottom: int) -> Array:
            values = filled(colours[0], bottom - top, size)
            sheet = np.zeros(values.shape[1:], dtype=np.float32)
            fibres = enlarge(relief, size, top, bottom)
            for index, (layer, shadow) in enumerate(zip(layers, shadows, strict=True), start=1):
                field, down, right = with_slope(layer, size, top, bottom)
                if field.max() < -0.45:
                    continue
                values *= 1 - np.float32(_SHADE * self.depth) * enlarge(shadow, size, top, bottom)
                slope = steepness(down, right)
                distance = field / slope
                inside = cover(distance)
                lit = np.where(distance < _EDGE * size, -(down + right) / slope, 0) * np.float32(-0.07 * self.depth)
                mix(values, colours[index][:, None, None] * (1 + lit), inside)
                shifted = np.roll(fibres, int(shifts[index, 0] * size / relief.shape[0]), axis=1)
                sheet += inside * (shifted - sheet)
            values *= 1 + np.float32(0.035 * self.texture) * np.clip(sheet, -3, 3)
            return values

        return draw

    def svg(self, sketch: Sketch, rng: np.random.Generator) -> str:  # noqa: ARG002
        """Return one path per sheet from the lowest to the highest, over the shadow that it throws."""
        colours, layers = sheets(sketch, self.round / 100)
        hexes = ["#" + bytes(np.rint(colour * 255).astype(np.uint8)).hex() for colour in colours]
        shade = _SHADE * self.depth
        parts = [_SHADOW.format(near=_NEAR_SHARE * shade, wide=(1 - _NEAR_SHARE) * shade)]
        parts.append(f'<rect width="1000" height="1000" fill="{hexes[0]}"/>')
        for index, (colour, layer) in enumerate(zip(hexes[1:], layers, strict=True)):
            if data := smooth_paths(layer):
                if self.depth:
                    parts.append(f'<use xlink:href="#sheet{index}" filter="url(#shadow)"/>')
                parts.append(f'<path id="sheet{index}" fill="{colour}" d="{data}"/>')
        return "\n".join(parts)


def sheets(sketch: Sketch, softness: float) -> tuple[Array, list[Array]]:
    """Return the colours of the sheets from the lowest up, and for all but the lowest a field, above 0 where it lies.

    What surrounds the picture lies lowest: light sheets lie over dark ones, or the other way round.
    """
    labels, colours = sketch.still.labels, sketch.palette.rgb
    rim = np.concatenate([labels[:12].ravel(), labels[:90, :12].ravel(), labels[:90, -12:].ravel()])
    layers = [sketch.layer(index, softness) for index in range(1, len(colours))]
    if rim.mean() > labels.mean():
        return colours[::-1], [-layer for layer in reversed(layers)]
    return colours, layers


def _shadow(layer: Array) -> Array:
    """Return the shadow ``(n, n)`` in [0, 1] that a sheet throws down and to the right; a near and a wide one."""
    sheet = np.clip(layer * 12 + 0.5, 0, 1)
    step = layer.shape[0] * _STEP
    near, wide = _shifted(sheet, 0.5 * step), _shifted(sheet, 1.5 * step)
    return _NEAR_SHARE * blur(near, _NEAR) + (1 - _NEAR_SHARE) * blur(wide, _WIDE)


def _shifted(field: Array, step: float) -> Array:
    shift = max(1, round(step))
    return np.pad(field, ((shift, 0), (shift, 0)), mode="edge")[: field.shape[0], : field.shape[1]]
