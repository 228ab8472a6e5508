"""The frames of a moving cover, drawn at the size of the file by processes; the first one is the cover."""

from __future__ import annotations

import multiprocessing
from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
from PIL import Image

from covergen_cli.covers.looks.raster import draw_rows, enlarge
from covergen_cli.covers.looks.sketch import sketch_of
from covergen_cli.covers.motion.drift import Drift, Moment, Scene

if TYPE_CHECKING:
    from covergen_cli.covers.looks import Look, Palette

    Array = npt.NDArray[np.float32]
    Frame = npt.NDArray[np.uint8]

_LEAST_SIDE = 1024
_DEPTH = 0.5
"""Depth at which a picture without layers moves."""


@dataclass(frozen=True)
class MovingCover:
    """What the frames of a cover are drawn from.

    Args:
        picture: the picture as it was drawn, or without a look the cover at ``max(width, height)`` pixels per side.
        look: ``None`` for a picture without a look.
        palette: colours to use instead of the picture's.
        seed: that drew the picture.
        width: pixels of a frame; the middle of the cover is shown where it is not square.
        height: likewise.
        overlay: RGBA of the size of a frame that lies still over all frames, such as text.
    """

    picture: Image.Image
    look: Look | None
    palette: Palette | None
    seed: int
    width: int
    height: int
    overlay: Image.Image | None = None

    @property
    def side(self) -> int:
        """Pixels per side of the square that the frames show the middle of."""
        return max(self.width, self.height)

    @property
    def left(self) -> int:
        """First column of the square that is shown."""
        return (self.side - self.width) // 2

    @property
    def top(self) -> int:
        """First row of the square that is shown."""
        return (self.side - self.height) // 2


class FrameDrawer:
    """Draws the frames of one cover, in the process that made it."""

    def __init__(self, cover: MovingCover) -> None:
        self._cover = cover
        look, drift = cover.look, Drift(cover.seed)
        if look is None:
            pixels = np.asarray(cover.picture.convert("RGB"), dtype=np.float32)
            self._draw = partial(_draw_without_look, cover, pixels, drift)
        else:
            sketch = sketch_of(cover.picture, cover.seed, look.colours, cover.palette)
            self._draw = partial(_draw_with_look, cover, look, Scene(sketch, drift))
        overlay = cover.overlay
        self._overlay = None if overlay is None else np.asarray(overlay, dtype=np.uint16)

    def draw(self, moment: Moment) -> Frame:
        """Return a frame, sRGB ``(height, width, 3)``."""
        frame = self._draw(moment)
        if self._overlay is not None:
            alpha = self._overlay[..., 3:]
            frame = ((self._overlay[..., :3] * alpha + frame * (255 - alpha) + 127) // 255).astype(np.uint8)
        return frame


def _draw_with_look(cover: MovingCover, look: Look, scene: Scene, moment: Moment) -> Frame:
    factor = -(-_LEAST_SIDE // cover.side)
    left, top = factor * cover.left, factor * cover.top
    stripe = look.stripe(scene.at(moment), factor * cover.side, np.random.default_rng([cover.seed, 1]))
    rows = draw_rows(stripe, factor * cover.side, (top, top + factor * cover.height))
    frame = np.ascontiguousarray(rows[:, left : left + factor * cover.width])
    return frame if factor == 1 else np.asarray(Image.fromarray(frame).reduce(factor))


def _draw_without_look(cover: MovingCover, pixels: Array, drift: Drift, moment: Moment) -> Frame:
    """Return the picture with every pixel moved, by bilinear interpolation."""
    rows, columns = slice(cover.top, cover.top + cover.height), slice(cover.left, cover.left + cover.width)
    if moment.is_still:
        return pixels[rows, columns].astype(np.uint8)
    shift = drift.displacement(moment, _DEPTH) * cover.side
    down, right = (enlarge(one, cover.side, rows.start, rows.stop)[:, columns] for one in shift)
    y = np.clip(down + np.arange(rows.start, rows.stop, dtype=np.float32)[:, None], 0, cover.side - 1.001)
    x = np.clip(right + np.arange(columns.start, columns.stop, dtype=np.float32)[None, :], 0, cover.side - 1.001)
    i, j = y.astype(np.int32), x.astype(np.int32)
    v, u = (y - i)[..., None], (x - j)[..., None]
    above = pixels[i, j] * (1 - u) + pixels[i, j + 1] * u
    below = pixels[i + 1, j] * (1 - u) + pixels[i + 1, j + 1] * u
    return np.asarray(np.rint(above * (1 - v) + below * v), dtype=np.uint8)


_drawers: list[FrameDrawer] = []
"""That of a process which draws frames."""


def _start_drawing(cover: MovingCover) -> None:
    _drawers[:] = [FrameDrawer(cover)]


def _draw(moment: Moment) -> Frame:
    return _drawers[0].draw(moment)


def draw_frames(cover: MovingCover, moments: Sequence[Moment], *, processes: int) -> Iterator[Frame]:
    """Yield the frames of some moments in order, drawn by processes that are a few frames ahead.

    Args:
        cover: what to draw.
        moments: of each frame.
        processes: number of processes; with 1 the frames are drawn in this one.
    """
    if processes == 1:
        drawer = FrameDrawer(cover)
        yield from map(drawer.draw, moments)
        return
    # Spawned, because forking a process that has threads can hang.
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(processes, context, _start_drawing, (cover,)) as pool:
        ahead: deque[Future[Frame]] = deque()
        try:
            for moment in moments:
                ahead.append(pool.submit(_draw, moment))
                if len(ahead) > 2 * processes:
                    yield ahead.popleft().result()
            while ahead:
                yield ahead.popleft().result()
        finally:
            for future in ahead:
                future.cancel()
