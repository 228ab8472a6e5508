"""What a music file plays, apart from its name, its tags and the picture in it."""

from __future__ import annotations

import hashlib
from pathlib import Path

import av

from covergen_cli.audio.io import open_audio
from covergen_cli.errors import InputError
from covergen_cli.files import sha256_file


def audio_sha256(path: Path) -> str:
    """Name the sound of a file: SHA-256 over the packets of its audio stream, still encoded.

    Another tag or picture leaves it as it is. A file whose packets cannot be read to the end is named by all its bytes.

    Returns:
        64 hexadecimal digits.

    Raises:
        OSError: the file cannot be read.
    """
    digest = hashlib.sha256()
    try:
        with open_audio(path) as (container, audio):
            digest.update(audio.codec_context.name.encode())
            for packet in container.demux(audio):
                digest.update(bytes(packet))
    except (InputError, av.error.FFmpegError):
        return sha256_file(path)
    return digest.hexdigest()
