"""Rank correlation is Spearman's, its interval holds the truth, and chance is nothing."""

import numpy as np
import pytest

from covergen_cli.measures.correlation import correlate, ranks, shuffled, spearman


def related(count, share, seed=0):
    rng = np.random.default_rng(seed)
    heard = rng.standard_normal(count)
    return heard, share * heard + (1 - share) * rng.standard_normal(count)


def test_equal_values_share_the_mean_of_their_ranks():
    assert ranks(np.array([3.0, 1.0, 3.0, 2.0])).tolist() == [3.5, 1.0, 3.5, 2.0]


def test_only_the_order_counts():
    heard = np.linspace(0.1, 1, 20)
    assert spearman(heard, np.exp(5 * heard)) == pytest.approx(1)
    assert spearman(heard, -(heard**3)) == pytest.approx(-1)


@pytest.mark.parametrize("share", [0.2, 0.5, 0.9])
def test_it_is_what_scipy_gives(share):
    from scipy.stats import spearmanr

    heard, seen = (np.round(series, 1) for series in related(60, share))
    assert spearman(heard, seen) == pytest.approx(spearmanr(heard, seen).statistic)


def test_what_has_no_order_agrees_with_nothing():
    assert spearman(np.ones(5), np.arange(5.0)) == 0


def test_series_of_two_lengths_are_refused():
    with pytest.raises(ValueError, match="equal length"):
        spearman(np.ones(5), np.ones(4))


def test_the_interval_is_narrower_the_more_songs_there_are_and_the_seed_repeats_it():
    few, many = (correlate(*related(count, 0.5), seed=3, resamples=300) for count in (20, 400))
    for found in (few, many):
        assert found.low < found.rho < found.high
    assert many.high - many.low < 0.5 * (few.high - few.low)
    assert correlate(*related(20, 0.5), seed=3, resamples=300) == few


def test_shuffled_songs_do_not_agree():
    chance = shuffled(*related(80, 0.9), shuffles=300)
    assert abs(chance.rho) < 0.05
    assert -0.4 < chance.low < -0.1 < 0.1 < chance.high < 0.4
