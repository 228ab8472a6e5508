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
from covergen_cli.covers.text.fonts import BUNDLED, FALLBACK, best_font, font_file, font_name, installed_font, missing
from covergen_cli.covers.text.typesetting import Face
from covergen_cli.errors import OutputError
from covergen_cli.events import CoverFinished, CoverSkipped, FileSaved, Warned
from covergen_cli.provenance import read_provenance, save_cover

if TYPE_CHECKING:
    from covergen_cli.events import Event

NAME = "contact-sheet.jpg"
"""File name, in the folder of the covers."""

_CELL, _MIN_CELL, _MAX_WIDTH, _MIN_CAPTION = 320, 48, 8192, 17
_PAPER, _INK = (250, 250, 250), (60, 60, 60)


def with_contact_sheet(events: Generator[Event, None, None], path: Path) -> Generator[Event, None, None]:
    """Pass events on, and at the end write a sheet of all covers, new or existing."""
    covers: list[Path] = []
    labels: list[tuple[str, str]] = []
    with closing(events):
        for event in events:
            if isinstance(event, (CoverFinished, CoverSkipped)):
                covers.append(event.output)
                name = event.output if event.songs else event.input
                labels.append((visible_name(name.stem), f" · {event.seed}"))
            yield event
    if covers:
        try:
            write_contact_sheet(path, covers, labels)
        except (OutputError, OSError, ValueError) as error:
            yield Warned(f"the contact sheet could not be written: {error}", path)
        else:
            yield FileSaved(path, f"a contact sheet of {len(covers)} cover{'s' * (len(covers) > 1)}")


def write_contact_sheet(path: Path, covers: Sequence[Path], labels: Sequence[tuple[str, str]]) -> None:
    """Write the sheet: a square grid of covers with their labels below.

    Args:
        path: a JPEG; an existing file is replaced only if covergen made it.
        covers: at least one; the place of an unreadable cover, and of a vector file, stays empty.
        labels: one per cover: the song, which is shortened if it is too long, and what follows it.

    Raises:
        OutputError: ``path`` cannot be written, or holds another file.
    """
    if os.path.lexists(path) and read_provenance(path) is None:
        raise OutputError(f"{path} exists and was not made by covergen", hint="Rename it.")
    columns = math.ceil(math.sqrt(len(covers)))
    rows = math.ceil(len(covers) / columns)
    cell = max(_MIN_CELL, min(_CELL, _MAX_WIDTH // columns))
    gap, caption = max(4, cell // 16), max(_MIN_CAPTION, cell // 10)
    width = columns * (cell + gap) + gap
    sheet = Image.new("RGB", (width, rows * (cell + caption + gap) + gap), _PAPER)
    draw = ImageDraw.Draw(sheet)
    for index, (cover, label) in enumerate(zip(covers, labels, strict=True)):
        row, column = divmod(index, columns)
        x, y = gap + column * (cell + gap), gap + row * (cell + caption + gap)
        _paste(sheet, cover, x, y, cell)
        _label(draw, *label, x, y + cell + caption * 0.72, cell, caption * 0.6)
    save_cover(path, sheet, {"kind": "contact sheet", "covers": len(covers), "version": __version__}, "jpg")


def _paste(sheet: Image.Image, cover: Path, x: int, y: int, cell: int) -> None:
    try:
        with Image.open(cover, formats=("PNG", "JPEG")) as image:
            image.draft("RGB", (cell, cell))
            small = image.convert("RGB").resize((cell, cell), Image.Resampling.LANCZOS, reducing_gap=3.0)
    except (OSError, ValueError, SyntaxError):
        return
    sheet.paste(small, (x, y))


def _label(
    draw: ImageDraw.ImageDraw, name: str, end: str, x: float, baseline: float, width: float, size: float
) -> None:
    """Write a name and what follows it below a cover; the middle of a name that is too long is left out."""
    name = "".join(c for c in name if c.isprintable())
    best = best_font(name, (BUNDLED, FALLBACK))
    if missing(name, font_file(best, None)) and (installed := installed_font(name + end)):
        best = font_name(str(installed))
    font = Face(best).at(size, 450)
    short, kept = name, len(name)
    while font.getlength(short + end) > width and kept > 2:
        kept -= 1
        short = f"{name[: kept // 2]}…{name[-(kept - kept // 2) :]}"
    draw.text((x, baseline), short + end, font=font, fill=_INK, anchor="ls")
