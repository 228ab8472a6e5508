"""The picture behind ribbed glass."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, ClassVar, Literal

import numpy as np
import scipy
from PIL import Image

from covergen_cli.config.fields import Between
from covergen_cli.covers.looks.base import Look
from covergen_cli.covers.looks.paper import noise
from covergen_cli.covers.looks.raster import blur, enlarge
from covergen_cli.measures.colour import oklab_to_srgb

if TYPE_CHECKING:
    from covergen_cli.covers.looks.arrays import Array
    from covergen_cli.covers.looks.base import Stripe
    from covergen_cli.covers.looks.sketch import Sketch

_RAYS = 9
"""Rays of light per column of the picture."""
_PICTURE = np.float32(0.4)
"""Share of the picture itself; the rest are the palette's colours."""
_DEEPEST = np.float32(0.24)
"""Least lightness of these: what is darker would not show the glass."""

_TRAVEL = 1.5
"""How far the glass moves to each side during a loop, in widths of a rib."""


@dataclass(frozen=True)
class Fluted(Look):
    """Ribs of glass, each of which shows a wider strip of the picture, bent.

    Args:
        ribs: Number of ribs.
        bend: Width of the picture seen through one rib, in widths of a rib.
        run: Direction of the ribs, upright or level.
        grain: Strength of the grain.
    """

    name: ClassVar[str] = "fluted"

    ribs: Annotated[int, Between(4, 80)] = 18
    bend: Annotated[float, Between(1, 6)] = 2.8
    run: Literal["upright", "level"] = "upright"
    grain: Annotated[float, Between(0, 1)] = 0.35

    def stripe(self, sketch: Sketch, size: int, rng: np.random.Generator) -> Stripe:
        """Return the function that draws rows of the picture."""
        edges = np.linspace(0, 1, self.ribs + 1)
        edges[1:-1] += rng.normal(0, 0.05 / self.ribs, self.ribs - 1)
        source = _source(sketch)
        level = self.run == "level"
        travel = _TRAVEL / self.ribs * np.sin(2 * np.pi * sketch.phase)
        rays, shade = self._glass(edges, size, source.shape[0], travel)
        bent = _through(rays, source.transpose(2, 1, 0) if level else source.transpose(2, 0, 1))
        grain = noise(rng, 0.0006)

        def draw(top: int, bottom: int) -> Array:
            if level:
                values = _resized(bent[..., top:bottom], (bottom - top, size), 0, source.shape[0]).transpose(0, 2, 1)
                values = values * shade[top:bottom, None]
            else:
                scale = source.shape[0] / size
                values = _resized(bent, (size, bottom - top), top * scale, bottom * scale) * shade
            values += np.float32(0.05 * self.grain) * np.clip(enlarge(grain, size, top, bottom), -3, 3)
            return np.asarray(values)

        return draw

    def _glass(self, edges: np.ndarray, size: int, side: int, travel: float) -> tuple[scipy.sparse.csr_array, Array]:
        """Return what each column shows, weights ``(size, side)`` of the picture's columns, and its light ``(size,)``.

        Several rays per column keep steep bends free of steps.
        """
        u = (np.arange(size * _RAYS) + 0.5) / (size * _RAYS) + travel
        edges = np.concatenate([edges[-4:-1] - 1, edges, edges[1:4] + 1])  # for glass that has moved
        rib = np.searchsorted(edges, u, side="right") - 1
        left, right = edges[rib], edges[rib + 1]
        place = (u - left) / (right - left) * 2 - 1
        # Thickness grows towards the middle like a lens: the bend is strongest at the ribs' edges.
        seen = (left + right) / 2 - travel + 0.5 * self.bend * (right - left) * (0.7 * place + 0.3 * place**3)
        column = np.abs(seen) * side - 0.5
        column = np.clip(np.where(column > side - 1, 2 * (side - 1) - column, column), 0, side - 1)
        first = np.minimum(column.astype(int), side - 2)
        part = column - first
        rows = np.repeat(np.arange(size), _RAYS)
        weights = np.concatenate([1 - part, part]) / _RAYS
        places = (np.concatenate([rows, rows]), np.concatenate([first, first + 1]))
        light = 1 - 0.24 * np.abs(place) ** 4 + 0.16 * np.exp(-(((place + 0.62) / 0.13) ** 2)) - 0.10 * (place > 0.93)
        rays = scipy.sparse.csr_array((weights.astype(np.float32), places), shape=(size, side))
        return rays, light.reshape(size, _RAYS).mean(1).astype(np.float32)


def _source(sketch: Sketch) -> Array:
    """Return what is behind the glass, sRGB ``(n, n, 3)``: the picture, and the palette's colours as soft fields."""
    side = len(sketch.graded)
    fields = sketch.plate(sketch.palette.lab, side)
    soft = np.stack([blur(field, 0.022) for field in fields], axis=-1)
    soft[..., 0] = np.maximum(soft[..., 0], _DEEPEST)
    return np.asarray(_PICTURE * sketch.graded + (1 - _PICTURE) * oklab_to_srgb(soft).astype(np.float32) / 255)


def _through(rays: scipy.sparse.csr_array, source: Array) -> Array:
    """Return a picture ``(3, side, side)`` seen through the glass, ``(3, side, size)``."""
    side = source.shape[2]
    flat = np.ascontiguousarray(source.transpose(2, 0, 1)).reshape(side, -1)
    seen = np.asarray(rays @ flat, dtype=np.float32).reshape(-1, 3, side)
    return np.asarray(seen.transpose(1, 2, 0))


def _resized(picture: Array, size: tuple[int, int], top: float, bottom: float) -> Array:
    """Return the part of a picture ``(3, h, w)`` from one height to another, resized to ``(width, height)``."""
    box = (0, top, picture.shape[2], bottom)
    parts = [Image.fromarray(np.ascontiguousarray(one)) for one in picture]
    return np.stack([np.asarray(part.resize(size, Image.Resampling.BICUBIC, box=box)) for part in parts])
