"""How well what is seen follows what was heard: rank correlation, with an interval and a control.

Spearman's ρ, because the question is whether a busier song gets a busier cover, not whether in proportion.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.stats import rankdata

from covergen_cli.audio.descriptors import NAMES
from covergen_cli.measures.qualities import EXPECTED, FIELDS

Values = npt.NDArray[np.floating]


@dataclass(frozen=True)
class Correlation:
    """A rank correlation and where it may lie.

    Args:
        rho: Spearman's ρ, [−1, 1].
        low: lower end of the 95 % interval.
        high: upper end.
    """

    rho: float
    low: float
    high: float


def ranks(values: Values) -> npt.NDArray[np.float64]:
    """Rank values ``(…, N)`` along the last axis from 1 up; equal ones share the mean of their ranks."""
    ranked: npt.NDArray[np.float64] = rankdata(values, axis=-1)
    return ranked


def spearman(heard: Values, seen: Values) -> float:
    """Correlate the ranks of two series ``(N,)``; 0 where one of them is constant and so has no order.

    Raises:
        ValueError: the series are not of one length.
    """
    if heard.shape != seen.shape or heard.ndim != 1:
        raise ValueError(f"series of one length are needed, not {heard.shape} and {seen.shape}")
    return float(_spearman(heard, seen))


def _spearman(heard: Values, seen: Values) -> npt.NDArray[np.float64]:
    """Correlate many pairs of series at once, ``(…, N)``."""
    a, b = ranks(heard), ranks(seen)
    a, b = a - a.mean(axis=-1, keepdims=True), b - b.mean(axis=-1, keepdims=True)
    scale = np.sqrt((a * a).sum(axis=-1) * (b * b).sum(axis=-1))
    return np.asarray((a * b).sum(axis=-1) / np.where(scale > 0, scale, np.inf))


def correlate(heard: Values, seen: Values, *, seed: int = 0, resamples: int = 2000) -> Correlation:
    """Correlate two series ``(N,)``, with a 95 % interval by the bootstrap (Efron, 1979).

    Args:
        heard: one number for each song.
        seen: one number for each song's cover.
        seed: of the resampling.
        resamples: how many; the interval goes from the 2.5th to the 97.5th percentile of their ρ.
    """
    rng = np.random.default_rng([seed, 1])
    drawn = rng.integers(len(heard), size=(resamples, len(heard)))
    low, high = np.percentile(_spearman(heard[drawn], seen[drawn]), (2.5, 97.5))
    return Correlation(spearman(heard, seen), float(low), float(high))


def shuffled(heard: Values, seen: Values, *, seed: int = 0, shuffles: int = 1000) -> Correlation:
    """Correlate songs with covers of other songs, drawn at random: what chance gives.

    Returns:
        The mean ρ of all shuffles, which is about 0, and between which values 95 % of them lie.
    """
    rng = np.random.default_rng([seed, 2])
    found = _spearman(heard, np.stack([rng.permutation(seen) for _ in range(shuffles)]))
    low, high = np.percentile(found, (2.5, 97.5))
    return Correlation(float(np.mean(found)), float(low), float(high))


def agreement_table(heard: Values, seen: Mapping[str, Values], *, seed: int) -> list[dict[str, Any]]:
    """Correlate what was heard with what is seen, for every pair that should rise together.

    Args:
        heard: descriptors ``(N, 7)`` of the songs.
        seen: name → qualities ``(N, 5)`` of their pictures, the first being those that are judged.
        seed: of the resampling.

    Returns:
        JSON-able, one entry per pair: ``heard``, ``seen``, a correlation (``rho``, ``low``, ``high``) under each name,
        and ``shuffled``: the judged pictures dealt out to other songs.
    """
    table: list[dict[str, Any]] = []
    for name, quality in EXPECTED:
        sound = heard[:, NAMES.index(name)]
        looks = {key: values[:, FIELDS.index(quality)] for key, values in seen.items()}
        entry = {key: correlate(sound, look, seed=seed) for key, look in looks.items()}
        entry["shuffled"] = shuffled(sound, next(iter(looks.values())), seed=seed)
        table.append({"heard": name, "seen": quality} | {key: asdict(value) for key, value in entry.items()})
    return table
