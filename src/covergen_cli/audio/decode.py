"""From an open container to mono blocks at any rate; private to :mod:`covergen_cli.audio.io`."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import av
import numpy as np
import numpy.typing as npt
import soxr

_FRAMES_PER_BLOCK = 32
_MAX_BAD_PACKETS_AT_START = 200


class CannotSeekError(Exception):
    """A file cannot be entered exactly at a later place; never leaves this package."""


@dataclass
class Damage:
    """What went wrong while decoding.

    Args:
        packets: packets that could not be decoded and were left out.
        ended: reading broke off with an error.
    """

    packets: int = 0
    ended: bool = False


def native_blocks(
    container: Any, audio: Any, damage: Damage, first_sample: int = 0
) -> Iterator[tuple[int, npt.NDArray[np.float32]]]:
    """Decode mono blocks.

    Args:
        container: an open PyAV input container, at its beginning.
        audio: its audio stream.
        damage: filled in on the way.
        first_sample: number of native samples to jump over at the beginning.

    Yields:
        (sample rate in Hz, float32 ``(n,)``), the channels averaged; integer formats are scaled to [−1, 1].

    Raises:
        CannotSeekError: before the first block: the samples cannot be jumped over exactly. The container is then
        not at its
            beginning any more.
    """
    frames = decoded_frames(container, audio, damage)
    position = 0
    if first_sample:
        frames, position = _seek(container, audio, damage, frames, first_sample)
    held: list[Any] = []
    for frame in frames:
        position += frame.samples
        if position <= first_sample:
            continue
        cut = max(0, first_sample - (position - frame.samples))
        if cut:
            # The first packets after a jump lack what they build on; that is no damage of the file.
            damage.packets = 0
            yield frame.sample_rate, _mono([frame])[cut:]
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
    """Decode frame after frame; leave out damaged packets, stop where reading breaks off."""
    packets = container.demux(audio)
    decoded = 0
    while True:
        try:
            packet = next(packets)
        except StopIteration:
            return
        except (av.error.FFmpegError, OSError):
            damage.ended = True
            return
        try:
            frames = packet.decode()
        except av.error.EOFError:
            return
        except (av.error.FFmpegError, ValueError):
            damage.packets += 1
            if not decoded and damage.packets >= _MAX_BAD_PACKETS_AT_START:
                return
            continue
        for frame in frames:
            if frame.samples and frame.sample_rate:
                decoded += 1
                yield frame


def _seek(
    container: Any, audio: Any, damage: Damage, frames: Iterator[Any], first_sample: int
) -> tuple[Iterator[Any], int]:
    """Jump to a place at or before a native sample; return the frames from there and the first one's sample number.

    The first frame's time stamp is sample 0: encoder delay makes it differ from 0 in some formats. Formats whose time
    stamps are coarser than a sample (Matroska's milliseconds) cannot say exactly where a jump ended.
    """
    origin = next(frames, None)
    if origin is None:
        return iter(()), 0
    rate_hz = origin.sample_rate
    if origin.pts is None or origin.time_base * rate_hz > 1:
        raise CannotSeekError
    try:
        container.seek(origin.pts + int(first_sample / rate_hz / origin.time_base), stream=audio)
    except (av.error.FFmpegError, OSError) as error:
        raise CannotSeekError from error
    frames = decoded_frames(container, audio, damage)
    landed = next(frames, None)
    if landed is None or landed.pts is None or landed.sample_rate != rate_hz:
        raise CannotSeekError
    position = round((landed.pts - origin.pts) * origin.time_base * rate_hz)
    if position > first_sample:
        raise CannotSeekError
    # A decoder that starts amid a stream needs a frame or two to get right; the caller's preroll covers them.
    return _chain(landed, frames), position


def _chain(first: Any, rest: Iterator[Any]) -> Iterator[Any]:
    yield first
    yield from rest


def _kind(frame: Any) -> tuple[str, str, int]:
    return frame.format.name, frame.layout.name, frame.sample_rate


def _mono(frames: list[Any]) -> npt.NDArray[np.float32]:
    """Join frames of one kind and average their channels."""
    first = frames[0]
    channels = len(first.layout.channels)
    arrays = [frame.to_ndarray() for frame in frames]
    joined = arrays[0] if len(arrays) == 1 else np.concatenate(arrays, axis=1)
    if not first.format.is_planar:
        joined = joined.reshape(-1, channels).T
    scale = 1.0 / channels
    offset = 0.0
    if joined.dtype.kind == "u":
        offset = -1.0
    if joined.dtype.kind in "iu":
        scale /= float(2 ** (8 * joined.dtype.itemsize - 1))
    mono: npt.NDArray[np.float32] = joined[0].astype(np.float32)
    for channel in joined[1:]:
        mono += channel
    mono *= np.float32(scale)
    if offset:
        mono += np.float32(offset)
    return mono
