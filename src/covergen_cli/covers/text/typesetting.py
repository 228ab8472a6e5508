"""Words into lines of a given width: sizes, line breaks, and drawing."""

from __future__ import annotations

import contextlib
import re
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Literal

from PIL import ImageFont

from covergen_cli.covers.text.wording import BUNDLED, font_file

if TYPE_CHECKING:
    from PIL import ImageDraw

_LEADING = 1.08
"""Distance of two baselines, in sizes of the font."""

_SHRINK = 0.94
_WIDE = r"[\u2e80-\u9fff\uac00-\ud7af\uf900-\ufaff\uff00-\uffef]"
"""Scripts that are written without spaces and may break between any two characters."""


@dataclass(frozen=True)
class Face:
    """A font that can be had in any size, and the bundled one in any weight.

    Args:
        name: as :func:`covergen_cli.covers.text.wording.font_file` takes it.
        own: the user's font file.
    """

    name: str
    own: str | None = None

    def at(self, size: float, weight: int) -> ImageFont.FreeTypeFont:
        """Load it at a size in pixels; ``weight`` is 100 to 900."""
        font = ImageFont.truetype(str(font_file(self.name, self.own)), size)
        if self.name == BUNDLED:
            # A Pillow that was built with an old FreeType knows no weights; the regular one is legible too.
            with contextlib.suppress(OSError, NotImplementedError):
                font.set_variation_by_axes([weight])
        return font


@dataclass(frozen=True)
class Block:
    """Lines of one font.

    Args:
        lines: the text of each.
        font: font and size.
    """

    lines: tuple[str, ...]
    font: ImageFont.FreeTypeFont

    @cached_property
    def _boxes(self) -> list[tuple[float, float, float, float]]:
        return [self.font.getbbox(line, anchor="ls") for line in self.lines]

    @cached_property
    def width(self) -> float:
        """Width of the ink of the widest line, in pixels."""
        return max(right - left for left, _, right, _ in self._boxes)

    @cached_property
    def rise(self) -> float:
        """From the top of the ink, or of a capital, to the first baseline, in pixels."""
        return max(float(-self.font.getbbox("H", anchor="ls")[1]), -self._boxes[0][1])

    @cached_property
    def fall(self) -> float:
        """From the last baseline to the lowest ink, in pixels."""
        step, last = self.font.size * _LEADING, len(self.lines) - 1
        return max(0.0, *((index - last) * step + box[3] for index, box in enumerate(self._boxes)))

    @cached_property
    def height(self) -> float:
        """From the top of the first line to the lowest ink, in pixels."""
        return self.rise + (len(self.lines) - 1) * self.font.size * _LEADING + self.fall

    def draw(self, draw: ImageDraw.ImageDraw, x: float, y: float, align: Literal["left", "centre", "right"]) -> None:
        """Draw it white with the upper left corner of its ink at ``(x, y)``."""
        share = {"left": 0.0, "centre": 0.5, "right": 1.0}[align]
        for index, (line, box) in enumerate(zip(self.lines, self._boxes, strict=True)):
            start = x + (self.width - (box[2] - box[0])) * share - box[0]
            baseline = y + self.rise + index * self.font.size * _LEADING
            draw.text((start, baseline), line, font=self.font, fill=255, anchor="ls")


def fit(text: str, face: Face, size: float, weight: int, width: float, lines: int, *, smallest: float) -> Block:
    """Set a text in lines that are never wider than ``width``.

    It shrinks until it fits into ``lines`` lines without breaking a word, down to ``smallest``; what still does not fit
    gets more lines, and words that are too long are broken.

    Args:
        text: not empty.
        face: the font.
        size: largest size, in pixels.
        weight: 100 to 900.
        width: in pixels.
        lines: most lines, until the smallest size is reached.
        smallest: size below which it does not shrink, in pixels.
    """
    while True:
        font = face.at(size, weight)
        broken = _wrap(text, font, width)
        if broken is not None and len(broken) <= lines:
            return Block(tuple(_balanced(text, font, width, broken)), font)
        if size <= smallest:
            return Block(tuple(broken or _wrap_anywhere(text, font, width)), font)
        size = max(smallest, size * _SHRINK)


def _ink(text: str, font: ImageFont.FreeTypeFont) -> float:
    left, _, right, _ = font.getbbox(text, anchor="ls")
    return right - left


def _wrap(text: str, font: ImageFont.FreeTypeFont, width: float) -> list[str] | None:
    """Fill lines one after the other; ``None`` when a word is too wide."""
    lines: list[str] = []
    # A separator belongs to what follows it: a space before a word, nothing between two characters of a wide script.
    for piece in re.findall(rf"\s*(?:{_WIDE}|(?:(?!{_WIDE})\S)+)", text):
        if lines and _ink(lines[-1] + piece, font) <= width:
            lines[-1] += piece
        elif _ink(piece.strip(), font) <= width:
            lines.append(piece.strip())
        else:
            return None
    return lines


def _balanced(text: str, font: ImageFont.FreeTypeFont, width: float, lines: list[str]) -> list[str]:
    """Make lines about equally long: the narrowest column that takes no more of them."""
    low, high, best = 0.0, width, lines
    for _ in range(8 if len(lines) > 1 else 0):
        middle = (low + high) / 2
        tried = _wrap(text, font, middle)
        if tried is not None and len(tried) <= len(lines):
            best, high = tried, middle
        else:
            low = middle
    return best


def _wrap_anywhere(text: str, font: ImageFont.FreeTypeFont, width: float) -> list[str]:
    lines = [""]
    for character in text:
        if lines[-1] and _ink(lines[-1] + character, font) > width:
            lines.append(character.strip())
        else:
            lines[-1] += character
    return [line for line in lines if line.strip()]
