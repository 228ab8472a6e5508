"""``covergen split`` as a user runs it."""

import csv
import json
from collections import Counter
from types import SimpleNamespace

import pytest

from covergen_cli.covers import describe


@pytest.fixture
def data(tmp_path):
    folder = tmp_path / "DATA"
    (folder / "images").mkdir(parents=True)
    rows = [(f"s{i}", f"images/s{i}.jpg", f"embeddings/mel/s{i}.npy") for i in range(40)]
    for index, (_, image, _) in enumerate(rows):
        (folder / image).write_text(f"image {index // 2}")
    with (folder / "pairs.csv").open("w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows([("id", "image_path", "embedding_path"), *rows])
    return folder


def test_stdout_is_the_path_and_stderr_says_what_follows(covergen, data):
    ended = covergen("split", data)
    assert ended.code == 0
    assert ended.out == f"{data / 'splits' / 'split.json'}\n"
    assert "32 train / 4 val / 4 test, 20 groups by cover" in ended.err
    assert f"next: covergen train {data}" in ended.err
    assert "40 pairs kept the part of an earlier run" in covergen("split", data).err


def test_json_is_one_object(covergen, data):
    record = json.loads(covergen("split", data, "--json", "--group", "none").out)
    assert record == {
        "schema": 1,
        "status": "ok",
        "split": str(data / "splits" / "split.json"),
        "train": 32,
        "val": 4,
        "test": 4,
        "groups": {"train": 32, "val": 4, "test": 4},
        "kept": 0,
        "moved": 0,
    }


def test_mistakes_have_their_codes_and_say_what_to_do(covergen, data):
    for arguments, code, words in [
        ((data, "--ratios", "80/10/10"), 2, "three numbers with commas"),
        ((data, "--ratios", "0,1,1"), 2, "nothing to train on"),
        ((data.parent / "missing",), 1, "is not a folder"),
        ((data, "--group", "artist"), 1, "manifest.csv"),
    ]:
        ended = covergen("split", *arguments)
        assert (ended.code, ended.out) == (code, "")
        assert words in ended.err


def test_tag_fills_the_column_that_balances(covergen, data, monkeypatch):
    lines = ["id,audio_path,image_path"]
    for index in range(40):
        (data / f"s{index}.mp3").write_bytes(b"music")
        lines.append(f"s{index},s{index}.mp3,images/s{index}.jpg")
    (data / "manifest.csv").write_text("\n".join(lines) + "\n")
    heard = lambda path: SimpleNamespace(genre="jazz" if int(path.stem[1:]) % 4 == 0 else "metal")  # noqa: E731
    monkeypatch.setattr(describe, "describe_song", heard)
    ended = covergen("split", data, "--tag", "--balance", "genre", "--group", "none")
    assert ended.code == 0, ended.err
    genres = {row["id"]: row["genre"] for row in csv.DictReader((data / "manifest.csv").read_text().splitlines())}
    assert [genres["s0"], genres["s1"], genres["s4"]] == ["jazz", "metal", "jazz"]
    total = Counter()
    for row in csv.DictReader((data / "splits" / "train.csv").read_text().splitlines()):
        total[genres[row["id"]]] += float(row["weight"])
    assert total["jazz"] == pytest.approx(total["metal"], rel=1e-4)
