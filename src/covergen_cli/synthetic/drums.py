"""Drum sounds, made of sweeps and filtered noise, and drum patterns."""

from __future__ import annotations

import zlib

import numpy as np
from numpy.typing import NDArray

_Samples = NDArray[np.float32]

DRUMS: dict[str, tuple[float, float, float, float, float, float, float]] = {
    "kick": (0.35, 160, 48, 1.0, 1500, 5000, 0.05),
    "soft kick": (0.30, 110, 50, 0.8, 400, 1500, 0.03),
    "boom": (1.20, 90, 42, 1.0, 60, 400, 0.15),
    "timpani": (1.40, 105, 82, 0.9, 100, 900, 0.2),
    "snare": (0.28, 230, 180, 0.4, 900, 9000, 0.8),
    "tight snare": (0.16, 260, 210, 0.45, 1500, 10000, 0.7),
    "clap": (0.22, 900, 900, 0.0, 900, 5000, 0.9),
    "rim": (0.07, 820, 780, 0.7, 2000, 6000, 0.3),
    "brush": (0.25, 200, 200, 0.0, 2000, 9000, 0.35),
    "hat": (0.07, 0, 0, 0.0, 6500, 11000, 0.5),
    "open hat": (0.35, 0, 0, 0.0, 6000, 11000, 0.45),
    "ride": (0.80, 3100, 3100, 0.12, 4500, 10500, 0.25),
    "crash": (2.20, 0, 0, 0.0, 2500, 10500, 0.6),
    "shaker": (0.09, 0, 0, 0.0, 4500, 9500, 0.35),
    "tom": (0.45, 190, 110, 0.9, 300, 1500, 0.1),
    "low tom": (0.55, 130, 75, 0.9, 200, 1200, 0.1),
    "clank": (0.50, 437, 431, 0.5, 1200, 7000, 0.7),
    "noise hit": (0.60, 70, 40, 0.6, 200, 9000, 0.8),
    "blip snare": (0.12, 0, 0, 0.0, 800, 10500, 0.6),
    "blip kick": (0.10, 300, 60, 0.8, 0, 0, 0.0),
}
"""Name → seconds to fall by 60 dB, tone from Hz, to Hz, its level, noise from Hz, to Hz, its level."""

PATTERNS: dict[str, dict[str, str]] = {
    "none": {},
    "four": {"kick": "9...9...9...9...", "clap": "....8.......8...", "open hat": "..4...4...4...4."},
    "techno": {"kick": "9...9...9...9...", "rim": "...5..5....5..5.", "open hat": "..3...3...3...3."},
    "disco": {"kick": "9...9...9...9...", "snare": "....7.......7...", "open hat": "..4...4...4...4."},
    "rock": {"kick": "9.....5.9.......", "snare": "....9.......9..."},
    "half": {"kick": "9.....4...7.....", "snare": "........9......."},
    "metal": {"kick": "9.779.779.779.77", "snare": "....9.......9..."},
    "blast": {"kick": "9.9.9.9.9.9.9.9.", "snare": ".7.7.7.7.7.7.7.7"},
    "boom bap": {"kick": "9.....4..79.....", "snare": "....8.......8..2"},
    "breakbeat": {"kick": "9.........9.....", "tight snare": "....9..4.4..9..3"},
    "funk": {"kick": "9.7...5..79.....", "tight snare": "....9..3.3..9..3"},
    "jazz": {"soft kick": "4.......3.......", "brush": "....5.......5..."},
    "brushes": {"soft kick": "5.......5.......", "brush": "....6..3....6..3"},
    "folk": {"soft kick": "7.......7.......", "rim": "....5.......5..."},
    "cinema": {"timpani": "9.........5.....", "boom": "9...............", "low tom": "......4.....4.6."},
    "march": {"timpani": "8.......6.......", "snare": "5..35.5.5..35.55"},
    "factory": {"noise hit": "9.......7.......", "clank": "....8..5....8.5.", "kick": "9...7...9...7..."},
    "chip": {"blip kick": "9...9...9...9...", "blip snare": "....8.......8..."},
    "pulse": {"soft kick": "6...4...5...4..."},
}
"""Pattern → drum → sixteen steps of a bar (twelve in 3/4); a digit is a velocity in ninths."""

TICKS: dict[str, str] = {
    "jazz": "ride",
    "brushes": "brush",
    "folk": "shaker",
    "rock": "hat",
    "metal": "ride",
    "blast": "ride",
    "cinema": "shaker",
    "factory": "shaker",
    "none": "",
    "pulse": "",
    "march": "",
}
"""Pattern → the drum that keeps time above it; the hat for all others."""


def hit(name: str, brightness: float, sample_rate_hz: int) -> _Samples:
    """Render one hit of a drum as float32 samples ``(n,)`` with a peak of about 1.

    Args:
        name: a key of :data:`DRUMS`.
        brightness: 0 (dull) to 1 (bright); shifts the noise band by ± half an octave and changes its level.
        sample_rate_hz: sample rate of the result.
    """
    seconds, start_hz, end_hz, tone, low_hz, high_hz, noise = DRUMS[name]
    count = int(seconds * sample_rate_hz)
    time = np.arange(count, dtype=np.float32) / np.float32(sample_rate_hz)
    fade = np.exp(np.float32(-6.9 / seconds) * time)
    wave = np.zeros(count, dtype=np.float32)
    if tone:
        glide = 0.04
        cycles = end_hz * time + (start_hz - end_hz) * glide * (1.0 - np.exp(-time / np.float32(glide)))
        wave += np.float32(tone) * np.sin(np.float32(2 * np.pi) * cycles)
    if noise:
        shift = 2.0 ** (brightness - 0.5)
        rng = np.random.default_rng(zlib.crc32(name.encode()))
        level = noise * (0.4 + 1.2 * brightness)
        wave += np.float32(level) * _band_noise(count, low_hz * shift, high_hz * shift, sample_rate_hz, rng)
    return np.asarray(wave * fade, dtype=np.float32)


def _band_noise(count: int, low_hz: float, high_hz: float, sample_rate_hz: int, rng: np.random.Generator) -> _Samples:
    """Return noise between two frequencies with soft edges and a standard deviation of 0.4."""
    bins = np.fft.rfft(rng.standard_normal(count))
    hz = np.fft.rfftfreq(count, 1.0 / sample_rate_hz) + 1e-9
    low_hz = min(low_hz, 0.3 * sample_rate_hz)
    bins *= 1.0 / (1.0 + (low_hz / hz) ** 4) / (1.0 + (hz / high_hz) ** 4)
    wave = np.fft.irfft(bins, count)
    return np.asarray(0.4 * wave / (np.std(wave) + 1e-9), dtype=np.float32)
