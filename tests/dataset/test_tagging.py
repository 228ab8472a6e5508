"""The column ``genre`` is filled from the sound, once per song."""

import pytest

from covergen_cli.dataset.tagging import tag_genres
from covergen_cli.errors import InputError
from covergen_cli.events import Progress, Warned
from dataset_files import read_table, write_manifest, write_song

HEARD = {"s0": "jazz", "s1": None, "s2": "metal"}


class Ear:
    """Names a genre by the name of the file, and remembers what it was asked."""

    def __init__(self):
        self.asked = []

    def __call__(self, path):
        self.asked.append(path.stem)
        if path.stem == "s9":
            raise InputError(f"{path} is silent")
        return HEARD[path.stem]


@pytest.fixture
def ear():
    return Ear()


def genres(dataset):
    return [row["genre"] for row in read_table(dataset / "manifest.csv")]


def test_the_column_is_added_and_nothing_else_changes(dataset, ear):
    before = read_table(dataset / "manifest.csv")
    events = list(tag_genres(dataset, ear))
    assert [(event.done, event.total) for event in events if isinstance(event, Progress)] == [(1, 3), (2, 3), (3, 3)]
    after = read_table(dataset / "manifest.csv")
    assert [row.pop("genre") for row in after] == ["jazz", "", "metal"]
    assert after == before


def test_a_genre_that_is_there_stays(dataset, ear):
    lines = (dataset / "manifest.csv").read_text().splitlines()
    lines = [f"{lines[0]},genre", f"{lines[1]},Folk", *(f"{line}," for line in lines[2:])]
    (dataset / "manifest.csv").write_text("\n".join(lines) + "\n")
    list(tag_genres(dataset, ear))
    assert genres(dataset) == ["Folk", "", "metal"]
    assert sorted(ear.asked) == ["s1", "s2"]


def test_a_song_is_heard_once_although_the_manifest_is_written_again(dataset, ear):
    manifest = (dataset / "manifest.csv").read_bytes()
    list(tag_genres(dataset, ear))
    (dataset / "manifest.csv").write_bytes(manifest)
    assert list(tag_genres(dataset, ear)) == []
    assert genres(dataset) == ["jazz", "", "metal"]
    assert sorted(ear.asked) == ["s0", "s1", "s2"]
    (dataset / "manifest.csv").write_bytes(manifest)
    write_song(dataset / "audio" / "s1.wav", seconds=1.0)
    list(tag_genres(dataset, ear))
    assert ear.asked[3:] == ["s1"], "other music is heard again"


def test_a_song_that_cannot_be_used_is_named_and_tried_again(dataset, ear):
    write_song(dataset / "audio" / "s9.wav")
    rows = [(f"s{index}", f"audio/s{index}.wav", "images/s0.jpg") for index in (0, 9)]
    write_manifest(dataset, rows)
    warned = [event for event in tag_genres(dataset, ear) if isinstance(event, Warned)]
    assert [event.path.name for event in warned] == ["s9.wav"]
    assert genres(dataset) == ["jazz", ""]
    list(tag_genres(dataset, ear))
    assert ear.asked.count("s9") == 2


def test_what_was_heard_before_an_interruption_is_kept(dataset, ear):
    events = tag_genres(dataset, ear)
    next(events)
    events.close()
    assert len(read_table(dataset / "genres.csv")) >= 1
    assert "genre" not in read_table(dataset / "manifest.csv")[0]


def test_a_folder_without_a_manifest(tmp_path, ear):
    with pytest.raises(InputError, match=r"manifest\.csv"):
        list(tag_genres(tmp_path, ear))
