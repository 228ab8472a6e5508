"""A checkpoint is whole or it does not count; what is not needed is removed."""

from __future__ import annotations

import pytest
import torch

from covergen_cli.errors import ModelError
from covergen_cli.training.checkpoints import (
    drop_later,
    list_checkpoints,
    load_checkpoint,
    prune_checkpoints,
    save_checkpoint,
)

TENSORS = {"a.weight": torch.arange(6.0).view(2, 3).T, "b": torch.tensor(3)}
FACTS = {"counters": {"step": 5}, "rate": 0.1}


def save(run, *steps):
    return [save_checkpoint(run, step, TENSORS, FACTS) for step in steps]


def names(run):
    return sorted(path.name for path in (run / "checkpoints").iterdir())


def test_what_is_saved_comes_back(tmp_path):
    (folder,) = save(tmp_path, 5)
    assert folder.name == "step-000005"
    tensors, facts = load_checkpoint(folder)
    assert facts == FACTS
    assert set(tensors) == set(TENSORS)
    assert all(torch.equal(tensors[name], TENSORS[name]) for name in TENSORS)


def test_the_newest_comes_first_and_half_written_ones_do_not_count(tmp_path):
    save(tmp_path, 999999, 1000000, 20)
    (tmp_path / "checkpoints" / "step-000020" / "manifest.json").unlink()
    (tmp_path / "checkpoints" / "notes").mkdir()
    assert [path.name for path in list_checkpoints(tmp_path)] == ["step-1000000", "step-999999"]
    assert list_checkpoints(tmp_path / "nothing") == []


@pytest.mark.parametrize("name", ["state.safetensors", "state.json"])
@pytest.mark.parametrize("damage", [lambda data: data[:-1], lambda data: data[:9] + b"x" + data[10:], lambda _: b""])
def test_damage_is_found(tmp_path, name, damage):
    (folder,) = save(tmp_path, 5)
    (folder / name).write_bytes(damage((folder / name).read_bytes()))
    with pytest.raises(ModelError, match=rf"step-000005 is damaged: {name}"):
        load_checkpoint(folder)


def test_a_missing_file_and_a_damaged_manifest_are_found(tmp_path):
    first, second = save(tmp_path, 1, 2)
    (first / "state.json").unlink()
    with pytest.raises(ModelError, match="not a complete checkpoint"):
        load_checkpoint(first)
    (second / "manifest.json").write_text("[]")
    with pytest.raises(ModelError, match="is damaged"):
        load_checkpoint(second)


def test_the_newest_two_and_the_best_are_kept(tmp_path):
    save(tmp_path, 1, 2, 3, 4)
    (tmp_path / "checkpoints" / "step-000009").mkdir()
    prune_checkpoints(tmp_path, best_step=2)
    assert names(tmp_path) == ["step-000002", "step-000003", "step-000004"]
    prune_checkpoints(tmp_path, best_step=4)
    assert names(tmp_path) == ["step-000003", "step-000004"]


def test_a_checkpoint_that_is_written_again_replaces_the_old(tmp_path):
    (folder,) = save(tmp_path, 1)
    (folder / "state.json").write_text("damaged")
    save(tmp_path, 1)
    assert load_checkpoint(folder)[1] == FACTS


def test_going_back_drops_what_came_later(tmp_path):
    save(tmp_path, 1, 2, 3)
    drop_later(tmp_path, 2)
    assert names(tmp_path) == ["step-000001", "step-000002"]
