"""Statistics on constructed cases: what is not there is not found, what is there is."""

import numpy as np
import pytest

from covergen_cli.evaluation.metrics import (
    bootstrap,
    format_p,
    mean_estimate,
    paired_difference,
    rank_matrix,
    retrieval,
    share_estimate,
)

TRIALS = 200
ALLOWED = 0.05 + 3 * (0.05 * 0.95 / TRIALS) ** 0.5
"""What a test with five false alarms in a hundred stays below, but for one set of trials in a thousand."""


def deaf(rng, count, skewed=False):
    """Losses of an adapter whose tokens have nothing to do with the covers: hard covers, dear songs, and noise."""
    noise = rng.exponential(size=(count, count)) if skewed else rng.standard_normal((count, count))
    return 1.0 + 0.3 * rng.random((count, 1)) + 0.02 * rng.random((1, count)) + 0.01 * noise


@pytest.mark.parametrize("skewed", [False, True])
def test_an_adapter_that_does_not_hear_gives_no_evidence(skewed):
    found = ranked = 0
    for seed in range(TRIALS):
        losses = deaf(np.random.default_rng([seed, skewed]), 24, skewed)
        own, other = np.diag(losses), losses[np.arange(24), np.roll(np.arange(24), 1)]
        found += paired_difference(other - own, seed=seed, flips=999).p_value <= 0.05
        ranked += retrieval(losses, seed=seed, shuffles=199).p_value <= 0.05
    assert found / TRIALS <= ALLOWED
    assert ranked / TRIALS <= ALLOWED
    assert ranked > 0  # a test that never alarms would pass too


def test_a_small_true_difference_is_found_and_its_size_told():
    rng = np.random.default_rng(0)
    differences = 0.002 + 0.004 * rng.standard_normal(200)
    found = paired_difference(differences, seed=0)
    assert found.clear
    assert found.low < 0.002 < found.high
    assert found.half_width == pytest.approx(0.004 * 1.97 / 200**0.5, rel=0.2)


def test_intervals_cover_the_truth_about_as_often_as_they_say():
    rng = np.random.default_rng(1)
    covered = {"mean": 0, "bootstrap": 0, "share": 0}
    for seed in range(TRIALS):
        values = rng.standard_normal(30) + 5
        for name, estimate in (
            ("mean", mean_estimate(values)),
            ("bootstrap", bootstrap(values, seed=seed, resamples=500)),
        ):
            covered[name] += estimate.low <= 5 <= estimate.high
        share = share_estimate((rng.random(40) < 0.1).astype(float))
        covered["share"] += share.low <= 0.1 <= share.high
    assert all(0.91 <= count / TRIALS <= 0.99 for count in covered.values()), covered


def test_few_pairs_take_every_combination_of_signs():
    assert paired_difference(np.array([1.0, 2.0, 3.0]), seed=0).p_value == pytest.approx(2 / 8)
    assert paired_difference(np.zeros(5), seed=0).p_value == 1
    assert not paired_difference(np.zeros(5), seed=0).clear
    single = paired_difference(np.array([1.0]), seed=0)
    assert (single.p_value, single.clear) == (1, False)


def test_many_pairs_flip_signs_at_random_but_always_alike():
    values = np.random.default_rng(2).standard_normal(50) + 0.2
    assert paired_difference(values, seed=1) == paired_difference(values, seed=1)


def test_an_oracle_finds_every_song():
    losses = 0.5 - 0.1 * np.eye(40) + 0.001 * np.random.default_rng(0).random((40, 40))
    found = retrieval(losses, seed=0)
    assert found.recall[1].value == 1
    assert found.recall[1].low > 0.9
    assert found.mean_rank.value == 1
    assert found.reciprocal_rank.value == 1
    assert found.p_value < 0.001


def test_an_adapter_that_says_the_same_of_every_song_scores_exactly_chance():
    rounding = 1 + 1e-8 * np.random.default_rng(3).standard_normal((20, 20))
    found = retrieval(np.linspace(0.2, 0.9, 20)[:, None] * rounding, seed=0)
    assert {k: estimate.value for k, estimate in found.recall.items()} == pytest.approx(found.recall_chance)
    assert found.recall_chance == {1: 0.05, 5: 0.25, 10: 0.5}
    assert found.mean_rank.value == found.mean_rank_chance == 10.5
    assert found.reciprocal_rank.value == pytest.approx(found.reciprocal_rank_chance)
    assert found.p_value == 1


def test_ranks_by_hand():
    losses = np.array([[1.0, 2.0, 1.0], [3.0, 2.0, 1.0], [1.0, 2.0, 3.0]])
    better, equal = rank_matrix(losses)
    assert better.tolist() == [[0, 2, 0], [2, 1, 0], [0, 1, 2]]
    assert equal.tolist() == [[2, 1, 2], [1, 1, 1], [1, 1, 1]]
    found = retrieval(losses, seed=0)
    assert found.recall.keys() == {1}
    assert found.recall[1].value == pytest.approx(0.5 / 3)
    assert found.mean_rank.value == pytest.approx((1.5 + 2 + 3) / 3)
    assert found.reciprocal_rank.value == pytest.approx((0.75 + 1 / 2 + 1 / 3) / 3)


@pytest.mark.parametrize(
    ("value", "text"),
    [(0.012345, "= 0.012"), (1e-4, "≤ 0.0001"), (1 / 10_001, "≤ 0.0001"), (2e-4, "= 0.0002"), (None, "= –")],
)
def test_the_smallest_p_value_is_an_upper_bound(value, text):
    assert format_p(value) == text
