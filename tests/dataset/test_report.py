"""The overview of a dataset folder: what it shows, and that no text of a table becomes part of the page."""

import base64
import csv
import html.parser
import io
import json
import re

import pytest
from PIL import Image

from covergen_cli.dataset.report import write_report
from covergen_cli.errors import InputError

COLUMNS = ("id", "audio_path", "image_path", "seconds", "cover_id", "lettering", "title", "artist", "genre")


def write_table(path, columns, rows):
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows([columns, *rows])


def pair(index, title="Song", group=None, genre="rock", seconds=30.0):
    image = f"images/p{index % 4}.jpg"
    return (f"p{index}", f"audio/p{index}.mp3", image, seconds, group or f"p{index}", 0.01, title, "Artist", genre)


@pytest.fixture
def data(tmp_path):
    folder = tmp_path / "DATA"
    (folder / "images").mkdir(parents=True)
    for index in range(4):
        Image.new("RGB", (300, 300), (60 * index, 90, 120)).save(folder / "images" / f"p{index}.jpg")
    rows = [pair(index, f"Song {index}") for index in range(10)]
    rows += [pair(10 + index, "Twin", group="twins", genre="pop", seconds=200) for index in range(3)]
    write_table(folder / "manifest.csv", COLUMNS, rows)
    states = [(index, f"p{index}", "ok", "", "") for index in range(13)]
    states += [(13 + index, f"x{index}", "failed", f"the server answered 404 to {index}", "404") for index in range(5)]
    states.append((20, "y", "filtered", "the music is silent", "unwanted"))
    write_table(folder / "status.csv", ("row", "id", "status", "reason", "cause"), states)
    return folder


class Page(html.parser.HTMLParser):
    """The tags, images and text of a page."""

    def __init__(self, path):
        super().__init__()
        self.tags, self.sources, self.parts = set(), [], []
        self.source = path.read_text(encoding="utf-8")
        self.feed(self.source)
        self.text = " ".join(" ".join(self.parts).split())

    def handle_starttag(self, tag, attrs):
        self.tags.add(tag)
        if tag == "img":
            self.sources.append(dict(attrs)["src"])

    def handle_data(self, data):
        self.parts.append(data)


def made(folder):
    return Page(write_report(folder))


def test_it_shows_counts_reasons_genres_lengths_and_groups(data):
    write_table(data / "splits" / "none.csv", ("id",), [])
    counts = {part: {"rows": rows, "groups": 1} for part, rows in (("train", 11), ("val", 1), ("test", 1))}
    (data / "splits" / "split.json").write_text(json.dumps({"counts": counts}))
    (data / "dataset.json").write_text(json.dumps({"source": {"kind": "table", "name": "songs.csv"}}))
    page = made(data)
    for words in (
        "from table songs.csv",
        "13 pairs",
        "5 failed",
        "1 filtered",
        "11 in train",
        "5 failed 404 the server answered 404 to 0",
        "rock 10 76.9 %",
        "pop 3 23.1 %",
        "29–31 s 10",
        "180–240 s 3",
        "alone 10",
        "3 together 3",
        "3 pairs in the group twins",
        "13 of 13 pairs",
    ):
        assert words in page.text, words


def test_thumbnails_are_small_pictures_inside_the_page(data):
    page = made(data)
    assert len(page.sources) == 13 + 3
    for source in page.sources:
        kind, _, content = source.partition(",")
        assert kind == "data:image/jpeg;base64"
        with Image.open(io.BytesIO(base64.b64decode(content))) as image:
            assert max(image.size) <= 112
    assert not re.search(r"(?:src|href)=\"(?!data:)", page.source)


def test_texts_stay_texts(data):
    evil = '"><script>alert(1)</script><img src=x onerror=alert(1)>'
    rows = [(f"p{i}", "a.mp3", f"images/p{i}.jpg", evil, evil, evil, evil, evil, evil) for i in range(4)]
    (data / "dataset.json").write_text(json.dumps({"source": {"kind": "table", "name": "songs.csv"}}))
    tags = made(data).tags
    write_table(data / "manifest.csv", COLUMNS, rows)
    write_table(data / "status.csv", ("row", "id", "status", "reason", "cause"), [(1, evil, evil, evil, evil)])
    (data / "dataset.json").write_text(json.dumps({"source": {"kind": evil, "name": [evil]}}))
    page = made(data)
    assert page.tags == tags, "no text has become a tag"
    assert len(page.sources) == 8, "the four covers, in the sample and in their group"
    assert all(source.startswith("data:image/jpeg;base64,") for source in page.sources)
    assert page.text.count("<script>alert(1)</script>") == 2 + 3 + 1 + 1 + 8 * 2, "each one is shown"


def test_paths_out_of_the_folder_and_what_is_no_image_are_not_shown(data, tmp_path):
    Image.new("RGB", (50, 50)).save(tmp_path / "secret.jpg")
    (data / "images" / "p0.jpg").write_text("no image")
    rows = [("p0", "a.mp3", "../secret.jpg", 30), ("p1", "a.mp3", "images/p0.jpg", 30), ("p2", "a.mp3", "gone.jpg", 30)]
    write_table(data / "manifest.csv", COLUMNS[:4], rows)
    page = made(data)
    assert page.sources == []
    assert "leads out of the dataset folder" in page.text
    assert page.text.count("no picture") == 2


def test_the_page_stays_small_and_the_same_however_many_pairs(data):
    write_table(data / "manifest.csv", COLUMNS, [pair(i, group=f"g{i % 700}", genre=f"g{i % 90}") for i in range(5000)])
    page = made(data)
    assert len(page.sources) == 120 + 12 * 8
    assert len(page.source) < 600_000
    assert "60 others" in page.text
    write_table(
        data / "manifest.csv", COLUMNS, [pair(i, group=f"g{i % 700}", genre=f"g{i % 90}") for i in range(5000)][::-1]
    )
    again = made(data)
    assert sorted(page.sources) == sorted(again.sources)
    names = re.compile(r"\bp\d+\b|(?<=120 of )5000")
    assert sorted(names.findall(page.text)) == sorted(names.findall(again.text)), "the same pairs"


def test_a_bare_manifest_is_enough(data):
    (data / "status.csv").unlink()
    write_table(data / "manifest.csv", COLUMNS[:3], [pair(index)[:3] for index in range(2)])
    page = made(data)
    assert "2 of 2 pairs" in page.text
    assert "Genres" not in page.text


def test_without_a_manifest_there_is_no_page(data):
    (data / "manifest.csv").unlink()
    with pytest.raises(InputError, match=r"manifest\.csv"):
        made(data)
    assert not (data / "report.html").exists()
