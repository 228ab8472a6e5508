"""Writes a gallery: one HTML page with all covers of a run, to search and to choose from; it needs no other file."""

from __future__ import annotations

import base64
import io
import json
import os
import shlex
import subprocess
import sys
from collections.abc import Generator, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any
from urllib.parse import quote

from PIL import Image

from covergen_cli.covers.naming import visible_name
from covergen_cli.errors import OutputError
from covergen_cli.events import CoverFinished, CoverSkipped, FileSaved, Warned
from covergen_cli.files import atomic_path
from covergen_cli.provenance import read_provenance

if TYPE_CHECKING:
    from covergen_cli.events import Event

NAME = "gallery.html"
"""File name, in the folder of the covers."""

_PAGE = Path(__file__).with_suffix(".html")
_MARK = b'<meta name="generator" content="covergen gallery">'
_SIDE, _QUALITY = 256, 80


@dataclass(frozen=True)
class Entry:
    """A cover of the gallery."""

    output: Path
    input: Path  # the music file; of an album, its first
    songs: tuple[Path, ...] = ()  # of an album; empty for a single song


def with_gallery(events: Generator[Event, None, None], path: Path) -> Generator[Event, None, None]:
    """Pass events on, and at the end write a gallery of all covers, new or existing."""
    entries: list[Entry] = []
    with closing(events):
        for event in events:
            if isinstance(event, (CoverFinished, CoverSkipped)):
                entries.append(Entry(event.output, event.input, event.songs))
            yield event
    if entries:
        try:
            write_gallery(path, entries)
        except OutputError as error:
            yield Warned(f"the gallery could not be written: {error}", path)
        else:
            yield FileSaved(path, f"a gallery of {len(entries)} cover{'s' * (len(entries) > 1)}")


def write_gallery(path: Path, entries: Sequence[Entry]) -> None:
    """Write the page; one cover at a time is in memory.

    Covers that cannot be read are left out. The page shows small pictures that it holds itself, and the covers where
    they are, as long as they stay there.

    Args:
        path: the page; an existing file is replaced only if it is a gallery.
        entries: the covers, in the order of the page.

    Raises:
        OutputError: ``path`` cannot be written, or holds another file.
    """
    if os.path.lexists(path) and not _is_gallery(path):
        raise OutputError(f"{path} exists and is not a gallery of covergen", hint="Rename it.")
    before, _, after = _PAGE.read_text(encoding="utf-8").partition("@COVERS@")
    with atomic_path(path) as temporary:
        try:
            with temporary.open("w", encoding="utf-8") as file:
                file.write(before + "[")
                _write_covers(file, path, entries)
                file.write("]" + after)
        except OSError as error:
            raise OutputError(f"cannot write {path}: {error.strerror or error}") from error


def _is_gallery(path: Path) -> bool:
    try:
        with path.open("rb") as file:
            return _MARK in file.read(512)
    except OSError:
        return False


def _write_covers(file: IO[str], path: Path, entries: Sequence[Entry]) -> None:
    separator = ""
    for entry in entries:
        small = _small_picture(entry.output, path.parent)
        if small is not None:
            # No "</script>" may end the data early.
            file.write(separator + json.dumps(_record(entry, small, path.parent)).replace("<", "\\u003c"))
            separator = ",\n"


def _small_picture(cover: Path, folder: Path) -> str | None:
    """Return the URL of a small picture: its data, or of a vector cover the file; ``None`` if it cannot be read."""
    if cover.suffix.lower() == ".svg":
        return _url(cover, folder) if cover.is_file() else None
    buffer = io.BytesIO()
    try:
        with Image.open(cover, formats=("PNG", "JPEG")) as image:
            image.draft("RGB", (_SIDE, _SIDE))
            small = image.convert("RGB")
            small.thumbnail((_SIDE, _SIDE), Image.Resampling.LANCZOS, reducing_gap=3.0)
    except (OSError, ValueError, SyntaxError):
        return None
    small.save(buffer, "JPEG", quality=_QUALITY)
    return "data:image/jpeg;base64," + base64.b64encode(buffer.getvalue()).decode()


def _url(cover: Path, folder: Path) -> str:
    """Return the URL of a cover, relative to the page where both are on one drive."""
    try:
        relative = os.path.relpath(cover, folder or ".")
    except ValueError:
        return Path(os.path.abspath(cover)).as_uri()  # noqa: PTH100 — links stay
    return quote(Path(relative).as_posix(), errors="surrogateescape")


def _record(entry: Entry, small: str, folder: Path) -> dict[str, Any]:
    """Return what the page knows of a cover."""
    made = read_provenance(entry.output) or {}
    base = made.get("base")
    look = str(made.get("look_drawn") or "")
    facts = {
        "Songs" if entry.songs else "Song": ", ".join(visible_name(song) for song in entry.songs or (entry.input,)),
        "Cover": visible_name(entry.output),
        "Look": look,
        "Palette": str(made.get("palette_drawn") or "").replace(",", " "),
        "Seed": str(made.get("seed", "")),
        "Image model": str(base.get("name", "")) if isinstance(base, dict) else "",
        "Prompt": str(made.get("prompt_drawn") or made.get("prompt") or ""),
    }
    name = visible_name((entry.output if entry.songs else entry.input).stem)
    return {
        "name": name,
        "file": _url(entry.output, folder),
        "small": small,
        "look": look.partition(":")[0],
        "seed": made.get("seed", ""),
        "facts": [[title, value] for title, value in facts.items() if value],
        "commands": list(_commands(entry, made)),
        "text": " ".join([name, *facts.values()]).lower(),
    }


def _commands(entry: Entry, made: dict[str, Any]) -> Iterator[tuple[str, str]]:
    """Yield the commands that make this cover again, and others like it, with what each of them does."""
    cover, song = _absolute(entry.output), _absolute(entry.input)
    seed, start = made.get("seed"), ["covergen", "generate"]
    if not entry.songs and isinstance(seed, int):
        again, other = (cover.with_name(f"{cover.stem}-{end}{cover.suffix}") for end in ("again", f"seed-{seed + 1}"))
        yield "Make it again", _line([*start, "--from", str(cover), str(song), "-o", str(again)])
        line = [*start, "--from", str(cover), str(song), "--seed", str(seed + 1), "-o", str(other)]
        yield "Another one of this song", _line(line)
    line = [*start, str(song.parent), "--like", str(cover), "-o", str(cover.parent / "series")]
    yield "A series in this look", _line(line)


def _absolute(path: Path) -> Path:
    return Path(os.path.abspath(path))  # noqa: PTH100 — links stay


def _line(arguments: Sequence[str]) -> str:
    return subprocess.list2cmdline(arguments) if sys.platform == "win32" else shlex.join(arguments)
