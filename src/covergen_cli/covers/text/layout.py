"""Draw title and artist on a cover: where the image is calm, inside the margins, and always legible.

Every layout has several positions; the one with the calmest background is used. The text is white or black, whichever
stands out more, on a soft veil of the opposite colour that is only as strong as needed for a contrast of 4.5 to 1 at
every pixel near the letters (WCAG 2.2, success criterion 1.4.3).
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image, ImageDraw, ImageFilter

from covergen_cli.covers.text.typesetting import ALIGN_SHARES, Align, Block, Face, fit

if TYPE_CHECKING:
    import numpy.typing as npt

    Floats = npt.NDArray[np.float64]

CONTRAST = 4.5
"""Minimum contrast, as WCAG defines it."""

MARGIN = 0.07
"""Width of the border that stays free of text, as a share of the side of the cover."""

_WHITE, _BLACK = 255, 12
_MAP_SIDE = 128


@dataclass(frozen=True)
class PlacedBlock:
    """A block of lines with its upper left corner, in pixels, and its alignment."""

    block: Block
    x: float
    y: float
    align: Align


Placement = list[PlacedBlock]
Texts = dict[str, tuple[str, Face]]


def draw_text(image: Image.Image, text: dict[str, Any], own_font: str | None = None) -> tuple[Image.Image, float]:
    """Draw title and artist on a cover; the same arguments give the same pixels.

    Args:
        image: RGB, square.
        text: from :func:`covergen_cli.covers.text.wording.cover_text`.
        own_font: path of the user's font, if ``text`` names it.

    Returns:
        The cover, and the smallest contrast ratio between the letters and any pixel in or near them, at least
        :data:`CONTRAST`.

    Raises:
        ConfigError: the font is missing.
    """
    side = image.width
    texts = {name: (text[name], Face(font, own_font)) for name, font in text["fonts"].items()}
    busyness = _busyness(image)
    placement = min(_LAYOUTS[text["layout"]](texts, side), key=lambda placed: _cost(placed, busyness, side))
    mask = Image.new("L", (side, side))
    draw = ImageDraw.Draw(mask)
    for placed in placement:
        placed.block.draw(draw, placed.x, placed.y, placed.align)
    _, top, _, bottom = _bounds(placement)
    return _compose(image, mask, _veil(side, top, bottom))


def contrast_ratio(one: Floats | float, other: Floats | float) -> Floats:
    """Return the contrast of two relative luminances, 1 to 21 (WCAG 2.2)."""
    high, low = np.maximum(one, other), np.minimum(one, other)
    return np.asarray((high + 0.05) / (low + 0.05))


def _luminance(pixels: npt.NDArray[Any]) -> Floats:
    """Return the relative luminance ``(…)`` of sRGB values ``(…, 3)`` from 0 to 255 (WCAG 2.2)."""
    values = np.asarray(pixels, np.float64) / 255
    linear = np.where(values <= 0.04045, values / 12.92, ((values + 0.055) / 1.055) ** 2.4)
    luminance: Floats = linear @ np.array([0.2126, 0.7152, 0.0722])
    return luminance


def _busyness(image: Image.Image) -> Floats:
    """Return how much every cell of a 128 × 128 map varies: the slope of its brightness, 0 to about 1."""
    small = np.asarray(image.convert("L").resize((_MAP_SIDE, _MAP_SIDE), Image.Resampling.BOX), np.float64) / 255
    down, across = np.gradient(small)
    slope: Floats = np.hypot(down, across) * 8 + np.abs(small - small.mean()) * 0.05
    return slope


def _bounds(placement: Placement) -> tuple[float, float, float, float]:
    return (
        min(placed.x for placed in placement),
        min(placed.y for placed in placement),
        max(placed.x + placed.block.width for placed in placement),
        max(placed.y + placed.block.height for placed in placement),
    )


def _cost(placement: Placement, busyness: Floats, side: int) -> float:
    left, top, right, bottom = (round(edge * _MAP_SIDE / side) for edge in _bounds(placement))
    return float(busyness[top : max(bottom, top + 1), left : max(right, left + 1)].mean())


def _veil(side: int, top: float, bottom: float) -> Image.Image:
    """Return a mask that is full behind the text and fades out above and below it.

    It spans the cover and does not fade towards an edge near the text, so that it looks like light and shade of the
    image rather than a label.
    """
    fade = 0.16 * side
    rows = np.arange(side, dtype=np.float64)
    above = np.clip((rows - (top - 0.03 * side - fade)) / fade, 0, 1)
    below = np.clip(((bottom + 0.03 * side + fade) - rows) / fade, 0, 1)
    if top < side - bottom and top < 0.25 * side:
        above[:] = 1
    elif side - bottom < 0.25 * side:
        below[:] = 1
    eased = np.minimum(above, below)
    eased = eased**2 * (3 - 2 * eased)
    return Image.fromarray(np.repeat(np.round(255 * eased).astype(np.uint8)[:, None], side, axis=1))


def _compose(image: Image.Image, mask: Image.Image, veil: Image.Image) -> tuple[Image.Image, float]:
    """Lay the weakest sufficient veil over the image, and the text over it; also return the contrast."""
    near = np.asarray(mask.filter(ImageFilter.GaussianBlur(max(1.0, image.width / 300)))) > 8
    behind = np.asarray(image)[near]
    strength = np.asarray(veil, np.float64)[near] / 255
    candidates = []
    for ink in (_WHITE, _BLACK):
        amount, ratio = _least_veil(behind, strength, ink)
        # A white veil looks milky where a dark one looks like shade, so black ink has to be clearly better.
        candidates.append((amount * (1 if ink == _WHITE else 1.5), -ratio, amount, ink))
    _, _, amount, ink = min(candidates)
    scaled = veil.point(lambda value: round(value * amount))
    veiled = Image.composite(Image.new("RGB", image.size, (_opposite(ink),) * 3), image, scaled)
    ratio = float(contrast_ratio(_luminance(np.asarray(veiled)[near]), _luminance(np.full(3, ink))).min())
    return Image.composite(Image.new("RGB", image.size, (ink,) * 3), veiled, mask), ratio


def _opposite(ink: int) -> int:
    return 0 if ink == _WHITE else 255


def _least_veil(behind: npt.NDArray[Any], strength: Floats, ink: int) -> tuple[float, float]:
    """Return the veil that this ink needs, 0 to 1 in steps of 0.02, and the contrast without a veil."""
    ink_luminance = _luminance(np.full(3, ink))
    bare = float(contrast_ratio(_luminance(behind), ink_luminance).min())
    for amount in np.arange(51) / 50:
        # Rounded down to the bytes of the mask, so that the contrast holds for the pixels that are written.
        share = (np.floor(strength * 255 * amount) / 255)[:, None]
        veiled = behind * (1 - share) + _opposite(ink) * share
        if float(contrast_ratio(_luminance(veiled), ink_luminance).min()) >= CONTRAST * 1.03:
            return float(amount), bare
    return 1.0, bare


def _blocks(texts: Texts, sizes: dict[str, tuple[float, int, int]], width: float, side: int) -> list[Block]:
    """Fit the texts into a column; ``sizes`` holds (share of the side, weight, maximum number of lines) by name."""
    return [
        fit(*texts[name], size * side, weight, width, lines, smallest=0.022 * side)
        for name, (size, weight, lines) in sizes.items()
        if name in texts
    ]


def _gaps(blocks: Sequence[Block]) -> list[float]:
    """Return the space below every block but the last, in pixels."""
    return [0.2 * above.font.size + 0.45 * below.font.size for above, below in itertools.pairwise(blocks)]


def _column_height(blocks: Sequence[Block]) -> float:
    return sum(block.height for block in blocks) + sum(_gaps(blocks))


def _stack(blocks: Sequence[Block], x: float, y: float, width: float, align: Align) -> Placement:
    """Place blocks one below the other, aligned in the column from ``x`` to ``x + width``."""
    placement = []
    for block, gap in zip(blocks, [*_gaps(blocks), 0.0], strict=True):
        placement.append(PlacedBlock(block, x + (width - block.width) * ALIGN_SHARES[align], y, align))
        y += block.height + gap
    return placement


def _corner(texts: Texts, side: int) -> Iterator[Placement]:
    margin, width = MARGIN * side, 0.64 * side
    blocks = _blocks(texts, {"title": (0.075, 650, 3), "artist": (0.038, 400, 2)}, width, side)
    for y in (side - margin - _column_height(blocks), margin):
        yield _stack(blocks, margin, y, width, "left")
        yield _stack(blocks, side - margin - width, y, width, "right")


def _centre(texts: Texts, side: int) -> Iterator[Placement]:
    margin, width = MARGIN * side, 0.78 * side
    blocks = _blocks(texts, {"title": (0.095, 300, 3), "artist": (0.034, 500, 2)}, width, side)
    height = _column_height(blocks)
    for middle in (0.5, 0.22, 0.78):
        y = min(max(middle * side - height / 2, margin), side - margin - height)
        yield _stack(blocks, (side - width) / 2, y, width, "centre")


def _poster(texts: Texts, side: int) -> Iterator[Placement]:
    margin, width = MARGIN * side, (1 - 2 * MARGIN) * side
    blocks = _blocks(texts, {"title": (0.24, 800, 3), "artist": (0.042, 550, 2)}, width, side)
    for y in (margin, side - margin - _column_height(blocks)):
        yield _stack(blocks, margin, y, width, "left")


def _line(texts: Texts, side: int) -> Iterator[Placement]:
    """Place artist and title beside one another on one baseline: the first at the top, the last at the bottom."""
    margin, width = MARGIN * side * 0.75, (1 - 1.5 * MARGIN) * side
    each = (width - 0.05 * side) / max(1, len(texts))
    blocks = _blocks(texts, {"artist": (0.03, 650, 2), "title": (0.03, 400, 2)}, each, side)
    rise, fall = max(block.rise for block in blocks), max(block.fall for block in blocks)
    xs = (margin, side - margin - blocks[-1].width)
    aligns: tuple[Align, Align] = ("left", "right")
    bottom = [side - margin - fall - (block.height - block.fall) for block in blocks]
    for ys in (bottom, [margin + rise - block.rise for block in blocks]):
        yield [PlacedBlock(*placed) for placed in zip(blocks, xs, ys, aligns, strict=False)]


_LAYOUTS = {"corner": _corner, "centre": _centre, "poster": _poster, "line": _line}
