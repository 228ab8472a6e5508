"""The audio encoder ``mel``: an embedding ``(T, 512)`` without any weights, in the place of the paper's OpenL3 (§3.2).

Every row describes about two seconds and their context by musical features, from which an adapter can learn. The
constants are here and in ``features``, ``rhythm`` and ``tonality``; :meth:`MelEncoder.spec` has a hash of them, so that
an adapter is never used with another encoder than the one it was trained with.

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

import json
from typing import TYPE_CHECKING

import numpy as np
import soxr

from covergen_cli.audio.features import BANDS, FRAME_HZ, HOP, RATE_HZ, WINDOW, Features, extract, running_mean
from covergen_cli.audio.rhythm import TEMPOS_BPM, novelty, onset_frames, tempo_log2, tempogram
from covergen_cli.audio.tonality import key_correlations, majorness
from covergen_cli.files import sha256_bytes

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
"""Name, width, and mean and standard deviation over ordinary music, by which each group is normalised."""


class MelEncoder:
    """Encoder without weights; an :class:`~covergen_cli.audio.encoders.Encoder`."""

    name = "mel"
    sample_rate_hz = RATE_HZ
    embedding_dim = sum(width for _, width, _, _ in GROUPS)
    resample = None

    def spec(self) -> dict[str, object]:
        """Return what identifies the embeddings of this encoder; JSON-able."""
        spec: dict[str, object] = {
            "name": self.name,
            "version": VERSION,
            "sample_rate_hz": RATE_HZ,
            "embedding_dim": self.embedding_dim,
            "window_seconds": round(SHORT_FRAMES * HOP / RATE_HZ, 6),
            "context_seconds": round(LONG_FRAMES * HOP / RATE_HZ, 6),
            "hop_seconds": round(STEP_FRAMES * HOP / RATE_HZ, 6),
        }
        layout = json.dumps([spec, GROUPS, WINDOW, HOP, BANDS, BOUND], sort_keys=True)
        return spec | {"hash": sha256_bytes(layout.encode())[:16]}

    def embed(self, samples: npt.NDArray[np.float32], sample_rate_hz: int) -> npt.NDArray[np.float32]:
        """Embed mono samples ``(n,)``.

        Returns:
            float32 ``(T, 512)`` in [−5, 5], a row per 0.743 s: 40 rows for 30 s, at least one. The volume of a clip
            changes one column only.
        """
        if sample_rate_hz != RATE_HZ:
            samples = soxr.resample(np.asarray(samples, np.float32), sample_rate_hz, RATE_HZ)
        features = extract(samples)
        centres = np.arange(max(1, len(features.level_db) // STEP_FRAMES)) * STEP_FRAMES + STEP_FRAMES // 2
        centres = np.minimum(centres, len(features.level_db) - 1)
        columns = _timbre(features, centres) | _tonal(features, centres) | _rhythm(features, centres)
        columns["scalars"] = _scalars(features, centres, columns)
        rows = [(columns[name] - mean) / spread for name, _, mean, spread in GROUPS]
        embedding: Array = np.clip(np.nan_to_num(np.concatenate(rows, axis=1)), -BOUND, BOUND).astype(np.float32)
        return embedding


def _timbre(features: Features, centres: npt.NDArray[np.intp]) -> dict[str, Array]:
    mean = running_mean(features.mel_db, SHORT_FRAMES)[centres]
    square = running_mean(features.mel_db.astype(np.float64) ** 2, SHORT_FRAMES)[centres]
    amplitude = np.sqrt(features.mel_power)
    grouped = (amplitude.reshape(len(amplitude), -1, 4).sum(axis=2), amplitude * features.percussive)
    strikes = grouped[1].reshape(len(amplitude), -1, 4).sum(axis=2)
    share = running_mean(strikes, SHORT_FRAMES) / (running_mean(grouped[0], SHORT_FRAMES) + np.float32(1e-6))
    return {
        "mel_mean": mean,
        "mel_std": np.sqrt(np.maximum(square - mean.astype(np.float64) ** 2, 0)).astype(np.float32),
        "rise": np.sqrt(running_mean(features.rise, SHORT_FRAMES)[centres]),
        "percussive": share[centres],
        "contrast": running_mean(features.contrast_db, SHORT_FRAMES)[centres],
    }


def _tonal(features: Features, centres: npt.NDArray[np.intp]) -> dict[str, Array]:
    short, long = (
        running_mean(features.chroma, width)[centres] + np.float32(1e-3) for width in (SHORT_FRAMES, LONG_FRAMES)
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


def _rhythm(features: Features, centres: npt.NDArray[np.intp]) -> dict[str, Array]:
    curves = novelty(np.stack([features.onset, features.rise[:, :12].mean(axis=1), features.rise[:, 40:].mean(axis=1)]))
    frames = curves.shape[1]
    length = min(LONG_FRAMES, frames)
    begin = np.clip(centres - length // 2, 0, frames - length)
    windows = np.lib.stride_tricks.sliding_window_view(curves, length, axis=1)[:, begin]
    all_bands, low, high = tempogram(windows)
    return {"tempogram": all_bands, "tempogram_low": low[:, ::2], "tempogram_high": high[:, ::2]}


def _scalars(features: Features, centres: npt.NDArray[np.intp], columns: dict[str, Array]) -> Array:
    """Return 53 measurements per row, each about standard normal over ordinary music."""
    onset = features.onset
    peaks = np.zeros(len(onset), np.float32)
    peaks[onset_frames(onset)] = FRAME_HZ
    amplitude = np.sqrt(features.mel_power)
    struck = (amplitude * features.percussive).sum(axis=1)
    clear = (amplitude * (features.percussive > 0.7)).sum(axis=1)
    level = 10 * np.log10(running_mean(10 ** (features.level_db / 10), round(0.4 * FRAME_HZ)) + np.float32(1e-6))
    rows = len(centres)
    found: list[Array] = [_constant(rows, features.gain_db, 0.0, 8.0), _constant(rows, features.crest_db, 12.7, 1.75)]
    for width in (SHORT_FRAMES, LONG_FRAMES):
        mean = _Means(width, centres)
        total = mean(amplitude.sum(axis=1)) + np.float32(1e-6)
        found += [
            _scaled(np.log2(mean(peaks) + np.float32(0.5)), 1.9, 0.7),
            _scaled(np.log(mean(onset) + np.float32(1e-3)), -1.75, 0.4),
            _scaled(np.log(mean.deviation(onset) + np.float32(1e-3)), -1.6, 0.6),
            _scaled(mean(features.centroid), 10.55, 0.75),
            _scaled(mean.deviation(features.centroid), 0.45, 0.25),
            _scaled(mean(features.flatness), -2.8, 0.85),
            _scaled(mean.deviation(features.flatness), 0.5, 0.26),
            _scaled(mean(features.rolloff), 9.1, 0.9),
            _scaled(mean(features.mel_db.mean(axis=1)), -35.5, 6.0),
            _scaled(mean((features.mel_db > -35).mean(axis=1)), 0.49, 0.18),
            _scaled(mean(struck) / total, 0.42, 0.11),
            _scaled(mean(clear) / total, 0.165, 0.1),
            _scaled(mean(features.level_db), -2.0, 4.0),
            _scaled(mean.deviation(features.level_db), 3.0, 2.0),
            _scaled(mean(features.contrast_db.mean(axis=1)), 24.0, 4.5),
        ]
    found += _spread(level, centres)
    found += _change(features, centres)
    found += _pulse(columns)
    found.append(_constant(rows, float(tempo_log2(tempogram(novelty(onset)))), 6.92, 0.27))
    return np.stack(found, axis=1).astype(np.float32)


def _spread(level: Array, centres: npt.NDArray[np.intp]) -> list[Array]:
    """Return percentiles of the level over 0.4 s, within 8 s and within the clip, and the two ranges."""
    length = min(LONG_FRAMES, len(level))
    begin = np.clip(centres - length // 2, 0, len(level) - length)
    near = np.quantile(np.lib.stride_tricks.sliding_window_view(level, length)[begin], (0.1, 0.5, 0.95), axis=1)
    clip = np.quantile(level, (0.1, 0.5, 0.95))
    usual = ((-4.5, 4.0), (-1.0, 2.0), (2.4, 1.2))
    percentiles = [_scaled(row, *scale) for row, scale in zip(near, usual, strict=True)]
    percentiles += [_constant(len(centres), float(value), *scale) for value, scale in zip(clip, usual, strict=True)]
    ranges = [np.log1p(near[2] - near[0]), np.full(len(centres), np.log1p(clip[2] - clip[0]))]
    return [*percentiles, *(_scaled(value, 1.9, 0.55) for value in ranges)]


def _change(features: Features, centres: npt.NDArray[np.intp]) -> list[Array]:
    """Return the change of the bands in 0.2 s, in both contexts, and the rise in bass, middle and treble."""
    smooth = running_mean(features.mel_db, 9)
    change = np.zeros(len(smooth), np.float32)
    change[9:] = np.abs(smooth[9:] - smooth[:-9]).mean(axis=1)
    found = [_scaled(_Means(width, centres)(change), 3.5, 1.1) for width in (SHORT_FRAMES, LONG_FRAMES)]
    for band in (slice(0, 12), slice(12, 40), slice(40, BANDS)):
        rise = _Means(SHORT_FRAMES, centres)(features.rise[:, band].mean(axis=1))
        found.append(_scaled(np.log(rise + np.float32(1e-3)), -1.75, 0.5))
    return found


def _pulse(columns: dict[str, Array]) -> list[Array]:
    """Return perceived tempo and clarity of the pulse in all bands, bass and treble, and the strongest tempo."""
    found = []
    for name in ("tempogram", "tempogram_low", "tempogram_high"):
        strength = np.repeat(columns[name], len(TEMPOS_BPM) // columns[name].shape[1], axis=1)
        found += [_scaled(tempo_log2(strength), 6.92, 0.33), _scaled(strength.max(axis=1), 0.5, 0.22)]
    return [*found, _scaled(np.log2(TEMPOS_BPM)[columns["tempogram"].argmax(axis=1)], 6.1, 0.6)]


class _Means:
    """Running means and standard deviations over ``width`` frames, at the frames ``centres``."""

    def __init__(self, width: int, centres: npt.NDArray[np.intp]) -> None:
        self.width, self.centres = width, centres

    def __call__(self, values: Array) -> Array:
        return running_mean(values, self.width)[self.centres]

    def deviation(self, values: Array) -> Array:
        wide = values.astype(np.float64)
        mean = running_mean(wide, self.width).astype(np.float64)
        variance = running_mean(wide**2, self.width).astype(np.float64) - mean**2
        return np.sqrt(np.maximum(variance, 0)).astype(np.float32)[self.centres]


def _scaled(values: npt.NDArray[np.floating], centre: float, spread: float) -> Array:
    scaled: Array = ((values - centre) / spread).astype(np.float32)
    return scaled


def _constant(rows: int, value: float, centre: float, spread: float) -> Array:
    return np.full(rows, (value - centre) / spread, np.float32)
