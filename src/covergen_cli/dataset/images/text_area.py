"""Measure how much of a cover is text, without a model.

Letters are small shapes of thin strokes, lighter or darker than their surroundings, of similar height, side by side in
a row, and they end above and below. At three scales, top-hat transforms find strokes; shapes of the size of a letter
are linked to their neighbours, and the bounding box of four or more linked shapes counts as text.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt
from PIL import Image
from scipy import ndimage
from scipy.sparse.csgraph import connected_components

MUCH_TEXT = 0.04
"""Share of text from which on a cover counts as one with much text."""

_SIDES = (256, 128, 64)
_STROKE = 5
_CONTRAST = 28
_HEIGHTS = (5, 17)
_MOST_SHAPES = 600
_LEAST_LETTERS = 4
_OUTSIDE = 0.8

_Boxes = npt.NDArray[np.int64]


def text_area(pixels: npt.NDArray[np.uint8]) -> float:
    """Return the share of a cover's area that looks like text, [0, 1].

    Args:
        pixels: sRGB bytes ``(S, S, 3)``.
    """
    image = Image.fromarray(pixels).convert("L")
    found = np.zeros((_SIDES[0], _SIDES[0]), dtype=bool)
    for side in _SIDES:
        scale = _SIDES[0] // side
        gray = np.asarray(image.resize((side, side), Image.Resampling.BOX), dtype=np.int16)
        for ink in _strokes(gray):
            for top, bottom, left, right in _rows(_shapes(ink)):
                if _ends(gray, ink, slice(top, bottom), slice(left, right)):
                    found[top * scale : bottom * scale, left * scale : right * scale] = True
    return float(found.mean())


def _strokes(gray: npt.NDArray[np.int16]) -> Iterator[npt.NDArray[np.bool_]]:
    """Return masks of thin strokes: lighter and darker than their surroundings."""
    size = (_STROKE, _STROKE)
    yield gray - ndimage.grey_opening(gray, size) > _CONTRAST
    yield ndimage.grey_closing(gray, size) - gray > _CONTRAST


def _shapes(ink: npt.NDArray[np.bool_]) -> _Boxes:
    """Return boxes ``(N, 4)`` of connected shapes that could be letters: top, bottom, left, right."""
    labels, count = ndimage.label(ink, structure=np.ones((3, 3), dtype=int))
    boxes = np.array(
        [(rows.start, rows.stop, columns.start, columns.stop) for rows, columns in ndimage.find_objects(labels)],
        dtype=np.int64,
    ).reshape(-1, 4)
    height, width = boxes[:, 1] - boxes[:, 0], boxes[:, 3] - boxes[:, 2]
    filled = np.bincount(labels.ravel(), minlength=count + 1)[1:] / np.maximum(height * width, 1)
    fits = (height >= _HEIGHTS[0]) & (height <= _HEIGHTS[1]) & (width <= 1.6 * height) & (filled > 0.15)
    inside = (boxes[:, [0, 2]] > 0).all(axis=1) & (boxes[:, [1, 3]] < len(ink)).all(axis=1)
    return boxes[fits & inside][:_MOST_SHAPES]


def _rows(boxes: _Boxes) -> Iterator[list[int]]:
    """Return the boxes of rows: letters of similar height that overlap vertically and are close together."""
    if len(boxes) < _LEAST_LETTERS:
        return
    top, bottom, left, right = boxes.T
    height = bottom - top
    smaller, larger = np.minimum(height[:, None], height), np.maximum(height[:, None], height)
    overlap = np.minimum(bottom[:, None], bottom) - np.maximum(top[:, None], top)
    gap = np.maximum(left[:, None], left) - np.minimum(right[:, None], right)
    linked = (larger <= 1.6 * smaller) & (overlap >= 0.7 * smaller) & (gap <= 0.6 * larger)
    count, labels = connected_components(linked, directed=False)
    for row in range(count):
        members = boxes[labels == row]
        box = np.array([members[:, 0].min(), members[:, 1].max(), members[:, 2].min(), members[:, 3].max()])
        flat = box[1] - box[0] <= 1.6 * np.median(members[:, 1] - members[:, 0])
        if flat and len(members) >= _LEAST_LETTERS:
            yield box.tolist()


def _ends(gray: npt.NDArray[np.int16], ink: npt.NDArray[np.bool_], rows: slice, columns: slice) -> bool:
    """Return whether the content of a box ends with it, as letters do; rays and stripes go on above or below."""
    inside, inked = gray[rows, columns], ink[rows, columns]
    colour, paper = np.median(inside[inked]), np.median(inside[~inked])

    def share(part: npt.NDArray[np.int16]) -> float:
        return float((np.abs(part - colour) < np.abs(part - paper)).mean()) if part.size else 0.0

    above = gray[max(0, rows.start - 3) : max(0, rows.start - 1), columns]
    below = gray[rows.stop + 1 : rows.stop + 3, columns]
    return max(share(above), share(below)) <= _OUTSIDE * share(inside)
