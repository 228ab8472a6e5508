"""Tables in every form give the same rows; what is no table says so."""

import csv
import gzip
import json
from pathlib import Path

import pytest

from covergen_cli.config import FetchConfig
from covergen_cli.dataset.sources.base import safe_id
from covergen_cli.dataset.sources.table import TableSource
from covergen_cli.dataset.tables import read_rows
from covergen_cli.errors import ConfigError, InputError

ROWS = [
    {
        "Name": "Sea, sand",
        "artist": "A",
        "spotify_id": "x1",
        "preview": "http://h/1",
        "img": "http://h/2",
        "energy": "0.5",
    },
    {"Name": 'He said "no"', "artist": "", "spotify_id": "x2", "preview": "http://h/3", "img": "", "energy": ""},
    {
        "Name": "Ünïcode\nin two lines",
        "artist": "B",
        "spotify_id": "",
        "preview": "http://h/5",
        "img": "http://h/6",
        "energy": "1",
    },
]


def write_csv(path, delimiter=",", encoding="utf-8"):
    with path.open("w", encoding=encoding, newline="") as file:
        writer = csv.DictWriter(file, ROWS[0], delimiter=delimiter)
        writer.writeheader()
        writer.writerows(ROWS)


def write_json_lines(path):
    rows = [{name: text or None for name, text in row.items()} for row in ROWS]
    rows[0]["energy"] = 0.5
    path.write_text("\n".join(map(json.dumps, rows)) + "\n\n")


def write_parquet(path):
    parquet = pytest.importorskip("pyarrow.parquet")
    import pyarrow as pa

    rows = [{name: text or None for name, text in row.items()} for row in ROWS]
    parquet.write_table(pa.Table.from_pylist(rows), path)


def zipped(write):
    def both(path):
        write(path)
        path.write_bytes(gzip.compress(path.read_bytes()))

    return both


@pytest.mark.parametrize(
    ("name", "write"),
    [
        ("t.csv", write_csv),
        ("t.CSV", lambda path: write_csv(path, encoding="utf-8-sig")),
        ("t.tsv", lambda path: write_csv(path, "\t")),
        ("t.csv.gz", zipped(write_csv)),
        ("t.jsonl", write_json_lines),
        ("t.ndjson.gz", zipped(write_json_lines)),
        ("t.parquet", write_parquet),
    ],
)
def test_every_form_gives_the_same_rows(tmp_path, name, write):
    write(tmp_path / name)
    assert list(read_rows(tmp_path / name)) == ROWS


def test_rows_become_items(tmp_path):
    write_csv(tmp_path / "t.csv")
    first, second, third = TableSource(tmp_path / "t.csv").items()
    assert (first.row, first.id, first.audio, first.image) == (1, "x1", "http://h/1", "http://h/2")
    assert first.metadata == {"title": "Sea, sand", "artist": "A", "spotify_id": "x1", "energy": "0.5"}
    assert (second.id, second.image) == ("x2", "")
    assert len(third.id) == 16, "made of the links, as the row has no id"
    assert third.id == list(TableSource(tmp_path / "t.csv").items())[2].id


def test_other_columns_can_be_named(tmp_path):
    (tmp_path / "t.csv").write_text("id,title,name,a,b\n../../etc/x,T,N,http://h/1,http://h/2\n")
    config = FetchConfig(audio_column="a", image_column="b", id_column="id")
    (item,) = TableSource(tmp_path / "t.csv", config).items()
    assert item.id == safe_id("../../etc/x")
    assert item.metadata == {"id": "../../etc/x", "title": "T", "name": "N"}, (
        "there is a title, so that name stays name"
    )


def test_json_records_may_differ_in_their_keys(tmp_path, monkeypatch):
    monkeypatch.setattr("covergen_cli.dataset.tables._BLOCK_ROWS", 2)
    rows = [{"preview": "http://h/0"}, {"preview": "http://h/1"}, {"preview": "http://h/2", "img": "i", "track": "T"}]
    (tmp_path / "t.jsonl").write_text("\n".join(map(json.dumps, rows)))
    items = list(TableSource(tmp_path / "t.jsonl").items())
    assert [(item.row, item.image, dict(item.metadata)) for item in items] == [
        (1, "", {}),
        (2, "", {}),
        (3, "i", {"title": "T"}),
    ]


@pytest.mark.parametrize("missing", ["", "nan", "NaN", "None", "null", "<NA>"])
def test_rows_without_an_id_get_one_of_their_own(tmp_path, missing):
    (tmp_path / "t.csv").write_text(f"spotify_id,preview,img\n12.0,a,b\n{missing},c,d\n{missing},e,f\n1.50,g,h\n")
    ids = [item.id for item in TableSource(tmp_path / "t.csv").items()]
    assert (ids[0], ids[3]) == ("12", safe_id("1.50"))
    assert len(set(ids)) == 4
    assert not any("nan" in id_.lower() for id_ in ids)


def test_a_doubled_column_does_not_hide_the_first(tmp_path):
    (tmp_path / "t.csv").write_text("preview,img,preview,Name,name\nfirst,i,second,A,B\n")
    (item,) = TableSource(tmp_path / "t.csv").items()
    assert item.audio == "first"
    assert item.metadata == {"preview.1": "second", "title": "A", "name": "B"}


def test_ids_are_safe_and_differ():
    odd = ["../x", "..x", "a/b", "a.b", "a b", "", ".", "x" * 65, "x" * 66, "ü", "con\0", "-"]
    made = [safe_id(text) for text in odd]
    assert len(set(made)) == len(odd)
    assert all(safe_id(text) == text for text in made), "they have the form of an id"
    assert safe_id("3n3Ppam7vgaVa1iaRUc9Lp") == "3n3Ppam7vgaVa1iaRUc9Lp"


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("t.xlsx", b"PK", "not a table"),
        ("t.parquet.gz", b"", "not a table"),
        ("t.csv", b"preview,img\n", "has no rows"),
        ("t.csv", b"", "has no rows"),
        ("t.csv", b'preview,img\n"a,b,x\n', "line 2: a quotation mark"),
        ("t.csv.gz", b"preview,img\n", "cannot be read"),
        ("t.csv.gz", gzip.compress(b"preview,img\n" + b"a,b\n" * 100_000)[:-300], "cannot be read"),
        ("t.jsonl", b"[1]\n", "no JSON object"),
        ("t.jsonl", b"{\n", "cannot be read"),
        ("t.parquet", b"PAR1xxxx", "cannot be read"),
    ],
)
def test_what_is_no_table(tmp_path, name, content, words):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(InputError) as raised:
        list(TableSource(tmp_path / name).items())
    assert words in f"{raised.value.message} {raised.value.hint}"
    assert name in raised.value.message


@pytest.mark.parametrize(
    ("header", "words"),
    [("a,img", "no column 'preview'; it has a, img"), ("preview,b", "no column 'img'")],
)
def test_a_missing_column_is_named_beside_those_there_are(tmp_path, header, words):
    (tmp_path / "t.csv").write_text(f"{header}\n1,2\n")
    with pytest.raises(ConfigError) as raised:
        list(TableSource(tmp_path / "t.csv").items())
    assert words in raised.value.message
    assert "-column" in raised.value.hint


def test_an_id_column_that_was_asked_for_has_to_be_there(tmp_path):
    (tmp_path / "t.csv").write_text("preview,img\n1,2\n")
    with pytest.raises(ConfigError, match="no column 'track'"):
        list(TableSource(tmp_path / "t.csv", FetchConfig(id_column="track")).items())


def test_a_file_url_is_copied(tmp_path):
    (tmp_path / "a song.mp3").write_bytes(b"music")
    (tmp_path / "work").mkdir()
    (tmp_path / "t.csv").write_text(f"preview,img\n{(tmp_path / 'a song.mp3').as_uri()},file:///nowhere\n")
    source = TableSource(tmp_path / "t.csv")
    (item,) = source.items()
    with pytest.raises(InputError, match="is not a file"):
        source.obtain(item, tmp_path / "work")
    assert [path.read_bytes() for path in (tmp_path / "work").iterdir()] == [b"music"]


@pytest.mark.parametrize("absolute", [True, False])
def test_a_path_is_relative_to_the_table_wherever_the_command_runs(tmp_path, monkeypatch, absolute):
    (tmp_path / "my music").mkdir()
    (tmp_path / "work").mkdir()
    (tmp_path / "my music" / "Track: 1%20.mp3").write_bytes(b"music")
    (tmp_path / "my music" / "cover.jpg").write_bytes(b"cover")
    start = f"{tmp_path}/" if absolute else ""
    table = tmp_path / "t.csv"
    table.write_text(f"preview,img\n{start}my music/Track: 1%20.mp3,{start}my music/cover.jpg\nn/a,www.h.org/a.jpg\n")
    monkeypatch.chdir(tmp_path / "work")
    source = TableSource(Path("../t.csv"))
    good, bad = source.items()
    found = source.obtain(good, tmp_path / "work")
    assert (found.audio.read_bytes(), found.image.read_bytes()) == (b"music", b"cover")
    with pytest.raises(InputError, match="n/a is not a file; a URL begins with https://"):
        source.obtain(bad, tmp_path / "work")


@pytest.mark.parametrize("url", ["file://server/share/x", "file:///dev/zero", "file:///", "file:x%00y"])
def test_a_file_url_that_names_no_file_of_this_machine(tmp_path, url):
    (tmp_path / "t.csv").write_text(f"preview,img\n{url},{url}\n")
    source = TableSource(tmp_path / "t.csv")
    with pytest.raises(InputError):
        source.obtain(next(source.items()), tmp_path)


def test_a_file_url_of_a_large_file(tmp_path):
    (tmp_path / "x").write_bytes(bytes(2000))
    (tmp_path / "t.csv").write_text(f"preview,img\n{(tmp_path / 'x').as_uri()},y\n")
    source = TableSource(tmp_path / "t.csv", FetchConfig(largest_mb=0.001))
    with pytest.raises(InputError, match=r"more than 0\.001 MB, the limit of --largest-mb"):
        source.obtain(next(source.items()), tmp_path)
