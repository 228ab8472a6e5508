"""Drawing at the size of the file: fields that are enlarged stripe by stripe, and edges one pixel wide."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
import scipy
from PIL import Image

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from covergen_cli.covers.looks.arrays import Array

_STRIPE_PIXELS = 600_000
_LEAST_SIDE = 1024
_THREADS = 2


def draw(stripe_at: Callable[[int], Callable[[int, int], Array]], size: int) -> Image.Image:
    """Draw a picture in stripes, in two threads.

    Below 1024 pixels it is drawn larger and reduced, so that screens and lines look as they do in a large file.

    Args:
        stripe_at: pixels per side → the function that draws the rows from one to another.
        size: pixels per side of the result.
    """
    factor = -(-_LEAST_SIDE // size)
    with ThreadPoolExecutor(_THREADS) as pool:
        image = Image.fromarray(draw_rows(stripe_at(factor * size), factor * size, (0, factor * size), pool.map))
    return image.reduce(factor) if factor > 1 else image


def draw_rows(
    stripe: Callable[[int, int], Array],
    side: int,
    rows: tuple[int, int],
    mapping: Callable[[Callable[[int], None], range], Iterable[None]] = map,
) -> npt.NDArray[np.uint8]:
    """Draw some rows of a picture in stripes.

    Args:
        stripe: draws the rows from one to another.
        side: pixels per side of the picture.
        rows: the first one, and the one after the last.
        mapping: calls a function for every stripe, as ``map`` does.

    Returns:
        sRGB ``(rows, side, 3)``.
    """
    height = max(16, _STRIPE_PIXELS // side)
    begin, end = rows
    pixels = np.empty((end - begin, side, 3), dtype=np.uint8)

    def fill(top: int) -> None:
        first, last = max(top, begin), min(top + height, end)
        values = stripe(first, last)
        values *= 255
        np.rint(values, out=values)
        pixels[first - begin : last - begin] = np.clip(values, 0, 255, out=values).transpose(1, 2, 0)

    for _ in mapping(fill, range(begin // height * height, end, height)):
        pass
    return pixels


def enlarge(field: Array, size: int, top: int, bottom: int) -> Array:
    """Return rows ``top`` to ``bottom`` of a square field ``(n, n)`` that is resized to ``size`` by bicubic filtering.

    Fields ``(c, n, n)`` give ``(c, bottom − top, size)``.
    """
    if field.ndim == 3:
        return np.stack([enlarge(one, size, top, bottom) for one in field])
    scale = field.shape[0] / size
    box = (0, top * scale, field.shape[1], bottom * scale)
    image = Image.fromarray(np.ascontiguousarray(field, dtype=np.float32))
    return np.asarray(image.resize((size, bottom - top), Image.Resampling.BICUBIC, box=box))


def with_slope(field: Array, size: int, top: int, bottom: int) -> tuple[Array, Array, Array]:
    """Return rows of an enlarged field, and its change per pixel down and to the right, each ``(rows, size)``."""
    above, below = max(0, top - 1), min(size, bottom + 1)
    values = enlarge(field, size, above, below)
    down, right = np.gradient(values)
    keep = slice(top - above, top - above + bottom - top)
    return values[keep], down[keep], right[keep]


def edge(field: Array, size: int, top: int, bottom: int) -> Array:
    """Return how much of each pixel of some rows lies where a field is above 0; the edge is one pixel wide."""
    values, down, right = with_slope(field, size, top, bottom)
    return cover(values / steepness(down, right))


def steepness(down: Array, right: Array) -> Array:
    """Return the length of slopes, a little above 0 everywhere."""
    return np.asarray(np.sqrt(down * down + right * right + np.float32(1e-12)))


def cover(distance: Array) -> Array:
    """Return how much of each pixel lies inside a form, from the distance to its edge in pixels, positive inside."""
    return np.asarray(np.clip(distance + np.float32(0.5), 0, 1))


def filled(colour: Array, rows: int, size: int) -> Array:
    """Return rows ``(c, rows, size)`` of one colour ``(c,)``."""
    return np.asarray(np.broadcast_to(colour[:, None, None], (len(colour), rows, size)).copy())


def mix(below: Array, above: Array, share: Array) -> None:
    """Lay a colour ``(c,)`` or ``(c, h, w)`` over ``below`` ``(c, h, w)`` in place, by the ``share`` ``(h, w)``."""
    if share.max() > 0:
        below += share * ((above[:, None, None] if above.ndim == 1 else above) - below)


def blur(field: Array, share: float) -> Array:
    """Gaussian blur of ``(n, n)``; the standard deviation is a share of the side."""
    return np.asarray(scipy.ndimage.gaussian_filter(field, share * field.shape[0], mode="nearest"), dtype=np.float32)


def coordinates(size: int, top: int, bottom: int) -> tuple[Array, Array]:
    """Return x ``(1, size)`` and y ``(rows, 1)`` of the centres of the pixels, each from 0 to 1."""
    across = (np.arange(size, dtype=np.float32) + 0.5) / size
    return across[None, :], (np.arange(top, bottom, dtype=np.float32)[:, None] + np.float32(0.5)) / size


def components(labels: npt.NDArray[np.integer], least: float) -> npt.NDArray[np.integer]:
    """Give islands that are smaller than a share of the picture to the region around them."""
    small = np.zeros(labels.shape, dtype=bool)
    for value in np.unique(labels):
        islands, count = scipy.ndimage.label(labels == value)
        areas = np.bincount(islands.ravel(), minlength=count + 1)
        areas[0] = labels.size
        small |= (areas < least * labels.size)[islands]
    if small.all() or not small.any():
        return labels
    nearest = scipy.ndimage.distance_transform_edt(small, return_distances=False, return_indices=True)
    return np.asarray(labels[tuple(nearest)])
