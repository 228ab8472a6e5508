"""Killed at any moment and run again, a training ends with the very bytes that it would have ended with."""

from __future__ import annotations

import random
import signal
import sys

import pytest

from covergen_cli.training.checkpoints import list_checkpoints
from covergen_cli.training.run_folder import read_records
from fork_trainings import Trainings
from tiny import tiny_base, write_json
from training_data import write_dataset

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="forks")

STEP = "covergen_cli.training.loop:Trainer.train_step"
VALIDATION = "covergen_cli.training.gradients:item_losses"
WRITING = "covergen_cli.files:_publish"
HASHING = "covergen_cli.training.checkpoints:sha256_file"
SETTINGS = {
    "train": {"epochs": 2, "batch_size": 4, "checkpoint_minutes": 0, "samples": 1, "ema_decay": 0.5},
    "adapter": {"hidden_dim": 16, "pooling": "attention", "tokens": 1},  # far smaller checkpoints
}


@pytest.fixture(scope="module")
def trainings():
    trainings = Trainings()
    yield trainings
    trainings.close()


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """A dataset folder, a base and a preset."""
    place = tmp_path_factory.mktemp("place")
    write_dataset(place / "DATA", {"train": 10, "val": 3})
    tiny_base(place / "base")
    write_json(place / "preset.yaml", SETTINGS)  # YAML includes JSON
    return place


@pytest.fixture(scope="module")
def train(trainings, place):
    """Run ``covergen train`` with some settings."""

    def run(name, *options, quiet=True, **how):
        preset = ("--preset", place / "preset.yaml", "--base", place / "base", "--device", "cpu", *["-q"] * quiet)
        return trainings("train", place / "DATA", "-o", place / name, *preset, *options, **how)

    return run


@pytest.fixture(scope="module")
def complete(train, trainings, place):
    """The run folder of a training that nothing disturbed."""
    assert train("complete") == 0, trainings.told
    return place / "complete"


def result(run):
    files = [run / "adapter" / name for name in ("adapter.safetensors", "adapter.json")]
    records = [{**record, "pairs_per_second": None} for record in read_records(run)]
    return [path.read_bytes() for path in files], records


def test_a_run_leaves_what_its_folder_promises(complete):
    assert {path.name for path in complete.iterdir()} >= {
        "adapter",
        "checkpoints",
        "config.yaml",
        "curves.png",
        "samples",
    }
    assert [path.name for path in sorted((complete / "samples").iterdir())] == [f"epoch-00{n}.jpg" for n in (1, 2)]
    epochs = read_records(complete, "epoch")
    assert [record["epoch"] for record in epochs] == [1, 2]
    assert [record["step"] for record in epochs] == [3, 6]
    assert not [path for path in complete.rglob("*") if ".tmp" in path.name]


def test_the_same_command_twice_gives_the_same_bytes(train, place, complete):
    assert train("again") == 0
    assert result(place / "again") == result(complete)
    assert train("again") == 0
    assert result(place / "again") == result(complete)


@pytest.mark.parametrize("seed", range(2))
def test_kills_at_random_moments_change_nothing(train, place, complete, seed):
    chance, run = random.Random(seed), place / f"killed-{seed}"  # noqa: S311
    moments = [(STEP, 3), (VALIDATION, 2), (WRITING, 12), (HASHING, 4), (STEP, 2)]
    chance.shuffle(moments)
    codes = [train(run.name, hit=hit, at=chance.randint(1, most)) for hit, most in moments]
    assert codes.count(-signal.SIGKILL) >= 3
    assert train(run.name) == 0
    assert result(run) == result(complete)


@pytest.mark.parametrize("at", [9, 14, 19, 24])
def test_a_kill_in_the_middle_of_any_write_changes_nothing(train, place, complete, at):
    run = place / f"writing-{at}"
    assert train(run.name, hit=WRITING, at=at) == -signal.SIGKILL
    assert train(run.name) == 0
    assert result(run) == result(complete)
    assert len(list_checkpoints(run)) <= 3


@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 143), (signal.SIGINT, 130)])
@pytest.mark.parametrize("hit", [STEP, VALIDATION])
def test_a_request_to_stop_saves_the_state_and_has_its_exit_code(train, place, complete, number, code, hit):
    run = place / f"stopped-{code}-{hit[-4:]}"
    assert train(run.name, "--checkpoint-minutes", "60", hit=hit, signal=number, at=2) == code
    (newest,) = list_checkpoints(run)
    assert newest.name == {STEP: "step-000002", VALIDATION: "step-000003"}[hit]
    assert train(run.name) == 0
    assert result(run) == result(complete)


def test_a_decoupled_run_from_another_adapter_is_resumed_exactly(train, place, complete):
    shape = {**SETTINGS["adapter"], "cross_attention": "decoupled", "projection_rank": 2}
    write_json(place / "decoupled.yaml", {**SETTINGS, "adapter": shape})
    options = ("--preset", place / "decoupled.yaml", "--init", complete, "--accumulate", "2", "--checkpointing")
    assert train("decoupled", *options) == 0
    for hit, at in ((STEP, 2), (VALIDATION, 1), (WRITING, 14), (STEP, 1)):
        assert train("decoupled-killed", *options, hit=hit, at=at) == -signal.SIGKILL
    assert train("decoupled-killed", *options) == 0
    assert result(place / "decoupled-killed") == result(place / "decoupled")


def test_a_damaged_checkpoint_is_named_and_the_one_before_it_used(train, trainings, place, complete):
    run = place / "damaged"
    assert train(run.name, hit=STEP, at=6) == -signal.SIGKILL
    newest, before = list_checkpoints(run)[:2]
    content = bytearray((newest / "state.safetensors").read_bytes())
    content[-9] ^= 1
    (newest / "state.safetensors").write_bytes(content)
    assert train(run.name, quiet=False) == 0
    assert f"the checkpoint {newest} is damaged" in trainings.told
    assert f"trying {before}\n" in trainings.told
    assert result(run) == result(complete)


def test_two_processes_learn_what_one_learns_with_twice_the_batch(train, place, free_port):
    # Every process drops other values, so that without dropout alone the two are the same.
    write_json(place / "plain.yaml", {**SETTINGS, "adapter": {**SETTINGS["adapter"], "dropout": 0}})
    plain = ("--preset", place / "plain.yaml")
    assert train("one", *plain) == 0
    assert train("two", *plain, "--batch-size", "2", processes=2, port=free_port) == [0, 0]
    one, two = (result(place / name)[1] for name in ("one", "two"))
    assert [record["step"] for record in two] == [record["step"] for record in one]
    for record, other in zip(two, one, strict=True):
        for key in record.keys() - {"kind", "best", "pairs_per_second"}:
            assert record[key] == pytest.approx(other[key], rel=1e-4), (key, record)
