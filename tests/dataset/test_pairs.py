"""The tables that training reads, and what of them is believed."""

from __future__ import annotations

import csv

import pytest

from covergen_cli.audio.embedding_file import write_embedding
from covergen_cli.dataset.pairs import Pair, check_files, encoder_spec_of, read_pairs
from covergen_cli.errors import InputError
from tiny import tiny_embedding, write_json

LINE = ("a", "images/a.jpg", "embeddings/mel/a.npy")


def write_table(path, rows, columns=("id", "image_path", "embedding_path")):
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows([columns, *rows])


def test_parts_and_the_whole_are_read(tmp_path):
    write_table(tmp_path / "pairs.csv", [LINE, ("b", "images/b.jpg", "embeddings/mel/b.npy")])
    columns = ("id", "image_path", "embedding_path", "weight")
    write_table(tmp_path / "splits" / "val.csv", [(*LINE, "2.5")], columns)
    assert [pair.id for pair in read_pairs(tmp_path)] == ["a", "b"]
    one = Pair("a", tmp_path / "images/a.jpg", tmp_path / "embeddings/mel/a.npy", 2.5)
    assert read_pairs(tmp_path, "val") == [one]


@pytest.mark.parametrize("split", [None, "train"])
def test_a_missing_table_names_the_command_that_writes_it(tmp_path, split):
    with pytest.raises(InputError) as caught:
        read_pairs(tmp_path, split)
    assert ("covergen split" if split else "covergen embed") in caught.value.hint


@pytest.mark.parametrize(
    ("row", "words"),
    [
        (("a", "../a.jpg", LINE[2]), "leads out of the dataset folder"),
        (("a", LINE[1], "../../etc/x.npy"), "leads out of the dataset folder"),
        (("../a", *LINE[1:]), "the id"),
        (("a", "", LINE[2]), "there is no image_path"),
        ((*LINE, "-1"), "the weight"),
        ((*LINE, "much"), "the weight"),
    ],
)
def test_a_line_that_cannot_be_believed_is_named(tmp_path, row, words):
    write_table(tmp_path / "pairs.csv", [row], ("id", "image_path", "embedding_path", "weight"))
    with pytest.raises(InputError, match=words) as caught:
        read_pairs(tmp_path)
    assert "line 2" in caught.value.message


def test_empty_short_and_doubled_tables_are_refused(tmp_path):
    write_table(tmp_path / "pairs.csv", [])
    with pytest.raises(InputError, match="is empty"):
        read_pairs(tmp_path)
    write_table(tmp_path / "pairs.csv", [("a", "b")], ("id", "image_path"))
    with pytest.raises(InputError, match="no column embedding_path"):
        read_pairs(tmp_path)
    write_table(tmp_path / "pairs.csv", [LINE, LINE])
    with pytest.raises(InputError, match="twice"):
        read_pairs(tmp_path)


def test_missing_covers_and_cut_off_embeddings_are_counted(tmp_path):
    pairs = [Pair(name, tmp_path / f"{name}.jpg", tmp_path / f"{name}.npy") for name in "abc"]
    for pair in pairs:
        pair.image.write_bytes(b"picture")
        write_embedding(pair.embedding, tiny_embedding())
    check_files(pairs, 512)
    pairs[1].embedding.write_bytes(pairs[1].embedding.read_bytes()[:-4])
    pairs[2].image.unlink()
    with pytest.raises(InputError, match=r"b.npy is incomplete \(and 1 more"):
        check_files(pairs, 512)


def test_the_folder_says_what_made_the_embeddings(tmp_path):
    pairs = [Pair(name, tmp_path / "a.jpg", tmp_path / "mel" / f"{name}.npy") for name in "ab"]
    with pytest.raises(InputError, match=r"encoder.json"):
        encoder_spec_of(pairs)
    write_json(tmp_path / "mel" / "encoder.json", {"name": "mel", "embedding_dim": 12})
    assert encoder_spec_of(pairs) == {"name": "mel", "embedding_dim": 12}
    for damaged in ({"name": "mel"}, {"name": "mel", "embedding_dim": 0}, {"embedding_dim": 512}, []):
        write_json(tmp_path / "mel" / "encoder.json", damaged)
        with pytest.raises(InputError, match="is damaged"):
            encoder_spec_of(pairs)
    write_json(tmp_path / "mel" / "encoder.json", {"name": "mel", "embedding_dim": 12})
    pairs.append(Pair("c", tmp_path / "a.jpg", tmp_path / "openl3" / "c.npy"))
    with pytest.raises(InputError, match="from several encoders"):
        encoder_spec_of(pairs)
