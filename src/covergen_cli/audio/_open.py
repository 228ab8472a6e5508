"""Open an audio file so that ffmpeg can read this file and nothing else; private to this package."""

from __future__ import annotations

import os
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import av

from covergen_cli.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

__all__ = ["declared_seconds", "opened"]


@contextmanager
def opened(path: Path) -> Iterator[tuple[Any, Any]]:
    """Open a file and choose its audio stream; ffmpeg keeps quiet on stderr because PyAV logs nothing unless asked.

    Yields:
        the container and its best audio stream.

    Raises:
        InputError: the file is missing, not a file, unreadable, empty, not audio, or has no audio stream.
    """
    _check(path)
    try:
        file = path.open("rb")
    except OSError as error:
        raise InputError(f"cannot read {path}: {error.strerror}", hint="Check its permissions.") from error
    with file:
        try:
            container = av.open(file, options={"protocol_whitelist": "none"}, metadata_errors="replace")
        except (av.error.FFmpegError, OSError, ValueError) as error:
            raise InputError(
                f"{path} is not audio, or is damaged", hint="Give a file that a music player can play."
            ) from error
        with container:
            audio: Any = container.streams.best("audio")
            if audio is None:
                what = "a picture or a video without sound" if container.streams.video else "no sound in it"
                raise InputError(f"{path} has no audio stream: {what}", hint="Give a file with sound.")
            if not audio.codec_context or not audio.codec_context.sample_rate or not audio.codec_context.channels:
                raise InputError(
                    f"{path} has an audio stream that cannot be decoded", hint="Convert it to flac or mp3 first."
                )
            yield container, audio


def _check(path: Path) -> None:
    # os.path rather than Path's own methods, which raise for a name that is too long for the disk.
    if os.path.isdir(path):  # noqa: PTH112
        raise InputError(f"{path} is a folder, not an audio file", hint="Name a file inside it.")
    if not os.path.exists(path):  # noqa: PTH110
        raise InputError(f"{path} does not exist", hint="Check the spelling of the path.")
    if not path.is_file():
        raise InputError(f"{path} is not a regular file", hint="Save the sound to a file first.")
    if path.stat().st_size == 0:
        raise InputError(f"{path} is empty", hint="Download or copy it again.")


def declared_seconds(container: Any, audio: Any) -> float | None:
    """Length as the audio stream declares it, else the container; ``None`` where neither does."""
    if audio.duration is not None and audio.time_base is not None:
        return float(audio.duration * audio.time_base)
    return None if container.duration is None else float(container.duration / av.time_base)
