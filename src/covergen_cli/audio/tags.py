"""What the tags of a music file say, whatever its format calls them."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class Tags:
    """Tags of a song; ``None`` where one is missing or says nothing.

    Args:
        title: of the song.
        artist: who plays.
        album: name of the album.
        album_artist: whose album it is; the same for all its songs, also where guests play.
        track: number on the disc.
        disc: number of the disc.
        year: four digits.
        genre: as it stands there.
    """

    title: str | None = None
    artist: str | None = None
    album: str | None = None
    album_artist: str | None = None
    track: int | None = None
    disc: int | None = None
    year: str | None = None
    genre: str | None = None


def read_tags(metadata: Mapping[str, str]) -> Tags:
    """Read tags from ffmpeg's dictionary, which keeps some names as the format has them.

    Args:
        metadata: name in any case → text.
    """
    known = {key.lower().replace(" ", "_"): " ".join(text.split()) for key, text in metadata.items()}

    def first(*names: str) -> str | None:
        return next((known[name] for name in names if known.get(name)), None)

    return Tags(
        title=first("title"),
        artist=first("artist"),
        album=first("album"),
        album_artist=first("album_artist", "albumartist"),
        track=_number(first("track", "tracknumber")),
        disc=_number(first("disc", "discnumber")),
        year=_year(first("date", "year", "tyer")),
        genre=first("genre"),
    )


def _number(text: str | None) -> int | None:
    """``3/12`` → 3."""
    match = re.match(r"\d{1,6}", text or "", flags=re.ASCII)
    return int(match[0]) if match else None


def _year(text: str | None) -> str | None:
    """``2011-03-04`` → 2011."""
    match = re.search(r"\b\d{4}(?!\d)", text or "", flags=re.ASCII)
    return match[0] if match else None
