"""Pixel art: few colours, large square pixels, ordered dither between neighbouring colours."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, ClassVar, Literal

import numpy as np

from covergen_cli.config.fields import Between
from covergen_cli.covers.looks.base import Look

if TYPE_CHECKING:
    from covergen_cli.covers.looks.arrays import Array
    from covergen_cli.covers.looks.base import Stripe
    from covergen_cli.covers.looks.sketch import Sketch


@dataclass(frozen=True)
class Dither(Look):
    """Square pixels in the colours of the palette, as home computers showed pictures.

    Args:
        cells: Number of square pixels per side.
        colours: Number of colours.
        matrix: Side of the dither pattern in pixels.
        spread: Strength of the dithering; 0 leaves flat areas.
    """

    name: ClassVar[str] = "dither"

    cells: Annotated[int, Between(32, 256)] = 128
    colours: Annotated[int, Between(2, 8)] = 6  # type: ignore[misc]
    matrix: Literal["2", "4", "8"] = "4"
    spread: Annotated[float, Between(0, 1)] = 1.0

    def stripe(self, sketch: Sketch, size: int, rng: np.random.Generator) -> Stripe:  # noqa: ARG002
        """Return the function that draws rows of the picture."""
        colours = sketch.palette.rgb
        chosen = colours.T[:, self._chosen(sketch)]
        edges = np.arange(size + 1) * (self.cells / size)
        # A pixel of the file across whose middle an edge runs is shared, so that all cells are equally large.
        first = np.minimum(edges[:-1].astype(int), self.cells - 1)
        last = np.minimum(np.ceil(edges[1:]).astype(int) - 1, self.cells - 1)
        share = np.where(last > first, (edges[1:] - last) / (edges[1:] - edges[:-1]), 0).astype(np.float32)

        def draw(top: int, bottom: int) -> Array:
            rows = slice(top, bottom)
            down = share[rows, None]
            band = chosen[:, first[rows]] * (1 - down) + chosen[:, last[rows]] * down
            return np.asarray(band[:, :, first] * (1 - share) + band[:, :, last] * share)

        return draw

    def _chosen(self, sketch: Sketch) -> np.ndarray:
        """Return the colour's index of every cell."""
        first, second, share = sketch.between(self.cells)
        side = int(self.matrix)
        repeats = -(-self.cells // side)
        threshold = np.tile(_bayer(side), (repeats, repeats))[: self.cells, : self.cells]
        # What is near a colour stays flat; single dots all over would be noise.
        return np.where(self.spread * np.clip(1.4 * share - 0.2, 0, 0.5) > threshold, second, first)


def _bayer(side: int) -> np.ndarray:
    """Return the thresholds ``(side, side)`` in (0, 1) of Bayer's ordered dither (1973)."""
    matrix = np.zeros((1, 1))
    while len(matrix) < side:
        matrix = np.block([[4 * matrix, 4 * matrix + 2], [4 * matrix + 3, 4 * matrix + 1]])
    return (matrix + 0.5) / matrix.size
