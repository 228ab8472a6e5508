"""Measures for a model card how much the adapter's tokens change with the file of a song."""

from __future__ import annotations

import io
from collections.abc import Generator, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import av
import numpy as np
import numpy.typing as npt

from covergen_cli.audio.container import open_audio
from covergen_cli.audio.io import load, probe
from covergen_cli.audio.segment import find_segment
from covergen_cli.config import SegmentConfig
from covergen_cli.errors import InputError
from covergen_cli.events import Progress

if TYPE_CHECKING:
    from covergen_cli.audio.encoders import Encoder
    from covergen_cli.covers.pipeline import CoverPipeline

    Samples = npt.NDArray[np.float32]

AS_IT_IS = "as it is"
CHANGES = ("12 dB quieter", "one channel only", "mp3 at 64 kbit/s", "ten seconds later, or earlier")
"""Names of the changes that :func:`changed` makes."""

_QUIETER = 10 ** (-12 / 20)
_SHIFT_SECONDS = 10.0


def changed(path: Path, rate_hz: int) -> Iterator[tuple[str, Samples]]:
    """Decode the salient segment of a song, unchanged and with every change.

    Yields:
        the name of the change, and mono samples ``(n,)``.

    Raises:
        InputError: the file cannot be used.
    """
    found = find_segment(path, SegmentConfig())
    start, end = found.start_seconds, found.end_seconds
    samples = load(path, rate_hz, start, end).samples
    yield AS_IT_IS, samples
    quieter, one_channel, squeezed, later = CHANGES
    yield quieter, samples * np.float32(_QUIETER)
    yield one_channel, _left(path, rate_hz, round(start * rate_hz), round(end * rate_hz))
    yield squeezed, _through_mp3(samples, rate_hz, 64_000)
    room = (probe(path).duration_seconds or end) - end
    shift = _SHIFT_SECONDS if room >= _SHIFT_SECONDS else -min(start, _SHIFT_SECONDS)
    yield later, load(path, rate_hz, start + shift, end + shift).samples


def _left(path: Path, rate_hz: int, first: int, last: int) -> Samples:
    pieces, have = [], 0
    resampler = av.AudioResampler(format="fltp", layout="stereo", rate=rate_hz)
    with open_audio(path) as (container, audio):
        for frame in container.decode(audio):
            for part in resampler.resample(frame):
                pieces.append(part.to_ndarray()[0])
                have += pieces[-1].size
            if have >= last:
                break
    left: Samples = np.concatenate(pieces)[first:last].astype(np.float32)
    return left


def _through_mp3(samples: Samples, rate_hz: int, bits_per_second: int) -> Samples:
    file = io.BytesIO()
    with av.open(file, "w", format="mp3") as container:
        track = container.add_stream("libmp3lame", rate=44_100, layout="mono")
        track.bit_rate = bits_per_second
        frame = av.AudioFrame.from_ndarray(samples.clip(-1, 1)[None], format="fltp", layout="mono")
        frame.sample_rate = rate_hz
        resampler = av.AudioResampler(format="fltp", layout="mono", rate=44_100, frame_size=track.frame_size or 1152)
        for part in (*resampler.resample(frame), *resampler.resample(None)):
            container.mux(track.encode(part))
        container.mux(track.encode(None))
    file.seek(0)
    back = av.AudioResampler(format="fltp", layout="mono", rate=rate_hz)
    with av.open(file) as container:
        pieces = [part.to_ndarray()[0] for frame in container.decode(audio=0) for part in back.resample(frame)]
    decoded: Samples = np.concatenate(pieces).astype(np.float32)
    return decoded


def measure_robustness(
    pipeline: CoverPipeline, encoder: Encoder, paths: Sequence[Path]
) -> Generator[Progress, None, dict[str, Any]]:
    """Compare the adapter's tokens of changed songs with those of the unchanged songs.

    Args:
        pipeline: the models.
        encoder: the audio encoder of the adapter.
        paths: held-out songs; those that cannot be used are left out.

    Returns:
        JSON-able: the number of ``songs``, and for each of :data:`CHANGES` the mean distance between the tokens of the
        changed and the unchanged song, as a ``share`` of the mean distance between two songs, and how many songs are
        ``recognised``: their own tokens are nearest. ``{}`` if fewer than two songs can be used.
    """
    tokens: dict[str, list[Samples]] = {name: [] for name in (AS_IT_IS, *CHANGES)}
    for number, path in enumerate(paths, 1):
        try:
            versions = dict(changed(path, encoder.sample_rate_hz))
            embedded = {name: encoder.embed(samples, encoder.sample_rate_hz) for name, samples in versions.items()}
        except InputError:
            continue
        for name, embedding in embedded.items():
            tokens[name].append(pipeline.audio_tokens(embedding).float().numpy().reshape(-1))
        yield Progress("change", number, len(paths), path.name)
    count = len(tokens[AS_IT_IS])
    if count < 2:
        return {}
    plain = np.stack(tokens[AS_IT_IS])
    between = _distances(plain, plain).sum() / (count * (count - 1))
    found: dict[str, Any] = {"songs": count}
    for name in CHANGES:
        apart = _distances(np.stack(tokens[name]), plain)
        own = np.diag(apart)
        recognised = int((apart.argmin(axis=1) == np.arange(count)).sum())
        found[name] = {"share": float(own.mean() / between), "recognised": recognised}
    return found


def _distances(a: Samples, b: Samples) -> npt.NDArray[np.float64]:
    """Return the Euclidean distance of every row of ``a`` from every row of ``b``."""
    distances: npt.NDArray[np.float64] = np.linalg.norm(a[:, None].astype(np.float64) - b[None], axis=-1)
    return distances
