"""Finds the songs of a run in its inputs: music files, folders, patterns and playlists."""

from __future__ import annotations

import codecs
import glob
import os
import re
import stat
import unicodedata
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import unquote

from covergen_cli.audio.io import AUDIO_SUFFIXES
from covergen_cli.errors import InputError

PLAYLIST_SUFFIXES = frozenset({".m3u", ".m3u8"})
"""Lower-case suffixes of playlists, which name one song per line."""

SEGMENT_SUFFIX = ".segment.mp3"
"""End of the names of segments that ``--save-segment`` writes."""

_PLAYLIST_BYTES = 16 << 20
_MARKS = {codecs.BOM_UTF8: "utf-8", codecs.BOM_UTF16_LE: "utf-16-le", codecs.BOM_UTF16_BE: "utf-16-be"}
"""Encodings by their byte order marks."""


@dataclass(frozen=True)
class Song:
    """A music file."""

    path: Path
    folder: Path = Path()  # its folder, relative to the folder that was searched; ``Path()`` for a file that was named
    home: Path = Path()  # folder of its cover when no output folder is given
    playlist: Path | None = None  # the playlist that names it


def expand(text: str) -> list[Path]:
    """Return the paths that a command-line argument stands for: a path, or a pattern that the shell did not expand.

    An existing file or folder is preferred to a pattern. ``**`` matches any folders. A pattern gives the music,
    playlists and folders that match it, sorted.

    Raises:
        InputError: nothing matches the pattern.
    """
    if os.path.lexists(text) or not glob.has_magic(text) or "://" in text:
        return [Path(text)]
    found = sorted(glob.glob(os.path.expanduser(text), recursive=True))  # noqa: PTH111, PTH207 — sorted as texts
    matches = [
        Path(name)
        for name in found
        if os.path.isdir(name) or _is_music(name) or Path(name).suffix.lower() in PLAYLIST_SUFFIXES  # noqa: PTH112
    ]
    if not matches:
        raise InputError(f"no music matches {text}", hint="Check the pattern, or name a folder.")
    return matches


def _is_music(name: str) -> bool:
    """Return whether a file that was found in a folder is music."""
    # Segments that --save-segment wrote would get covers in the next run.
    ignored = Path(name).name.startswith(".") or name.endswith(SEGMENT_SUFFIX)
    return not ignored and Path(name).suffix.lower() in AUDIO_SUFFIXES


def find_songs(inputs: Sequence[Path], *, keep_playlists: bool = False) -> list[Song]:
    """Return the songs of all inputs, each once; with ``keep_playlists``, once for every playlist that names it.

    A named file is always a song; a folder is searched for music, without hidden files; a playlist stands for the files
    that it names.

    An input that cannot be used becomes a song too, which fails for the reason that :func:`input_fault` gives, so that
    the others are made.

    Raises:
        InputError: no input can be used: a folder or playlist contains no music, or a playlist cannot be read.
    """
    found: dict[tuple[str, Path | None], Song] = {}
    errors: list[InputError] = []
    for path in inputs:
        try:
            songs = _songs(path)
        except InputError as error:
            errors.append(error)
            songs = [Song(path)]
        for song in songs:
            found.setdefault((real_path(song.path), song.playlist if keep_playlists else None), song)
    if errors and len(errors) == len(inputs):
        raise errors[0]
    return list(found.values())


def real_path(path: Path) -> str:
    """Return the absolute path without links, or the path itself where the system cannot tell."""
    try:
        return os.path.realpath(path)
    except (OSError, ValueError):
        return str(path)


def input_fault(path: Path) -> InputError | None:
    """Return why a path cannot be a song, as far as that is known without reading audio, or ``None``."""
    if os.path.isdir(path) or path.suffix.lower() in PLAYLIST_SUFFIXES:  # noqa: PTH112
        try:
            songs = _songs(path)
        except InputError as error:
            return error
        return InputError(f"the folder {path} cannot be read", hint="Check its permissions.") if songs else None
    try:
        regular = stat.S_ISREG(path.stat().st_mode)
    except FileNotFoundError:
        if url := re.match(r"([a-z][a-z0-9+.-]+):/+(.*)", str(path), flags=re.IGNORECASE | re.DOTALL):
            text = f"{url[1]}://{url[2]}"
            return InputError(f"{text} is not a local file", hint="Save the song and name its file.")
        return InputError(f"{path} does not exist", hint="Check the name.")
    except (OSError, ValueError) as error:
        return InputError(f"{path} cannot be read: {getattr(error, 'strerror', None) or 'it is not a path'}")
    # A pipe, as of the shell's <(…), can be read only once.
    return None if regular else InputError(f"{path} is not a regular file", hint="Save the song to a file.")


def _songs(path: Path) -> list[Song]:
    if os.path.isdir(path):  # noqa: PTH112 — Path.is_dir raises for a name that is too long
        songs = list(_search(path))
    elif path.suffix.lower() in PLAYLIST_SUFFIXES:
        songs = [Song(entry, playlist=path) for entry in read_playlist(path)]
    else:
        return [Song(path)]
    if not songs:
        raise InputError(f"no music in {path}", hint=f"Supported: {', '.join(sorted(AUDIO_SUFFIXES))}.")
    return songs


def _search(top: Path) -> Iterator[Song]:
    """Yield the music below a folder, without following links to folders, which may form a loop.

    A folder that cannot be read is yielded as if it were a song, so that it is reported as a failure.
    """
    unreadable: list[OSError] = []
    for folder, subfolders, names in os.walk(top, onerror=unreadable.append):
        subfolders[:] = sorted(name for name in subfolders if not name.startswith("."))
        for name in sorted(names):
            if _is_music(name):
                yield Song(Path(folder, name), Path(folder).relative_to(top), Path("covers"))
    for error in unreadable:
        path = Path(error.filename)
        yield Song(path, path.parent.relative_to(top) if path != top else Path(), Path("covers"))


def read_playlist(path: Path) -> list[Path]:
    """Return the files that a playlist (m3u, m3u8) names; relative paths start at its folder.

    Comments and empty lines are skipped. See :func:`find_listed` for how the lines are read.

    Raises:
        InputError: the playlist is missing, unreadable or too large.
    """
    try:
        with path.open("rb") as file:
            data = file.read(_PLAYLIST_BYTES + 1)
    except FileNotFoundError as error:
        raise InputError(f"{path} does not exist", hint="Check the spelling of the path.") from error
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise InputError(f"{path} cannot be read: {reason}") from error
    if len(data) > _PLAYLIST_BYTES:
        raise InputError(f"{path} is too large for a playlist", hint="Name the songs or their folder.")
    lines = (line.strip() for line in _as_utf8(data).splitlines())
    return [find_listed(line, path.parent) for line in lines if line and line[:1] != b"#"]


def read_list(data: bytes) -> list[Path]:
    """Return the files that a list of paths names, one per line, as other programs write it; see :func:`find_listed`.

    Raises:
        InputError: the paths are separated by NUL.
    """
    data = _as_utf8(data)
    if b"\0" in data:
        raise InputError("the paths on stdin are separated by NUL, not by line ends", hint="Add -0.")
    # splitlines would also split names at characters such as form feeds.
    lines = (line.rstrip(b"\r") for line in data.split(b"\n"))
    return [find_listed(line, Path()) for line in lines if line.strip()]


def _as_utf8(data: bytes) -> bytes:
    """Return text with a byte order mark as UTF-8 without it."""
    for mark, encoding in _MARKS.items():
        if data.startswith(mark):
            return data[len(mark) :].decode(encoding, "replace").encode()
    return data


def find_listed(line: bytes, folder: Path) -> Path:
    """Return the file that a line of a list means: the first of its readings that exists, or else the line as it is.

    The readings: the bytes themselves, as cp1252, the path of a ``file:`` URL, with percent escapes decoded, with
    ``/`` instead of the backslashes of Windows, and each of them in Unicode's composed and decomposed forms (NFC, NFD).

    Args:
        line: one line, without its end.
        folder: relative paths start here.
    """
    literal = os.fsdecode(line)
    names = [literal, line.decode("cp1252", "replace")]
    # At least two letters, as one letter is a drive of Windows.
    if scheme := re.match(r"([a-z][a-z0-9+.-]+):/", literal, flags=re.IGNORECASE):
        if scheme[1].lower() != "file":
            return Path(literal)
        local = re.sub(r"^file:(//[^/]*)?", "", literal, flags=re.IGNORECASE)
        names = [re.sub(r"^/(?=[A-Za-z]:)", "", text) for text in (unquote(local, errors="surrogateescape"), local)]
    names += [unquote(name, errors="surrogateescape") for name in names if "%" in name]
    names += [name.replace("\\", "/") for name in names if "\\" in name]
    paths = [folder / name for name in dict.fromkeys(names)]
    found = (path for path in paths if os.path.exists(path))  # noqa: PTH110 — Path.exists raises for long names
    composed = (path for given in paths if (path := _in_other_form(given)))
    return next(found, None) or next(composed, paths[0])


def _in_other_form(path: Path) -> Path | None:
    """Return the existing file whose name differs only in the composition of its letters, part by part, or ``None``."""
    found = Path(path.anchor)
    for part in path.parts[1:] if path.anchor else path.parts:
        forms = (part, unicodedata.normalize("NFC", part), unicodedata.normalize("NFD", part))
        place = next((found / form for form in forms if os.path.lexists(found / form)), None)
        if place is None:
            return None
        found = place
    return found
