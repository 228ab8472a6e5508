"""Finds the songs of a run in its inputs: music files, folders, patterns and playlists."""

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
"""Lower-case suffixes of playlists, which name one song per line."""

_PLAYLIST_BYTES = 16 << 20
_MARKS = (
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)
"""Byte order marks and their encodings."""


@dataclass(frozen=True)
class Song:
    """A music file.

    Args:
        path: the file.
        folder: its folder, relative to the folder that was searched; ``Path()`` for a file that was named.
        home: folder of its cover when no output folder is given.
    """

    path: Path
    folder: Path = Path()
    home: Path = Path()


def expand(text: str) -> list[Path]:
    """Return the paths that a command-line argument stands for: a path, or a pattern that the shell did not expand.

    An existing file or folder is preferred to a pattern. ``**`` matches any folders. A pattern gives the music,
    playlists and folders that match it, sorted.

    Raises:
        InputError: nothing matches the pattern.
    """
    if os.path.lexists(text) or not glob.has_magic(text):
        return [Path(text)]
    found = sorted(glob.glob(os.path.expanduser(text), recursive=True))  # noqa: PTH111, PTH207 — sorted as texts
    matches = [Path(name) for name in found if os.path.isdir(name) or _is_music_or_playlist(Path(name))]  # noqa: PTH112
    if not matches:
        raise InputError(f"no music matches {text}", hint="Check the pattern, or name a folder.")
    return matches


def _is_music_or_playlist(path: Path) -> bool:
    return _is_music(path.name) or path.suffix.lower() in PLAYLIST_SUFFIXES


def _is_music(name: str) -> bool:
    """Return whether a file that was found in a folder is music."""
    # Segments that --save-segment wrote would get covers in the next run.
    ignored = name.startswith(".") or name.endswith(".segment.mp3")
    return not ignored and Path(name).suffix.lower() in AUDIO_SUFFIXES


def find_songs(inputs: Sequence[Path]) -> list[Song]:
    """Return the songs of all inputs, each once.

    A named file is always a song; a folder is searched for music, without hidden files; a playlist stands for the files
    that it names.

    Raises:
        InputError: a folder or playlist contains no music, or a playlist cannot be read.
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

    Comments and empty lines are skipped. The text is UTF-8, or in the encoding of its byte order mark. A name that is
    not valid UTF-8 is decoded as the file system does, or as cp1252 if there is no such file. ``file:`` URLs are
    supported.

    Raises:
        InputError: the playlist is missing, unreadable or too large, or a line is a URL of the network.
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
    lines = enumerate(_as_utf8(data).splitlines(), start=1)
    return [_entry(path, number, line.strip()) for number, line in lines if line.strip() and line.strip()[:1] != b"#"]


def _as_utf8(data: bytes) -> bytes:
    """Return text with a byte order mark as UTF-8 without it."""
    for mark, encoding in _MARKS:
        if data.startswith(mark):
            return data[len(mark) :].decode(encoding, "replace").encode()
    return data


def _entry(playlist: Path, number: int, line: bytes) -> Path:
    names = list(dict.fromkeys((os.fsdecode(line), line.decode("cp1252", "replace"))))
    # At least two letters, as one letter is a drive of Windows.
    if scheme := re.match(r"([a-z][a-z0-9+.-]+):/", names[0], flags=re.IGNORECASE):
        if scheme[1].lower() != "file":
            raise InputError(
                f"{playlist}, line {number}: {names[0]} is not a local file", hint="Save the song and name its file."
            )
        names = [re.sub(r"^/(?=[A-Za-z]:)", "", unquote(urlsplit(names[0]).path))]
    # Playlists from Windows separate folders by backslashes.
    names += [name.replace("\\", "/") for name in names if "\\" in name]
    paths = [playlist.parent / name for name in names]
    return next((path for path in paths if os.path.exists(path)), paths[0])  # noqa: PTH110
