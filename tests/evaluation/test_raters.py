"""Agreement among raters, against published values."""

import numpy as np
import pytest

from covergen_cli.evaluation.raters import control_p, crossed_bootstrap, krippendorff_alpha

N = np.nan
PUBLISHED = np.array(
    [
        [1, 2, 3, 3, 2, 1, 4, 1, 2, N, N, N],
        [1, 2, 3, 3, 2, 2, 4, 1, 2, 5, N, 3],
        [N, 3, 3, 3, 2, 3, 4, 2, 2, 5, 1, N],
        [1, 2, 3, 3, 2, 4, 4, 1, 2, 5, 1, N],
    ]
)
"""Krippendorff, "Computing Krippendorff's Alpha-Reliability" (2011): four observers, twelve units."""


@pytest.mark.parametrize(("level", "alpha"), [("nominal", 0.743), ("ordinal", 0.815), ("interval", 0.849)])
def test_the_published_example(level, alpha):
    assert krippendorff_alpha(PUBLISHED, level=level) == pytest.approx(alpha, abs=5e-4)


def test_perfect_agreement_chance_and_nothing():
    same = np.tile([1.0, 3.0, 5.0, 2.0], (3, 1))
    assert krippendorff_alpha(same) == pytest.approx(1)
    random = np.random.default_rng(0).integers(1, 6, (10, 400)).astype(float)
    assert krippendorff_alpha(random) == pytest.approx(0, abs=0.03)
    assert krippendorff_alpha(np.array([[1.0, N], [N, 2.0]])) is None
    assert krippendorff_alpha(np.full((3, 3), 4.0)) is None


def test_the_interval_counts_raters_and_songs_not_ratings():
    rng = np.random.default_rng(0)
    songs = rng.standard_normal(5)
    ratings = 3 + songs[None, :] + 0.01 * rng.standard_normal((200, 5))
    found = crossed_bootstrap(ratings, seed=0)
    assert found.value == pytest.approx(3 + songs.mean(), abs=0.01)
    assert found.high - found.low > 0.5  # five songs say little, however many rate them
    assert found.count == 1000


def test_the_difference_to_controls():
    rng = np.random.default_rng(1)
    generous = rng.standard_normal((30, 1))
    found = crossed_bootstrap(
        4 + generous + rng.standard_normal((30, 15)), 3 + generous + rng.standard_normal((30, 5)), seed=0
    )
    assert found.low < 1 < found.high
    assert found.high - found.low < 1.5
    assert crossed_bootstrap(np.full((2, 2), N), seed=0) is None
    missing = np.array([[4.0, N], [N, 2.0]])
    assert crossed_bootstrap(missing, seed=0).value == 3


def test_with_few_controls_chance_seldom_passes_for_a_preference():
    trials, alarms = 120, 0
    for seed in range(trials):
        rng = np.random.default_rng(seed)
        ratings = 3 + 0.5 * rng.standard_normal((10, 1)) + 0.7 * rng.standard_normal((1, 20))
        ratings = (ratings + 0.9 * rng.standard_normal((10, 20))).round().clip(1, 5)
        control = rng.permutation(20) < 5
        alarms += control_p(ratings, control, seed=seed, shuffles=200) <= 0.05
    assert 0 < alarms / trials <= 0.05 + 3 * (0.05 * 0.95 / trials) ** 0.5


def test_a_preference_is_found_and_missing_ratings_do_not_count():
    control = np.arange(20) < 5
    ratings = np.where(control, 2.0, 4.0) + np.zeros((3, 1))
    ratings[0, ::3] = N
    assert control_p(ratings, control, seed=0, shuffles=500) < 0.01
    ratings[:, control] = N
    assert control_p(ratings, control, seed=0, shuffles=50) == 1
