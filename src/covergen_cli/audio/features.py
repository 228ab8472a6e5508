"""Compute the features of a clip, frame by frame, that the descriptors and the ``mel`` encoder share.

One spectrogram (Hann window of 2048 samples, hop 512, at 22.05 kHz) gives level, mel bands, onsets, percussion,
contrast and spectral shape; a longer window (8192) gives the pitch classes, which need finer frequencies. The clip
is normalised in loudness first, so that everything but ``gain_db`` is the same at any volume.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import numpy.typing as npt

    Array = npt.NDArray[np.float32]

RATE_HZ = 22050
WINDOW = 2048
HOP = 512
FRAME_HZ = RATE_HZ / HOP
BANDS = 80
FLOOR_DB = -60.0
"""Band levels below this, relative to the clip's loudness, are treated as silence."""

_PITCH_WINDOW = 8192
_PITCH_HOP = 4 * HOP
_LOUDNESS = 0.1
_GATE = 0.01
_CONTRAST_EDGES_HZ = (0.0, 200.0, 400.0, 800.0, 1600.0, 3200.0, 6400.0, RATE_HZ / 2)


@dataclass(frozen=True)
class Features:
    """Features of one clip, all float32, T frames of 23.2 ms.

    Args:
        level_db: ``(T,)`` RMS level of each frame relative to the clip's loudness, floored at −60.
        mel_db: ``(T, 80)`` level of each mel band relative to the clip's loudness, floored at −60.
        rise: ``(T, 80)`` rise of each band's level since two frames before, in units of 10 dB, not negative.
        percussive: ``(T, 80)`` share of each band's energy in vertical (percussive) structure, [0, 1].
        mel_power: ``(T, 80)`` energy of each band.
        chroma: ``(T, 12)`` energy of the pitch classes C … B, log-compressed, tuning removed; not normalised.
        contrast_db: ``(T, 7)`` difference between the strong and the weak bins of seven octave bands.
        centroid: ``(T,)`` log2 of the spectral centroid of the magnitudes, in Hz.
        flatness: ``(T,)`` log10 of the ratio of geometric to arithmetic mean of the power spectrum, ≤ 0.
        rolloff: ``(T,)`` log2 of the frequency below which 85 % of the energy lies.
        gain_db: loudness of the clip in dB above 0.1 of full scale, before it was normalised.
        crest_db: peak of the clip (99.9th percentile) over its loudness, in dB.
    """

    level_db: Array
    mel_db: Array
    rise: Array
    percussive: Array
    mel_power: Array
    chroma: Array
    contrast_db: Array
    centroid: Array
    flatness: Array
    rolloff: Array
    gain_db: float
    crest_db: float

    @property
    def onset(self) -> Array:
        """Onset strength ``(T,)``: the rise averaged over the bands."""
        strength: Array = self.rise.mean(axis=1)
        return strength


def extract(samples: Array) -> Features:
    """Compute the features of a mono clip ``(n,)`` at 22.05 kHz; a clip shorter than a window is zero-padded."""
    samples = np.asarray(samples, dtype=np.float32)
    gain = _gain(samples)
    samples = samples * np.float32(1 / gain)
    frames = 1 + max(0, samples.size - WINDOW) // HOP
    power = _power(samples, WINDOW, HOP, frames)
    total = power.sum(axis=1)
    mel_power = sum_bands(power, mel_filters())
    mel_db = _decibels(mel_power)
    before = np.concatenate([np.full((2, BANDS), FLOOR_DB, np.float32), mel_db[:-2]])[: len(mel_db)]
    rise = np.maximum(mel_db - before, 0) / np.float32(10)
    rise[:2] = 0
    hertz = np.fft.rfftfreq(WINDOW, 1 / RATE_HZ).astype(np.float32)
    magnitude = np.sqrt(power)
    tiny = np.float32(1e-9)
    cumulative = np.cumsum(power, axis=1)
    rolloff = hertz[np.minimum((cumulative < 0.85 * cumulative[:, -1:]).sum(axis=1), hertz.size - 1)]
    return Features(
        level_db=_decibels(total),
        mel_db=mel_db,
        rise=rise,
        percussive=_percussive(mel_power),
        mel_power=mel_power,
        chroma=_chroma(samples, frames),
        contrast_db=_contrast(power, hertz),
        centroid=np.log2(np.maximum((magnitude * hertz).sum(axis=1) / (magnitude.sum(axis=1) + tiny), 50.0)),
        flatness=np.log10(_geometric_mean(power[:, 1:]) / (power[:, 1:].mean(axis=1) + tiny) + np.float32(1e-5)),
        rolloff=np.log2(np.maximum(rolloff, 50.0)),
        gain_db=float(20 * np.log10(max(gain, 1e-6))),
        crest_db=_crest_db(samples),
    )


def running_mean(values: npt.NDArray[np.floating], width: int) -> Array:
    """Return the mean of the ``width`` frames around each frame (fewer at the ends), along the first axis."""
    sums = np.concatenate([np.zeros_like(values[:1], dtype=np.float64), np.cumsum(values, axis=0, dtype=np.float64)])
    index = np.arange(len(values))
    begin, end = np.maximum(index - width // 2, 0), np.minimum(index + width - width // 2, len(values))
    count = (end - begin).reshape(-1, *[1] * (values.ndim - 1))
    mean: Array = ((sums[end] - sums[begin]) / count).astype(np.float32)
    return mean


@lru_cache(maxsize=1)
def mel_filters() -> Array:
    """Return triangular filters ``(80, 1025)``, equally spaced in mel (2595·log10(1 + f/700)), 30 Hz–11 kHz, peak 1."""
    low, high = (2595 * math.log10(1 + hertz / 700) for hertz in (30.0, RATE_HZ / 2))
    edges: npt.NDArray[np.floating] = np.array(
        [700 * (10 ** (mel / 2595) - 1) for mel in np.linspace(low, high, BANDS + 2)]
    )
    hertz = np.fft.rfftfreq(WINDOW, 1 / RATE_HZ)
    up = (hertz - edges[:-2, None]) / (edges[1:-1] - edges[:-2])[:, None]
    down = (edges[2:, None] - hertz) / (edges[2:] - edges[1:-1])[:, None]
    filters: Array = np.maximum(np.minimum(up, down), 0).astype(np.float32)
    return filters


def sum_bands(power: Array, filters: Array) -> Array:
    """Sum spectra ``(T, bins)`` to ``(T, bands)``, without BLAS, whose sums depend on its threads.

    Args:
        power: the spectra.
        filters: weights ``(bands, bins)``, each row of them in one range of bins.
    """
    bands = np.empty((len(power), len(filters)), np.float32)
    for band, weights in enumerate(filters):
        bins = np.flatnonzero(weights)
        used = slice(bins[0], bins[-1] + 1)
        bands[:, band] = np.einsum("tf,f->t", power[:, used], weights[used])
    return bands


def _gain(samples: Array) -> float:
    """Return loudness / 0.1: the RMS of the half-second blocks that are at most 20 dB below the loudest."""
    block = RATE_HZ // 2
    padded = np.pad(samples, (0, -samples.size % block)) if samples.size else np.zeros(block, np.float32)
    energy = np.square(padded.reshape(-1, block).astype(np.float64)).sum(axis=1) / block
    loud = energy[energy >= _GATE * energy.max()]
    return max(float(np.sqrt(loud.mean())), 1e-5) / _LOUDNESS


def _power(samples: Array, window: int, hop: int, frames: int) -> Array:
    """Return the power spectrogram ``(frames, window // 2 + 1)``, scaled so that a frame's sum is its mean square."""
    samples = np.pad(samples, (0, max(0, (frames - 1) * hop + window - samples.size)))
    hann = (0.5 - 0.5 * np.cos(2 * np.pi * np.arange(window) / window)).astype(np.float32)
    cut = np.lib.stride_tricks.sliding_window_view(samples, window)[::hop][:frames]
    spectrum = np.fft.rfft(cut * hann, axis=1)
    scale = np.float32(2 / (window * float(np.sum(np.square(hann, dtype=np.float64)))))
    power: Array = ((spectrum.real**2 + spectrum.imag**2) * scale).astype(np.float32)
    return power


def _decibels(power: Array) -> Array:
    decibels = 10 * np.log10(np.maximum(power, 1e-12)) - np.float32(20 * np.log10(_LOUDNESS))
    floored: Array = np.maximum(decibels, np.float32(FLOOR_DB))
    return floored


def _geometric_mean(power: Array) -> Array:
    mean: Array = np.exp(np.mean(np.log(np.maximum(power, np.float32(1e-14))), axis=1))
    return mean


def _crest_db(samples: Array) -> float:
    if samples.size < 8:
        return 0.0
    # The maximum of every eight samples keeps the quantile from sinking with the rate at which loud samples come.
    peak = float(np.quantile(np.abs(samples[: samples.size // 8 * 8]).reshape(-1, 8).max(axis=1), 0.999))
    return float(20 * np.log10(max(peak, 1e-4) / _LOUDNESS))


def _percussive(mel_power: Array) -> Array:
    """Return the percussive share of mel bands: median filters (Fitzgerald 2010) over 0.4 s and over 13 bands."""
    amplitude = np.sqrt(mel_power)
    harmonic, percussive = _median(amplitude, 17, axis=0) ** 2, _median(amplitude, 13, axis=1) ** 2
    share: Array = percussive / (percussive + harmonic + np.float32(1e-12))
    return share


def _median(values: Array, width: int, axis: int) -> Array:
    pad = [(0, 0), (0, 0)]
    pad[axis] = (width // 2, width // 2)
    windows = np.lib.stride_tricks.sliding_window_view(np.pad(values, pad, mode="edge"), width, axis=axis)
    return np.partition(windows, width // 2, axis=-1)[..., width // 2]


def _contrast(power: Array, hertz: Array) -> Array:
    """Return spectral contrast (Jiang et al. 2002): strongest fifth of a band's bins over the weakest fifth, in dB."""
    bands = []
    for low, high in pairwise(_CONTRAST_EDGES_HZ):
        ordered = np.sort(power[:, (hertz >= low) & (hertz < high)], axis=1)
        fifth = max(1, round(0.2 * ordered.shape[1]))
        strong, weak = ordered[:, -fifth:].mean(axis=1), ordered[:, :fifth].mean(axis=1)
        bands.append(10 * np.log10((strong + 1e-10) / (weak + 1e-10)))
    return np.stack(bands, axis=1).astype(np.float32)


def _chroma(samples: Array, frames: int) -> Array:
    """Return pitch-class energy from spectral peaks between 55 Hz and 2 kHz, in the tuning that fits the clip best."""
    ahead = _PITCH_WINDOW // 2 - (WINDOW // 2 + 3 * HOP // 2)
    padded = np.pad(samples, (ahead, _PITCH_WINDOW))
    magnitude = np.sqrt(_power(padded, _PITCH_WINDOW, _PITCH_HOP, -(-frames // 4)))
    hertz = np.fft.rfftfreq(_PITCH_WINDOW, 1 / RATE_HZ)
    low, high = np.searchsorted(hertz, (55.0, 2000.0))
    mid, left, right = (magnitude[:, low + shift : high + shift] for shift in (0, -1, 1))
    peak = (mid > left) & (mid >= right)
    # The position of a peak between the bins: a parabola through the logarithms of three bins.
    a, b, c = (np.log(np.maximum(part, 1e-9)) for part in (left, mid, right))
    offset = np.where(peak, 0.5 * (a - c) / np.minimum(a - 2 * b + c, -1e-6), 0)
    pitch = 12 * np.log2((np.arange(low, high) + offset) / (440.0 * _PITCH_WINDOW / RATE_HZ)) + 69
    strength = np.where(peak, np.log1p(1000 * np.maximum(mid - np.float32(1e-4), 0)), 0)
    turn = np.sum(strength * np.exp(2j * np.pi * pitch))
    pitch = pitch - np.angle(turn) / (2 * np.pi)
    near = np.rint(pitch)
    strength = strength * np.maximum(1 - 2 * np.abs(pitch - near), 0)
    row = np.arange(len(pitch))[:, None] * 12
    cells = (row + near.astype(np.int64) % 12).ravel()
    chroma = np.bincount(cells, weights=strength.ravel(), minlength=12 * len(pitch)).reshape(-1, 12)
    return np.repeat(chroma.astype(np.float32), 4, axis=0)[:frames]
