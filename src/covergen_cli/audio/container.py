"""Open audio files safely, and read what their containers declare.

Files are opened here and handed to ffmpeg as file objects, and every ffmpeg protocol is forbidden: neither an odd file
name (``http:…``, ``concat:…``) nor a playlist with the suffix of a song can make ffmpeg open anything else.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import av

from covergen_cli.audio.truncation import is_chained_ogg
from covergen_cli.errors import InputError


@contextmanager
def open_audio(path: Path) -> Iterator[tuple[Any, Any]]:
    """Open a file and choose its audio stream.

    Yields:
        PyAV's input container and its audio stream.

    Raises:
        InputError: the file is missing, not a file, unreadable, empty, not audio, or has no audio stream.
    """
    _check_file(path)
    try:
        file = path.open("rb")
    except OSError as error:
        raise InputError(f"cannot read {path}: {error.strerror}", hint="Check its permissions.") from error
    with file:
        try:
            # Surrogates keep the bytes of tags that are not UTF-8; see tags.py.
            container = av.open(file, options={"protocol_whitelist": "none"}, metadata_errors="surrogateescape")
        except (av.error.FFmpegError, OSError, ValueError) as error:
            raise InputError(
                f"{path} is not audio, or is damaged", hint="Give a file that a music player can play."
            ) from error
        with container:
            yield container, _audio_stream(path, container)


def _audio_stream(path: Path, container: Any) -> Any:
    audio = container.streams.best("audio")
    if audio is None:
        what = "a picture or a video without sound" if container.streams.video else "no sound in it"
        raise InputError(f"{path} has no audio stream: {what}", hint="Give a file with sound.")
    if not audio.codec_context or not audio.codec_context.sample_rate or not audio.codec_context.channels:
        raise InputError(f"{path} has an audio stream that cannot be decoded", hint="Convert it to flac or mp3 first.")
    return audio


def _check_file(path: Path) -> None:
    # os.path rather than Path's own methods, which raise for a name that is too long for the disk.
    if os.path.isdir(path):  # noqa: PTH112
        if not os.access(path, os.R_OK | os.X_OK):
            raise InputError(f"the folder {path} cannot be read", hint="Check its permissions.")
        raise InputError(f"{path} is a folder, not an audio file", hint="Name a file inside it.")
    if not os.path.exists(path):  # noqa: PTH110
        raise InputError(f"{path} does not exist", hint="Check the spelling of the path.")
    if not path.is_file():
        raise InputError(f"{path} is not a regular file", hint="Save the sound to a file first.")
    if path.stat().st_size == 0:
        raise InputError(f"{path} is empty", hint="Download or copy it again.")


def declared_seconds(path: Path, container: Any, audio: Any) -> float | None:
    """Return the duration that an open file declares; ``None`` if it declares none, or only that of its last part."""
    if container.format.name == "ogg" and is_chained_ogg(path):
        return None
    if audio.duration is not None and audio.time_base is not None:
        return float(audio.duration * audio.time_base)
    return None if container.duration is None else float(container.duration / av.time_base)


def can_seek_exactly(container: Any, audio: Any) -> bool:
    """Return whether the position after a seek is known to the sample.

    That holds where ffmpeg computes it (PCM in files of one header), reads all packets up to it (mp3), or looks it up
    in a table of all packets (mp4 without fragments). Elsewhere it follows from time stamps or a bit rate, which
    chained, concatenated and ADPCM files make meaningless.
    """
    name = container.format.name
    if name in {"wav", "w64", "aiff", "au", "caf"}:
        return bool(audio.codec_context.name.startswith("pcm_"))
    return bool(name == "mp3" or (name.startswith("mov,mp4") and audio.frames > 0))
