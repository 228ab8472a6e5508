"""Break text into lines of a given width, choose its size, and draw it.

Pillow's ``ImageText.wrap`` breaks at spaces only and neither balances lines nor breaks long words, so lines are broken
here; measuring and drawing are Pillow's.
"""

from __future__ import annotations

import contextlib
import itertools
import math
import re
from dataclasses import dataclass
from functools import cached_property
from typing import Literal

from PIL import ImageDraw, ImageFont

from covergen_cli.covers.text.fonts import BUNDLED, bundled, font_file

Align = Literal["left", "centre", "right"]
ALIGN_SHARES: dict[Align, float] = {"left": 0.0, "centre": 0.5, "right": 1.0}
"""Share of the free width that lies to the left of a line."""

_LEADING = 1.08
"""Distance between two baselines of a font that is not bundled, in font sizes."""
_SHRINK = 0.94
_MOST_WORDS = 12
"""Titles of more words are not tried in every division into wide lines."""
_WIDE = r"[\u2e80-\u9fff\uac00-\ud7af\uf900-\ufaff\uff00-\uffef]"
"""Scripts written without spaces, in which a line may break between any two characters."""


@dataclass(frozen=True)
class Face:
    """A font in any size; Inter also in any weight.

    Args:
        name: as for :func:`covergen_cli.covers.text.fonts.font_file`.
        own: likewise.
        pixels: draw letters whose squares are pixels, without grey edges.
        shrink: factor on font sizes, for text that would not fit otherwise.
    """

    name: str
    own: str | None = None
    pixels: bool = False
    shrink: float = 1.0

    @property
    def scale(self) -> float:
        """Factor on font sizes, so that all fonts look equally large."""
        font = bundled(self.name)
        return self.shrink * (font.scale if font else 1.0)

    @property
    def leading(self) -> float:
        """Distance between two baselines, in font sizes."""
        font = bundled(self.name)
        return font.leading if font else _LEADING

    def at(self, size: float, weight: int) -> ImageFont.FreeTypeFont:
        """Load the font at a size in pixels and a weight from 100 to 900; pixel fonts at the next smaller size."""
        font = bundled(self.name)
        if self.pixels:
            unit = (font and font.unit) or 1.0
            size = max(1, int(size / unit + 0.01)) * unit
        loaded = ImageFont.truetype(str(font_file(self.name, self.own)), size)
        if self.name == BUNDLED:
            # A Pillow built with an old FreeType does not support weights; the regular weight is legible too.
            with contextlib.suppress(OSError, NotImplementedError):
                loaded.set_variation_by_axes([weight])
        return loaded


@dataclass(frozen=True)
class Block:
    """Lines of text in one font and size.

    Args:
        lines: at least one.
        font: the font in its size.
        leading: distance between two baselines, in font sizes.
        pixels: draw at whole pixels, without grey edges.
    """

    lines: tuple[str, ...]
    font: ImageFont.FreeTypeFont
    leading: float = _LEADING
    pixels: bool = False

    @cached_property
    def _boxes(self) -> list[tuple[float, float, float, float]]:
        return [self.font.getbbox(line, anchor="ls") for line in self.lines]

    @cached_property
    def _step(self) -> float:
        return self.font.size * self.leading

    @cached_property
    def width(self) -> float:
        """Width of the ink of the widest line, in pixels."""
        return max(right - left for left, _, right, _ in self._boxes)

    @cached_property
    def rise(self) -> float:
        """Distance from the top of the ink, or of a capital, to the first baseline, in pixels."""
        return max(float(-self.font.getbbox("H", anchor="ls")[1]), -self._boxes[0][1])

    @cached_property
    def fall(self) -> float:
        """Distance from the last baseline to the lowest ink, in pixels."""
        last = len(self.lines) - 1
        return max(0.0, *((index - last) * self._step + box[3] for index, box in enumerate(self._boxes)))

    @cached_property
    def height(self) -> float:
        """Distance from the top of the first line to the lowest ink, in pixels."""
        return self.rise + (len(self.lines) - 1) * self._step + self.fall

    def draw(self, draw: ImageDraw.ImageDraw, x: float, y: float, align: Align, stroke: float = 0) -> None:
        """Draw the lines in white with the upper left corner of their ink at ``(x, y)``.

        Args:
            draw: of an image of kind ``L``.
            x: in pixels.
            y: in pixels.
            align: of the lines in the block.
            stroke: by how many pixels letters are made thicker on all sides.
        """
        draw.fontmode = "1" if self.pixels else "L"
        for index, (line, (left, _, right, _)) in enumerate(zip(self.lines, self._boxes, strict=True)):
            start = x + (self.width - (right - left)) * ALIGN_SHARES[align] - left
            place = (start, y + self.rise + index * self._step)
            if self.pixels:
                place = (round(place[0]), round(place[1]))
            draw.text(place, line, font=self.font, fill=255, anchor="ls", stroke_width=stroke)


def fit(text: str, face: Face, size: float, weight: int, width: float, lines: int, *, smallest: float) -> Block:
    """Break a text into lines that are never wider than ``width``.

    The font shrinks until the text fits into ``lines`` lines without breaking a word, down to ``smallest``; then lines
    are added and long words are broken.

    Args:
        text: not empty.
        face: the font.
        size: largest font size, in pixels.
        weight: 100 to 900.
        width: in pixels.
        lines: maximum number of lines above the smallest size.
        smallest: smallest font size, in pixels.
    """
    while True:
        font = face.at(size, weight)
        wrapped = _wrap(text, font, width)
        if wrapped is not None and len(wrapped) <= lines:
            return Block(tuple(_balanced(text, font, width, wrapped)), font, face.leading, face.pixels)
        if size <= smallest:
            lines_anyhow = tuple(wrapped or _wrap_anywhere(text, font, width))
            return Block(lines_anyhow, font, face.leading, face.pixels)
        size = max(size * _SHRINK, smallest)


def fill(text: str, face: Face, weight: int, width: float, height: float, *, gap: float) -> list[Block]:
    """Break a text into lines that are each set as wide as the column, and choose the number that covers most of it.

    Args:
        text: not empty.
        face: the font.
        weight: 100 to 900.
        width: of the column, in pixels.
        height: most that the lines may take, with the gaps, in pixels.
        gap: between the ink of two lines, in pixels.

    Returns:
        One block a line; none if the letters would become small.
    """
    probe = Face(face.name, face.own).at(100, weight)
    words, best, most = text.split(), list[Block](), 0.0
    if len(words) > _MOST_WORDS:
        return best
    for count in range(1, min(len(words), 5) + 1):
        lines = _balanced_words(words, count, probe)
        sizes = [min(100 * width / _ink_width(line, probe), 0.75 * height) for line in lines]
        for _ in range(3):  # pixel fonts have few sizes, so one division may not suffice
            fonts = [face.at(size, weight) for size in sizes]
            blocks = [Block((line,), font, face.leading, face.pixels) for line, font in zip(lines, fonts, strict=True)]
            tall = sum(block.height for block in blocks) + gap * (count - 1)
            room = min((height - gap * (count - 1)) / (tall - gap * (count - 1)), *(width / b.width for b in blocks))
            if room >= 1:
                break
            sizes = [size * room * 0.995 for size in sizes]
        area = sum(block.width * block.font.size for block in blocks)
        fits = tall <= height and all(block.width <= width for block in blocks)
        if fits and area > most and min(block.font.size for block in blocks) >= 0.09 * width:
            best, most = blocks, area
    return best


def _balanced_words(words: list[str], count: int, font: ImageFont.FreeTypeFont) -> list[str]:
    """Return the words in ``count`` lines, the widest of which is as narrow as possible."""
    best: list[str] = []
    narrowest = math.inf
    for cuts in itertools.combinations(range(1, len(words)), count - 1):
        edges = (0, *cuts, len(words))
        lines = [" ".join(words[a:b]) for a, b in itertools.pairwise(edges)]
        widest = max(_ink_width(line, font) for line in lines)
        if widest < narrowest:
            best, narrowest = lines, widest
    return best


def _ink_width(text: str, font: ImageFont.FreeTypeFont) -> float:
    left, _, right, _ = font.getbbox(text, anchor="ls")
    return right - left


def _wrap(text: str, font: ImageFont.FreeTypeFont, width: float) -> list[str] | None:
    """Fill one line after the other; return ``None`` when a word is too wide."""
    lines: list[str] = []
    # A separator belongs to what follows it: a space before a word, nothing between two characters of a wide script.
    for piece in re.findall(rf"\s*(?:{_WIDE}|(?:(?!{_WIDE})\S)+)", text):
        if lines and _ink_width(lines[-1] + piece, font) <= width:
            lines[-1] += piece
        elif _ink_width(piece.strip(), font) <= width:
            lines.append(piece.strip())
        else:
            return None
    return lines


def _balanced(text: str, font: ImageFont.FreeTypeFont, width: float, lines: list[str]) -> list[str]:
    """Return lines of similar length: those of the narrowest column that needs no more lines."""
    low, high, best = 0.0, width, lines
    for _ in range(8 if len(lines) > 1 else 0):
        middle = (low + high) / 2
        narrower = _wrap(text, font, middle)
        if narrower is not None and len(narrower) <= len(lines):
            best, high = narrower, middle
        else:
            low = middle
    return best


def _wrap_anywhere(text: str, font: ImageFont.FreeTypeFont, width: float) -> list[str]:
    lines = [""]
    for character in text:
        if lines[-1] and _ink_width(lines[-1] + character, font) > width:
            lines.append(character.strip())
        else:
            lines[-1] += character
    return [line for line in lines if line.strip()]
