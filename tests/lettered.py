"""Covers with text on them, written with the font that Pillow brings along."""

from __future__ import annotations

import numpy as np
from PIL import Image, ImageDraw, ImageFont

WORDS = (
    *("the", "river", "night", "parade", "of", "glass", "hands", "under", "winter", "lights", "slow", "motor"),
    *("garden", "echo", "seven", "letters", "home", "again", "midnight", "paper", "lanterns", "volume", "one"),
)


def write_on(cover, rng, height, lines):
    """Write lines of words, as light or dark as the cover is not.

    Args:
        cover: sRGB bytes ``(S, S, 3)``; left as it is.
        rng: draws words, place, case and shade.
        height: of the font, as a share of the cover's side.
        lines: how many, as far as there is room.
    """
    image = Image.fromarray(cover)
    draw, side = ImageDraw.Draw(image), image.width
    font = ImageFont.load_default(max(8, int(side * height)))
    shade = rng.integers(200, 256) if cover.mean() < 128 else rng.integers(0, 50)
    colour = tuple(int(value) for value in np.clip(shade + rng.integers(-20, 21, 3), 0, 255))
    upper = bool(rng.integers(2))
    y = rng.uniform(0.04, 0.3) * side
    for _ in range(lines):
        if y + side * height > side:
            break
        draw.text((rng.uniform(0.03, 0.08) * side, y), _line(rng, draw, font, 0.9 * side, upper), colour, font)
        y += 1.25 * side * height
    return np.asarray(image)


def _line(rng, draw, font, width, upper):
    """As many words as fit; at least one."""
    text = ""
    while True:
        word = str(rng.choice(WORDS))
        longer = f"{text} {word.upper() if upper else word.title()}".strip()
        if text and draw.textlength(longer, font) > width:
            return text
        text = longer
