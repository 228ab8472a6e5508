"""Statistics of a survey: agreement among raters, and means with intervals over both raters and songs."""

from __future__ import annotations

from typing import Literal

import numpy as np
import numpy.typing as npt

from covergen_cli.evaluation.metrics import LEVEL, Estimate

Array = npt.NDArray[np.float64]
Level = Literal["nominal", "ordinal", "interval"]


def krippendorff_alpha(ratings: Array, *, level: Level = "ordinal") -> float | None:
    """Return Krippendorff's α: 1 − observed / expected disagreement (*Content Analysis*, 2019, chapter 12).

    Args:
        ratings: ``(raters, items)``, NaN for missing ratings. Items with fewer than two ratings are ignored.
        level: level of measurement.

    Returns:
        1 for perfect agreement, 0 for chance, negative for systematic disagreement; ``None`` if it is undefined,
        because no item has two ratings or all ratings are equal.
    """
    values = np.unique(ratings[~np.isnan(ratings)])
    coincidences = np.zeros((len(values), len(values)))
    for item in ratings.T:
        counts = np.array([(item == value).sum() for value in values], dtype=np.float64)
        total = counts.sum()
        if total >= 2:
            coincidences += (np.outer(counts, counts) - np.diag(counts)) / (total - 1)
    marginals = coincidences.sum(axis=1)
    if marginals.sum() == 0:
        return None
    distance = _distance(values, marginals, level)
    expected = float((np.outer(marginals, marginals) - np.diag(marginals)).ravel() @ distance.ravel())
    expected /= marginals.sum() - 1
    if expected == 0:
        return None
    return float(1 - (coincidences * distance).sum() / expected)


def _distance(values: Array, marginals: Array, level: Level) -> Array:
    """Return the squared difference of every two values, ``(V, V)``."""
    if level == "interval":
        return np.asarray((values[:, None] - values[None, :]) ** 2)
    if level == "nominal":
        return 1.0 - np.eye(len(values))
    # Ordinal: the number of ratings from one value to the other, half of those at the ends.
    centre = np.cumsum(marginals) - marginals / 2
    return np.asarray((centre[:, None] - centre[None, :]) ** 2)


def crossed_bootstrap(
    ratings: Array, others: Array | None = None, *, seed: int, resamples: int = 2000
) -> Estimate | None:
    """Return the mean rating, or the difference of two means, with an interval over raters and songs.

    Raters and songs are resampled independently (Owen, 2007), since the ratings of one rater, and those of one song,
    are not independent observations.

    Args:
        ratings: ``(raters, songs)``, NaN for missing ratings.
        others: ``(raters, songs')`` by the same raters; their mean is subtracted.
        seed: seed of the resampling.
        resamples: number of resamples.

    Returns:
        the estimate, ``count`` being the number of ratings; ``None`` if one of the tables has no ratings.
    """
    tables = [ratings] if others is None else [ratings, others]
    if any(np.isnan(table).all() for table in tables):
        return None
    rng = np.random.default_rng([seed, 6])
    given = [(~np.isnan(table)).astype(np.float64) for table in tables]
    filled = [np.nan_to_num(table) for table in tables]
    found = []
    for _ in range(resamples):
        raters = _multiplicities(rng, len(ratings))
        means: list[float] = []
        for values, mask in zip(filled, given, strict=True):
            songs = _multiplicities(rng, values.shape[1])
            count = raters @ mask @ songs
            means.append(float(raters @ values @ songs / count) if count else float("nan"))
        found.append(means[0] - sum(means[1:]))
    low, high = np.nanquantile(found, ((1 - LEVEL) / 2, (1 + LEVEL) / 2))
    first, *rest = (float(np.nanmean(table)) for table in tables)
    return Estimate(first - sum(rest), float(low), float(high), int(sum(mask.sum() for mask in given)))


def _multiplicities(rng: np.random.Generator, count: int) -> npt.NDArray[np.int64]:
    """Return how often each of ``count`` things is drawn when as many are drawn with replacement."""
    return np.bincount(rng.integers(count, size=count), minlength=count)


def control_p(ratings: Array, control: npt.NDArray[np.bool_], *, seed: int, shuffles: int = 10_000) -> float:
    """Return the one-sided p-value of own covers being rated higher than controls, from a permutation test.

    The controls were chosen at random, so without a difference any other choice would have been as likely: the p-value
    is the share of random choices with a difference at least as large. Unlike the interval, it is exact with few
    controls.

    Args:
        ratings: ``(raters, items)``, NaN for missing ratings.
        control: which items are controls, ``(items,)``.
        seed: seed of the permutations.
        shuffles: number of permutations.
    """
    rng = np.random.default_rng([seed, 10])
    given, total = (~np.isnan(ratings)).sum(axis=0), np.nansum(ratings, axis=0)
    all_given, all_total = given.sum(), total.sum()

    def difference(chosen: npt.NDArray[np.bool_]) -> float:
        count = given @ chosen
        if count in (0, all_given):
            return -np.inf
        own, other = (all_total - total @ chosen) / (all_given - count), total @ chosen / count
        return float(own - other)

    found = difference(control) - 1e-9
    reached = sum(difference(rng.permutation(control)) >= found for _ in range(shuffles))
    return (reached + 1) / (shuffles + 1)
