"""Geometry of the middle of the last century: discs, quarters and bars on a grid, chosen to fit the picture."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, ClassVar, NamedTuple

import numpy as np

from covergen_cli.config.fields import Between
from covergen_cli.covers.looks.base import Look
from covergen_cli.covers.looks.paper import on_paper, paper
from covergen_cli.covers.looks.raster import cover, mix
from covergen_cli.covers.looks.sketch import SIDE

if TYPE_CHECKING:
    from collections.abc import Callable

    from covergen_cli.covers.looks.arrays import Array
    from covergen_cli.covers.looks.base import Stripe
    from covergen_cli.covers.looks.sketch import Sketch


class Shape(NamedTuple):
    """A form in the unit square.

    Args:
        inside: distance to the edge at x and y, positive inside.
        path: the same as SVG path data.
        turns: how many of its quarter turns differ.
        liking: how much worse it may fit than another one and still be chosen.
    """

    inside: Callable[[Array, Array], Array]
    path: str
    turns: int
    liking: float


def _from_corner(x: Array, y: Array) -> Array:
    return np.hypot(x, y)


def _from_middle(x: Array, y: Array) -> Array:
    return np.hypot(x - 0.5, y - 0.5)


_SQUARE = "M0 0H1V1H0Z"
_DISC = "M0 .5A.5 .5 0 0 1 1 .5A.5 .5 0 0 1 0 .5Z"
_HOLE = "M.25 .5A.25 .25 0 0 0 .75 .5A.25 .25 0 0 0 .25 .5Z"
SHAPES = {
    "plain": Shape(lambda x, y: np.ones_like(x + y), _SQUARE, 1, 0.0),
    "disc": Shape(lambda x, y: 0.5 - _from_middle(x, y), _DISC, 1, 0.2),
    "ring": Shape(lambda x, y: 0.125 - np.abs(_from_middle(x, y) - 0.375), _DISC + _HOLE, 1, 0.05),
    "dot": Shape(lambda x, y: 0.25 - _from_middle(x, y), _HOLE.replace("0 0 0", "0 0 1"), 1, 0.1),
    "quarter": Shape(lambda x, y: 1 - _from_corner(x, y), "M0 0H1A1 1 0 0 1 0 1Z", 4, 0.2),
    "arch": Shape(
        lambda x, y: 0.25 - np.abs(_from_corner(x, y) - 0.75),
        "M.5 0H1A1 1 0 0 1 0 1V.5A.5 .5 0 0 0 .5 0Z",
        4,
        0.15,
    ),
    "half": Shape(lambda x, y: 0.5 - np.hypot(x, y - 0.5), "M0 0A.5 .5 0 0 1 0 1Z", 4, 0.15),
    "leaf": Shape(
        lambda x, y: 1 - np.maximum(_from_corner(x, y), _from_corner(1 - x, 1 - y)),
        "M1 0A1 1 0 0 1 0 1A1 1 0 0 1 1 0Z",
        2,
        0.15,
    ),
    "triangle": Shape(lambda x, y: (1 - x - y) * np.float32(0.7071), "M0 0H1L0 1Z", 2, 0.1),
    "split": Shape(lambda x, y: 0.5 - x + 0 * y, "M0 0H.5V1H0Z", 2, 0.05),
    "bars": Shape(
        lambda x, y: np.abs((x * 3) % 1 - 0.5) / 3 - np.float32(1 / 12) + 0 * y,
        "M0 0H.0833V1H0ZM.25 0H.4167V1H.25ZM.5833 0H.75V1H.5833ZM.9167 0H1V1H.9167Z",
        2,
        0.0,
    ),
}


class Tile(NamedTuple):
    """A square of the grid.

    Args:
        left, top, side: in units of the picture's side.
        shape: key of :data:`SHAPES`.
        turns: clockwise quarter turns.
        ground, form: indices of colours.
    """

    left: float
    top: float
    side: float
    shape: str
    turns: int
    ground: int
    form: int


@dataclass(frozen=True)
class Poster(Look):
    """A grid whose squares hold the form and the two colours that fit the picture best there.

    Args:
        grid: Number of squares per side.
        splits: Number of times a square may be divided in four where the picture is busy.
        colours: Number of colours.
        texture: Strength of the paper's relief.
    """

    name: ClassVar[str] = "poster"
    vector: ClassVar[bool] = True

    grid: Annotated[int, Between(1, 8)] = 3
    splits: Annotated[int, Between(0, 2)] = 1
    colours: Annotated[int, Between(3, 8)] = 6  # type: ignore[misc]
    texture: Annotated[float, Between(0, 1)] = 0.4

    def stripe(self, sketch: Sketch, size: int, rng: np.random.Generator) -> Stripe:
        """Return the function that draws rows of the picture."""
        tiles = self._tiles(sketch.still, rng)
        colours = sketch.palette.rgb
        sheet = paper(rng)

        def draw(top: int, bottom: int) -> Array:
            values = np.zeros((3, bottom - top, size), dtype=np.float32)
            for number, tile in enumerate(tiles):
                left, right = round(tile.left * size), round((tile.left + tile.side) * size)
                upper, lower = round(tile.top * size), round((tile.top + tile.side) * size)
                first, last = max(top, upper), min(bottom, lower)
                if first < last:
                    part = values[:, first - top : last - top, left:right]
                    part[:] = colours[tile.ground][:, None, None]
                    y = ((np.arange(first, last, dtype=np.float32) + 0.5 - upper) / (lower - upper))[:, None]
                    x = ((np.arange(right - left, dtype=np.float32) + 0.5) / (right - left))[None, :]
                    place = _rotated(*turned(x, y, tile.turns), sketch.phase if number % 2 else -sketch.phase)
                    inside = SHAPES[tile.shape].inside(*place) * np.float32(right - left)
                    mix(part, colours[tile.form], cover(inside))
            return on_paper(values, sheet, size, top, bottom, 0.025 * self.texture)

        return draw

    def svg(self, sketch: Sketch, rng: np.random.Generator) -> str:
        """Return a square per tile, and over them a form per tile."""
        hexes = sketch.palette.hexes
        grounds, forms = [], []
        for tile in self._tiles(sketch, rng):
            place = f"translate({1000 * tile.left:.3f} {1000 * tile.top:.3f}) scale({1000 * tile.side:.3f})"
            turn = f" rotate({90 * tile.turns} .5 .5)" if tile.turns else ""
            # A hair of overlap hides the seams that viewers draw between neighbours.
            grounds.append(f'<path transform="{place}" fill="{hexes[tile.ground]}" d="M0 0H1.002V1.002H0Z"/>')
            colour = f'fill="{hexes[tile.form]}" stroke="{hexes[tile.form]}" stroke-width="{4e-4 / tile.side:.5f}"'
            forms.append(f'<path transform="{place}{turn}" {colour} d="{SHAPES[tile.shape].path}"/>')
        return "\n".join(grounds + forms)

    def _tiles(self, sketch: Sketch, rng: np.random.Generator) -> list[Tile]:
        """Return the tiles, which fill the square."""
        errors = np.stack(
            [((sketch.points - centre) ** 2 * np.array([1, 3.2, 3.2])).sum(-1) for centre in sketch.centres]
        )
        side = 1 / self.grid
        whole = float(errors.min(0).mean()) + 0.5 * float(sketch.points[..., 0].var())
        tiles: list[Tile] = []
        for row in range(self.grid):
            for column in range(self.grid):
                tiles += _divided(errors, (column * side, row * side, side), self.splits, whole, rng)[1]
        return tiles


def turned(x: Array, y: Array, turns: int) -> tuple[Array, Array]:
    """Return the coordinates in a form that stands turned clockwise by quarter turns, seen from the square."""
    for _ in range(turns):
        x, y = y, 1 - x
    return x, y


def _rotated(x: Array, y: Array, turn: float) -> tuple[Array, Array]:
    """Return coordinates in a form that is rotated about the middle of its square by a share of a whole turn."""
    if turn == 0:
        return x, y
    cos, sin = np.float32(np.cos(2 * np.pi * turn)), np.float32(np.sin(2 * np.pi * turn))
    return 0.5 + cos * (x - 0.5) - sin * (y - 0.5), 0.5 + sin * (x - 0.5) + cos * (y - 0.5)


def _divided(
    errors: Array, place: tuple[float, float, float], splits: int, scale: float, rng: np.random.Generator
) -> tuple[float, list[Tile]]:
    """Return the error and the tiles of a square: one, or those of its quarters where these fit much better."""
    left, top, side = place
    error, tile = _fitted(errors, place, scale, rng)
    if not splits:
        return error, [tile]
    half = side / 2
    corners = [(left + x, top + y, half) for y in (0, half) for x in (0, half)]
    quarters = [_divided(errors, corner, splits - 1, scale, rng) for corner in corners]
    gain = error - float(np.mean([quarter[0] for quarter in quarters]))
    if gain > 0.3 * scale:
        return error - gain, [tile for quarter in quarters for tile in quarter[1]]
    return error, [tile]


_GRAIN = 24


def _fitted(
    errors: Array, place: tuple[float, float, float], scale: float, rng: np.random.Generator
) -> tuple[float, Tile]:
    """Return the form, turn and two colours that fit a square best, and how badly."""
    left, top, side = place
    steps = (np.arange(_GRAIN, dtype=np.float32) + 0.5) / _GRAIN
    rows = np.minimum(((top + side * steps) * SIDE).astype(int), SIDE - 1)
    columns = np.minimum(((left + side * steps) * SIDE).astype(int), SIDE - 1)
    part = errors[:, rows][:, :, columns]
    found = []
    total = part.sum((1, 2))
    for name, shape in SHAPES.items():
        for turns in range(shape.turns):
            inside = shape.inside(*turned(steps[None, :], steps[:, None], turns)) > 0
            within = (part * inside).sum((1, 2))
            pairs = within[:, None] + (total - within)[None, :]
            np.fill_diagonal(pairs, np.inf)
            form, ground = np.unravel_index(int(pairs.argmin()), pairs.shape)
            error = float(pairs[form, ground]) / _GRAIN**2
            score = error - scale * (shape.liking + 0.25 * rng.random())
            found.append((score, error, Tile(left, top, side, name, turns, int(ground), int(form))))
    return min(found)[1:]
