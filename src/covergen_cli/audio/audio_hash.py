"""A hash of the encoded sound in a music file, which its name, tags and pictures do not change."""

from __future__ import annotations

import os
from itertools import chain
from pathlib import Path

import av

from covergen_cli.audio.container import open_audio
from covergen_cli.errors import InputError
from covergen_cli.files import sha256_chunks, sha256_file


def audio_sha256(path: str | os.PathLike[str]) -> str:
    """Return the SHA-256 of a file's encoded audio packets, as 64 hexadecimal digits.

    If the packets cannot be read to the end, return the SHA-256 of all bytes of the file.

    Raises:
        OSError: the file cannot be read.
    """
    path = Path(path)
    try:
        with open_audio(path) as (container, audio):
            packets = (bytes(packet) for packet in container.demux(audio))
            return sha256_chunks(chain([audio.codec_context.name.encode()], packets))
    except (InputError, av.error.FFmpegError):
        return sha256_file(path)
