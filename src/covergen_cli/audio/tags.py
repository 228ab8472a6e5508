"""Read the tags of a music file, whatever its format calls them."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

_CP1252 = {code: char for code in range(0x80, 0xA0) if (char := bytes([code]).decode("cp1252", "ignore"))}
"""Characters that cp1252 has where Latin-1 has control characters."""


@dataclass(frozen=True)
class Tags:
    """Tags of a song; ``None`` where one is missing or empty.

    Args:
        title: title of the song.
        artist: artists of the song, joined by commas.
        album: name of the album.
        album_artist: artists of the album, the same for all its songs, joined by commas.
        track: number on the disc.
        disc: number of the disc.
        year: four digits.
        genre: as written in the file.
        lyrics: in one line.
    """

    title: str | None = None
    artist: str | None = None
    album: str | None = None
    album_artist: str | None = None
    track: int | None = None
    disc: int | None = None
    year: str | None = None
    genre: str | None = None
    lyrics: str | None = None


def read_tags(metadata: Mapping[str, str]) -> Tags:
    """Return the tags in ffmpeg's metadata, which keeps some names as the format has them.

    Args:
        metadata: name in any case → text, with surrogate escapes for bytes that are not UTF-8. Several artists are
            separated by semicolons.
    """
    known = {key.lower().replace(" ", "_"): " ".join(_decoded(text).split()) for key, text in metadata.items()}

    def first(*names: str) -> str | None:
        return next((known[name] for name in names if known.get(name)), None)

    return Tags(
        title=first("title"),
        artist=_joined(first("artist")),
        album=first("album"),
        album_artist=_joined(first("album_artist", "albumartist")),
        track=_number(first("track", "tracknumber")),
        disc=_number(first("disc", "discnumber")),
        year=_year(first("date", "year", "tyer")),
        genre=first("genre"),
        # ffmpeg adds the language to the name that ID3 has.
        lyrics=first("lyrics", "unsyncedlyrics", *(name for name in known if name.startswith("lyrics-"))),
    )


def _decoded(text: str) -> str:
    """Decode bytes that are not UTF-8 (ID3v1, RIFF INFO) as cp1252, which tag editors write where Latin-1 is meant."""
    raw = text.encode("utf-8", "surrogateescape")
    try:
        text = raw.decode()
    except UnicodeDecodeError:
        text = raw.decode("latin-1")
    return text.translate(_CP1252).replace("\ufffd", "")


def _joined(artists: str | None) -> str | None:
    """Join artists: ``Ana; Ben`` → ``Ana, Ben``."""
    return ", ".join(part for part in map(str.strip, (artists or "").split(";")) if part) or None


def _number(text: str | None) -> int | None:
    """Return the first number: ``3/12`` → 3."""
    match = re.match(r"\d{1,6}", text or "", flags=re.ASCII)
    return int(match[0]) if match else None


def _year(text: str | None) -> str | None:
    """Return the year of a date: ``2011-03-04`` → 2011."""
    match = re.search(r"\b\d{4}(?!\d)", text or "", flags=re.ASCII)
    return match[0] if match else None
