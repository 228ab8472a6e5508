"""Names of covers that are made from tags: ``{artist}/{album}/cover.{ext}``."""

from __future__ import annotations

import os
import re
import unicodedata
from collections.abc import Mapping
from pathlib import Path
from string import Formatter
from typing import TYPE_CHECKING, Literal

from covergen_cli.config.coerce import nearest
from covergen_cli.errors import ConfigError

if TYPE_CHECKING:
    from covergen_cli.audio.tags import Tags

FORMATS: dict[str, Literal["png", "jpg"]] = {".png": "png", ".jpg": "jpg", ".jpeg": "jpg"}
"""Suffix of a cover's file → its format."""

TAG_FIELDS = ("artist", "albumartist", "album", "title", "track", "disc", "year", "genre")
"""Fields that tags fill."""

FIELDS = (*TAG_FIELDS, "stem", "folder", "seed", "n", "ext")
"""Every field that a template may hold."""

_NAME_BYTES = 240
"""Longest name: file systems take 255 bytes, and a suffix may still come."""
_FORBIDDEN = re.compile(r'[\x00-\x1f\x7f<>:"/\\|?*]')
_RESERVED = re.compile(r"(con|prn|aux|nul|com\d|lpt\d)(\..*)?", re.IGNORECASE)


def is_template(out: Path | None) -> bool:
    """Tell whether ``-o`` is a template; a folder that bears this very name is a folder."""
    return out is not None and "{" in str(out) and not os.path.isdir(out)  # noqa: PTH112


def safe_name(text: str) -> str:
    """Make a text fit to be one name on Linux, macOS and Windows, and a visible one; empty when nothing is left of it.

    Characters that one of them forbids become ``_``. Dots and spaces at the end go, and a dot in front gets a ``_``
    before it, so that no text can be ``..`` or lead to another folder.
    """
    text = _FORBIDDEN.sub("_", " ".join(unicodedata.normalize("NFC", text).split())).rstrip(". ")
    return f"_{text}" if text.startswith(".") else text


def fields(tags: Tags, path: Path, folder: Path) -> dict[str, str | int]:
    """What a template is filled with, but for seed, number and suffix.

    A tag that is missing is replaced: the title by the file's name, the album's artist by the artist, other texts by
    ``Unknown …``, the track by 0, the disc by 1.

    Args:
        tags: of the song.
        path: of the song.
        folder: of the song, seen from the folder that was searched.
    """
    stem = safe_name(path.stem) or "_"
    artist = safe_name(tags.artist or tags.album_artist or "") or "Unknown artist"
    return {
        "artist": artist,
        "albumartist": safe_name(tags.album_artist or "") or artist,
        "album": safe_name(tags.album or "") or "Unknown album",
        "title": safe_name(tags.title or "") or stem,
        "track": tags.track or 0,
        "disc": tags.disc or 1,
        "year": tags.year or "Unknown year",
        "genre": safe_name(tags.genre or "") or "Unknown genre",
        "stem": stem,
        "folder": "/".join(folder.parts),  # as they are: these names exist, and covers go beside the songs
    }


class Template:
    """A pattern of paths.

    Args:
        text: a path whose parts may hold fields, ``{name}`` or ``{name:format}`` with Python's format of a text or a
            number; ``{{`` and ``}}`` are braces. It ends in ``.{ext}``, or in the suffix of a picture.

    Raises:
        ConfigError: an unknown field, a brace without its twin, or a name that is no picture.
    """

    def __init__(self, text: str) -> None:
        self.text = text
        path = Path(text).expanduser()
        self._root = path.anchor
        self._parts = path.parts[1:] if self._root else path.parts
        names = {name for part in self._parts for name in self._fields(part)}
        self.needs_tags = not names.isdisjoint(TAG_FIELDS)
        self._numbered = not names.isdisjoint({"n", "seed"})
        self.format = FORMATS.get(path.suffix.lower())
        if self.format is None and path.suffix != ".{ext}":
            raise ConfigError(f"{text} names no picture", hint="End it in .{ext}, .png or .jpg.")

    def _fields(self, part: str) -> list[str]:
        try:
            parsed = [(name, spec or "", how) for _, name, spec, how in Formatter().parse(part) if name is not None]
        except ValueError as error:
            raise ConfigError(f"{self.text}: {error}", hint="Write {{ and }} for braces.") from error
        for name, spec, how in parsed:
            if name not in FIELDS:
                raise ConfigError(f"{self.text}: unknown field {{{name}}}", hint=nearest(name, list(FIELDS), "fields"))
            if how is not None or "{" in spec:
                raise ConfigError(f"{self.text}: {{{name}}} takes only a format", hint=f"Write {{{name}}}.")
            self._fill(f"{{{name}:{spec}}}", _SAMPLE)
        return [name for name, _, _ in parsed]

    def fill(self, values: Mapping[str, str | int], *, seed: int, number: int, numbers: int, ext: str) -> Path:
        """Make the path of one cover.

        Args:
            values: from :func:`fields`.
            seed: of this cover.
            number: which variation it is, from 1.
            numbers: how many there are; without ``{n}`` or ``{seed}`` the number is added to the name.
            ext: suffix without its dot.
        """
        known = {**values, "seed": seed, "n": number, "ext": ext}
        folders = [part for name in self._parts[:-1] for part in self._fill(name, known).split("/")]
        *more, name = self._fill(self._parts[-1], known).split("/")
        stem, _, suffix = name.rpartition(".")
        tail = f"-{number}.{suffix}" if numbers > 1 and not self._numbered else f".{suffix}"
        there = str(values["folder"]).split("/")
        kept = (part if part in there else _fitted(part) for part in (*folders, *more) if part)
        parts = [*kept, f"{_fitted(stem, len(tail))}{tail}"]
        return Path(self._root, *parts)

    def _fill(self, part: str, values: Mapping[str, str | int]) -> str:
        track = values["track"]
        texts = {**values, "track": _Track(track) if isinstance(track, int) else track}
        try:
            return part.format_map(texts)
        except ValueError as error:
            raise ConfigError(f"{self.text}: {error}", hint="See the format of texts and numbers in Python.") from error


class _Track(int):
    """A number that is written with two digits unless a format says otherwise, so that names sort."""

    def __format__(self, spec: str) -> str:
        return super().__format__(spec or "02d")


_SAMPLE: dict[str, str | int] = {
    **dict.fromkeys(FIELDS, "x"),
    **dict.fromkeys(("track", "disc", "seed", "n"), 1),
}


def _fitted(name: str, reserved_bytes: int = 0) -> str:
    """Keep one name short enough and clear of what Windows reserves; ``.`` and ``..`` can only stem from the user."""
    if name in {".", ".."}:
        return name
    room = _NAME_BYTES - reserved_bytes
    name = os.fsencode(name)[:room].decode(errors="ignore").rstrip(". ") or "_"
    return f"_{name}" if _RESERVED.fullmatch(name) else name
