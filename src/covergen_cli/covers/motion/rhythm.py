"""What moves a cover: the beats of its music, and how strongly each part of the spectrum starts to sound over time."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import numpy.typing as npt

    Array = npt.NDArray[np.float32]

RATE_HZ = 22050
"""Sample rate of the audio that is analysed."""
FRAME_HZ = RATE_HZ / 512
BANDS = 3
"""Low, middle and high parts of the spectrum, divided at about 200 and 2,000 Hz."""
_MEL_BANDS = 96
_EDGES = [0, 8, 46, _MEL_BANDS]
_DEFAULT_BPM = 90.0
"""Where no beat is found, as in silence."""
_SLOWEST_BPM, _FASTEST_BPM = 50.0, 200.0
_QUIET = 1e-4


@dataclass(frozen=True)
class Rhythm:
    """The rhythm of a clip.

    Args:
        bpm: beats per minute.
        beats: times of the beats in seconds, ascending; empty if none is found.
        onsets: onset strength of each band, float32 ``(3, n)``, :data:`FRAME_HZ` values per second, at least 0; the
            mean of a band that sounds is 1.
        level: loudness over time, float32 ``(n,)``; its maximum is 1.
    """

    bpm: float
    beats: Array
    onsets: Array
    level: Array


def analyse_rhythm(samples: Array) -> Rhythm:
    """Analyse mono samples ``(n,)`` at :data:`RATE_HZ` with librosa: beats by dynamic programming (Ellis, 2007)."""
    import librosa

    power = librosa.feature.melspectrogram(y=samples, sr=RATE_HZ, n_mels=_MEL_BANDS, hop_length=512)
    decibels = librosa.power_to_db(power, ref=np.max, top_db=80) if power.max() > 0 else np.zeros_like(power)
    bands = [librosa.onset.onset_strength(S=decibels[low:high], sr=RATE_HZ) for low, high in pairwise(_EDGES)]
    onsets = np.stack([band / max(float(band.mean()), _QUIET) for band in bands]).astype(np.float32)
    level = np.sqrt(power.sum(axis=0)).astype(np.float32)
    level /= max(float(level.max()), _QUIET)
    whole = librosa.onset.onset_strength(S=decibels, sr=RATE_HZ)
    if whole.max() < _QUIET:
        return Rhythm(_DEFAULT_BPM, np.zeros(0, np.float32), np.zeros_like(onsets), level)
    tempo, frames = librosa.beat.beat_track(onset_envelope=whole, sr=RATE_HZ, trim=False)
    bpm = float(np.atleast_1d(tempo)[0]) or _DEFAULT_BPM
    beats = librosa.frames_to_time(frames, sr=RATE_HZ).astype(np.float32)
    if len(beats) > 2:  # the intervals are finer than the grid of the tempo
        bpm = 60 * (len(beats) - 1) / max(float(beats[-1] - beats[0]), 0.1)
    return Rhythm(min(max(bpm, _SLOWEST_BPM), _FASTEST_BPM), beats, onsets, level)
