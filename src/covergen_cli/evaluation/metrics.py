"""Statistics of the report: estimates with 95 % intervals, paired tests, retrieval.

The unit is the pair of song and cover, not the single draw of noise: the draws of one pair are averaged first.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy import stats

LEVEL = 0.95
"""Confidence level of every interval."""

TIE = 1e-6
"""Losses whose relative difference is smaller than this are equal.

Rounding depends on the position in a batch; without this, an adapter that ignores the audio would not score at chance.
"""

_CHUNK = 500
_DRAWS = 10_000
Array = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Estimate:
    """An estimate with its 95 % interval.

    Args:
        value: the estimate.
        low: lower end of the interval.
        high: upper end of the interval.
        count: number of pairs.
    """

    value: float
    low: float
    high: float
    count: int


@dataclass(frozen=True)
class Difference:
    """A mean of paired differences, tested against zero.

    Args:
        mean: the mean difference.
        low: lower end of the 95 % interval (Student's t).
        high: upper end of the interval.
        p_value: two-sided, from sign flips.
        count: number of pairs.
    """

    mean: float
    low: float
    high: float
    p_value: float
    count: int

    @property
    def half_width(self) -> float:
        """Half the width of the interval."""
        return (self.high - self.low) / 2

    @property
    def clear(self) -> bool:
        """Whether the difference is significantly above zero, by the test and by the interval."""
        return self.p_value <= 1 - LEVEL and self.low > 0


@dataclass(frozen=True)
class Retrieval:
    """How often the song of a cover is found among all songs.

    Args:
        songs: candidates per cover, N; one of them is the true song.
        recall: k → share of covers whose song is among the top k (Wilson's interval).
        recall_chance: k → the share by chance, k / N.
        mean_rank: mean rank of the true song, 1 is best (bootstrap over covers).
        mean_rank_chance: (N + 1) / 2.
        reciprocal_rank: mean of 1 / rank (bootstrap over covers).
        reciprocal_rank_chance: the N-th harmonic number over N.
        p_value: one-sided: how often a random assignment of songs to covers has as good a mean rank.
    """

    songs: int
    recall: dict[int, Estimate]
    recall_chance: dict[int, float]
    mean_rank: Estimate
    mean_rank_chance: float
    reciprocal_rank: Estimate
    reciprocal_rank_chance: float
    p_value: float


def mean_estimate(values: Array) -> Estimate:
    """Return the mean of ``(N,)`` with Student's interval, which is empty for a single value."""
    count, mean = len(values), float(np.mean(values))
    if count < 2:
        return Estimate(mean, mean, mean, count)
    reach = float(stats.t.ppf((1 + LEVEL) / 2, count - 1) * np.std(values, ddof=1) / np.sqrt(count))
    return Estimate(mean, mean - reach, mean + reach, count)


def share_estimate(hits: Array) -> Estimate:
    """Return the mean of hits ``(N,)`` in [0, 1] with Wilson's interval (1927), which is valid near 0 and 1 too."""
    count, share = len(hits), float(np.mean(hits))
    z = float(stats.norm.ppf((1 + LEVEL) / 2))
    centre = (share + z**2 / (2 * count)) / (1 + z**2 / count)
    reach = z * float(np.sqrt(share * (1 - share) / count + z**2 / (4 * count**2))) / (1 + z**2 / count)
    # Rounding makes the lower end exactly 0 for a share of 0.
    return Estimate(share, max(0.0, round(centre - reach, 12)), min(1.0, round(centre + reach, 12)), count)


def bootstrap(values: Array, *, seed: int, resamples: int = 2000) -> Estimate:
    """Return the mean of ``(N,)`` with a percentile bootstrap interval (Efron, 1979)."""
    rng, means = np.random.default_rng([seed, 3]), []
    for start in range(0, resamples, _CHUNK):
        drawn = rng.integers(len(values), size=(min(_CHUNK, resamples - start), len(values)))
        means.append(values[drawn].mean(axis=1))
    low, high = np.quantile(np.concatenate(means), ((1 - LEVEL) / 2, (1 + LEVEL) / 2))
    return Estimate(float(np.mean(values)), float(low), float(high), len(values))


def format_p(p_value: float | None) -> str:
    """Return ``= 0.012``, or ``≤ 0.0001`` for the smallest value that 10,000 random draws can show."""
    if p_value is None:
        return "= –"
    return f"≤ {1 / _DRAWS:g}" if p_value <= 1 / _DRAWS else f"= {p_value:.2g}"


def paired_difference(differences: Array, *, seed: int, flips: int = _DRAWS) -> Difference:
    """Test whether the mean of paired differences ``(N,)`` is zero, by flipping their signs at random.

    If the two conditions do not differ, each difference is as likely as its negative. The p-value is the share of sign
    flips whose mean is at least as far from zero; with few pairs, every combination of signs is used.

    Args:
        differences: one per pair.
        seed: seed of the flips.
        flips: number of flips.
    """
    found = mean_estimate(differences)
    return Difference(found.value, found.low, found.high, _sign_flip_p(differences, seed, flips), len(differences))


def _sign_flip_p(differences: Array, seed: int, flips: int) -> float:
    count = len(differences)
    # The tolerance makes differences that are zero except for rounding count as zero.
    least = abs(float(differences.sum())) * (1 - 1e-9)
    if 2**count <= flips:
        signs = 1.0 - 2.0 * ((np.arange(2**count)[:, None] >> np.arange(count)) & 1)
        return float(np.mean(np.abs(signs @ differences) >= least))
    rng, reached = np.random.default_rng([seed, 4]), 0
    for start in range(0, flips, _CHUNK):
        signs = 1.0 - 2.0 * rng.integers(2, size=(min(_CHUNK, flips - start), count))
        reached += int((np.abs(signs @ differences) >= least).sum())
    return (reached + 1) / (flips + 1)


def rank_matrix(losses: Array) -> tuple[Array, Array]:
    """Rank every song for every cover by the loss of the cover with that song.

    Args:
        losses: ``(N, M)``, covers × songs.

    Returns:
        ``better`` and ``equal``, each ``(N, M)``: the number of songs with a lower loss, and of songs with an equal
        loss (see :data:`TIE`), including the song itself. The song has one of the ranks ``better + 1`` to
        ``better + equal``, the lowest loss being rank 1.
    """
    better, equal = np.empty_like(losses), np.empty_like(losses)
    for row, values in enumerate(losses):
        gap = values[:, None] - values[None, :]
        reach = TIE * np.abs(values)[:, None]
        better[row] = (gap > reach).sum(axis=1)
        equal[row] = (np.abs(gap) <= reach).sum(axis=1)
    return better, equal


def retrieval(losses: Array, *, seed: int, rows: Sequence[int] | None = None, shuffles: int = _DRAWS) -> Retrieval:
    """Measure how often the song of a cover has the lowest losses of all songs.

    Ties have their expected value, so an adapter that gives every song the same tokens scores exactly at chance.

    Args:
        losses: ``(N, N)``, covers × songs; the true combinations are on the diagonal.
        seed: seed of bootstrap and shuffles.
        rows: the covers to count, by default all; every song is a candidate.
        shuffles: number of random assignments of songs to covers for the p-value.
    """
    count = len(losses)
    better, equal = rank_matrix(losses)
    ranks = better + (equal + 1) / 2
    chosen = np.arange(count) if rows is None else np.asarray(rows)
    own_better, own_equal = np.diag(better)[chosen], np.diag(equal)[chosen]
    ks = [k for k in (1, 5, 10) if k < count]
    hits = {k: np.clip((k - own_better) / own_equal, 0, 1) for k in ks}
    harmonic = np.concatenate([[0.0], np.cumsum(1 / np.arange(1, count + 1))])
    first, last = own_better.astype(int), (own_better + own_equal).astype(int)
    reciprocal = (harmonic[last] - harmonic[first]) / own_equal
    return Retrieval(
        songs=count,
        recall={k: share_estimate(hits[k]) for k in ks},
        recall_chance={k: k / count for k in ks},
        mean_rank=bootstrap(np.diag(ranks)[chosen], seed=seed),
        mean_rank_chance=(count + 1) / 2,
        reciprocal_rank=bootstrap(reciprocal, seed=seed),
        reciprocal_rank_chance=float(harmonic[-1] / count),
        p_value=_assignment_p(ranks, chosen, seed, shuffles),
    )


def _assignment_p(ranks: Array, chosen: npt.NDArray[np.int64], seed: int, shuffles: int) -> float:
    rng = np.random.default_rng([seed, 5])
    own = float(ranks[chosen, chosen].sum()) + 1e-9
    reached = sum(float(ranks[chosen, rng.permutation(len(ranks))[chosen]].sum()) <= own for _ in range(shuffles))
    return (reached + 1) / (shuffles + 1)
