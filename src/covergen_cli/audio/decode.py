"""Decode an open container to mono blocks at any sample rate."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Any

import av
import numpy as np
import numpy.typing as npt
import soxr
from av.audio.frame import format_dtypes

from covergen_cli.audio.container import can_seek_exactly, declared_seconds
from covergen_cli.audio.truncation import is_truncated

_FRAMES_PER_BLOCK = 32
_MAX_BAD_PACKETS_AT_START = 200
_RAW_FORMATS = {"aac", "ac3", "eac3", "flac", "mp3"}
"""Formats without a table of packets: whatever follows the last frame reaches the decoder."""

_TAGS = (b"ID3", b"TAG", b"APETAGEX", b"LYRICSBEGIN")
"""How tags begin; between the parts of a concatenated mp3 they reach the decoder, too."""


class CannotSkipError(Exception):
    """The beginning of a file cannot be skipped exactly; never leaves this package."""


@dataclass
class Damage:
    """Problems while decoding.

    Args:
        packets: number of packets that could not be decoded and were left out.
        ended: reading stopped with an error.
    """

    packets: int = 0
    ended: bool = False

    def warnings(
        self, path: Path, container: Any, audio: Any, seconds: float, *, at_end: bool = True
    ) -> tuple[str, ...]:
        """Return sentences about what is wrong with an open file.

        Args:
            path: the file.
            container: the open file.
            audio: its audio stream.
            seconds: duration of what was decoded.
            at_end: whether it was decoded to its end; if not, an incomplete file is not noticed.
        """
        found = []
        if self.packets:
            found.append(f"{path} is damaged in {self.packets} places; the rest was used")
        declared = declared_seconds(path, container, audio) if at_end else None
        # A variable bit rate without an index makes ffmpeg guess the duration, so small differences mean nothing.
        if declared is not None and seconds < 0.95 * declared - 0.5:
            found.append(f"{path} is incomplete: {seconds:.1f} of {declared:.1f} s could be decoded")
        elif at_end and (is_truncated(path) or (self.ended and (declared is None or seconds < declared - 0.1))):
            found.append(f"{path} is incomplete: decoding stopped after {seconds:.1f} s")
        return tuple(found)


def mono_blocks(
    container: Any, audio: Any, damage: Damage, skip_samples: int = 0
) -> Iterator[tuple[int, npt.NDArray[np.float32]]]:
    """Decode mono blocks, the channels averaged.

    Args:
        container: an open PyAV input container, at its beginning.
        audio: its audio stream.
        damage: updated while decoding.
        skip_samples: number of samples, at the file's rate, to skip at the beginning: by seeking where that is exact,
            otherwise by decoding.

    Yields:
        sample rate in Hz and float32 ``(n,)``; integer formats are scaled to [−1, 1].

    Raises:
        CannotSkipError: before the first block; the container is not at its beginning any more.
    """
    frames, position = decoded_frames(container, audio, damage), 0
    seeks = bool(skip_samples) and can_seek_exactly(container, audio)
    if seeks:
        frames, position = _seek(container, audio, damage, frames, skip_samples)
    held: list[Any] = []
    for frame in frames:
        begin, position = position, position + frame.samples
        if begin < skip_samples:
            if frame.sample_rate != audio.codec_context.sample_rate:
                raise CannotSkipError
            if position > skip_samples:
                if seeks:  # The first packets after a seek lack what they refer to; that is no damage of the file.
                    damage.packets = 0
                yield frame.sample_rate, _mono([frame])[skip_samples - begin :]
            continue
        if held and (len(held) >= _FRAMES_PER_BLOCK or _kind(frame) != _kind(held[0])):
            yield held[0].sample_rate, _mono(held)
            held = []
        held.append(frame)
    if held:
        yield held[0].sample_rate, _mono(held)


def resampled(blocks: Iterator[tuple[int, npt.NDArray[np.float32]]], rate_hz: int) -> Iterator[npt.NDArray[np.float32]]:
    """Resample (rate, mono block) pairs to one rate; the file's own rate may change midway (chained ogg streams)."""
    resampler, native_hz = None, 0
    for block_hz, block in blocks:
        if block_hz != native_hz:
            if resampler is not None:
                yield _clean(resampler.resample_chunk(np.zeros(0, np.float32), last=True))
            native_hz = block_hz
            resampler = None if native_hz == rate_hz else soxr.ResampleStream(native_hz, rate_hz, 1, dtype="float32")
        yield _clean(block if resampler is None else resampler.resample_chunk(block))
    if resampler is not None:
        yield _clean(resampler.resample_chunk(np.zeros(0, np.float32), last=True))


def _clean(samples: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    if not np.isfinite(samples).all():
        samples = np.nan_to_num(samples, nan=0.0, posinf=1.0, neginf=-1.0)
    return np.clip(samples, -1.0, 1.0)


def rebuffered(pieces: Iterator[npt.NDArray[np.float32]], block: int) -> Iterator[npt.NDArray[np.float32]]:
    """Cut pieces into blocks of one size; the last may be shorter."""
    held: list[npt.NDArray[np.float32]] = []
    size = 0
    for piece in pieces:
        held.append(piece)
        size += piece.size
        if size >= block:
            joined = np.concatenate(held)
            full = size - size % block
            yield from np.split(joined[:full], full // block)
            held, size = [joined[full:]], size - full
    if size:
        yield np.concatenate(held)


def decoded_frames(container: Any, audio: Any, damage: Damage) -> Iterator[Any]:
    """Decode frames; leave out packets that cannot be decoded, and stop where reading fails."""
    decoded, bad, sync, largest = False, [], b"", 0
    for packet in _packets(container, audio, damage):
        try:
            frames = packet.decode()
        except av.error.EOFError:
            break
        except (av.error.FFmpegError, ValueError):
            if not bytes(packet).startswith(_TAGS):
                bad.append(packet)
            if not decoded and len(bad) >= _MAX_BAD_PACKETS_AT_START:
                break
            continue
        if packet.size and frames:
            damage.packets += len(bad)
            bad.clear()
            sync, largest = sync or bytes(packet)[:2], max(largest, packet.size)
        for frame in frames:
            if frame.samples and frame.sample_rate:
                decoded = True
                yield frame
    if decoded and container.format.name in _RAW_FORMATS:
        # Tags and padding after the last frame are no damage; a last frame that was cut off begins as frames do.
        bad = [packet for packet in bad if packet.size <= largest and bytes(packet)[:2] == sync]
    damage.packets += len(bad)


def _packets(container: Any, audio: Any, damage: Damage) -> Iterator[Any]:
    try:
        yield from container.demux(audio)
    except (av.error.FFmpegError, OSError):
        damage.ended = True


def _seek(
    container: Any, audio: Any, damage: Damage, frames: Iterator[Any], first_sample: int
) -> tuple[Iterator[Any], int]:
    """Seek to a position at or before a sample; return the frames from there and the first one's sample number.

    The first frame's time stamp is sample 0: encoder delay makes it differ from 0 in some formats.
    """
    origin = next(frames, None)
    if origin is None:
        return iter(()), 0
    rate_hz = origin.sample_rate
    if origin.pts is None or origin.time_base * rate_hz > 1:
        raise CannotSkipError
    try:
        container.seek(origin.pts + int(first_sample / rate_hz / origin.time_base), stream=audio)
    except (av.error.FFmpegError, OSError) as error:
        raise CannotSkipError from error
    frames = decoded_frames(container, audio, damage)
    landed = next(frames, None)
    if landed is None or landed.pts is None or landed.sample_rate != rate_hz:
        raise CannotSkipError
    position = round((landed.pts - origin.pts) * origin.time_base * rate_hz)
    if position > first_sample:
        raise CannotSkipError
    # A decoder that starts inside a stream needs a frame or two to settle; the caller's preroll covers them.
    return chain([landed], frames), position


def _kind(frame: Any) -> tuple[str, str, int]:
    return frame.format.name, frame.layout.name, frame.sample_rate


def _mono(frames: list[Any]) -> npt.NDArray[np.float32]:
    """Join frames of one kind and average their channels."""
    first = frames[0]
    channels = len(first.layout.channels)
    kind = np.dtype(format_dtypes[first.format.name])
    # frame.to_ndarray() would copy every frame once more.
    if first.format.is_planar:
        planes = zip(*(frame.planes for frame in frames), strict=True)
        parts = [
            [np.frombuffer(plane, kind)[: frame.samples] for plane, frame in zip(column, frames, strict=True)]
            for column in planes
        ]
        joined = [np.concatenate(column) for column in parts]
    else:
        packed = [np.frombuffer(frame.planes[0], kind)[: frame.samples * channels] for frame in frames]
        joined = list(np.concatenate(packed).reshape(-1, channels).T)
    scale = 1.0 / channels
    if kind.kind in "iu":
        scale /= float(2 ** (8 * kind.itemsize - 1))
    mono: npt.NDArray[np.float32] = joined[0].astype(np.float32)
    for channel in joined[1:]:
        mono += channel
    mono *= np.float32(scale)
    if kind.kind == "u":
        mono -= np.float32(1)
    return mono
