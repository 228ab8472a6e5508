"""What a music file says of itself, and the covers inside it.

ffmpeg reads the tags of every format that it decodes, under the same names, and gives attached pictures as they are.
"""

from __future__ import annotations

import re
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import av

from covergen_cli.audio.io import opened

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["Tags", "read_tags"]

_FRONT = "cover (front)"
_MOST_PACKETS = 100


@dataclass(frozen=True)
class Tags:
    """Tags of a file; what it does not say is empty.

    Args:
        title: of the song.
        artist: who plays it; else whose album it is.
        album: title of the album.
        genre: as written.
        year: four digits.
        pictures: the files of the pictures inside, front covers first.
    """

    title: str
    artist: str
    album: str
    genre: str
    year: str
    pictures: tuple[bytes, ...]


def read_tags(path: Path) -> Tags:
    """Read tags and pictures.

    Raises:
        InputError: the file is no audio (see :func:`covergen_cli.audio.io.probe`).
    """
    with opened(path) as (container, audio):
        # Ogg has its tags at the stream, the others at the container.
        said = {key.lower(): text.strip() for source in (audio, container) for key, text in source.metadata.items()}
        year = re.search(r"\d{4}", said.get("date", "") or said.get("year", ""))
        return Tags(
            title=said.get("title", ""),
            artist=said.get("artist", "") or said.get("album_artist", ""),
            album=said.get("album", ""),
            genre=said.get("genre", ""),
            year=year[0] if year else "",
            pictures=_pictures(container),
        )


def _pictures(container: Any) -> tuple[bytes, ...]:
    attached = av.stream.Disposition.attached_pic
    streams = [stream for stream in container.streams.video if stream.disposition & attached]
    found: dict[int, bytes] = {}
    if streams:
        with suppress(av.error.FFmpegError, OSError):
            for number, packet in enumerate(container.demux(streams)):
                if packet.size:
                    found.setdefault(packet.stream.index, bytes(packet))
                if len(found) == len(streams) or number >= _MOST_PACKETS:
                    break
    front = sorted(streams, key=lambda stream: stream.metadata.get("comment", "").lower() != _FRONT)
    return tuple(found[stream.index] for stream in front if stream.index in found)
