"""The state moves as it should, and comes back as it was."""

from __future__ import annotations

import json

import pytest
import torch

from covergen_cli.config import TrainConfig
from covergen_cli.errors import ModelError
from covergen_cli.training.state import Counters, TrainingState, cosine_schedule
from tiny import tiny_adapter_config

CPU = torch.device("cpu")


def make(config=None, **shape):
    return TrainingState(tiny_adapter_config(**shape), config or TrainConfig(), CPU)


def step(state):
    """One step on tokens that should be zero."""
    generator = torch.Generator().manual_seed(state.counters.step)
    embeddings = torch.randn(3, 4, 512, generator=generator)
    state.update_learning_rate(20)
    state.adapter(embeddings).square().mean().backward()
    state.optimizer.step()
    state.optimizer.zero_grad()
    state.counters.step += 1
    state.update_ema()


def snapshot(state):
    return {name: value.clone() for name, value in state.tensors().items()}


def same(one, other):
    return one.keys() == other.keys() and all(torch.equal(value, other[name]) for name, value in one.items())


def test_first_weights_follow_from_the_seed_and_leave_the_caller_s_random_numbers_alone():
    torch.manual_seed(1)
    before = torch.rand(1)
    torch.manual_seed(1)
    first, again = make(), make()
    assert torch.equal(torch.rand(1), before)
    assert same(first.tensors(), again.tensors())
    assert not same(first.tensors(), make(TrainConfig(seed=1)).tensors())


@pytest.mark.parametrize("settings", [{}, {"optimizer": "adam", "schedule": "plateau", "ema_decay": 0.0}])
@pytest.mark.parametrize("pooling", [{}, {"pooling": "attention", "tokens": 1}])
def test_a_state_that_was_put_away_goes_on_as_if_it_had_not_been(settings, pooling):
    config = TrainConfig(**settings)
    straight, first = make(config, dropout=0.0, **pooling), make(config, dropout=0.0, **pooling)
    for state in (straight, first):
        for number in range(4):
            step(state)
            state.record_validation(1.0 if number != 1 else 0.5)
    second = make(config, dropout=0.0, **pooling)
    second.restore(snapshot(first), json.loads(json.dumps(first.scalars(), allow_nan=False)))
    for state in (straight, second):
        for _ in range(4):
            step(state)
            state.record_validation(1.0)
    assert same(straight.tensors(), second.tensors())
    assert same(straight.ema.state_dict(), second.ema.state_dict())
    assert same(straight.best_adapter().state_dict(), second.best_adapter().state_dict())
    assert straight.scalars() == second.scalars()


def test_a_state_that_was_put_away_before_the_first_step_is_json_too():
    state = make()
    scalars = json.loads(json.dumps(state.scalars(), allow_nan=False))
    other = make(TrainConfig(seed=1))
    other.restore(snapshot(state), scalars)
    assert same(other.tensors(), state.tensors())


def test_another_shape_is_refused():
    with pytest.raises(ModelError, match="another adapter"):
        make(hidden_dim=8).restore(make().tensors(), make().scalars())


def test_frozen_weights_of_the_adapter_never_move():
    state = make()
    frozen = {name: value.clone() for name, value in state.adapter.state_dict().items() if name in FROZEN}
    start = snapshot(state)
    for _ in range(3):
        step(state)
    for adapter in (state.adapter, state.ema):
        assert all(torch.equal(adapter.state_dict()[name], value) for name, value in frozen.items())
    moved = {name for name, value in state.tensors().items() if name in start and not torch.equal(value, start[name])}
    trained = {f"adapter.{name}" for name, value in state.adapter.named_parameters() if value.requires_grad}
    assert trained <= moved
    assert not {f"adapter.{name}" for name in FROZEN} & moved


FROZEN = {f"mapper.{layer}.{name}" for layer in ("first", "final") for name in ("weight", "bias")}


def test_the_running_mean_follows_and_without_decay_is_the_last_step():
    mean, last = make(TrainConfig(ema_decay=0.9)), make(TrainConfig(ema_decay=0.0))
    for state in (mean, last):
        for _ in range(3):
            step(state)
    weight = "mapper.final.lora_a"
    assert torch.equal(last.ema.state_dict()[weight], last.adapter.state_dict()[weight])
    assert not torch.equal(mean.ema.state_dict()[weight], mean.adapter.state_dict()[weight])


def test_the_best_is_kept_though_the_adapter_moves_on():
    state = make()
    step(state)
    assert state.record_validation(0.5)
    best = {name: value.clone() for name, value in state.ema.state_dict().items()}
    step(state)
    assert not state.record_validation(0.6)
    assert same(state.best_adapter().state_dict(), best)
    assert not same(state.ema.state_dict(), best)


def test_counters_tell_the_best_epoch_and_how_long_ago_it_was():
    counters = Counters()
    judged = []
    for loss in (0.5, 0.4, 0.4, 0.45):
        counters.step += 10
        judged.append(counters.update_best(loss))
    assert judged == [True, True, False, False]
    assert (counters.epoch, counters.best_epoch, counters.best_step, counters.best_loss) == (4, 2, 20, 0.4)
    assert counters.stale == 2
    assert counters.update_best(0.3)
    assert (counters.best_epoch, counters.best_loss, counters.stale) == (5, 0.3, 0)


def test_the_plateau_halves_the_rate_after_two_epochs_without_progress():
    state = make(TrainConfig(schedule="plateau", optimizer="adam", learning_rate=1e-4))
    rates = []
    for loss in (0.5, 0.5, 0.5, 0.4, 0.4, 0.3, 0.3, 0.3):
        state.record_validation(loss)
        state.update_learning_rate(100)
        rates.append(state.learning_rate)
    assert rates == [1e-4, 1e-4, 5e-5, 5e-5, 5e-5, 5e-5, 5e-5, 2.5e-5]


def test_the_cosine_rises_and_falls_to_nothing():
    rates = [cosine_schedule(step, 100, 0.1) for step in range(101)]
    assert rates[0] == pytest.approx(0.1)
    assert rates[9] == rates[10] == pytest.approx(1)
    assert rates[55] == pytest.approx(0.5)
    assert rates[100] == pytest.approx(0)
    assert rates[10:] == sorted(rates[10:], reverse=True)
    assert cosine_schedule(0, 1, 0.05) == 1
