"""Break text into lines of a given width, choose its size, and draw it.

Pillow's ``ImageText.wrap`` breaks at spaces only and neither balances lines nor breaks long words, so lines are broken
here; measuring and drawing are Pillow's.
"""

from __future__ import annotations

import contextlib
import re
from dataclasses import dataclass
from functools import cached_property
from typing import Literal

from PIL import ImageDraw, ImageFont

from covergen_cli.covers.text.wording import BUNDLED, font_file

Align = Literal["left", "centre", "right"]
ALIGN_SHARES: dict[Align, float] = {"left": 0.0, "centre": 0.5, "right": 1.0}
"""Share of the free width that lies to the left of a line."""

_LEADING = 1.08
"""Distance between two baselines, in font sizes."""
_SHRINK = 0.94
_WIDE = r"[\u2e80-\u9fff\uac00-\ud7af\uf900-\ufaff\uff00-\uffef]"
"""Scripts written without spaces, in which a line may break between any two characters."""


@dataclass(frozen=True)
class Face:
    """A font in any size; the bundled font also in any weight.

    The arguments are those of :func:`covergen_cli.covers.text.wording.font_file`.
    """

    name: str
    own: str | None = None

    def at(self, size: float, weight: int) -> ImageFont.FreeTypeFont:
        """Load the font at a size in pixels and a weight from 100 to 900."""
        font = ImageFont.truetype(str(font_file(self.name, self.own)), size)
        if self.name == BUNDLED:
            # A Pillow built with an old FreeType does not support weights; the regular weight is legible too.
            with contextlib.suppress(OSError, NotImplementedError):
                font.set_variation_by_axes([weight])
        return font


@dataclass(frozen=True)
class Block:
    """Lines of text in one font and size."""

    lines: tuple[str, ...]
    font: ImageFont.FreeTypeFont

    @cached_property
    def _boxes(self) -> list[tuple[float, float, float, float]]:
        return [self.font.getbbox(line, anchor="ls") for line in self.lines]

    @cached_property
    def _step(self) -> float:
        return self.font.size * _LEADING

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

    def draw(self, draw: ImageDraw.ImageDraw, x: float, y: float, align: Align) -> None:
        """Draw the lines in white with the upper left corner of their ink at ``(x, y)``."""
        for index, (line, (left, _, right, _)) in enumerate(zip(self.lines, self._boxes, strict=True)):
            start = x + (self.width - (right - left)) * ALIGN_SHARES[align] - left
            draw.text((start, y + self.rise + index * self._step), line, font=self.font, fill=255, anchor="ls")


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
            return Block(tuple(_balanced(text, font, width, wrapped)), font)
        if size <= smallest:
            return Block(tuple(wrapped or _wrap_anywhere(text, font, width)), font)
        size = max(size * _SHRINK, smallest)


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
