"""The encoder ``mel``: audio → embedding ``(T, 512)`` without any weights.

It stands where the paper uses OpenL3 (§3.2): every row describes about two seconds and its surroundings with what
descriptors of music are made of, so that an adapter can learn from it. All constants are written here and in
``_features``, ``_rhythm`` and ``_tonality``; :meth:`MelEncoder.spec` names them, and a fingerprint of the layout,
so that an adapter never meets an encoder that it was not trained with.

Columns of a row, short context (2 s) and long context (8 s):

====================  ===  =====================================================================================
mel_mean               80  level of each mel band, 2 s
mel_std                80  its standard deviation, 2 s
rise                   80  onset strength in each band, 2 s, square root
percussive             20  percussive share in groups of four bands, 2 s
contrast                7  spectral contrast in seven octaves, 2 s
chroma                 12  pitch classes, 2 s, over their sum
chroma_long            12  the same, 8 s
chroma_turned          12  chroma_long, turned so that the best key's tonic comes first
keys                   24  correlation of chroma_long with 24 keys
tonality                4  best major, best minor, their difference, the best of all
tempogram              64  repetition of the onsets at 64 tempi, 8 s
tempogram_low          32  the same for the lowest 12 bands, every other tempo
tempogram_high         32  the same for the highest 40 bands, every other tempo
scalars                53  level, crest, onsets, shape of the spectrum, dynamics; see ``_scalars``
====================  ===  =====================================================================================
"""

from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING

import numpy as np
import soxr

from covergen_cli.audio.features import BANDS, FRAME_HZ, HOP, RATE_HZ, WINDOW, Features, extract, running_mean
from covergen_cli.audio.rhythm import TEMPOS_BPM, novelty, onset_frames, tempo_log2, tempogram
from covergen_cli.audio.tonality import key_correlations, majorness

if TYPE_CHECKING:
    import numpy.typing as npt

    Array = npt.NDArray[np.float32]

VERSION = 1
"""Raise this whenever any number that reaches an embedding changes."""

SHORT_FRAMES = 86
LONG_FRAMES = 344
STEP_FRAMES = 32
BOUND = 5.0

_SCALARS = 53
GROUPS: tuple[tuple[str, int, float, float], ...] = (
    ("mel_mean", BANDS, -35.5, 11.6),
    ("mel_std", BANDS, 5.8, 2.85),
    ("rise", BANDS, 0.425, 0.116),
    ("percussive", BANDS // 4, 0.5, 0.16),
    ("contrast", 7, 24.4, 7.8),
    ("chroma", 12, 1 / 12, 0.042),
    ("chroma_long", 12, 1 / 12, 0.036),
    ("chroma_turned", 12, 1 / 12, 0.036),
    ("keys", 24, 0.0, 0.4),
    ("tonality", 4, 0.59, 0.215),
    ("tempogram", 64, 0.065, 0.165),
    ("tempogram_low", 32, 0.052, 0.138),
    ("tempogram_high", 32, 0.065, 0.163),
    ("scalars", _SCALARS, 0.0, 1.0),
)
"""Name, width, and the mean and standard deviation over ordinary music that bring each group to about 0 and 1."""


class MelEncoder:
    """Encoder without weights; see the module's description of its columns.

    Attributes:
        name: ``"mel"``.
        sample_rate_hz: rate that needs no resampling.
        embedding_dim: 512.
        resample: ``None``: soxr.
    """

    name = "mel"
    sample_rate_hz = RATE_HZ
    embedding_dim = sum(width for _, width, _, _ in GROUPS)
    resample = None

    def spec(self) -> dict[str, object]:
        """Return what an adapter must know to be given the same embeddings again; JSON-able."""
        facts: dict[str, object] = {
            "name": self.name,
            "version": VERSION,
            "sample_rate_hz": RATE_HZ,
            "embedding_dim": self.embedding_dim,
            "window_seconds": round(SHORT_FRAMES * HOP / RATE_HZ, 6),
            "context_seconds": round(LONG_FRAMES * HOP / RATE_HZ, 6),
            "hop_seconds": round(STEP_FRAMES * HOP / RATE_HZ, 6),
        }
        layout = json.dumps([facts, GROUPS, WINDOW, HOP, BANDS, BOUND], sort_keys=True)
        return facts | {"hash": hashlib.sha256(layout.encode()).hexdigest()[:16]}

    def embed(self, samples: npt.NDArray[np.float32], sample_rate_hz: int) -> npt.NDArray[np.float32]:
        """Embed a clip.

        Args:
            samples: mono ``(n,)``.
            sample_rate_hz: their rate.

        Returns:
            float32 ``(T, 512)``, every value in [−5, 5], a row per 0.743 s: 40 rows for 30 s, at least one. Two
            clips that differ only in volume have equal rows, but for the one column that holds the volume.
        """
        if sample_rate_hz != RATE_HZ:
            samples = soxr.resample(np.asarray(samples, np.float32), sample_rate_hz, RATE_HZ)
        heard = extract(samples)
        centres = np.arange(max(1, len(heard.level_db) // STEP_FRAMES)) * STEP_FRAMES + STEP_FRAMES // 2
        centres = np.minimum(centres, len(heard.level_db) - 1)
        columns = _timbre(heard, centres) | _tonal(heard, centres) | _rhythm(heard, centres)
        columns["scalars"] = _scalars(heard, centres, columns)
        rows = [(columns[name] - mean) / spread for name, _, mean, spread in GROUPS]
        embedding: Array = np.clip(np.nan_to_num(np.concatenate(rows, axis=1)), -BOUND, BOUND).astype(np.float32)
        return embedding


def _timbre(heard: Features, centres: npt.NDArray[np.intp]) -> dict[str, Array]:
    mean = running_mean(heard.mel_db, SHORT_FRAMES)[centres]
    square = running_mean(heard.mel_db.astype(np.float64) ** 2, SHORT_FRAMES)[centres]
    amplitude = np.sqrt(heard.mel_power)
    grouped = (amplitude.reshape(len(amplitude), -1, 4).sum(axis=2), amplitude * heard.percussive)
    strikes = grouped[1].reshape(len(amplitude), -1, 4).sum(axis=2)
    share = running_mean(strikes, SHORT_FRAMES) / (running_mean(grouped[0], SHORT_FRAMES) + np.float32(1e-6))
    return {
        "mel_mean": mean,
        "mel_std": np.sqrt(np.maximum(square - mean.astype(np.float64) ** 2, 0)).astype(np.float32),
        "rise": np.sqrt(running_mean(heard.rise, SHORT_FRAMES)[centres]),
        "percussive": share[centres],
        "contrast": running_mean(heard.contrast_db, SHORT_FRAMES)[centres],
    }


def _tonal(heard: Features, centres: npt.NDArray[np.intp]) -> dict[str, Array]:
    short, long = (
        running_mean(heard.chroma, width)[centres] + np.float32(1e-3) for width in (SHORT_FRAMES, LONG_FRAMES)
    )
    keys = key_correlations(long)
    tonic = keys.argmax(axis=1) % 12
    long = long / long.sum(axis=1, keepdims=True)
    best_major, best_minor = keys[:, :12].max(axis=1), keys[:, 12:].max(axis=1)
    tonality = (best_major, best_minor, 0.45 + 2 * majorness(keys), keys.max(axis=1) ** 2)
    return {
        "chroma": short / short.sum(axis=1, keepdims=True),
        "chroma_long": long,
        "chroma_turned": np.take_along_axis(long, (np.arange(12) + tonic[:, None]) % 12, axis=1),
        "keys": keys,
        "tonality": np.stack(tonality, axis=1),
    }


def _rhythm(heard: Features, centres: npt.NDArray[np.intp]) -> dict[str, Array]:
    curves = novelty(np.stack([heard.onset, heard.rise[:, :12].mean(axis=1), heard.rise[:, 40:].mean(axis=1)]))
    frames = curves.shape[1]
    length = min(LONG_FRAMES, frames)
    begin = np.clip(centres - length // 2, 0, frames - length)
    windows = np.lib.stride_tricks.sliding_window_view(curves, length, axis=1)[:, begin]
    all_bands, low, high = tempogram(windows)
    return {"tempogram": all_bands, "tempogram_low": low[:, ::2], "tempogram_high": high[:, ::2]}


def _scalars(heard: Features, centres: npt.NDArray[np.intp], columns: dict[str, Array]) -> Array:
    """Fifty-three single measurements per row, each already about standard normal over ordinary music."""
    onset = heard.onset
    peaks = np.zeros(len(onset), np.float32)
    peaks[onset_frames(onset)] = FRAME_HZ
    amplitude = np.sqrt(heard.mel_power)
    struck = (amplitude * heard.percussive).sum(axis=1)
    clear = (amplitude * (heard.percussive > 0.7)).sum(axis=1)
    level = 10 * np.log10(running_mean(10 ** (heard.level_db / 10), round(0.4 * FRAME_HZ)) + np.float32(1e-6))
    found: list[Array] = [_all(len(centres), heard.gain_db, 0.0, 8.0), _all(len(centres), heard.crest_db, 12.7, 1.75)]
    for width in (SHORT_FRAMES, LONG_FRAMES):
        mean = _Means(width, centres)
        whole = mean(amplitude.sum(axis=1)) + np.float32(1e-6)
        found += [
            _usual(np.log2(mean(peaks) + np.float32(0.5)), 1.9, 0.7),
            _usual(np.log(mean(onset) + np.float32(1e-3)), -1.75, 0.4),
            _usual(np.log(mean.deviation(onset) + np.float32(1e-3)), -1.6, 0.6),
            _usual(mean(heard.centroid), 10.55, 0.75),
            _usual(mean.deviation(heard.centroid), 0.45, 0.25),
            _usual(mean(heard.flatness), -2.8, 0.85),
            _usual(mean.deviation(heard.flatness), 0.5, 0.26),
            _usual(mean(heard.rolloff), 9.1, 0.9),
            _usual(mean(heard.mel_db.mean(axis=1)), -35.5, 6.0),
            _usual(mean((heard.mel_db > -35).mean(axis=1)), 0.49, 0.18),
            _usual(mean(struck) / whole, 0.42, 0.11),
            _usual(mean(clear) / whole, 0.165, 0.1),
            _usual(mean(heard.level_db), -2.0, 4.0),
            _usual(mean.deviation(heard.level_db), 3.0, 2.0),
            _usual(mean(heard.contrast_db.mean(axis=1)), 24.0, 4.5),
        ]
    found += _spread(level, centres)
    found += _change(heard, centres)
    found += _pulse(columns)
    found.append(_all(len(centres), float(tempo_log2(tempogram(novelty(onset)))), 6.92, 0.27))
    return np.stack(found, axis=1).astype(np.float32)


def _spread(level: Array, centres: npt.NDArray[np.intp]) -> list[Array]:
    """Percentiles of the level over 0.4 s: within 8 s, and, the same for all rows, within the clip; then two ranges."""
    length = min(LONG_FRAMES, len(level))
    begin = np.clip(centres - length // 2, 0, len(level) - length)
    near = np.quantile(np.lib.stride_tricks.sliding_window_view(level, length)[begin], (0.1, 0.5, 0.95), axis=1)
    clip = np.quantile(level, (0.1, 0.5, 0.95))
    usual = ((-4.5, 4.0), (-1.0, 2.0), (2.4, 1.2))
    percentiles = [_usual(row, *scale) for row, scale in zip(near, usual, strict=True)]
    percentiles += [_all(len(centres), float(value), *scale) for value, scale in zip(clip, usual, strict=True)]
    ranges = [np.log1p(near[2] - near[0]), np.full(len(centres), np.log1p(clip[2] - clip[0]))]
    return [*percentiles, *(_usual(value, 1.9, 0.55) for value in ranges)]


def _change(heard: Features, centres: npt.NDArray[np.intp]) -> list[Array]:
    """How much the bands change in 0.2 s, over both contexts; rise in the bass, the middle and the treble."""
    smooth = running_mean(heard.mel_db, 9)
    change = np.zeros(len(smooth), np.float32)
    change[9:] = np.abs(smooth[9:] - smooth[:-9]).mean(axis=1)
    found = [_usual(_Means(width, centres)(change), 3.5, 1.1) for width in (SHORT_FRAMES, LONG_FRAMES)]
    for band in (slice(0, 12), slice(12, 40), slice(40, BANDS)):
        rise = _Means(SHORT_FRAMES, centres)(heard.rise[:, band].mean(axis=1))
        found.append(_usual(np.log(rise + np.float32(1e-3)), -1.75, 0.5))
    return found


def _pulse(columns: dict[str, Array]) -> list[Array]:
    """Perceived tempo and clearness of the pulse in all bands, in the bass and in the treble; the strongest tempo."""
    found = []
    for name in ("tempogram", "tempogram_low", "tempogram_high"):
        strength = np.repeat(columns[name], len(TEMPOS_BPM) // columns[name].shape[1], axis=1)
        found += [_usual(tempo_log2(strength), 6.92, 0.33), _usual(strength.max(axis=1), 0.5, 0.22)]
    return [*found, _usual(np.log2(TEMPOS_BPM)[columns["tempogram"].argmax(axis=1)], 6.1, 0.6)]


class _Means:
    """Running means and deviations over one width, at given frames."""

    def __init__(self, width: int, centres: npt.NDArray[np.intp]) -> None:
        self.width, self.centres = width, centres

    def __call__(self, values: Array) -> Array:
        return running_mean(values, self.width)[self.centres]

    def deviation(self, values: Array) -> Array:
        wide = values.astype(np.float64)
        mean = running_mean(wide, self.width).astype(np.float64)
        variance = running_mean(wide**2, self.width).astype(np.float64) - mean**2
        return np.sqrt(np.maximum(variance, 0)).astype(np.float32)[self.centres]


def _usual(values: npt.NDArray[np.floating], centre: float, spread: float) -> Array:
    scaled: Array = ((values - centre) / spread).astype(np.float32)
    return scaled


def _all(rows: int, value: float, centre: float, spread: float) -> Array:
    return np.full(rows, (value - centre) / spread, np.float32)
