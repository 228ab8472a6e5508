"""Rank correlations of music and images, with confidence intervals and a control.

Spearman's ρ asks whether a denser song gets a busier cover, not whether in proportion.
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
    """Spearman's ρ, in [−1, 1], and the ends of its 95 % interval."""

    rho: float
    low: float
    high: float


def ranks(values: Values) -> npt.NDArray[np.float64]:
    """Return the ranks of ``(…, N)`` along the last axis, from 1; equal values share their mean rank."""
    ranked: npt.NDArray[np.float64] = rankdata(values, axis=-1)
    return ranked


def spearman(heard: Values, seen: Values) -> float:
    """Return the rank correlation of two series ``(N,)``; 0 if one of them is constant.

    Raises:
        ValueError: the series differ in length.
    """
    if heard.shape != seen.shape or heard.ndim != 1:
        raise ValueError(f"two series of equal length are needed, not {heard.shape} and {seen.shape}")
    return float(_spearman(heard, seen))


def _spearman(heard: Values, seen: Values) -> npt.NDArray[np.float64]:
    """Correlate many pairs of series ``(…, N)`` at once."""
    a, b = ranks(heard), ranks(seen)
    a, b = a - a.mean(axis=-1, keepdims=True), b - b.mean(axis=-1, keepdims=True)
    scale = np.sqrt((a * a).sum(axis=-1) * (b * b).sum(axis=-1))
    return np.asarray((a * b).sum(axis=-1) / np.where(scale > 0, scale, np.inf))


def correlate(heard: Values, seen: Values, *, seed: int = 0, resamples: int = 2000) -> Correlation:
    """Correlate songs and their covers ``(N,)``, with a 95 % interval by the bootstrap (Efron, 1979).

    The interval spans the 2.5th to the 97.5th percentile of ρ over the resamples.
    """
    rng = np.random.default_rng([seed, 1])
    drawn = rng.integers(len(heard), size=(resamples, len(heard)))
    low, high = np.percentile(_spearman(heard[drawn], seen[drawn]), (2.5, 97.5))
    return Correlation(spearman(heard, seen), float(low), float(high))


def shuffled(heard: Values, seen: Values, *, seed: int = 0, shuffles: int = 1000) -> Correlation:
    """Correlate songs with randomly permuted covers: the mean ρ, about 0, and the range of 95 % of the shuffles."""
    rng = np.random.default_rng([seed, 2])
    found = _spearman(heard, np.stack([rng.permutation(seen) for _ in range(shuffles)]))
    low, high = np.percentile(found, (2.5, 97.5))
    return Correlation(float(np.mean(found)), float(low), float(high))


def agreement_table(heard: Values, seen: Mapping[str, Values], *, seed: int) -> list[dict[str, Any]]:
    """Correlate descriptors and qualities, for every pair of :data:`covergen_cli.measures.qualities.EXPECTED`.

    Args:
        heard: descriptors ``(N, 7)`` of the songs.
        seen: name → qualities ``(N, 7)`` of their images.
        seed: seed of the resampling.

    Returns:
        JSON-able, one entry per pair: ``heard``, ``seen``, a correlation (``rho``, ``low``, ``high``) under each name,
        and ``shuffled``, the control for the first name.
    """
    table: list[dict[str, Any]] = []
    for name, quality in EXPECTED:
        sound = heard[:, NAMES.index(name)]
        images = {key: values[:, FIELDS.index(quality)] for key, values in seen.items()}
        entry = {key: correlate(sound, image, seed=seed) for key, image in images.items()}
        entry["shuffled"] = shuffled(sound, next(iter(images.values())), seed=seed)
        table.append({"heard": name, "seen": quality} | {key: asdict(value) for key, value in entry.items()})
    return table
