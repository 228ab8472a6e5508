"""File names of covers: after the song, or by a template such as ``{artist}/{album}/cover.{ext}``."""

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
from covergen_cli.files import sha256_bytes

if TYPE_CHECKING:
    from covergen_cli.audio.tags import Tags

FORMATS: dict[str, Literal["png", "jpg", "svg"]] = {".png": "png", ".jpg": "jpg", ".jpeg": "jpg", ".svg": "svg"}
"""Formats by the suffix of the cover's file."""

TAG_FIELDS = ("artist", "albumartist", "album", "title", "track", "disc", "year", "genre")
"""Template fields that are filled from tags."""

FIELDS = (*TAG_FIELDS, "stem", "folder", "seed", "n", "ext")
"""All template fields."""

_NAME_BYTES = 240
"""Maximum length of a name made from tags: file systems allow 255 bytes, and a suffix may be added."""
_MAX_BYTES = 255
_DIGEST_DIGITS = 8
# The surrogates are those that stand for no byte of a file name; no file system could take them.
_FORBIDDEN = re.compile(r'[\x00-\x1f\x7f<>:"/\\|?*\ud800-\udc7f\udd00-\udfff]')
_RESERVED = re.compile(r"(con|prn|aux|nul|com\d|lpt\d)(\..*)?", re.IGNORECASE)


def is_template(out: Path | None) -> bool:
    """Return whether ``-o`` is a template, that is, contains a brace and is not an existing folder."""
    return out is not None and "{" in str(out) and not os.path.isdir(out)  # noqa: PTH112


def safe_name(text: str) -> str:
    """Return a text as a valid, visible file name on Linux, macOS and Windows; may be empty.

    Forbidden characters become ``_``, dots and spaces at the end are dropped, and a leading dot is preceded by ``_``,
    so that no text can be ``..`` or lead to another folder.
    """
    text = _FORBIDDEN.sub("_", " ".join(unicodedata.normalize("NFC", text).split())).rstrip(". ")
    return f"_{text}" if text.startswith(".") else text


def visible_name(path: Path | str) -> str:
    r"""Return a file name for people: bytes that are not UTF-8 are shown as ``\xe9``."""
    return os.fsencode(str(path)).decode("utf-8", "backslashreplace")


def file_name(stem: str, tail: str) -> str:
    """Return ``stem + tail``, or if that is too long for a file system, a shorter stem with a digest of it."""
    if len(os.fsencode(stem + tail)) <= _MAX_BYTES:
        return stem + tail
    digest = sha256_bytes(os.fsencode(stem))[:_DIGEST_DIGITS]
    return f"{_cut(stem, _MAX_BYTES - _DIGEST_DIGITS - 1 - len(os.fsencode(tail)))}-{digest}{tail}"


def _cut(name: str, count: int) -> str:
    """Return the beginning of a name, at most ``count`` bytes, without half a character at the end."""
    while len(os.fsencode(name)) > count:
        name = name[: max(count // 4, len(name) - max(1, (len(os.fsencode(name)) - count) // 4))]
    return name


def fields(tags: Tags, path: Path, folder: Path) -> dict[str, str | int]:
    """Return the values of a template's fields, except seed, number and suffix.

    Missing tags are replaced: the title by the file's name, the album artist by the artist, other texts by ``Unknown
    …``, the track by 0, the disc by 1.

    Args:
        tags: tags of the song.
        path: the music file.
        folder: its folder, relative to the folder that was searched.
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
        "folder": "/".join(folder.parts),  # unchanged: these folders exist, and covers go beside the songs
    }


class Template:
    """A template of paths.

    Args:
        text: a path with fields, ``{name}`` or ``{name:format}`` with a format specification of Python; ``{{`` and
            ``}}`` stand for braces. It ends in ``.{ext}``, or in the suffix of a picture.

    Raises:
        ConfigError: a field is unknown, a brace is unmatched, or the suffix is not that of a picture.
    """

    def __init__(self, text: str) -> None:
        self.text = text
        path = Path(os.path.expanduser(text))  # noqa: PTH111 — Path.expanduser raises for a user without a home
        self._root = path.anchor
        self._parts = path.parts[1:] if self._root else path.parts
        names = {name for part in self._parts for name in self._fields(part)}
        self.needs_tags = not names.isdisjoint(TAG_FIELDS)
        self._numbered = not names.isdisjoint({"n", "seed"})
        self.format = FORMATS.get(path.suffix.lower())
        if self.format is None and path.suffix != ".{ext}":
            raise ConfigError(f"{text} names no picture", hint="End it in .{ext}, .png, .jpg or .svg.")

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
        """Return the path of one cover.

        Args:
            values: from :func:`fields`.
            seed: the cover's seed.
            number: number of the variation, from 1.
            numbers: number of variations; if there are several, a template without ``{n}`` and ``{seed}`` gets
                ``-number`` appended.
            ext: suffix without its dot.
        """
        known = {**values, "seed": seed, "n": number, "ext": ext}
        folders = [part for name in self._parts[:-1] for part in self._fill(name, known).split("/")]
        *more, name = self._fill(self._parts[-1], known).split("/")
        stem, _, suffix = name.rpartition(".")
        tail = f"-{number}.{suffix}" if numbers > 1 and not self._numbered else f".{suffix}"
        existing = str(values["folder"]).split("/")
        parents = (part if part in existing else _fitted(part) for part in (*folders, *more) if part)
        return Path(self._root, *parents, f"{_fitted(stem, len(tail))}{tail}")

    def _fill(self, part: str, values: Mapping[str, str | int]) -> str:
        track = values["track"]
        texts = {**values, "track": _Track(track) if isinstance(track, int) else track}
        try:
            return part.format_map(texts)
        except ValueError as error:
            raise ConfigError(f"{self.text}: {error}", hint="See the format of texts and numbers in Python.") from error


class _Track(int):
    """A number with two digits unless a format is given, so that names sort."""

    def __format__(self, spec: str) -> str:
        return super().__format__(spec or "02d")


_SAMPLE: dict[str, str | int] = {
    **dict.fromkeys(FIELDS, "x"),
    **dict.fromkeys(("track", "disc", "seed", "n"), 1),
}


def _fitted(name: str, reserved_bytes: int = 0) -> str:
    """Return a name that is short enough and not reserved by Windows; keep ``.`` and ``..``, which the user wrote."""
    if name in {".", ".."}:
        return name
    name = _cut(name, _NAME_BYTES - reserved_bytes).rstrip(". ") or "_"
    return f"_{name}" if _RESERVED.fullmatch(name) else name
