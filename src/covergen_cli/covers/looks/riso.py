"""Stencil print: two or three bright inks on rough paper, each with its own screen and a little out of register."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import combinations
from typing import TYPE_CHECKING, Annotated, ClassVar, Literal

import numpy as np
import scipy

from covergen_cli.config.fields import Between
from covergen_cli.covers.looks.base import Look
from covergen_cli.covers.looks.palette import Palette
from covergen_cli.covers.looks.paper import noise, on_paper, paper
from covergen_cli.covers.looks.raster import enlarge, filled
from covergen_cli.covers.looks.screens import dots, grain, grains
from covergen_cli.measures.colour import srgb_to_oklab

if TYPE_CHECKING:
    from covergen_cli.covers.looks.arrays import Array
    from covergen_cli.covers.looks.base import Stripe
    from covergen_cli.covers.looks.sketch import Sketch

PAPER = Palette(("#f6f1e4",))
INKS = Palette(
    (
        "#ff48b0",
        "#f15060",
        "#ff6c2f",
        "#ffb511",
        "#ffe800",
        "#44d62c",
        "#00a95c",
        "#00838a",
        "#0078bf",
        "#3255a4",
        "#5f8289",
        "#765ba7",
        "#914e72",
        "#2b2a35",
        "#62c2b1",
        "#b44b65",
        "#62a8e5",
        "#235ba8",
    )
)
"""Inks as printers of this kind sell them, on white paper."""
_ANGLES = (15, 75, 45)
_PLATE = 768
"""Side of the plates that are screened."""


@dataclass(frozen=True)
class Riso(Look):
    """Overprinted spot inks.

    Args:
        inks: Number of inks.
        screen: Screen of regular dots, or of random grain.
        pitch: Number of dots per side.
        shift: Offset between the inks, in thousandths of the side.
        texture: Strength of the paper's relief and of uneven ink.
    """

    name: ClassVar[str] = "riso"

    inks: Annotated[int, Between(2, 3)] = 3
    screen: Literal["dots", "grain"] = "dots"
    pitch: Annotated[int, Between(40, 300)] = 110
    shift: Annotated[float, Between(0, 10)] = 2.5
    texture: Annotated[float, Between(0, 1)] = 0.5

    def stripe(self, sketch: Sketch, size: int, rng: np.random.Generator) -> Stripe:
        """Return the function that draws rows of the picture."""
        sheet = PAPER.rgb[0]
        inks = self._inks(sketch)
        amounts = self._printed(sketch, inks)
        planes = [self._out_of_register(one, rng) for one in amounts]
        screens = [grains(rng) for _ in range(self.inks)] if self.screen == "grain" else []
        mottle = [noise(rng, 0.004, 256) for _ in range(self.inks)]
        specks, relief = noise(rng, 0.0007), paper(rng)

        def draw(top: int, bottom: int) -> Array:
            values = filled(sheet, bottom - top, size)
            bare = np.clip((enlarge(specks, size, top, bottom) - 2.6) * 2, 0, 1)
            for index, plane in enumerate(planes):
                amount = np.clip(enlarge(plane, size, top, bottom), 0, 1)
                if screens:
                    ink = grain(amount, screens[index], size, top, bottom)
                else:
                    ink = dots(amount, size, top, self.pitch, _ANGLES[index])
                uneven = 1 - self.texture * np.clip(0.1 + 0.06 * enlarge(mottle[index], size, top, bottom), 0, 0.4)
                ink *= uneven * (1 - self.texture * np.roll(bare, 37 * index, axis=1))
                values *= 1 - ink * (1 - inks[index] / sheet)[:, None, None]
            return on_paper(values, relief, size, top, bottom, 0.02 * self.texture)

        return draw

    def _printed(self, sketch: Sketch, inks: Array) -> Array:
        """Return the amount of each ink, ``(inks, n, n)``: two thirds flat in each region, one third as the picture."""
        densities = _density(inks, PAPER.rgb[0])
        flat = _amounts(_density(sketch.palette.rgb, PAPER.rgb[0]), densities, 200)
        target = sketch.graded[::4, ::4]
        picture = _amounts(_density(target.reshape(-1, 3), PAPER.rgb[0]), densities, 60)
        picture = picture.T.reshape(self.inks, *target.shape[:2])
        amounts = sketch.plate(flat, _PLATE)
        mixed = 0.68 * amounts + 0.32 * enlarge(picture, _PLATE, 0, _PLATE)
        return np.clip(1.15 * mixed - 0.04, 0, 1).astype(np.float32)

    def _inks(self, sketch: Sketch) -> Array:
        """Return the inks ``(n, 3)``, sRGB, that together print the palette best, the darkest first."""
        sheet = PAPER.rgb[0]
        goal, aim = _density(sketch.palette.rgb, sheet), sketch.palette.lab
        chosen = np.array(list(combinations(range(len(INKS.hexes)), self.inks)))
        densities = _density(INKS.rgb[chosen], sheet)
        printed = sheet * np.exp(-np.clip(_amounts(goal, densities, 25), 0, 1) @ densities)
        away = srgb_to_oklab(np.rint(255 * printed).astype(np.uint8)) - aim
        errors = (sketch.shares[:, None] * away**2 * np.array([1, 14, 14])).sum((1, 2))
        found = INKS.rgb[chosen[int(errors.argmin())]]
        return np.asarray(found[np.argsort(found @ np.array([0.3, 0.6, 0.1], dtype=np.float32))])

    def _out_of_register(self, plane: Array, rng: np.random.Generator) -> Array:
        """Return a plane moved by less than a few pixels, its edges repeated."""
        moved = rng.uniform(-1, 1, 2) * self.shift / 1000 * len(plane)
        return np.asarray(scipy.ndimage.shift(plane, moved, order=1, mode="nearest"))


def _density(rgb: Array, sheet: Array) -> Array:
    """Return optical densities on the paper: what inks print over each other adds up."""
    return -np.log(np.clip(rgb / sheet, 0.02, 1)).astype(np.float32)


def _amounts(goal: Array, inks: Array, steps: int) -> Array:
    """Return how much ``(…, n, k)`` of each ink ``(…, k, 3)`` adds up to densities ``(n, 3)``: least squares, ≥ 0."""
    across = np.swapaxes(inks, -1, -2)
    product = inks @ across
    aim = goal @ across
    amounts = np.full(aim.shape, 0.4, dtype=np.float32)
    for _ in range(steps):
        amounts *= (aim + 1e-4) / (amounts @ product + 1e-4)  # multiplicative updates, Lee and Seung (2001)
    return amounts
