"""All covers of a run in one picture."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from covergen_cli.covers import contact_sheet
from covergen_cli.covers.contact_sheet import with_contact_sheet, write_contact_sheet
from covergen_cli.errors import OutputError
from covergen_cli.events import CoverFailed, CoverFinished, CoverSkipped, FileSaved, Warned

COLOURS = [(200, 30, 30), (30, 200, 30), (30, 30, 200), (200, 200, 30), (30, 200, 200)]


@pytest.fixture
def covers(tmp_path):
    paths = [tmp_path / f"song {index}.png" for index in range(len(COLOURS))]
    for path, colour in zip(paths, COLOURS, strict=True):
        Image.new("RGB", (64, 64), colour).save(path)
    return paths


def labels(covers):
    return [(cover.stem, " · 0") for cover in covers]


def test_every_cover_stands_in_its_place_with_a_name_below(covers, tmp_path):
    write_contact_sheet(tmp_path / "sheet.jpg", covers, labels(covers))
    with Image.open(tmp_path / "sheet.jpg") as sheet:
        pixels = np.asarray(sheet).astype(int)
    assert pixels.shape[1] > pixels.shape[0], "five covers make three columns and two rows"
    for index, colour in enumerate(COLOURS):
        row, column = divmod(index, 3)
        y, x = 20 + row * 372, 20 + column * 340
        assert np.abs(pixels[y + 10 : y + 310, x + 10 : x + 310] - colour).max() < 12
        assert pixels[y + 322 : y + 352, x : x + 320].min() < 120, "a name"
    assert pixels[400:700, 720:1000].min() > 240, "the last place is empty"


def test_a_broken_cover_leaves_its_place_empty(covers, tmp_path):
    covers[1].write_bytes(b"no picture")
    write_contact_sheet(tmp_path / "sheet.jpg", covers, labels(covers))
    assert (tmp_path / "sheet.jpg").exists()


def test_many_covers_stay_one_picture_of_bounded_size(covers, tmp_path, monkeypatch):
    monkeypatch.setattr(contact_sheet, "_MAX_WIDTH", 600)
    write_contact_sheet(tmp_path / "sheet.jpg", covers * 3, labels(covers * 3))
    with Image.open(tmp_path / "sheet.jpg") as sheet:
        assert 500 < sheet.width <= 660


def test_a_sheet_is_renewed_but_a_foreign_file_is_not(covers, tmp_path):
    sheet = tmp_path / "sheet.jpg"
    write_contact_sheet(sheet, covers, labels(covers))
    write_contact_sheet(sheet, covers[:1], labels(covers[:1]))
    Image.new("RGB", (8, 8)).save(sheet)
    with pytest.raises(OutputError, match="was not made by covergen"):
        write_contact_sheet(sheet, covers, labels(covers))


def events_of(covers):
    song = Path("song.mp3")
    yield CoverFinished(song, covers[0], 0, (0.0, 1.0), 1.0, 64)
    yield CoverFailed(song, covers[1], 0, "broken")
    yield CoverSkipped(song, covers[2], 0, "unchanged")


def test_made_and_present_covers_are_on_it_and_failed_ones_are_not(covers, tmp_path):
    events = list(with_contact_sheet(events_of(covers), tmp_path / "sheet.jpg"))
    assert events[:3] == list(events_of(covers))
    assert events[3] == FileSaved(tmp_path / "sheet.jpg", "a contact sheet of 2 covers")


def test_a_sheet_that_cannot_be_written_is_a_warning(covers, tmp_path):
    (tmp_path / "sheet.jpg").mkdir()
    events = list(with_contact_sheet(events_of(covers), tmp_path / "sheet.jpg"))
    assert isinstance(events[-1], Warned)


def test_no_covers_no_sheet(tmp_path):
    assert list(with_contact_sheet((event for event in []), tmp_path / "sheet.jpg")) == []
    assert not (tmp_path / "sheet.jpg").exists()


def captions(tmp_path, covers, *texts):
    """Draw a sheet for each label; the pixels of its caption."""
    for number, label in enumerate(texts):
        write_contact_sheet(tmp_path / f"{number}.jpg", covers[:1], [label])
        with Image.open(tmp_path / f"{number}.jpg") as sheet:
            yield np.asarray(sheet.convert("L")).astype(int)[20 + 320 :, 20:340]


def test_song_and_seed_are_written_and_a_long_name_loses_its_middle(covers, tmp_path):
    long = "A very long name of a song that no tile has room for, not even a large one"
    one, other, end, cut = captions(
        tmp_path,
        covers,
        (long, " · 6"),
        (long, " · 2"),
        (long + "!", " · 6"),
        (long.replace("no tile", "nobody"), " · 6"),
    )
    assert (np.abs(one - other).max(axis=0) > 60).nonzero()[0].min() > 250, "only the seed differs, at the end"
    assert np.abs(one - end).max() > 60
    assert np.abs(one - cut).max() < 20, "the middle is not written"
    assert one[:, -2:].min() > 200, "nothing is cut off"


def test_the_sheet_names_songs_and_not_files_of_covers(covers, tmp_path, monkeypatch):
    written = []
    monkeypatch.setattr(contact_sheet, "_label", lambda _draw, name, end, *_: written.append(name + end))
    song, album = Path("m/tune.mp3"), (Path("m/1.mp3"), Path("m/2.mp3"))
    events = (
        event
        for event in [
            CoverFinished(song, covers[0], 7, (0.0, 1.0), 1.0, 64),
            CoverSkipped(album[0], covers[1], 3, "unchanged", album),
        ]
    )
    list(with_contact_sheet(events, tmp_path / "sheet.jpg"))
    assert written == ["tune · 7", "song 1 · 3"]
