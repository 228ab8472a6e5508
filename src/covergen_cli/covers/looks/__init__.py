"""Looks: finishes that are drawn at the size of the file, so that a soft picture becomes a crisp cover.

A look keeps the colours and the composition of a picture and redraws it as paper, print, glass or lines:
:func:`parse_look` or :func:`choose_look` give one, :func:`apply_look` draws it, :func:`look_svg` writes those made of
flat shapes as vector graphics.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from PIL import Image

from covergen_cli.covers.looks.auto import choose_look as choose_look
from covergen_cli.covers.looks.auto import look_weights as look_weights
from covergen_cli.covers.looks.paint import Paint
from covergen_cli.covers.looks.palette import palette_from as palette_from
from covergen_cli.covers.looks.parse import LOOKS as LOOKS
from covergen_cli.covers.looks.parse import parse_look as parse_look
from covergen_cli.covers.looks.raster import draw
from covergen_cli.covers.looks.sketch import sketch_of
from covergen_cli.errors import ConfigError

if TYPE_CHECKING:
    from covergen_cli.covers.looks.base import Look as Look
    from covergen_cli.covers.looks.palette import Palette as Palette


def apply_look(
    picture: Image.Image, look: Look, size: int, *, seed: int = 0, palette: Palette | None = None
) -> Image.Image:
    """Draw a picture in a look; the same arguments give the same pixels.

    Args:
        picture: any size; the centre square is used.
        look: ``paint`` only resizes, and ignores the palette.
        size: pixels per side of the result.
        seed: of everything that is chance, such as paper and grain.
        palette: colours to use instead of the picture's.

    Returns:
        RGB, ``size`` × ``size``.
    """
    return draw_look(picture, look, size, seed=seed, palette=palette)[0]


def draw_look(
    picture: Image.Image, look: Look, size: int, *, seed: int = 0, palette: Palette | None = None
) -> tuple[Image.Image, Palette | None]:
    """Return what :func:`apply_look` returns, and the palette that it was drawn with; ``None`` for ``paint``."""
    if isinstance(look, Paint):
        return _resized(picture, size), None
    sketch = sketch_of(picture, seed, look.colours, palette)
    drawn = draw(lambda side: look.stripe(sketch, side, np.random.default_rng([seed, 1])), size)
    return drawn, sketch.palette


def look_svg(
    picture: Image.Image, look: Look, *, seed: int = 0, palette: Palette | None = None, overlay: str = ""
) -> str:
    """Return a picture in a look of flat shapes as an SVG document with a view box of 1000 × 1000.

    The shapes are those that :func:`apply_look` draws with the same arguments, without the paper; shadows are filters.

    Args:
        picture: any size; the centre square is used.
        look: one whose ``vector`` is true.
        seed: as for :func:`apply_look`.
        palette: likewise.
        overlay: elements to draw on top, such as those of :func:`covergen_cli.covers.text.vector.text_svg`.

    Raises:
        ConfigError: when the look has no vector form.
    """
    if not look.vector:
        able = ", ".join(name for name, kind in LOOKS.items() if kind.vector)
        raise ConfigError(f"the look {look.name} cannot be written as SVG", hint=f"these can: {able}")
    sketch = sketch_of(picture, seed, look.colours, palette)
    body = look.svg(sketch, np.random.default_rng([seed, 1]))
    spaces = 'xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink"'
    head = f'<svg {spaces} width="1000" height="1000" viewBox="0 0 1000 1000" fill-rule="evenodd">'
    return f"{head}\n<title>{look.name}</title>\n{body}\n{overlay}\n</svg>\n"


def _resized(picture: Image.Image, size: int) -> Image.Image:
    rgb = picture.convert("RGB")
    side = min(rgb.size)
    left, top = (rgb.width - side) // 2, (rgb.height - side) // 2
    return rgb.resize((size, size), Image.Resampling.LANCZOS, box=(left, top, left + side, top + side))
