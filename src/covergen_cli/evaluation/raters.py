"""Statistics of a survey: agreement among raters, and means whose intervals count raters and songs as both drawn."""

from __future__ import annotations

from typing import Literal

import numpy as np
import numpy.typing as npt

from covergen_cli.evaluation.metrics import LEVEL, Estimate

Array = npt.NDArray[np.float64]


def krippendorff_alpha(ratings: Array, *, level: Literal["nominal", "ordinal", "interval"] = "ordinal") -> float | None:
    """Krippendorff's α: 1 − observed over expected disagreement (*Content Analysis*, 2019, chapter 12).

    Args:
        ratings: ``(raters, items)``; NaN where a rater gave none. Items with fewer than two ratings do not count.
        level: what a difference between two ratings means.

    Returns:
        1 for perfect agreement, 0 for chance, below 0 for less; ``None`` where it is not defined: no item has two
        ratings, or all ratings are equal.
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


def _distance(values: Array, marginals: Array, level: str) -> Array:
    """Squared difference of every two values, ``(V, V)``."""
    if level == "interval":
        return np.asarray((values[:, None] - values[None, :]) ** 2)
    if level == "nominal":
        return 1.0 - np.eye(len(values))
    # Ordinal: the number of ratings from one value to the other, those at the ends by half.
    centre = np.cumsum(marginals) - marginals / 2
    return np.asarray((centre[:, None] - centre[None, :]) ** 2)


def crossed_bootstrap(
    ratings: Array, others: Array | None = None, *, seed: int, resamples: int = 2000
) -> Estimate | None:
    """Mean rating, or the difference of two means, with an interval that counts raters and songs as drawn at random.

    Raters and songs are resampled independently (Owen, 2007), so that neither a generous rater nor a lucky song passes
    for many observations.

    Args:
        ratings: ``(raters, songs)``; NaN where there is none.
        others: ``(raters, songs')`` by the same raters; their mean is subtracted.
        seed: of the resampling.
        resamples: how many.

    Returns:
        the estimate, its ``count`` being ratings; ``None`` where one of the tables has no rating at all.
    """
    tables = [ratings] if others is None else [ratings, others]
    if any(np.isnan(table).all() for table in tables):
        return None
    rng = np.random.default_rng([seed, 6])
    found = []
    for _ in range(resamples):
        raters = rng.integers(len(ratings), size=len(ratings))
        drawn = [table[raters][:, rng.integers(table.shape[1], size=table.shape[1])] for table in tables]
        if not any(np.isnan(table).all() for table in drawn):
            found.append(_contrast(drawn))
    low, high = np.quantile(found, ((1 - LEVEL) / 2, (1 + LEVEL) / 2))
    count = int(sum((~np.isnan(table)).sum() for table in tables))
    return Estimate(_contrast(tables), float(low), float(high), count)


def control_p(ratings: Array, control: npt.NDArray[np.bool_], *, seed: int, shuffles: int = 10_000) -> float:
    """Test whether own covers are rated higher than controls, one-sided.

    Which songs became controls was drawn at random. So, if it made no difference, any other draw would have been as
    likely: the test draws anew and counts how often the difference gets as large. Unlike an interval it keeps its word
    with a handful of controls.

    Args:
        ratings: ``(raters, items)``; NaN where there is none.
        control: ``(items,)``, which items are controls.
        seed: of the draws.
        shuffles: how many.
    """
    rng = np.random.default_rng([seed, 10])
    given, total = (~np.isnan(ratings)).sum(axis=0), np.nansum(ratings, axis=0)

    def difference(chosen: npt.NDArray[np.bool_]) -> float:
        counts = given[~chosen].sum(), given[chosen].sum()
        if not all(counts):
            return -np.inf
        return float(total[~chosen].sum() / counts[0] - total[chosen].sum() / counts[1])

    found = difference(control) - 1e-9
    reached = sum(difference(rng.permutation(control)) >= found for _ in range(shuffles))
    return (reached + 1) / (shuffles + 1)


def _contrast(tables: list[Array]) -> float:
    means = [float(np.nanmean(table)) for table in tables]
    return means[0] - (means[1] if len(means) > 1 else 0.0)
