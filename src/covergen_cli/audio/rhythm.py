"""Compute onsets and tempo from onset strength; used by the descriptors and the ``mel`` encoder."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from covergen_cli.audio.features import FRAME_HZ, running_mean

if TYPE_CHECKING:
    import numpy.typing as npt

    Array = npt.NDArray[np.float32]

_PER_OCTAVE = 21
TEMPOS_BPM = (40.0 * 2 ** (np.arange(64) / _PER_OCTAVE)).astype(np.float32)
"""64 tempi from 40 to 320 beats per minute, equally spaced on a logarithmic scale."""

_BETWEEN = 5
_PREFERRED_BPM = 115.0
_PREFERRED_OCTAVES = 0.6
_SHARPNESS = 4.0
_MULTIPLE = 0.4


def novelty(onset: Array) -> Array:
    """Return onset strength ``(..., T)`` minus its running mean over one second, not negative."""
    flat = np.moveaxis(onset, -1, 0)
    above: Array = np.moveaxis(np.maximum(flat - running_mean(flat, round(FRAME_HZ)), 0), 0, -1)
    return above


def onset_frames(onset: Array) -> npt.NDArray[np.intp]:
    """Return the frames of onsets: maxima within ±70 ms that are clearly above the running mean of one second."""
    if onset.size < 3:
        return np.zeros(0, np.intp)
    around = np.lib.stride_tricks.sliding_window_view(np.pad(onset, 3), 7)
    floor = 1.25 * running_mean(onset, round(FRAME_HZ)) + np.float32(0.03)
    return np.flatnonzero((onset >= around.max(axis=1)) & (onset > floor))


def autocorrelation(novelties: Array, lags: int) -> Array:
    """Return the unbiased autocorrelation ``(..., lags)`` of curves ``(..., T)`` minus their means, 1 at lag 0."""
    length = novelties.shape[-1]
    centred = novelties - novelties.mean(axis=-1, keepdims=True)
    spectrum = np.fft.rfft(centred, 2 * length, axis=-1)
    products = np.fft.irfft(spectrum.real**2 + spectrum.imag**2, 2 * length, axis=-1)[..., : min(lags, length)]
    products = products * (length / np.maximum(length - np.arange(products.shape[-1]), length / 4))
    result = np.zeros((*products.shape[:-1], lags), np.float32)
    result[..., : products.shape[-1]] = products / np.maximum(products[..., :1], 1e-6)
    return result


def tempogram(novelties: Array) -> Array:
    """Return how strongly curves ``(..., T)`` repeat at each of the 64 tempi, ``(..., 64)``, at most 1.

    It is the mean of the autocorrelation at 1, 2, 3 and 4 beats. The best of five tempi around each of the 64 counts,
    because four beats of a slow tempo miss their peak by a difference that is small on the scale of tempi.
    """
    offsets = (np.arange(_BETWEEN) - _BETWEEN // 2) / _BETWEEN / _PER_OCTAVE
    beat = 60 * FRAME_HZ / (TEMPOS_BPM[:, None] * 2**offsets)
    correlation = autocorrelation(novelties, int(4 * beat.max()) + 3)
    total = np.zeros((*novelties.shape[:-1], *beat.shape), np.float32)
    for beats in (1, 2, 3, 4):
        lag = beats * beat
        low = lag.astype(np.intp)
        share = (lag - low).astype(np.float32)
        total += (1 - share) * correlation[..., low] + share * correlation[..., low + 1]
    best: Array = total.max(axis=-1) / np.float32(4)
    return best


def tempo_log2(strengths: Array) -> Array:
    """Return the perceived tempo, log2 of beats per minute, of tempograms ``(..., 64)``.

    A tempo whose double or triple repeats as well is probably a bar, not a beat, and part of their strength is
    subtracted. The result is the mean of the tempi, weighted by the fourth power of their strength and by how readily
    people tap them (log-normal around 115 bpm, near van Noorden and Moelants 1999). A mean moves little where a choice
    between two octaves would jump. Without any repetition it is the preferred tempo.
    """
    octaves = np.log2(TEMPOS_BPM)
    prior = np.exp(-0.5 * ((octaves - np.log2(_PREFERRED_BPM)) / _PREFERRED_OCTAVES) ** 2)
    beats = np.maximum(strengths, 0)
    faster = np.zeros_like(beats)
    for steps in (_PER_OCTAVE, round(_PER_OCTAVE * np.log2(3))):
        faster[..., :-steps] = np.maximum(faster[..., :-steps], beats[..., steps:])
    weights = np.maximum(beats - _MULTIPLE * faster, 0) ** _SHARPNESS * prior + np.float32(1e-6) * prior
    centre: Array = ((weights * octaves).sum(axis=-1) / weights.sum(axis=-1)).astype(np.float32)
    return centre
