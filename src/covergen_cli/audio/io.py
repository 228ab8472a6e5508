"""Decode any audio file to mono float32, as a stream of blocks or as one clip (§3.4.1), and write mp3.

ffmpeg's libraries (through PyAV, inside its wheel) decode, soxr resamples.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Generator, Iterator
from dataclasses import dataclass, replace
from math import gcd
from pathlib import Path
from typing import TypeAlias

import av
import numpy as np
import numpy.typing as npt
import soxr

from covergen_cli.audio.container import declared_seconds, open_audio
from covergen_cli.audio.decode import CannotSkipError, Damage, mono_blocks, rebuffered, resampled
from covergen_cli.audio.tag_values import read_artists
from covergen_cli.audio.tags import Tags, read_tags
from covergen_cli.errors import InputError
from covergen_cli.files import atomic_path

ANALYSIS_RATE_HZ = 22050
"""Sample rate at which segments and descriptors are computed."""

_SUFFIXES = """
.aac .ac3 .aif .aiff .amr .ape .au .caf .dsf .flac .m4a .m4b .mka .mp2 .mp3 .mpc .oga .ogg .opus .tta .w64 .wav .weba
.wma .wv .avi .flv .m4v .mkv .mov .mp4 .ogv .webm .wmv
"""
AUDIO_SUFFIXES = frozenset(_SUFFIXES.split())
"""Lower-case suffixes of the files that a search of a folder finds; a file given by name may have any suffix."""

SILENCE_PEAK = 1e-4
"""Peak (−80 dB of full scale) up to which a signal counts as silent: above 16-bit dither, below any music."""

MP3_RATES_HZ = (8000, 11025, 12000, 16000, 22050, 24000, 32000, 44100, 48000)

_PREROLL_SECONDS = 0.5
_SKIP_FROM_SECONDS = 5.0

Resample: TypeAlias = Callable[[npt.NDArray[np.float32], int, int], npt.NDArray[np.float32]]
"""Mono samples, their rate, the target rate → mono samples."""


@dataclass(frozen=True)
class AudioInfo:
    """What a file declares about itself, without decoding it.

    Args:
        path: the file.
        duration_seconds: as the container declares it, which may be wrong; ``None`` when it does not.
        sample_rate_hz: sample rate of the audio stream.
        channels: number of channels of that stream.
        codec: ffmpeg's name of its codec, e.g. ``"mp3"``.
        title: from the tags.
        artist: from the tags, or else the album artist.
        tags: all tags.
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
    """Decoded audio.

    Args:
        samples: mono float32 ``(n,)`` in [−1, 1].
        sample_rate_hz: their rate.
        warnings: sentences about what is wrong with the file; empty when nothing is.
    """

    samples: npt.NDArray[np.float32]
    sample_rate_hz: int
    warnings: tuple[str, ...]


def is_silent(samples: npt.NDArray[np.float32]) -> bool:
    """Return whether no sample exceeds −80 dB of full scale; true for an empty array."""
    return samples.size == 0 or float(np.max(np.abs(samples))) <= SILENCE_PEAK


def probe(path: str | os.PathLike[str]) -> AudioInfo:
    """Read the declared duration, the format and the tags of a file.

    Raises:
        InputError: the file is missing, not a file, unreadable, empty, not audio, or has no audio stream.
    """
    path = Path(path)
    with open_audio(path) as (container, audio):
        tags = read_tags({**audio.metadata, **container.metadata, **read_artists(path)})
        return AudioInfo(
            path=path,
            duration_seconds=declared_seconds(path, container, audio),
            sample_rate_hz=audio.codec_context.sample_rate,
            channels=audio.codec_context.channels,
            codec=audio.codec_context.name,
            title=tags.title,
            artist=tags.artist or tags.album_artist,
            tags=tags,
        )


class AudioStream(Iterator[npt.NDArray[np.float32]]):
    """Iterator over the blocks of a file, mono float32; made by :func:`stream`. Memory does not grow with the file.

    Attributes:
        warnings: sentences about what is wrong with the file; complete once the iteration has ended.
        samples: number of samples yielded so far.
    """

    def __init__(self, path: Path, sample_rate_hz: int, block_seconds: float) -> None:
        self.warnings: tuple[str, ...] = ()
        self.samples = 0
        self._blocks = self._run(path, sample_rate_hz, max(1, round(block_seconds * sample_rate_hz)))

    def __next__(self) -> npt.NDArray[np.float32]:
        """Return the next block."""
        return next(self._blocks)

    def close(self) -> None:
        """Close the file before its end; do nothing if it is closed already."""
        self._blocks.close()

    def _run(self, path: Path, rate_hz: int, block: int) -> Generator[npt.NDArray[np.float32], None, None]:
        damage = Damage()
        with open_audio(path) as (container, audio):
            for piece in rebuffered(resampled(mono_blocks(container, audio, damage), rate_hz), block):
                self.samples += piece.size
                yield piece
            if not self.samples:
                raise _no_sound(path)
            self.warnings = damage.warnings(path, container, audio, self.samples / rate_hz)


def stream(path: str | os.PathLike[str], sample_rate_hz: int, block_seconds: float = 10.0) -> AudioStream:
    """Decode a file block by block.

    Channels are averaged, samples are clipped to [−1, 1], and NaN becomes 0.

    Args:
        path: a local file that ffmpeg can decode.
        sample_rate_hz: sample rate of the blocks.
        block_seconds: length of every block but the last, which may be shorter.

    Returns:
        An iterator over float32 arrays ``(n,)``, which has the warnings afterwards.

    Raises:
        InputError: while iterating, as :func:`probe`, or not one sample could be decoded.
    """
    return AudioStream(Path(path), sample_rate_hz, block_seconds)


def load(
    path: str | os.PathLike[str],
    sample_rate_hz: int,
    start_seconds: float = 0.0,
    end_seconds: float | None = None,
    resample: Resample | None = None,
) -> Clip:
    """Decode a file, or the part of it between two times, into one array.

    A part equals the same part of the complete file: where the position after a seek is not exact, the file is decoded
    from its beginning.

    Args:
        path: a local file that ffmpeg can decode.
        sample_rate_hz: sample rate of the clip.
        start_seconds: start of the part, from the first sample of the file.
        end_seconds: end of the part; ``None``, or a time after the end of the file, is the end of the file.
        resample: function that resamples the decoded part from the file's rate; ``None`` for soxr.

    Returns:
        The clip. It only has the warning that a file is incomplete when the file was decoded to its end.

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
        return _load(path, sample_rate_hz, first, last, skip=start_seconds >= _SKIP_FROM_SECONDS)
    except CannotSkipError:
        return _load(path, sample_rate_hz, first, last, skip=False)


def _load(path: Path, rate_hz: int, first: int, last: int | None, *, skip: bool) -> Clip:
    """Decode and resample to samples ``first`` to ``last``, from a little before ``first`` or from the beginning."""
    damage = Damage()
    with open_audio(path) as (container, audio):
        native_hz = audio.codec_context.sample_rate
        # Only where both rates have a sample at the same time does the resampled grid stay the same.
        shared = gcd(native_hz, rate_hz)
        steps = int((first / rate_hz - _PREROLL_SECONDS) * shared) if skip else 0
        blocks = mono_blocks(container, audio, damage, steps * (native_hz // shared))
        total = steps * (rate_hz // shared)
        pieces, at_end = [np.zeros(0, np.float32)], True
        for piece in resampled(blocks, rate_hz):
            begin, total = total, total + piece.size
            pieces.append(piece[max(0, first - begin) : None if last is None else max(0, last - begin)])
            if last is not None and total >= last:
                at_end = False
                break
        samples = np.concatenate(pieces)
        if not samples.size:
            if skip:
                raise CannotSkipError
            if not total:
                raise _no_sound(path)
            raise InputError(
                f"{path} has no sound at {first / rate_hz:g} s", hint=f"It ends after {total / rate_hz:.1f} s."
            )
        return Clip(samples, rate_hz, damage.warnings(path, container, audio, total / rate_hz, at_end=at_end))


def save_mp3(
    path: str | os.PathLike[str], samples: npt.NDArray[np.float32], sample_rate_hz: int, *, quick: bool = False
) -> None:
    """Write mono samples as an mp3, variable bit rate, about 190 kbit/s at 44.1 kHz.

    A rate that mp3 does not have is resampled to the next higher one. The file is written atomically.

    Args:
        path: the final file.
        samples: mono ``(n,)`` in [−1, 1].
        sample_rate_hz: their rate.
        quick: take less than half the time for a file of the same size and slightly lower quality.

    Raises:
        OutputError: the file cannot be written.
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


def _no_sound(path: Path) -> InputError:
    return InputError(
        f"{path} has no sound that can be decoded", hint="The file is damaged; download or copy it again."
    )
