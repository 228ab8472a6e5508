"""Seven qualities of music that people hear alike, each a number from 0 to 1.

Every descriptor is a sum of measurements, each centred and scaled by what is usual in music, and then squashed:
``1 / (1 + exp(−1.7·z))``, which for normally distributed z is almost its rank. So 0.5 is the middle of ordinary
music, 0.16 and 0.84 lie one standard deviation off, and real songs spread over the whole range. The constants are
fixed; they were read off some 400 freely licensed recordings of many styles.

The clip is brought to one loudness first, and everything is measured below 11 kHz on mono sound: volume, stereo
width and the usual codecs change next to nothing.
"""

from __future__ import annotations

from dataclasses import astuple, dataclass, fields
from typing import TYPE_CHECKING

import numpy as np
import soxr

from covergen_cli.audio.features import FRAME_HZ, RATE_HZ, Features, extract, running_mean
from covergen_cli.audio.rhythm import novelty, onset_frames, tempo_log2, tempogram
from covergen_cli.audio.tonality import key_correlations, majorness

if TYPE_CHECKING:
    import numpy.typing as npt

    Array = npt.NDArray[np.float32]


@dataclass(frozen=True)
class Descriptors:
    """How a clip sounds; every field is in [0, 1].

    Args:
        tempo: slow … fast. Perceived beats per minute, a mean over the tempi at which the onsets repeat, weighted
        by how
            readily people tap them, so that a choice between half and double tempo cannot flip it; and, less,
            onsets per second. 120 bpm with four onsets a second is about 0.5.
        mode: minor … major. Correlation of the pitch classes with the best major key, minus that with the best
        minor key
            (profiles of Krumhansl and Kessler), over the clip and over eight-second windows. No difference is about
            0.5.
        energy: calm … intense. How far the loudness is pressed against the peaks (low crest factor), how strong the
        attacks
            are over all bands, and how fully the spectrum is filled.
        brightness: dark … bright. Median of the logarithm of the spectral centroid; 1.5 kHz is 0.5, an octave more 0.9.
        density: sparse … busy. Onsets per second, how much of the spectrum is in use, and how much it changes from one
            fifth of a second to the next.
        percussiveness: sustained … percussive. Share of the amplitude that stands in vertical rather than horizontal
            structures of the spectrogram (median filters, Fitzgerald 2010).
        dynamics: even … wide. Distance from the 10th to the 95th percentile of the level over 0.4 s, in dB, on a
            logarithmic scale; 6 dB is 0.5.
    """

    tempo: float
    mode: float
    energy: float
    brightness: float
    density: float
    percussiveness: float
    dynamics: float

    def as_array(self) -> npt.NDArray[np.float32]:
        """Return the seven numbers, in the order of the fields, as float32 ``(7,)``."""
        return np.array(astuple(self), dtype=np.float32)


NAMES: tuple[str, ...] = tuple(field.name for field in fields(Descriptors))
"""Names of the descriptors, in their order."""


def describe(samples: npt.NDArray[np.float32], sample_rate_hz: int) -> Descriptors:
    """Describe a clip.

    Args:
        samples: mono ``(n,)``; 5 s or more make sense, 30 s are usual. Silence gives numbers too, which mean nothing.
        sample_rate_hz: their rate; 22050 avoids resampling.

    Returns:
        The descriptors; the same samples always give the same ones.
    """
    if sample_rate_hz != RATE_HZ:
        samples = soxr.resample(np.asarray(samples, np.float32), sample_rate_hz, RATE_HZ)
    heard = extract(samples)
    return Descriptors(*(float(1 / (1 + np.exp(-1.7 * score))) for score in _scores(heard)))


def _scores(heard: Features) -> tuple[float, ...]:
    """Score the seven descriptors before squashing; standard normal over ordinary music."""
    sounding = heard.level_db > -30
    if not sounding.any():
        sounding[:] = True
    onset = heard.onset
    onsets = _usual(np.log2((len(onset_frames(onset)) + 1) * FRAME_HZ / len(onset)), 1.9, 0.55)
    attack = _usual(np.log(onset.mean() + 1e-3), -1.72, 0.37)
    fullness = _usual(heard.mel_db[sounding].mean(), -35.4, 5.4)
    tempo = _usual(float(tempo_log2(tempogram(novelty(onset)))), 6.92, 0.27)
    crest = _usual(heard.crest_db, 12.7, 1.75)
    return (
        _usual(0.85 * tempo + 0.35 * onsets, 0.0, 1.0),
        _usual(_mode(heard), 0.01, 0.14),
        _usual(0.5 * attack - 0.6 * crest + 0.4 * fullness, 0.0, 0.85),
        _usual(float(np.median(heard.centroid[sounding])), 10.6, 0.7),
        _usual(0.55 * onsets + 0.35 * fullness + 0.55 * _usual(_change(heard), 3.5, 1.1), 0.2, 1.0),
        _percussiveness(heard),
        _usual(np.log(1 + _range_db(heard)), 1.95, 0.55),
    )


def _usual(value: float | np.floating, centre: float, spread: float) -> float:
    """Centre and scale; odd clips stay within three spreads, so that one measurement cannot outvote the others."""
    return min(3.0, max(-3.0, (float(value) - centre) / spread))


def _mode(heard: Features) -> float:
    whole = majorness(key_correlations(heard.chroma.mean(axis=0)))
    parts = majorness(key_correlations(running_mean(heard.chroma, round(8 * FRAME_HZ))[:: round(FRAME_HZ)]))
    return float((whole + parts.mean()) / 2)


def _change(heard: Features) -> float:
    """Mean change, in dB, of a mel band between means over 0.2 s."""
    steps = running_mean(heard.mel_db, 9)[::9]
    return float(np.abs(np.diff(steps, axis=0)).mean()) if len(steps) > 1 else 0.0


def _percussiveness(heard: Features) -> float:
    amplitude = np.sqrt(heard.mel_power)
    total = float(amplitude.sum()) + 1e-9
    share = float((amplitude * heard.percussive).sum()) / total
    clear = float((amplitude * (heard.percussive > 0.7)).sum()) / total
    return _usual(0.5 * _usual(share, 0.42, 0.108) + 0.5 * _usual(clear, 0.165, 0.1), -0.1, 0.95)


def _range_db(heard: Features) -> float:
    level = 10 * np.log10(running_mean(10 ** (heard.level_db / 10), round(0.4 * FRAME_HZ)) + 1e-6)
    low, high = np.quantile(level, (0.1, 0.95))
    return float(high - low)
