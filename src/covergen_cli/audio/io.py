"""Any audio file → mono float32, as a stream of blocks or as one clip (§3.4.1's input).

ffmpeg's libraries (through PyAV, inside its wheel) decode, soxr resamples. Files are open_audio here and handed over as
file objects, and every ffmpeg protocol is forbidden, so neither an odd file name (``http:…``, ``concat:…``) nor a
playlist dressed up as a song can make ffmpeg open anything else.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from math import gcd
from pathlib import Path
from typing import Any, TypeAlias

import av
import numpy as np
import numpy.typing as npt
import soxr

from covergen_cli.audio.decode import CannotSeekError, Damage, native_blocks, rebuffered, resampled
from covergen_cli.audio.tags import Tags, read_tags
from covergen_cli.errors import InputError
from covergen_cli.files import atomic_path

ANALYSIS_RATE_HZ = 22050
"""The rate at which segments and descriptors are computed."""

AUDIO_SUFFIXES = frozenset(
    f".{name}"
    for name in (
        *(
            "aac",
            "ac3",
            "aif",
            "aiff",
            "amr",
            "ape",
            "au",
            "caf",
            "dsf",
            "flac",
            "m4a",
            "m4b",
            "mka",
            "mp2",
            "mp3",
            "mpc",
        ),
        *("oga", "ogg", "opus", "tta", "w64", "wav", "weba", "wma", "wv"),
        *("avi", "flv", "m4v", "mkv", "mov", "mp4", "ogv", "webm", "wmv"),
    )
)
"""Lower-case suffixes that are looked for in a folder; a file that is named outright may have any suffix."""

SILENCE_PEAK = 1e-4
"""Peak (−80 dB of full scale) up to which a signal counts as silent: above 16-bit dither, below any music."""

MP3_RATES_HZ = (8000, 11025, 12000, 16000, 22050, 24000, 32000, 44100, 48000)

_PREROLL_SECONDS = 0.5
_SEEK_FROM_SECONDS = 5.0


Resample: TypeAlias = Callable[[npt.NDArray[np.float32], int, int], npt.NDArray[np.float32]]
"""Mono samples, their rate, the rate that is wanted → mono samples."""


@dataclass(frozen=True)
class AudioInfo:
    """What a file says about itself, without decoding it.

    Args:
        path: the file.
        duration_seconds: as the container declares it; ``None`` when it does not.
        sample_rate_hz: of the audio stream that would be decoded.
        channels: of that stream.
        codec: ffmpeg's name of its codec, e.g. ``"mp3"``.
        title: from the tags, or ``None``.
        artist: from the tags, or ``None``.
        tags: these and the others that say which album the song belongs to.
    """

    path: Path
    duration_seconds: float | None
    sample_rate_hz: int
    channels: int
    codec: str
    title: str | None
    artist: str | None
    tags: Tags


@dataclass(frozen=True)
class Clip:
    """Decoded sound.

    Args:
        samples: mono float32 ``(n,)`` in [−1, 1].
        sample_rate_hz: their rate.
        warnings: sentences about what was wrong with the file, empty when nothing was.
    """

    samples: npt.NDArray[np.float32]
    sample_rate_hz: int
    warnings: tuple[str, ...]


def is_silent(samples: npt.NDArray[np.float32]) -> bool:
    """Return whether no sample rises above −80 dB of full scale; true of no samples at all."""
    return samples.size == 0 or float(np.max(np.abs(samples))) <= SILENCE_PEAK


def probe(path: str | Path) -> AudioInfo:
    """Read duration, format and tags of a file.

    Raises:
        InputError: the file is missing, not a file, unreadable, empty, not audio, or has no audio stream.
    """
    path = Path(path)
    with open_audio(path) as (container, audio):
        tags = read_tags({**audio.metadata, **container.metadata})
        return AudioInfo(
            path=path,
            duration_seconds=declared_seconds(container, audio),
            sample_rate_hz=audio.codec_context.sample_rate,
            channels=audio.codec_context.channels,
            codec=audio.codec_context.name,
            title=tags.title,
            artist=tags.artist or tags.album_artist,
            tags=tags,
        )


class AudioStream(Iterator[npt.NDArray[np.float32]]):
    """Blocks of a file as mono float32, one after the other; memory does not grow with the file.

    Iterate over it; ``warnings`` is complete once the iteration has ended. Made by :func:`stream`.

    Attributes:
        warnings: sentences about what was wrong with the file.
        samples: number of samples yielded so far.
    """

    def __init__(self, path: Path, sample_rate_hz: int, block_seconds: float) -> None:
        self.warnings: tuple[str, ...] = ()
        self.samples = 0
        self._blocks = self._run(path, sample_rate_hz, max(1, round(block_seconds * sample_rate_hz)))

    def __next__(self) -> npt.NDArray[np.float32]:
        """Return the next block; raise StopIteration at the end of the file and InputError when nothing was decoded."""
        return next(self._blocks)

    def close(self) -> None:
        """Close the file before its end; harmless when it is closed already."""
        self._blocks.close()

    def _run(self, path: Path, rate_hz: int, block: int) -> Generator[npt.NDArray[np.float32], None, None]:
        damage = Damage()
        with open_audio(path) as (container, audio):
            for piece in rebuffered(resampled(native_blocks(container, audio, damage), rate_hz), block):
                self.samples += piece.size
                yield piece
            if not self.samples:
                raise _no_sound(path)
            self.warnings = damage_warnings(path, self.samples / rate_hz, declared_seconds(container, audio), damage)


def stream(path: str | Path, sample_rate_hz: int, block_seconds: float = 10.0) -> AudioStream:
    """Decode a file block by block.

    Channels are averaged, so that a file and its mono copy sound the same; samples are clipped to [−1, 1], and ones
    that are no number become 0.

    Args:
        path: a local file that ffmpeg can decode.
        sample_rate_hz: rate of the samples that are yielded.
        block_seconds: length of every block but the last, which may be shorter.

    Returns:
        An iterator over float32 arrays ``(n,)``, with the warnings on it afterwards.

    Raises:
        InputError: while iterating: the file is missing, not a file, unreadable, empty, not audio, has no audio stream,
            or not one sample could be decoded.
    """
    return AudioStream(Path(path), sample_rate_hz, block_seconds)


def load(
    path: str | Path,
    sample_rate_hz: int,
    start_seconds: float = 0.0,
    end_seconds: float | None = None,
    resample: Resample | None = None,
) -> Clip:
    """Decode a file, or the part of it between two times, into one array.

    A part that starts late is sought, and decoded from a little before, so that it equals that part of the whole file.

    Args:
        path: a local file that ffmpeg can decode.
        sample_rate_hz: rate of the returned samples.
        start_seconds: start of the part, from the first sample of the file.
        end_seconds: end of the part; ``None``, or a time after the end of the file, is the end of the file.
        resample: how samples get from the file's rate to the one that is wanted; ``None`` for soxr. With it the part is
            decoded as it is and then resampled on its own.

    Returns:
        The clip. The warning that a file is incomplete is only given when it was decoded to its end.

    Raises:
        InputError: as :func:`stream`, or the part lies outside the file.
    """
    path = Path(path)
    if start_seconds < 0 or (end_seconds is not None and end_seconds <= start_seconds):
        raise InputError(
            f"cannot read {path} from {start_seconds:g} s to {end_seconds} s",
            hint="Give a start that lies before the end.",
        )
    if resample is not None and (native_hz := probe(path).sample_rate_hz) not in {0, sample_rate_hz}:
        clip = load(path, native_hz, start_seconds, end_seconds)
        return replace(clip, samples=resample(clip.samples, native_hz, sample_rate_hz), sample_rate_hz=sample_rate_hz)
    first = round(start_seconds * sample_rate_hz)
    last = None if end_seconds is None else round(end_seconds * sample_rate_hz)
    try:
        return _load(path, sample_rate_hz, first, last, jump=start_seconds >= _SEEK_FROM_SECONDS)
    except CannotSeekError:
        return _load(path, sample_rate_hz, first, last, jump=False)


def save_mp3(path: str | Path, samples: npt.NDArray[np.float32], sample_rate_hz: int, *, quick: bool = False) -> None:
    """Write mono samples ``(n,)`` in [−1, 1] as an mp3, variable bit rate, about 190 kbit/s at 44.1 kHz.

    A rate that mp3 does not know is resampled to the next higher one. The file takes its name only when it is complete.

    Args:
        path: the final file.
        samples: mono ``(n,)`` in [−1, 1].
        sample_rate_hz: their rate.
        quick: let LAME search less: less than half the time for a file of the same size, a little worse to the ear.

    Raises:
        OutputError: the place cannot be written to.
    """
    options = {"q": "2", "compression_level": "7"} if quick else {"q": "2"}
    rate_hz = next((rate for rate in MP3_RATES_HZ if rate >= sample_rate_hz), MP3_RATES_HZ[-1])
    if rate_hz != sample_rate_hz:
        samples = soxr.resample(samples, sample_rate_hz, rate_hz)
    samples = np.clip(samples, -1.0, 1.0).astype(np.float32, copy=False)
    with atomic_path(Path(path)) as temporary, av.open(str(temporary), "w", format="mp3") as container:
        track = container.add_stream("libmp3lame", rate=rate_hz, layout="mono", options=options)
        for begin in range(0, samples.size, rate_hz):
            frame = av.AudioFrame.from_ndarray(samples[None, begin : begin + rate_hz], format="fltp", layout="mono")
            frame.sample_rate, frame.pts = rate_hz, begin
            container.mux(track.encode(frame))
        container.mux(track.encode(None))


@contextmanager
def open_audio(path: Path) -> Iterator[tuple[Any, Any]]:
    """Open a file and choose its audio stream; ffmpeg keeps quiet on stderr because PyAV logs nothing unless asked.

    Yields:
        PyAV's input container and its audio stream. Nothing that the file may refer to is open_audio.

    Raises:
        InputError: as :func:`probe`.
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
        if not os.access(path, os.R_OK | os.X_OK):
            raise InputError(f"the folder {path} cannot be read", hint="Check its permissions.")
        raise InputError(f"{path} is a folder, not an audio file", hint="Name a file inside it.")
    if not os.path.exists(path):  # noqa: PTH110
        raise InputError(f"{path} does not exist", hint="Check the spelling of the path.")
    if not path.is_file():
        raise InputError(f"{path} is not a regular file", hint="Save the sound to a file first.")
    if path.stat().st_size == 0:
        raise InputError(f"{path} is empty", hint="Download or copy it again.")


def declared_seconds(container: Any, audio: Any) -> float | None:
    """Length of an open file as its container declares it; ``None`` when it does not."""
    if audio.duration is not None and audio.time_base is not None:
        return float(audio.duration * audio.time_base)
    return None if container.duration is None else float(container.duration / av.time_base)


def _no_sound(path: Path) -> InputError:
    return InputError(
        f"{path} has no sound that can be decoded", hint="The file is damaged; download or copy it again."
    )


def damage_warnings(path: Path, seconds: float, declared: float | None, damage: Damage) -> tuple[str, ...]:
    """Sentences about what was wrong with a file.

    Args:
        path: the file, to be named.
        seconds: how much of it was decoded.
        declared: how long it says it is; ``None`` when it does not, or was not decoded to its end.
        damage: what went wrong on the way.
    """
    found = []
    if damage.packets:
        found.append(f"{path} is damaged in {damage.packets} places; the rest was used")
    # A variable bit rate without an index makes ffmpeg guess the duration, so small differences say nothing.
    if declared is not None and seconds < 0.95 * declared - 0.5:
        found.append(f"{path} is incomplete: {seconds:.1f} of {declared:.1f} s could be decoded")
    elif damage.ended:
        found.append(f"{path} is incomplete: decoding stopped after {seconds:.1f} s")
    return tuple(found)


def _load(path: Path, rate_hz: int, first: int, last: int | None, *, jump: bool) -> Clip:
    """Decode output samples ``first`` to ``last``, after a jump to a little before ``first`` or from the beginning."""
    damage = Damage()
    with open_audio(path) as (container, audio):
        native_hz = audio.codec_context.sample_rate
        # Only where both rates have a sample at the same time does the resampled grid stay the same.
        shared = gcd(native_hz, rate_hz)
        steps = int((first / rate_hz - _PREROLL_SECONDS) * shared) if jump else 0
        blocks = native_blocks(container, audio, damage, steps * (native_hz // shared))
        total = steps * (rate_hz // shared)
        pieces, ended = [np.zeros(0, np.float32)], True
        for piece in resampled(blocks, rate_hz):
            begin, total = total, total + piece.size
            pieces.append(piece[max(0, first - begin) : None if last is None else max(0, last - begin)])
            if last is not None and total >= last:
                ended = False
                break
        if not total:
            raise _no_sound(path)
        samples = np.concatenate(pieces)
        declared = declared_seconds(container, audio)
        if not samples.size:
            length = total / rate_hz if declared is None or not jump else declared
            raise InputError(f"{path} has no sound at {first / rate_hz:g} s", hint=f"It ends after {length:.1f} s.")
        return Clip(samples, rate_hz, damage_warnings(path, total / rate_hz, declared if ended else None, damage))
