"""One screen of dots in a dark ink over flat colours, as on posters."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, ClassVar

import numpy as np
import scipy

from covergen_cli.config.fields import Between
from covergen_cli.covers.looks.base import Look
from covergen_cli.covers.looks.paper import on_paper, paper
from covergen_cli.covers.looks.raster import edge, enlarge, filled, mix
from covergen_cli.covers.looks.screens import dots
from covergen_cli.measures.colour import oklab_to_srgb, oklch

if TYPE_CHECKING:
    from covergen_cli.covers.looks.arrays import Array
    from covergen_cli.covers.looks.base import Stripe
    from covergen_cli.covers.looks.sketch import Sketch

_PLATE = 768
"""Side of the plate that is screened."""


@dataclass(frozen=True)
class Halftone(Look):
    """Dots of one dark ink on light flat colours.

    Args:
        pitch: Number of dots per side.
        angle: Angle of the screen in degrees.
        flats: Print the picture's colours under the ink, or one light colour without.
        texture: Strength of the paper's relief.
    """

    name: ClassVar[str] = "halftone"

    pitch: Annotated[int, Between(16, 240)] = 68
    angle: Annotated[int, Between(0, 90)] = 45
    flats: bool = True
    texture: Annotated[float, Between(0, 1)] = 0.3

    def stripe(self, sketch: Sketch, size: int, rng: np.random.Generator) -> Stripe:
        """Return the function that draws rows of the picture."""
        ink, flats = _inks(sketch)
        layers = [sketch.layer(index, 0.008) for index in range(1, len(flats))] if self.flats else []
        flats = flats if self.flats else flats[-1:]
        # The darkest part is solid ink, the lightest bare: a print has both.
        amount = np.clip((1 - sketch.tone) * 1.3 - (0.26 if self.flats else 0.16), 0, 1) ** np.float32(1.2)
        plate = self._plate(sketch, amount)
        sheet = paper(rng)

        def draw(top: int, bottom: int) -> Array:
            values = filled(flats[0], bottom - top, size)
            for layer, flat in zip(layers, flats[1:], strict=True):
                mix(values, flat, edge(layer, size, top, bottom))
            printed = dots(np.clip(enlarge(plate, size, top, bottom), 0, 1), size, top, self.pitch, self.angle)
            mix(values, ink, printed)
            return on_paper(values, sheet, size, top, bottom, 0.03 * self.texture)

        return draw

    def _plate(self, sketch: Sketch, amount: Array) -> Array:
        """Return the ink's amount, half of it even in each region, so that forms have edges."""
        means = scipy.ndimage.mean(amount, sketch.labels, np.arange(len(sketch.palette.hexes)))
        even = sketch.plate(np.nan_to_num(means)[:, None].astype(np.float32), _PLATE)[0]
        return np.asarray(0.5 * even + 0.5 * enlarge(amount, _PLATE, 0, _PLATE))


def _inks(sketch: Sketch) -> tuple[Array, Array]:
    """Return the dark ink ``(3,)`` and the flat colours ``(n, 3)`` in sRGB, which are the palette made light."""
    lab = sketch.palette.lab
    chroma = np.hypot(lab[:, 1], lab[:, 2])
    hue = np.rad2deg(np.arctan2(lab[:, 2], lab[:, 1]))
    # A near-black ink would turn what lies under it grey, so it is as colourful as the picture.
    ink = oklch(0.3, max(float(chroma[0]), 0.75 * float(chroma.max())), float(hue[0]))
    lightness = np.linspace(0.66, 0.95, len(lab))
    flats = [oklch(float(lightness[i]), min(1.25 * chroma[i] + 0.02, 0.125), float(hue[i])) for i in range(len(lab))]
    rgb = oklab_to_srgb(np.stack([ink, *flats])).astype(np.float32) / 255
    return rgb[0], rgb[1:]
