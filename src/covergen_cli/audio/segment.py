"""Find the salient segment of a song (§3.4.1): a sliding window of mean RMS × mean spectral contrast.

The song is decoded once, in blocks of frames of 2048 samples (93 ms at 22.05 kHz, Hann window, no overlap: a mean over
30 s needs no finer grid). RMS and spectral contrast, averaged over its seven bands, are computed per frame as librosa
defines them, whose import alone takes longer than all of this. Running sums give the means of every window, so memory
grows by two numbers per frame: 1.2 MB for two hours.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np

from covergen_cli.audio.io import ANALYSIS_RATE_HZ, SILENCE_PEAK, stream
from covergen_cli.errors import InputError

if TYPE_CHECKING:
    import numpy.typing as npt

    from covergen_cli.config import SegmentConfig

    Array = npt.NDArray[np.float32]

FRAME_SAMPLES = 2048
"""Length of a frame, and the distance between two, in samples at 22.05 kHz."""

MAGNITUDE_FLOOR = 2e-5
"""Least magnitude of a bin, so that silence has a contrast. A bin of a full-scale signal reaches 1024, and librosa's
decibels of magnitudes end a factor of 1e8 below the loudest; above this floor both definitions agree."""

_BLOCK_FRAMES = 216


@dataclass(frozen=True)
class Segment:
    """The best window, and the scores of all windows.

    Args:
        start_seconds: start of the best window.
        end_seconds: its end, at most the end of the song.
        window_starts: float64 ``(W,)``, start of every window in seconds, ascending.
        scores: float64 ``(W,)``, mean RMS × mean spectral contrast (dB) of every window; not negative, 0 for silence.
        duration_seconds: length of the song, as decoded.
        warnings: sentences about what is wrong with the file; empty when nothing is.
    """

    start_seconds: float
    end_seconds: float
    window_starts: npt.NDArray[np.float64]
    scores: npt.NDArray[np.float64]
    duration_seconds: float
    warnings: tuple[str, ...]


def find_segment(path: str | os.PathLike[str], config: SegmentConfig) -> Segment:
    """Find the salient segment of a song.

    Windows of ``clip_seconds`` start every ``hop_seconds``, and one more ends with the song. The highest score
    wins, the earliest of equal ones. A song that is not longer than the window is one segment.

    Args:
        path: a local audio file.
        config: length of the window and distance between windows.

    Raises:
        InputError: the file cannot be used (see :func:`covergen_cli.audio.io.stream`), or is silent.
    """
    decoder = stream(path, ANALYSIS_RATE_HZ, _BLOCK_FRAMES * FRAME_SAMPLES / ANALYSIS_RATE_HZ)
    rms, contrast, peak = _measure(decoder)
    if peak <= SILENCE_PEAK:
        raise InputError(f"{path} is silent", hint="Give a file with audible sound.")
    duration = decoder.samples / ANALYSIS_RATE_HZ
    starts = _window_starts(duration, config.clip_seconds, config.hop_seconds)
    scores = _window_means(rms, starts, config.clip_seconds) * _window_means(contrast, starts, config.clip_seconds)
    # Rounded, so that windows whose scores differ by arithmetic noise count as equal and the earliest wins.
    best = float(starts[int(np.argmax(np.round(scores, 9)))])
    end = min(best + config.clip_seconds, duration)
    return Segment(best, end, starts, scores, duration, decoder.warnings)


def _measure(blocks: Iterable[Array]) -> tuple[Array, Array, float]:
    """Return RMS and mean contrast of every frame, ``(F,)`` each, and the peak; the last frame is zero-padded."""
    measured, peak = [], 0.0
    for block in blocks:
        peak = max(peak, float(np.max(np.abs(block), initial=0.0)))
        padded = np.pad(block, (0, -block.size % FRAME_SAMPLES))
        measured.append(_measure_frames(padded.reshape(-1, FRAME_SAMPLES)))
    rms, contrast = (np.concatenate(values) for values in zip(*measured, strict=True))
    return rms, contrast, peak


def _measure_frames(frames: Array) -> tuple[Array, Array]:
    hann = (0.5 - 0.5 * np.cos(2 * np.pi * np.arange(FRAME_SAMPLES) / FRAME_SAMPLES)).astype(np.float32)
    magnitude = np.maximum(np.abs(np.fft.rfft(frames * hann, axis=1)), MAGNITUDE_FLOOR).astype(np.float32)
    return np.sqrt(np.mean(frames**2, axis=1)), _contrast(magnitude).mean(axis=1)


def _contrast(magnitude: Array) -> Array:
    """Return spectral contrast (Jiang et al., 2002) as librosa does: peak over valley in dB, float32 ``(F, 7)``.

    The seven bands are divided at 200 Hz and every octave above; each begins with the bin just below its edge. Peak and
    valley are the means of the strongest and the weakest fiftieth of a band's bins.
    """
    hertz_per_bin = ANALYSIS_RATE_HZ / FRAME_SAMPLES
    edges = [0, *(int(200 * 2**octave / hertz_per_bin) for octave in range(6)), magnitude.shape[1]]
    bands = []
    for begin, end in pairwise(edges):
        bins = end - begin + (end < magnitude.shape[1])
        few = max(1, round(0.02 * bins))
        ordered = np.partition(magnitude[:, begin:end], (few - 1, end - begin - few), axis=1)
        bands.append(10 * np.log10(ordered[:, -few:].mean(axis=1) / ordered[:, :few].mean(axis=1)))
    return np.stack(bands, axis=1)


def _window_starts(duration: float, clip_seconds: float, hop_seconds: float) -> npt.NDArray[np.float64]:
    room = duration - clip_seconds
    if room <= 0:
        return np.zeros(1)
    starts = np.arange(int(room / hop_seconds) + 1, dtype=np.float64) * hop_seconds
    return starts if room - starts[-1] < 1e-3 else np.concatenate([starts, [room]])


def _window_means(values: Array, starts: npt.NDArray[np.float64], clip_seconds: float) -> npt.NDArray[np.float64]:
    """Return the mean of the frames whose middle lies in each window."""
    sums = np.concatenate([[0.0], np.cumsum(values, dtype=np.float64)])
    middles = (np.arange(values.size) + 0.5) * FRAME_SAMPLES / ANALYSIS_RATE_HZ
    first = np.searchsorted(middles, starts - 1e-9)
    last = np.maximum(np.searchsorted(middles, starts + clip_seconds - 1e-9), first + 1)
    last = np.minimum(last, values.size)
    first = np.minimum(first, last - 1)
    means: npt.NDArray[np.float64] = (sums[last] - sums[first]) / (last - first)
    return means
