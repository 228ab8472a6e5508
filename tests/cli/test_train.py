"""What ``covergen train`` says and how it ends, with a training that does nothing."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from types import ModuleType

import pytest

import covergen_cli.training
from covergen_cli.config import AdapterConfig, TrainConfig
from covergen_cli.errors import InputError
from covergen_cli.events import (
    CheckpointSaved,
    EpochDone,
    ModelLoading,
    Progress,
    StepDone,
    TrainFinished,
    TrainPlanned,
    Warned,
)


class FakeLoop:
    """Records what it was asked, and tells of two epochs."""

    def __init__(self):
        self.asked, self.error, self.closed = {}, None, False

    def train(self, data, run, config, shape, *, resume, stop):
        self.asked = {"data": data, "run": run, "config": config, "shape": shape, "resume": resume}
        try:
            yield ModelLoading("starter")
            yield Progress("encoding covers", 64, 100)
            yield Warned("something is odd")
            if self.error:
                raise self.error
            yield TrainPlanned(800, 100, 5_840_000, 2, 50, 0, None)
            for epoch in (1, 2):
                yield Progress("training", 25, 25, f"epoch {epoch}")
                yield StepDone(epoch, 25 * epoch, 0.41, 1e-3, 0.1, 61.5, 100.0, 3 * 2**30)
                yield EpochDone(epoch, 2, 25 * epoch, 0.41, 0.42 - epoch / 100, best=True, samples=None)
                yield CheckpointSaved(run / "checkpoints" / "step", 25 * epoch)
            yield TrainFinished(
                run, run / "adapter", early=False, epochs=2, steps=50, best_epoch=2, validation_loss=0.4, seconds=9
            )
        finally:
            self.closed = True


@pytest.fixture
def library(monkeypatch):
    fake = FakeLoop()
    module = ModuleType("covergen_cli.training.loop")
    module.train = fake.train
    monkeypatch.setitem(sys.modules, module.__name__, module)
    monkeypatch.setattr(covergen_cli.training, "loop", module, raising=False)
    return fake


def test_the_run_folder_goes_to_stdout_and_the_rest_to_stderr(covergen, library):
    ended = covergen("train", "DATA", "-o", "RUN")
    assert (ended.code, ended.out) == (0, "RUN\n")
    assert "warning: something is odd" in ended.err
    planned = "800 training pairs, 100 validation pairs, 5.84 M trainable parameters, 50 steps; starting from scratch"
    assert planned in ended.err
    assert "epoch 2/2: training loss 0.4100, validation loss 0.4000 (best so far)" in ended.err
    assert "finished after 2 epochs; the best is epoch 2 with a validation loss of 0.4000" in ended.err
    assert library.asked["data"] == Path("DATA")
    assert library.asked["config"] == TrainConfig()
    assert library.asked["shape"] == AdapterConfig()
    assert library.asked["resume"] == "auto"
    assert library.closed


def test_json_says_it_in_one_object(covergen, library):
    record = json.loads(covergen("train", "DATA", "-o", "RUN", "--json").out)
    assert record["schema"] == 1
    assert record["status"] == "ok"
    assert record["adapter"] == str(Path("RUN", "adapter"))
    assert (record["epochs"], record["steps"], record["best_epoch"], record["validation_loss"]) == (2, 50, 2, 0.4)


def test_presets_shape_both_training_and_adapter_and_flags_win(covergen, library, tmp_path):
    covergen("train", "DATA", "-o", "RUN", "--preset", "paper", "--epochs", "7")
    config, shape = library.asked["config"], library.asked["shape"]
    assert (config.optimizer, config.learning_rate, config.schedule, config.timesteps) == (
        "adam",
        1e-4,
        "plateau",
        "uniform",
    )
    assert (config.min_epochs, config.patience, config.ema_decay, config.epochs) == (10, 5, 0, 7)
    assert (shape.pooling, shape.tokens) == ("attention", 1)
    (tmp_path / "mine.yaml").write_text("train: {seed: 3}\nadapter: {tokens: 2}\n")
    covergen("train", "DATA", "-o", "RUN", "--preset", tmp_path / "mine.yaml")
    assert (library.asked["config"].seed, library.asked["shape"].tokens) == (3, 2)


@pytest.mark.parametrize(("given", "meant"), [("never", "never"), ("a/step-000003", Path("a/step-000003"))])
def test_where_to_go_on_from(covergen, library, given, meant):
    covergen("train", "DATA", "-o", "RUN", "--resume", given)
    assert library.asked["resume"] == meant


def test_errors_end_with_their_code(covergen, library):
    library.error = InputError("DATA/splits/train.csv is missing", hint="Run covergen split DATA first.")
    ended = covergen("train", "DATA", "-o", "RUN")
    assert (ended.code, ended.out) == (1, "")
    assert "hint: Run covergen split DATA first." in ended.err
    assert covergen("train", "DATA").code == 2
    assert covergen("train", "DATA", "-o", "RUN", "--preset", "papyrus").code == 2
    assert covergen("train", "DATA", "-o", "RUN", "--epochs", "0").code == 2


def test_of_several_processes_the_first_speaks(covergen, library, monkeypatch):
    monkeypatch.setenv("RANK", "1")
    ended = covergen("train", "DATA", "-o", "RUN")
    assert (ended.code, ended.out, ended.err) == (0, "", "")
    monkeypatch.setenv("RANK", "0")
    assert covergen("train", "DATA", "-o", "RUN").out == "RUN\n"


def test_verbose_names_checkpoints_and_quiet_says_nothing(covergen, library):
    assert "saved RUN" in covergen("train", "DATA", "-o", "RUN", "-v").err
    assert covergen("train", "DATA", "-o", "RUN", "-q").err == ""


def test_off_a_terminal_a_line_now_and_then_says_how_far_it_is(covergen, library, monkeypatch):
    monkeypatch.setattr("covergen_cli.cli.terminal._PLAIN_SECONDS", -1)
    told = covergen("train", "DATA", "-o", "RUN").err
    assert "encoding covers: 64 of 100\n" in told
    assert "epoch 2: loss 0.4100, 61.5 pairs/s, 1:40 left, 3.0 GB\n" in told


def test_several_seeds_are_trained_into_folders_of_their_own(covergen, library, tmp_path):
    asked = []
    train = library.train

    def remember(data, run, config, shape, **how):
        asked.append((run, config.seed))
        return train(data, run, config, shape, **how)

    sys.modules["covergen_cli.training.loop"].train = remember
    done = covergen("train", "DATA", "-o", tmp_path / "RUN", "--seeds", "3,1", "--json")
    assert done.code == 0, done.err
    assert asked == [(tmp_path / "RUN" / f"seed-{seed}", seed) for seed in (3, 1)]
    found = json.loads(done.out)
    assert found["validation_loss"] == {"mean": 0.4, "sd": 0.0, "seeds": 2}
    assert [run["run"] for run in found["runs"]] == [str(tmp_path / "RUN" / f"seed-{seed}") for seed in (3, 1)]
    assert "validation loss 0.4000 ± 0.0000 (standard deviation over 2 seeds)" in done.err


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (("--seeds", "1"), "two or more different numbers"),
        (("--seeds", "1,1"), "two or more different numbers"),
        (("--seeds", "1,2", "--seed", "3"), "cannot be used with --seed"),
        (("--seeds", "1,2", "--resume", "checkpoint"), "a checkpoint to resume"),
        (("--seeds", "1,x"), "--seeds is 'x', not a whole number"),
    ],
)
def test_seeds_that_make_no_sense(covergen, library, options, words):
    done = covergen("train", "DATA", "-o", "RUN", *options)
    assert done.code in {1, 2}
    assert words in done.err
    assert library.asked == {}
