"""Write a contact sheet: all covers of a run in one image, with their names."""

from __future__ import annotations

import math
import os
from collections.abc import Generator, Sequence
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING

from PIL import Image, ImageDraw

from covergen_cli import __version__
from covergen_cli.covers.naming import visible_name
from covergen_cli.covers.text.fonts import BUNDLED, FALLBACK, best_font
from covergen_cli.covers.text.typesetting import Face
from covergen_cli.errors import OutputError
from covergen_cli.events import CoverFinished, CoverSkipped, FileSaved, Warned
from covergen_cli.provenance import read_provenance, save_cover

if TYPE_CHECKING:
    from PIL import ImageFont

    from covergen_cli.events import Event

NAME = "contact-sheet.jpg"
"""File name, in the folder of the covers."""

_CELL, _MIN_CELL, _MAX_WIDTH = 320, 48, 8192
_PAPER, _INK = (250, 250, 250), (60, 60, 60)


def with_contact_sheet(events: Generator[Event, None, None], path: Path) -> Generator[Event, None, None]:
    """Pass events on, and at the end write a sheet of all covers, new or existing."""
    covers: list[Path] = []
    with closing(events):
        for event in events:
            if isinstance(event, (CoverFinished, CoverSkipped)):
                covers.append(event.output)
            yield event
    if covers:
        try:
            write_contact_sheet(path, covers)
        except (OutputError, OSError, ValueError) as error:
            yield Warned(f"the contact sheet could not be written: {error}", path)
        else:
            yield FileSaved(path, f"a contact sheet of {len(covers)} cover{'s' * (len(covers) > 1)}")


def write_contact_sheet(path: Path, covers: Sequence[Path]) -> None:
    """Write the sheet: a square grid of covers with their names below.

    Args:
        path: a JPEG; an existing file is replaced only if covergen made it.
        covers: at least one; the place of an unreadable cover stays empty.

    Raises:
        OutputError: ``path`` cannot be written, or holds another file.
    """
    if os.path.lexists(path) and read_provenance(path) is None:
        raise OutputError(f"{path} exists and was not made by covergen", hint="Rename it.")
    columns = math.ceil(math.sqrt(len(covers)))
    rows = math.ceil(len(covers) / columns)
    cell = max(_MIN_CELL, min(_CELL, _MAX_WIDTH // columns))
    gap, caption = max(4, cell // 16), max(10, cell // 10)
    width = columns * (cell + gap) + gap
    sheet = Image.new("RGB", (width, rows * (cell + caption + gap) + gap), _PAPER)
    draw = ImageDraw.Draw(sheet)
    for index, cover in enumerate(covers):
        row, column = divmod(index, columns)
        x, y = gap + column * (cell + gap), gap + row * (cell + caption + gap)
        _paste(sheet, cover, x, y, cell)
        _label(draw, visible_name(cover.stem), x, y + cell + caption * 0.72, cell, caption * 0.6)
    save_cover(path, sheet, {"kind": "contact sheet", "covers": len(covers), "version": __version__}, "jpg")


def _paste(sheet: Image.Image, cover: Path, x: int, y: int, cell: int) -> None:
    try:
        with Image.open(cover, formats=("PNG", "JPEG")) as image:
            image.draft("RGB", (cell, cell))
            small = image.convert("RGB").resize((cell, cell), Image.Resampling.LANCZOS, reducing_gap=3.0)
    except (OSError, ValueError, SyntaxError):
        return
    sheet.paste(small, (x, y))


def _label(draw: ImageDraw.ImageDraw, name: str, x: float, baseline: float, width: float, size: float) -> None:
    font = Face(best_font(name, (BUNDLED, FALLBACK))).at(size, 450)
    draw.text((x, baseline), _shortened(name, font, width), font=font, fill=_INK, anchor="ls")


def _shortened(name: str, font: ImageFont.FreeTypeFont, width: float) -> str:
    """Shorten a name in the middle, because variations differ at the end."""
    name = "".join(c for c in name if c.isprintable())
    short, kept = name, len(name)
    while font.getlength(short) > width and kept > 2:
        kept -= 1
        short = f"{name[: kept // 2]}…{name[-(kept - kept // 2) :]}"
    return short
