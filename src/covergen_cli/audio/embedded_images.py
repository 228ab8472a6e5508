"""Read the pictures embedded in a music file."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path

import av

from covergen_cli.audio.container import open_audio

_FRONT = "cover (front)"
_MAX_PACKETS = 100


def read_pictures(path: str | os.PathLike[str]) -> tuple[bytes, ...]:
    """Return the encoded pictures (JPEG, PNG …) in a music file, front covers first.

    Raises:
        InputError: the file is not audio (see :func:`covergen_cli.audio.io.probe`).
    """
    attached = av.stream.Disposition.attached_pic
    with open_audio(Path(path)) as (container, _):
        streams = [stream for stream in container.streams.video if stream.disposition & attached]
        found: dict[int, bytes] = {}
        if streams:
            with suppress(av.error.FFmpegError, OSError):
                for number, packet in enumerate(container.demux(streams)):
                    if packet.size:
                        found.setdefault(packet.stream.index, bytes(packet))
                    if len(found) == len(streams) or number >= _MAX_PACKETS:
                        break
        front = sorted(streams, key=lambda stream: stream.metadata.get("comment", "").lower() != _FRONT)
        return tuple(found[stream.index] for stream in front if stream.index in found)
