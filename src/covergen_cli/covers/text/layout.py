"""Title and artist on a cover: set where the picture is calm, never over its edge, and always legible.

Every layout offers several places. The one with the least going on behind it is taken; the text is white or black,
whichever stands out better; and a soft veil of the other is laid behind it, only as strong as it takes for every pixel
near the letters to reach a contrast of 4.5 to 1 (WCAG 2.2, success criterion 1.4.3).
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from PIL import Image, ImageDraw, ImageFilter

from covergen_cli.covers.text.typesetting import Block, Face, fit

if TYPE_CHECKING:
    import numpy.typing as npt

CONTRAST = 4.5
"""Contrast that is reached at least, as WCAG defines it."""

MARGIN = 0.07
"""Width of the border that stays free of text, as a share of the cover's side."""

_WHITE, _BLACK = 255, 12
_MAP = 128


@dataclass(frozen=True)
class Placed:
    """A block of lines and where it stands.

    Args:
        block: the lines.
        x: left edge, in pixels.
        y: top edge.
        align: how its lines stand to one another.
    """

    block: Block
    x: float
    y: float
    align: Literal["left", "centre", "right"]


Setting = list[Placed]


def letter(image: Image.Image, lettering: dict[str, Any], own_font: str | None = None) -> tuple[Image.Image, float]:
    """Set title and artist on a cover; the same arguments give the same pixels.

    Args:
        image: RGB, square.
        lettering: from :func:`covergen_cli.covers.text.wording.wanted_lettering`.
        own_font: the user's font file, where the lettering names one.

    Returns:
        the cover, and the smallest contrast ratio of any pixel in or near the letters to what is behind it, at least
        :data:`CONTRAST`.

    Raises:
        ConfigError: the font is missing.
    """
    side = image.width
    faces = {name: Face(font, own_font) for name, font in lettering["fonts"].items()}
    texts = {name: (lettering[name], face) for name, face in faces.items()}
    busy = _busyness(image)
    # Of places that are equally calm the first.
    setting = min(_LAYOUTS[lettering["layout"]](texts, side), key=lambda placed: _cost(placed, busy, side))
    mask = _text_mask(setting, side)
    _, top, _, bottom = _bounds(setting)
    return _compose(image, mask, _veil(side, top, bottom))


def contrast_ratio(
    one: npt.NDArray[np.float64] | float, other: npt.NDArray[np.float64] | float
) -> npt.NDArray[np.float64]:
    """Contrast of two relative luminances, 1 to 21 (WCAG 2.2)."""
    high, low = np.maximum(one, other), np.minimum(one, other)
    return np.asarray((high + 0.05) / (low + 0.05))


def _luminance(pixels: npt.NDArray[Any]) -> npt.NDArray[np.float64]:
    """Relative luminance of sRGB values 0 to 255, ``(…, 3)`` → ``(…)`` (WCAG 2.2)."""
    values = np.asarray(pixels, np.float64) / 255
    linear = np.where(values <= 0.04045, values / 12.92, ((values + 0.055) / 1.055) ** 2.4)
    luminance: npt.NDArray[np.float64] = linear @ np.array([0.2126, 0.7152, 0.0722])
    return luminance


def _busyness(image: Image.Image) -> npt.NDArray[np.float64]:
    """Say for every cell of a 128 × 128 map how much goes on there: slope of the brightness, 0 to about 1."""
    small = np.asarray(image.convert("L").resize((_MAP, _MAP), Image.Resampling.BOX), np.float64) / 255
    down, across = np.gradient(small)
    slope: npt.NDArray[np.float64] = np.hypot(down, across) * 8 + np.abs(small - small.mean()) * 0.05
    return slope


def _bounds(setting: Setting) -> tuple[float, float, float, float]:
    return (
        min(placed.x for placed in setting),
        min(placed.y for placed in setting),
        max(placed.x + placed.block.width for placed in setting),
        max(placed.y + placed.block.height for placed in setting),
    )


def _cost(setting: Setting, busy: npt.NDArray[np.float64], side: int) -> float:
    left, top, right, bottom = (round(edge * _MAP / side) for edge in _bounds(setting))
    return float(busy[top : max(bottom, top + 1), left : max(right, left + 1)].mean())


def _text_mask(setting: Setting, side: int) -> Image.Image:
    mask = Image.new("L", (side, side))
    draw = ImageDraw.Draw(mask)
    for placed in setting:
        placed.block.draw(draw, placed.x, placed.y, placed.align)
    return mask


def _veil(side: int, top: float, bottom: float) -> Image.Image:
    """Return a mask that is full behind the text and fades out above and below it.

    It spans the cover, and runs off it at the edge that the text stands near, so that it reads as light and shade of
    the picture rather than as a label.
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
    """Lay the least veil that makes the text legible, and the text on it."""
    near = np.asarray(mask.filter(ImageFilter.GaussianBlur(max(1.0, image.width / 300)))) > 8
    behind = np.asarray(image)[near]
    strength = np.asarray(veil, np.float64)[near] / 255
    tries = []
    for ink in (_WHITE, _BLACK):
        amount, ratio = _least_veil(behind, strength, ink)
        # A white veil looks milky where a dark one looks like shade, so black ink has to be clearly better.
        tries.append((amount * (1 if ink == _WHITE else 1.5), -ratio, amount, ink))
    _, _, amount, ink = min(tries)
    opposite = 0 if ink == _WHITE else 255
    scaled = veil.point(lambda value: round(value * amount))
    backed = Image.composite(Image.new("RGB", image.size, (opposite,) * 3), image, scaled)
    ratio = float(contrast_ratio(_luminance(np.asarray(backed)[near]), _luminance(np.full(3, ink))).min())
    return Image.composite(Image.new("RGB", image.size, (ink,) * 3), backed, mask), ratio


def _least_veil(behind: npt.NDArray[Any], strength: npt.NDArray[np.float64], ink: int) -> tuple[float, float]:
    """Return how much veil this ink needs, 0 to 1 in steps of a fiftieth, and the contrast without one."""
    of_ink = _luminance(np.full(3, ink))
    opposite = 0 if ink == _WHITE else 255
    bare = float(contrast_ratio(_luminance(behind), of_ink).min())
    for step in range(51):
        amount = step / 50
        # Rounded as the picture will be, a little against us: what is promised holds for the pixels that are written.
        share = (np.floor(strength * 255 * amount) / 255)[:, None]
        mixed = behind * (1 - share) + opposite * share
        if float(contrast_ratio(_luminance(mixed), of_ink).min()) >= CONTRAST * 1.03:
            return amount, bare
    return 1.0, bare


Texts = dict[str, tuple[str, Face]]


def _stacked(texts: Texts, sizes: dict[str, tuple[float, int, int]], width: float, side: int) -> Sequence[Block]:
    """Fit the title and then the artist into a column; sizes are (share of the side, weight, most lines)."""
    return [
        fit(text, face, size * side, weight, width, lines, smallest=0.022 * side)
        for name, (size, weight, lines) in sizes.items()
        if name in texts
        for text, face in [texts[name]]
    ]


def _gaps(blocks: Sequence[Block]) -> list[float]:
    """Room below every block but the last, in pixels."""
    return [0.2 * above.font.size + 0.45 * below.font.size for above, below in itertools.pairwise(blocks)]


def _column(blocks: Sequence[Block]) -> float:
    return sum(block.height for block in blocks) + sum(_gaps(blocks))


def _pile(blocks: Sequence[Block], x: float, y: float, width: float, align: Any) -> Setting:
    """Put blocks one below the other; ``x`` and ``width`` give the column that they are aligned in."""
    share = {"left": 0.0, "centre": 0.5, "right": 1.0}[align]
    setting = []
    for block, gap in zip(blocks, [*_gaps(blocks), 0.0], strict=True):
        setting.append(Placed(block, x + (width - block.width) * share, y, align))
        y += block.height + gap
    return setting


def _corner(texts: Texts, side: int) -> Iterator[Setting]:
    margin, width = MARGIN * side, 0.64 * side
    blocks = _stacked(texts, {"title": (0.075, 650, 3), "artist": (0.038, 400, 2)}, width, side)
    bottom = side - margin - _column(blocks)
    for y in (bottom, margin):
        yield _pile(blocks, margin, y, width, "left")
        yield _pile(blocks, side - margin - width, y, width, "right")


def _centre(texts: Texts, side: int) -> Iterator[Setting]:
    margin, width = MARGIN * side, 0.78 * side
    blocks = _stacked(texts, {"title": (0.095, 300, 3), "artist": (0.034, 500, 2)}, width, side)
    height = _column(blocks)
    for middle in (0.5, 0.22, 0.78):
        y = min(max(middle * side - height / 2, margin), side - margin - height)
        yield _pile(blocks, (side - width) / 2, y, width, "centre")


def _poster(texts: Texts, side: int) -> Iterator[Setting]:
    margin, width = MARGIN * side, (1 - 2 * MARGIN) * side
    blocks = _stacked(texts, {"title": (0.24, 800, 3), "artist": (0.042, 550, 2)}, width, side)
    for y in (margin, side - margin - _column(blocks)):
        yield _pile(blocks, margin, y, width, "left")


def _line(texts: Texts, side: int) -> Iterator[Setting]:
    margin, width = MARGIN * side * 0.75, (1 - 1.5 * MARGIN) * side
    gap = 0.05 * side
    each = (width - gap) / max(1, len(texts))
    blocks = _stacked(texts, {"artist": (0.03, 650, 2), "title": (0.03, 400, 2)}, each, side)
    for edge in ("bottom", "top"):
        setting = []
        rise, fall = max(block.rise for block in blocks), max(block.fall for block in blocks)
        for block, align in zip(blocks, ("left", "right"), strict=False):
            # The two share a baseline: the first one at the top, the last one at the bottom.
            y = margin + rise - block.rise if edge == "top" else side - margin - fall - (block.height - block.fall)
            x = margin if align == "left" else side - margin - block.width
            setting.append(Placed(block, x, y, align))  # type: ignore[arg-type]
        yield setting


_LAYOUTS = {"corner": _corner, "centre": _centre, "poster": _poster, "line": _line}
