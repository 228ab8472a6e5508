"""Changes clips of music at random, so that adapters meet more kinds of sound than there are recordings of."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

import numpy as np
import numpy.typing as npt
import scipy.signal
import soxr

Samples: TypeAlias = npt.NDArray[np.float32]

_SEMITONES = 4.0
_EQUALISER_DB = 9.0
_LOWEST_CUTOFF_HZ, _HIGHEST_CUTOFF_HZ = 2500.0, 9000.0


def augment(samples: Samples, sample_rate_hz: int, seed: int) -> Samples:
    """Return a changed clip, mono ``(m,)`` with a peak of at most 1; the same arguments give the same samples.

    Each change is made with a probability of its own: other speed and pitch, an equaliser, a low-pass filter as of
    codecs and old recordings, reverberation, saturation, coarse quantisation, hiss. The level always changes.

    Args:
        samples: mono ``(n,)``; m differs from n when the speed changes.
        sample_rate_hz: their rate.
        seed: decides the changes.
    """
    rng = np.random.default_rng([seed, 21])
    changes: tuple[tuple[float, Callable[[Samples, int, np.random.Generator], Samples]], ...] = (
        (0.5, _change_speed),
        (0.7, _equalise),
        (0.15, _reverberate),
        (0.15, _saturate),
        (0.25, _cut_treble),
        (0.08, _quantise),
        (0.15, _add_hiss),
    )
    for probability, change in changes:
        if rng.random() < probability:
            samples = change(samples, sample_rate_hz, rng)
    peak = float(np.abs(samples).max()) + 1e-9
    return np.asarray(samples * np.float32(10 ** (rng.uniform(-18, 0) / 20) / peak), np.float32)


def _change_speed(samples: Samples, sample_rate_hz: int, rng: np.random.Generator) -> Samples:
    """Play faster and higher, or slower and lower."""
    speed = 2 ** (rng.uniform(-_SEMITONES, _SEMITONES) / 12)
    return np.asarray(soxr.resample(samples, sample_rate_hz * speed, sample_rate_hz, quality="MQ"), np.float32)


def _filtered(samples: Samples, sample_rate_hz: int, gain_of: Callable[[Samples], Samples]) -> Samples:
    """Multiply the spectrum by a gain that depends on the frequency in octaves above 1 kHz."""
    size = scipy.fft.next_fast_len(len(samples), real=True)
    octaves = np.log2(np.maximum(np.fft.rfftfreq(size, 1 / sample_rate_hz), 20) / 1000).astype(np.float32)
    return np.fft.irfft(np.fft.rfft(samples, size) * gain_of(octaves), size)[: len(samples)].astype(np.float32)


def _equalise(samples: Samples, sample_rate_hz: int, rng: np.random.Generator) -> Samples:
    """Raise and lower broad bands by up to 9 dB each."""
    tilt, centres = rng.uniform(-2, 2), rng.uniform(-4, 3, 2)
    heights, widths = rng.uniform(-_EQUALISER_DB, _EQUALISER_DB, 2), rng.uniform(0.5, 2, 2)

    def gain(octaves: Samples) -> Samples:
        bumps = sum(
            h * np.exp(-0.5 * ((octaves - c) / w) ** 2) for h, c, w in zip(heights, centres, widths, strict=True)
        )
        return np.asarray(10 ** ((tilt * octaves + bumps) / 20), np.float32)

    return _filtered(samples, sample_rate_hz, gain)


def _cut_treble(samples: Samples, sample_rate_hz: int, rng: np.random.Generator) -> Samples:
    cutoff = np.log2(np.exp(rng.uniform(np.log(_LOWEST_CUTOFF_HZ), np.log(_HIGHEST_CUTOFF_HZ))) / 1000)
    return _filtered(samples, sample_rate_hz, lambda octaves: 1 / (1 + 2 ** (8 * (octaves - np.float32(cutoff)))))


def _reverberate(samples: Samples, sample_rate_hz: int, rng: np.random.Generator) -> Samples:
    seconds = rng.uniform(0.4, 2.0)
    time = np.arange(int(seconds * sample_rate_hz)) / sample_rate_hz
    tail = rng.standard_normal(time.size) * np.exp(-6.9 / seconds * time)
    tail *= rng.uniform(0.3, 1.0) / np.sqrt(np.sum(tail**2))
    wet = scipy.signal.oaconvolve(samples, tail.astype(np.float32))[: len(samples)]
    return np.asarray(samples + wet, np.float32)


def _saturate(samples: Samples, _sample_rate_hz: int, rng: np.random.Generator) -> Samples:
    level = float(np.sqrt(np.mean(samples**2))) + 1e-9
    return np.asarray(np.tanh(samples * np.float32(rng.uniform(0.5, 3.0) / level)), np.float32)


def _quantise(samples: Samples, _sample_rate_hz: int, rng: np.random.Generator) -> Samples:
    """Round to a few bits and hold samples, as early sound chips did."""
    hold, steps = int(rng.integers(1, 4)), 2.0 ** rng.integers(3, 7)
    peak = float(np.abs(samples).max()) + 1e-9
    return np.asarray(np.repeat(np.round(samples[::hold] / peak * steps) / steps, hold)[: len(samples)], np.float32)


def _add_hiss(samples: Samples, _sample_rate_hz: int, rng: np.random.Generator) -> Samples:
    level = float(np.sqrt(np.mean(samples**2))) * 10 ** (rng.uniform(-45, -20) / 20)
    return np.asarray(samples + np.float32(level) * rng.standard_normal(len(samples), dtype=np.float32), np.float32)
