"""The identity of a song: a hash of its sound that no tag changes."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

import av

from covergen_cli.artifacts import sha256_file
from covergen_cli.audio._open import opened
from covergen_cli.errors import InputError

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["sound_sha256"]


def sound_sha256(path: Path) -> str:
    """Hash the sound of a file as it is stored: the bytes of its audio packets, without tags and pictures.

    So a song is the same song after it was renamed, moved or tagged anew. Nothing is decoded. A file that ffmpeg cannot
    open is hashed whole; what is wrong with it is said when it is decoded.

    Returns:
        64 hexadecimal digits.

    Raises:
        InputError: the file is missing, a folder, empty, or unreadable.
    """
    digest = hashlib.sha256()
    found = False
    try:
        with opened(path) as (container, audio):
            for packet in container.demux(audio):
                digest.update(packet)
                found = found or packet.size > 0
    except (InputError, av.error.FFmpegError):
        found = False
    return digest.hexdigest() if found else _file_sha256(path)


def _file_sha256(path: Path) -> str:
    try:
        if path.stat().st_size == 0:
            raise InputError(f"{path} is empty", hint="Download or copy it again.")
        return sha256_file(path)
    except FileNotFoundError as error:
        raise InputError(f"{path} does not exist", hint="Check the name.") from error
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror or error}", hint="Check its permissions.") from error
