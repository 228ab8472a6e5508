"""What scripts read: the shape of every record, and the file of what failed."""

import csv
import json
from pathlib import Path

import pytest

from covergen_cli.cli.records import KEYS, SCHEMA, ErrorFile, record
from covergen_cli.errors import ConfigError
from covergen_cli.events import CoverFailed, CoverFinished, CoverPlanned, CoverSkipped, Progress

SONG, COVER = Path("a/ä.mp3"), Path("covers/ä.png")
ALBUM = (SONG, Path("a/b.mp3"))
NOTHING = type(None)
EVENTS = {
    "ok": CoverFinished(SONG, COVER, 5, (61.0, 91.5), 1.23456, 256, (), "cutout:colours=5", "sd15", "a, b"),
    "ok-album": CoverFinished(SONG, COVER, 5, None, 1.0, 256, ALBUM, "paint", "painter"),
    "skipped": CoverSkipped(SONG, COVER, 5, "unchanged"),
    "planned": CoverPlanned(SONG, COVER, 5),
    "failed": CoverFailed(SONG, COVER, 5, "no audio", "Give music."),
    "failed-early": CoverFailed(SONG, None, None, "no audio"),
}
SHAPE = {
    "schema": (int,),
    "input": (str,),
    "songs": (list,),
    "output": (str, NOTHING),
    "status": (str,),
    "seed": (int, NOTHING),
    "segment": (list, NOTHING),
    "look": (str, NOTHING),
    "base": (str, NOTHING),
    "prompt": (str, NOTHING),
    "seconds": (float, NOTHING),
    "error": (str, NOTHING),
}
ALWAYS_NULL = {
    "ok": {"error"},
    "ok-album": {"error", "segment", "prompt"},
    "skipped": {"segment", "look", "base", "prompt", "seconds", "error"},
    "planned": {"segment", "look", "base", "prompt", "seconds", "error"},
    "failed": {"segment", "look", "base", "prompt", "seconds"},
    "failed-early": {"output", "seed", "segment", "look", "base", "prompt", "seconds"},
}


@pytest.mark.parametrize("name", EVENTS)
def test_every_record_has_the_keys_and_types_of_the_schema(name):
    found = json.loads(json.dumps(record(EVENTS[name]), allow_nan=False))
    assert tuple(found) == KEYS == tuple(SHAPE)
    assert {key for key, value in found.items() if value is None} == ALWAYS_NULL[name]
    for key, value in found.items():
        assert type(value) in SHAPE[key], key
    assert (found["schema"], found["status"]) == (SCHEMA, name.partition("-")[0])
    assert all(type(song) is str for song in found["songs"])
    assert found["songs"][0] == found["input"]
    if found["segment"] is not None:
        assert [type(end) for end in found["segment"]] == [float, float]


def test_what_a_record_says():
    assert record(EVENTS["ok"]) == {
        "schema": 1,
        "input": str(SONG),
        "songs": [str(SONG)],
        "output": str(COVER),
        "status": "ok",
        "seed": 5,
        "segment": [61.0, 91.5],
        "look": "cutout:colours=5",
        "base": "sd15",
        "prompt": "a, b",
        "seconds": 1.235,
        "error": None,
    }
    assert record(EVENTS["ok-album"])["songs"] == [str(song) for song in ALBUM]
    assert record(Progress("draw", 1)) is None


@pytest.fixture
def clock():
    class Clock:
        seconds = 0.0

        def __call__(self):
            return self.seconds

    return Clock()


def test_the_file_of_errors_is_whole_at_every_moment(tmp_path, clock):
    path = tmp_path / "failed" / "errors.jsonl"

    def lines():
        return [json.loads(line) for line in path.read_text().splitlines()]

    errors = ErrorFile(path, clock)
    assert lines() == []
    errors.add(EVENTS["failed"])
    errors.add(EVENTS["ok"])
    clock.seconds = 1.5
    errors.add(EVENTS["ok"])
    assert lines() == [record(EVENTS["failed"])]
    errors.add(EVENTS["failed-early"])
    assert len(lines()) == 1
    errors.close()
    assert lines() == [record(EVENTS["failed"]), record(EVENTS["failed-early"])]
    assert [file.name for file in path.parent.iterdir()] == ["errors.jsonl"]
    ErrorFile(path).close()
    assert lines() == [], "failures of an earlier run are not those of this one"


def test_a_table_of_errors(tmp_path):
    errors = ErrorFile(tmp_path / "errors.csv")
    errors.add(EVENTS["failed"])
    errors.close()
    with (tmp_path / "errors.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert rows == [{"input": str(SONG), "output": str(COVER), "seed": "5", "error": "no audio"}]
    ErrorFile(tmp_path / "errors.csv")


def test_files_that_are_no_lists_of_errors_are_not_replaced(tmp_path):
    for name, text in (("song.mp3", "x"), ("mine.csv", "a,b\n1,2\n"), ("mine.jsonl", '{"a": 1}\n')):
        (tmp_path / name).write_text(text)
        with pytest.raises(ConfigError):
            ErrorFile(tmp_path / name)
        assert (tmp_path / name).read_text() == text
