"""What fits into the budget is measured, and what is given is taken as it is."""

from types import SimpleNamespace

import pytest
import torch

from covergen_cli.config import EvalConfig
from covergen_cli.errors import ConfigError
from covergen_cli.evaluation import time_budget
from covergen_cli.evaluation.time_budget import ModelSpeed, choose_batch_size, make_plan, time_models

LAPTOP = ModelSpeed(0.006, 0.6)


@pytest.mark.parametrize("budget", [1, 5, 60])
def test_the_budget_is_used_but_not_exceeded(budget):
    plan = make_plan(EvalConfig(budget=budget), 1902, LAPTOP)
    assert 0.4 * 60 * budget < plan.seconds < 60 * budget
    assert plan.draws % 5 == 0


def test_more_time_measures_more():
    small, large = (make_plan(EvalConfig(budget=budget), 1902, LAPTOP) for budget in (1, 30))
    assert large.pairs * large.draws > small.pairs * small.draws
    assert large.songs > small.songs
    assert large.covers > small.covers


def test_the_least_that_makes_sense_is_measured_even_if_it_takes_longer():
    plan = make_plan(EvalConfig(budget=0.1), 100, ModelSpeed(10.0, 300.0))
    assert (plan.pairs, plan.draws, plan.songs, plan.covers) == (8, 5, 8, 8)
    assert plan.seconds > 6


def test_given_numbers_are_kept_up_to_what_there_is():
    config = EvalConfig(pairs=50, draws=15, songs=20, song_draws=3, covers=7)
    plan = make_plan(config, 30, LAPTOP)
    assert (plan.pairs, plan.draws, plan.songs, plan.song_draws, plan.covers) == (30, 15, 20, 3, 7)
    with pytest.raises(ConfigError, match="not a multiple of 5"):
        make_plan(EvalConfig(draws=7), 30, LAPTOP)


def test_models_are_timed_by_their_calls_of_the_networks(runs, monkeypatch):
    def timed(compute):
        compute()
        return 1.0

    monkeypatch.setattr(time_budget, "_timed", timed)
    steps = runs[0].drawing.steps
    assert time_models(runs[:1], 4) == ModelSpeed(draw_seconds=0.25, cover_seconds=steps + 1)
    assert time_models(runs, 4).draw_seconds == 0.25 * len(runs)


def test_a_call_takes_time():
    assert time_budget._timed(lambda: sum(range(1000))) > 0


def test_batches_suit_the_model(runs):
    large = SimpleNamespace(
        pipeline=SimpleNamespace(base=SimpleNamespace(device=torch.device("cpu"), latent_shape=(4, 64, 64)))
    )
    assert choose_batch_size(EvalConfig(), runs) == 32
    assert choose_batch_size(EvalConfig(), [*runs, large]) == 4
    assert choose_batch_size(EvalConfig(batch_size=7), [large]) == 7
