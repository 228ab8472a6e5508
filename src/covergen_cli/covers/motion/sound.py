"""The sound of a song beside its video: decoded and encoded as AAC while the frames are written."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

_RATE_HZ, _BIT_RATE = 48_000, 384_000


class Sound:
    """The sound of a music file in a container that is being written.

    The samples are counted, so that sound and frames do not drift apart however long the song is.

    Args:
        path: the music file.
        container: PyAV's container, open for writing.
    """

    def __init__(self, path: Path, container: Any) -> None:
        self._container = container
        self._stream = container.add_stream("aac", rate=_RATE_HZ, layout="stereo")
        self._stream.bit_rate = _BIT_RATE
        self._written = 0
        self._frames = _decoded(path)

    def write_until(self, seconds: float) -> None:
        """Write the sound up to a time."""
        while self._written < seconds * _RATE_HZ:
            frame = next(self._frames, None)
            if frame is None:
                return
            frame.pts = self._written
            self._written += frame.samples
            self._container.mux(self._stream.encode(frame))

    def finish(self, seconds: float) -> None:
        """Write the rest up to the end of the video, and what the encoder still holds."""
        self.write_until(seconds)
        self._container.mux(self._stream.encode(None))


def _decoded(path: Path) -> Iterator[Any]:
    """Yield the audio of a file as stereo frames at 48 kHz; damaged packets are left out."""
    import av

    resampler = av.AudioResampler(format="fltp", layout="stereo", rate=_RATE_HZ)
    with av.open(os.fspath(path), metadata_errors="replace") as source:
        for packet in source.demux(source.streams.audio[0]):
            try:
                for frame in packet.decode():
                    frame.pts = None
                    yield from resampler.resample(frame)
            except av.error.InvalidDataError:  # noqa: PERF203 — one damaged packet must not end the sound
                continue
        yield from resampler.resample(None)
