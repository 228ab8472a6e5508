"""Which songs were meant: files, folders with their tree, patterns, playlists, lists of paths."""

from __future__ import annotations

import codecs
import glob
import os
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import unquote, urlsplit

from covergen_cli.audio.io import AUDIO_SUFFIXES
from covergen_cli.errors import InputError

PLAYLIST_SUFFIXES = frozenset({".m3u", ".m3u8"})
"""Lower-case suffixes of files that name songs, one per line."""

_PLAYLIST_BYTES = 16 << 20
_MARKS = (
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)
"""Byte order marks and what they stand for."""


@dataclass(frozen=True)
class Song:
    """A music file.

    Args:
        path: where it is.
        folder: its folder, seen from the folder that was searched; ``Path()`` for one that was named.
        home: where its cover goes when no output was given.
    """

    path: Path
    folder: Path = Path()
    home: Path = Path()


def expand(text: str) -> list[Path]:
    """Read one argument of a command line: a pattern that the shell left as it is, or a path.

    A file or folder that bears the very name wins over the pattern. ``**`` stands for any folders. A pattern gives the
    music, playlists and folders that it fits, in order.

    Raises:
        InputError: nothing fits the pattern.
    """
    if os.path.lexists(text) or not glob.has_magic(text):
        return [Path(text)]
    found = sorted(glob.glob(os.path.expanduser(text), recursive=True))  # noqa: PTH111, PTH207 — sorted as texts
    fit = [Path(name) for name in found if os.path.isdir(name) or _is_meant(Path(name))]  # noqa: PTH112
    if not fit:
        raise InputError(f"no music fits {text}", hint="Check the pattern, or name a folder.")
    return fit


def _is_meant(path: Path) -> bool:
    return _is_music(path.name) or path.suffix.lower() in PLAYLIST_SUFFIXES


def _is_music(name: str) -> bool:
    """Tell whether a file is looked at when nobody named it."""
    # What --save-segment wrote is no song, or a second run would draw covers for it.
    kept = name.startswith(".") or name.endswith(".segment.mp3")
    return not kept and Path(name).suffix.lower() in AUDIO_SUFFIXES


def find_songs(inputs: Sequence[Path]) -> list[Song]:
    """Find every song once, by the first input that names it.

    A named file is always a song; a folder is searched for music, hidden files left out; a playlist gives the files
    that it names.

    Raises:
        InputError: a folder or playlist holds no music, or a playlist cannot be read.
    """
    found: dict[str, Song] = {}
    for path in inputs:
        for song in _songs(path):
            found.setdefault(os.path.realpath(song.path), song)
    return list(found.values())


def _songs(path: Path) -> list[Song]:
    if os.path.isdir(path):  # noqa: PTH112 — Path.is_dir raises for a name that is too long
        songs = list(_search(path))
    elif path.suffix.lower() in PLAYLIST_SUFFIXES:
        songs = [Song(entry) for entry in read_playlist(path)]
    else:
        return [Song(path)]
    if not songs:
        raise InputError(f"no music in {path}", hint=f"Known are {', '.join(sorted(AUDIO_SUFFIXES))}.")
    return songs


def _search(top: Path) -> Iterator[Song]:
    """Find the music below a folder; links to folders are not followed, as they may lead in circles.

    A folder that cannot be read is given as if it were a song, so that it is named among what failed.
    """
    closed: list[OSError] = []
    for folder, subfolders, names in os.walk(top, onerror=closed.append):
        subfolders[:] = sorted(name for name in subfolders if not name.startswith("."))
        for name in sorted(names):
            if _is_music(name):
                yield Song(Path(folder, name), Path(folder).relative_to(top), Path("covers"))
    for error in closed:
        path = Path(error.filename)
        yield Song(path, path.parent.relative_to(top) if path != top else Path(), Path("covers"))


def read_playlist(path: Path) -> list[Path]:
    """Read the files that a playlist (m3u, m3u8) names, relative ones as seen from its folder.

    Comments and empty lines are left out. The text is UTF-8, or what its byte order mark says; a name that is not valid
    UTF-8 is taken as the file system has it, else as Windows wrote it (cp1252). ``file:`` addresses are understood.

    Raises:
        InputError: the playlist is missing, unreadable or too large, or a line is an address on the network.
    """
    try:
        with path.open("rb") as file:
            data = file.read(_PLAYLIST_BYTES + 1)
    except FileNotFoundError as error:
        raise InputError(f"{path} does not exist", hint="Check the spelling of the path.") from error
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror or error}") from error
    if len(data) > _PLAYLIST_BYTES:
        raise InputError(f"{path} is too large for a playlist", hint="Name the songs or their folder.")
    lines = enumerate(_unmarked(data).splitlines(), start=1)
    return [_entry(path, number, line.strip()) for number, line in lines if line.strip() and line.strip()[:1] != b"#"]


def _unmarked(data: bytes) -> bytes:
    """Drop a byte order mark, and turn what it stands for into UTF-8."""
    for mark, encoding in _MARKS:
        if data.startswith(mark):
            return data[len(mark) :].decode(encoding, "replace").encode()
    return data


def _entry(playlist: Path, number: int, line: bytes) -> Path:
    names = list(dict.fromkeys((os.fsdecode(line), line.decode("cp1252", "replace"))))
    # Two letters at least: one is a drive of Windows.
    if scheme := re.match(r"([a-z][a-z0-9+.-]+):/", names[0], flags=re.IGNORECASE):
        if scheme[1].lower() != "file":
            raise InputError(
                f"{playlist}, line {number}: {names[0]} is no local file", hint="Save the song and name its file."
            )
        names = [re.sub(r"^/(?=[A-Za-z]:)", "", unquote(urlsplit(names[0]).path))]
    # Playlists that Windows wrote name their folders with backslashes.
    names += [name.replace("\\", "/") for name in names if "\\" in name]
    paths = [playlist.parent / name for name in names]
    return next((path for path in paths if os.path.exists(path)), paths[0])  # noqa: PTH110
