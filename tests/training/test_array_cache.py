"""What the index names is there; what is not whole is not."""

from __future__ import annotations

import numpy as np
import pytest

from covergen_cli.training.array_cache import ArrayCache

METADATA = {"base": "abc", "shape": [2, 3]}


def add(folder, entries, metadata=METADATA):
    rows = {key: len(array) for key, array in entries.items()}
    ArrayCache(folder, metadata).add("things", rows, entries.values(), (2, 3), "<f4")


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
    cache = ArrayCache(tmp_path, METADATA)
    assert set(cache) == set("abcd")
    for key, array in {**entries, **more}.items():
        assert np.array_equal(cache[key], array)
    assert "e" not in cache


def test_other_facts_mean_nothing_is_there_and_writing_gives_the_old_up(tmp_path, entries):
    add(tmp_path, entries)
    other = {**METADATA, "base": "def"}
    assert not ArrayCache(tmp_path, other)
    add(tmp_path, {"z": entries["a"]}, other)
    assert not ArrayCache(tmp_path, METADATA)
    assert len(list(tmp_path.glob("*.npy"))) == 1


def test_a_file_that_is_cut_off_is_left_out(tmp_path, entries):
    add(tmp_path, entries)
    add(tmp_path, {"d": entries["a"]})
    largest = max(tmp_path.glob("*.npy"), key=lambda path: path.stat().st_size)
    largest.write_bytes(largest.read_bytes()[:-8])
    assert set(ArrayCache(tmp_path, METADATA)) == {"d"}


@pytest.mark.parametrize("content", ["", "{", "[]", '{"schema": 1}', '{"schema": 99, "facts": {}, "parts": []}'])
def test_a_damaged_index_is_an_empty_one(tmp_path, entries, content):
    add(tmp_path, entries)
    (tmp_path / "index.json").write_text(content)
    assert not ArrayCache(tmp_path, METADATA)


def test_a_part_is_not_named_before_it_is_whole(tmp_path, entries):
    def breaking():
        yield entries["a"]
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        ArrayCache(tmp_path, METADATA).add("things", {"a": 1, "b": 4}, breaking(), (2, 3), "<f4")
    assert list(tmp_path.iterdir()) == []
