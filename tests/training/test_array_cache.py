"""What the index names is there; what is not whole is not."""

from __future__ import annotations

import numpy as np
import pytest

from covergen_cli.training.array_cache import add_part, open_packed

FACTS = {"base": "abc", "shape": [2, 3]}


def add(folder, entries, facts=FACTS):
    rows = {key: len(array) for key, array in entries.items()}
    add_part(folder, "things", facts, rows, entries.values(), (2, 3), "<f4")


@pytest.fixture
def entries():
    random = np.random.default_rng(0)
    return {
        key: random.standard_normal((rows, 2, 3)).astype(np.float32) for key, rows in zip("abc", (1, 4, 2), strict=True)
    }


def test_every_key_gets_its_rows_back(tmp_path, entries):
    add(tmp_path, entries)
    more = {"d": np.ones((2, 2, 3), np.float32)}
    add(tmp_path, more)
    packed = open_packed(tmp_path, FACTS)
    assert set(packed.places) == set("abcd")
    for key, array in {**entries, **more}.items():
        assert np.array_equal(packed[key], array)
    assert "e" not in packed


def test_other_facts_mean_nothing_is_there_and_writing_gives_the_old_up(tmp_path, entries):
    add(tmp_path, entries)
    other = {**FACTS, "base": "def"}
    assert open_packed(tmp_path, other).places == {}
    add(tmp_path, {"z": entries["a"]}, other)
    assert open_packed(tmp_path, FACTS).places == {}
    assert len(list(tmp_path.glob("*.npy"))) == 1


def test_a_file_that_is_cut_off_is_left_out(tmp_path, entries):
    add(tmp_path, entries)
    add(tmp_path, {"d": entries["a"]})
    largest = max(tmp_path.glob("*.npy"), key=lambda path: path.stat().st_size)
    largest.write_bytes(largest.read_bytes()[:-8])
    assert set(open_packed(tmp_path, FACTS).places) == {"d"}


@pytest.mark.parametrize("content", ["", "{", "[]", '{"schema": 1}', '{"schema": 99, "facts": {}, "parts": []}'])
def test_a_damaged_index_is_an_empty_one(tmp_path, entries, content):
    add(tmp_path, entries)
    (tmp_path / "index.json").write_text(content)
    assert open_packed(tmp_path, FACTS).places == {}


def test_a_part_is_not_named_before_it_is_whole(tmp_path, entries):
    def breaking():
        yield entries["a"]
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        add_part(tmp_path, "things", FACTS, {"a": 1, "b": 4}, breaking(), (2, 3), "<f4")
    assert list(tmp_path.iterdir()) == []
