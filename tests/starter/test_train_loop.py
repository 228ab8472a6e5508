"""The training loop: a stage that was stopped ends as one that was not, and leaves its averaged weights."""

import json
from dataclasses import replace

import pytest
import torch
from safetensors.torch import load_file
from torch import nn

from covergen_cli.starter.train_loop import Budget, load_ema, train_stage

BUDGET = Budget(steps=60, minutes=1e6, learning_rate=1e-2, ema_decay=0.9)
SAVED_AT_EVERY_STEP = replace(BUDGET, checkpoint_minutes=0.0)
WANTED = torch.tensor([[1.0, -2.0, 0.5]])


class StoppedError(Exception):
    pass


def model():
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(3, 8), nn.Tanh(), nn.Linear(8, 1))


def loss_of(net, stop_at=None):
    steps = []

    def loss(generator):
        steps.append(1)
        if stop_at is not None and len(steps) > stop_at:
            raise StoppedError
        values = torch.randn(16, 3, generator=generator)
        return (net(values) - values @ WANTED.T).square().mean()

    return loss


def train(folder, net, budget=BUDGET, **settings):
    return list(train_stage(folder, net, loss_of(net, **settings), budget, task="a task", seed=4))


def test_a_stopped_stage_goes_on_bit_for_bit(tmp_path):
    whole, stopped = model(), model()
    train(tmp_path / "whole", whole)
    with pytest.raises(StoppedError):
        train(tmp_path / "stopped", stopped, SAVED_AT_EVERY_STEP, stop_at=23)
    again = model()
    events = train(tmp_path / "stopped", again)
    assert [event.done for event in events] == [40, 60]
    expected, found = (load_file(tmp_path / name / "state.safetensors") for name in ("whole", "stopped"))
    assert expected.keys() == found.keys()
    assert all(torch.equal(expected[name], found[name]) for name in expected)
    losses = [json.loads((tmp_path / name / "facts.json").read_text())["loss"] for name in ("whole", "stopped")]
    assert losses[0] == losses[1]


def test_a_kill_between_the_two_files_of_a_checkpoint_loses_nothing(tmp_path):
    whole, stopped = model(), model()
    train(tmp_path / "whole", whole)
    with pytest.raises(StoppedError):
        train(tmp_path / "stopped", stopped, SAVED_AT_EVERY_STEP, stop_at=20)
    old = json.loads((tmp_path / "stopped" / "facts.json").read_text())
    (tmp_path / "stopped" / "facts.json").write_text(json.dumps(old | {"step": 19}))
    again = model()
    train(tmp_path / "stopped", again)
    assert all(torch.equal(a, b) for a, b in zip(whole.state_dict().values(), again.state_dict().values(), strict=True))


def test_what_is_left_is_the_average_and_it_has_learned(tmp_path):
    net = model()
    with torch.no_grad():
        before = float(loss_of(net)(torch.Generator().manual_seed(0)))
    events = train(tmp_path, net)
    assert {event.task for event in events} == {"a task"}
    assert not net.training
    kept, state = load_ema(tmp_path), load_file(tmp_path / "state.safetensors")
    assert all(torch.equal(kept[name], value) for name, value in net.state_dict().items())
    assert any(not torch.equal(kept[name], state[f"model.{name}"]) for name in kept)
    with torch.no_grad():
        assert float(loss_of(net)(torch.Generator().manual_seed(0))) < before / 2


def test_a_finished_stage_takes_no_further_step(tmp_path):
    net = model()
    train(tmp_path, net)
    again = model()
    assert train(tmp_path, again, stop_at=0) == []
    assert all(torch.equal(a, b) for a, b in zip(net.state_dict().values(), again.state_dict().values(), strict=True))


def test_time_ends_a_stage_that_has_steps_left(tmp_path):
    net = model()
    train(tmp_path, net, Budget(steps=10**9, minutes=0.002, learning_rate=1e-2))
    facts = json.loads((tmp_path / "facts.json").read_text())
    assert 0 < facts["step"] < 10**9
    assert facts["seconds"] >= 0.12


def test_frozen_weights_stay(tmp_path):
    net = model()
    net[0].requires_grad_(False)
    before = {name: value.clone() for name, value in net.state_dict().items()}
    train(tmp_path, net)
    after = net.state_dict()
    assert torch.equal(before["0.weight"], after["0.weight"])
    assert not torch.equal(before["2.weight"], after["2.weight"])
