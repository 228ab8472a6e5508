"""Seven descriptors of how music sounds, each a number from 0 to 1.

Every descriptor is a weighted sum of measurements, each centred and scaled by its mean and spread over ordinary music,
and squashed: ``1 / (1 + exp(−1.7·z))``, which for normally distributed z is almost its rank. So 0.5 is the middle of
ordinary music, and 0.16 and 0.84 lie one standard deviation off. The constants were fitted to some 400 freely licensed
recordings of many styles.

The clip is normalised in loudness first, and everything is measured below 11 kHz on mono sound: volume, stereo width
and the usual codecs hardly change the descriptors.
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
    """Descriptors of a clip, each in [0, 1].

    Args:
        tempo: slow … fast. Mean of the tempi at which the onsets repeat, weighted by how readily people tap them, so
            that a choice between half and double tempo cannot flip it; to a lesser degree onsets per second.
            120 bpm with four onsets a second is about 0.5.
        mode: minor … major. Correlation of the pitch classes with the best major key minus that with the best minor
            key (profiles of Krumhansl and Kessler), over the clip and over eight-second windows. No difference is
            about 0.5.
        energy: calm … intense. Low crest factor, strong attacks over all bands, and a full spectrum.
        brightness: dark … bright. Median of the logarithm of the spectral centroid; 1.5 kHz is 0.5, an octave more 0.9.
        density: sparse … busy. Onsets per second, how much of the spectrum is in use, and how much it changes from one
            fifth of a second to the next.
        percussiveness: sustained … percussive. Share of the amplitude in vertical rather than horizontal structures of
            the spectrogram (median filters, Fitzgerald 2010).
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
        """Return the descriptors in the order of the fields, float32 ``(7,)``."""
        return np.array(astuple(self), dtype=np.float32)


NAMES: tuple[str, ...] = tuple(field.name for field in fields(Descriptors))
"""Names of the descriptors, in the order of the fields."""

ENDS: dict[str, tuple[str, str]] = {
    "tempo": ("slow", "fast"),
    "mode": ("minor", "major"),
    "energy": ("calm", "intense"),
    "brightness": ("dark", "bright"),
    "density": ("sparse", "busy"),
    "percussiveness": ("sustained", "percussive"),
    "dynamics": ("even", "wide"),
}
"""Descriptor → names of its low and its high end, in the order of the fields."""


def describe(samples: npt.NDArray[np.float32], sample_rate_hz: int) -> Descriptors:
    """Compute the descriptors of a clip.

    Args:
        samples: mono ``(n,)``; at least 5 s are needed for sensible values, 30 s are usual. Silence gives values that
            mean nothing.
        sample_rate_hz: their rate; 22050 avoids resampling.
    """
    if sample_rate_hz != RATE_HZ:
        samples = soxr.resample(np.asarray(samples, np.float32), sample_rate_hz, RATE_HZ)
    return Descriptors(*(float(1 / (1 + np.exp(-1.7 * score))) for score in _scores(extract(samples))))


def _scores(features: Features) -> tuple[float, ...]:
    """Return the descriptors before squashing, about standard normal over ordinary music."""
    sounding = features.level_db > -30
    if not sounding.any():
        sounding[:] = True
    onset = features.onset
    onsets = _scaled(np.log2((len(onset_frames(onset)) + 1) * FRAME_HZ / len(onset)), 1.9, 0.55)
    attack = _scaled(np.log(onset.mean() + 1e-3), -1.72, 0.37)
    fullness = _scaled(features.mel_db[sounding].mean(), -35.4, 5.4)
    tempo = _scaled(float(tempo_log2(tempogram(novelty(onset)))), 6.92, 0.27)
    crest = _scaled(features.crest_db, 12.7, 1.75)
    return (
        _scaled(0.85 * tempo + 0.35 * onsets, 0.0, 1.0),
        _scaled(_mode(features), 0.01, 0.14),
        _scaled(0.5 * attack - 0.6 * crest + 0.4 * fullness, 0.0, 0.85),
        _scaled(float(np.median(features.centroid[sounding])), 10.6, 0.7),
        _scaled(0.55 * onsets + 0.35 * fullness + 0.55 * _scaled(_change(features), 3.5, 1.1), 0.2, 1.0),
        _percussiveness(features),
        _scaled(np.log(1 + _range_db(features)), 1.95, 0.55),
    )


def _scaled(value: float | np.floating, centre: float, spread: float) -> float:
    """Centre and scale, limited to ±3 so that one measurement cannot outweigh the others in an unusual clip."""
    return min(3.0, max(-3.0, (float(value) - centre) / spread))


def _mode(features: Features) -> float:
    overall = majorness(key_correlations(features.chroma.mean(axis=0)))
    parts = majorness(key_correlations(running_mean(features.chroma, round(8 * FRAME_HZ))[:: round(FRAME_HZ)]))
    return float((overall + parts.mean()) / 2)


def _change(features: Features) -> float:
    """Return the mean change, in dB, of a mel band between means over 0.2 s."""
    steps = running_mean(features.mel_db, 9)[::9]
    return float(np.abs(np.diff(steps, axis=0)).mean()) if len(steps) > 1 else 0.0


def _percussiveness(features: Features) -> float:
    amplitude = np.sqrt(features.mel_power)
    total = float(amplitude.sum()) + 1e-9
    share = float((amplitude * features.percussive).sum()) / total
    clear = float((amplitude * (features.percussive > 0.7)).sum()) / total
    return _scaled(0.5 * _scaled(share, 0.42, 0.108) + 0.5 * _scaled(clear, 0.165, 0.1), -0.1, 0.95)


def _range_db(features: Features) -> float:
    level = 10 * np.log10(running_mean(10 ** (features.level_db / 10), round(0.4 * FRAME_HZ)) + 1e-6)
    low, high = np.quantile(level, (0.1, 0.95))
    return float(high - low)
