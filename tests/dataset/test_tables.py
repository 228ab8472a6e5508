"""Tables as people have them: no row is lost, no cell stops the reading, and what is written reads back."""

import csv
import gzip
import json
import random
from types import SimpleNamespace

import pytest

from covergen_cli.dataset import csv_records
from covergen_cli.dataset import tables as tables_module
from covergen_cli.dataset.tables import open_table, read_rows
from covergen_cli.errors import InputError, OutputError

LINK = "http://host/a.mp3"


def read(path, content):
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return list(read_rows(path))


@pytest.mark.parametrize("suffix", ["csv", "tsv"])
@pytest.mark.parametrize(
    ("value", "title"),
    [
        ('"Weird Song', '"Weird Song'),
        ('"Heroes" (live)', '"Heroes" (live)'),
        ('12" mix', '12" mix'),
        ('Say "Yes"', 'Say "Yes"'),
        ('"He said ""no"""', 'He said "no"'),
        ('"Heroes"', "Heroes"),
        ('"Two\nlines"', "Two\nlines"),
        ('"', '"'),
        ('""', ""),
        ('"a""', '"a""'),
    ],
)
def test_a_stray_quotation_mark_never_swallows_rows(tmp_path, suffix, value, title):
    lines = ["id,title,url", f"a,{value},{LINK}", f'b,"Other Song",{LINK}', f'c,12",{LINK}', f"d,,{LINK}"]
    text = "\n".join(lines) + "\n"
    rows = read(tmp_path / f"t.{suffix}", text.replace(",", "\t") if suffix == "tsv" else text)
    assert [row["id"] for row in rows] == ["a", "b", "c", "d"]
    assert [row["title"] for row in rows] == [title, "Other Song", '12"', ""]
    assert {row["url"] for row in rows} == {LINK}


def test_two_stray_marks_do_not_join_the_rows_between_them(tmp_path):
    rows = read(tmp_path / "t.csv", f'id,title,url\na,"Weird,{LINK}\nb,x,{LINK}\nc,12",{LINK}\n')
    assert [row["title"] for row in rows] == ['"Weird', "x", '12"']


def test_a_mark_that_cannot_be_read_is_named_with_its_line(tmp_path):
    with pytest.raises(InputError, match="line 3: a quotation mark"):
        read(tmp_path / "t.csv", 'id,title\na,x\nb,"one, two\nc,y\n')


def test_many_stray_marks_are_read_in_bounded_time_and_depth(tmp_path):
    rows = read(tmp_path / "t.csv", "id,title\n" + "".join(f'r{i},"Song {i}\n' for i in range(3000)))
    assert [row["title"] for row in rows] == [f'"Song {i}' for i in range(3000)]


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("t.csv", "id;title\n1;a\n"),
        ("t.csv", "id\ttitle\n1\ta\n"),
        ("t.csv", "id|title\n1|a\n"),
        ("t.tsv", "id,title\n1,a\n"),
        ("t.csv", "sep=;\nid;title\n1;a\n"),
        ("t.csv", '"sep=,"\r\nid,title\r\n1,a\r\n'),
        ("t.csv", "id,title\r1,a\r"),
        ("t.csv", "\n\nid,title\n\n1,a\n\n"),
        ("t.csv", ' id , "title"\n1, a \n'.replace(', "title"', ",title")),
        ("t.csv", '"id","title"\n"1","a"\n'),
        ("t.csv", '"id" ,"title"\n"1" ,"a"'),
        ("t.csv", "\ufeffid,title\n1,a\n"),
        ("t.csv", ",id,title\n0,1,a\n"),
        ("t.csv", "id,title\n1,a,more,and more\n"),
        ("t.csv", "id,title\n1\0,a\n"),
    ],
)
def test_spreadsheets_of_every_kind(tmp_path, name, text):
    assert read(tmp_path / name, text) == [{"id": "1", "title": "a"}]


def test_bytes_of_other_encodings(tmp_path):
    assert read(tmp_path / "a.csv", "id,title\n1,Café\n2,".encode() + "Café – Zürich\n".encode("cp1252")) == [
        {"id": "1", "title": "Café"},
        {"id": "2", "title": "Café – Zürich"},
    ]
    assert read(tmp_path / "b.csv", "id\ttitle\r\n1\tカフェ\r\n".encode("utf-16")) == [{"id": "1", "title": "カフェ"}]


def test_rows_that_are_too_short_or_too_long_stay_rows(tmp_path):
    rows = read(tmp_path / "t.csv", "id,title,url\n1\n2,a,b,c\n3,a\n,,\n")
    assert rows == [
        {"id": "1", "title": "", "url": ""},
        {"id": "2", "title": "a", "url": "b"},
        {"id": "3", "title": "a", "url": ""},
        {"id": "", "title": "", "url": ""},
    ]


def test_doubled_columns_keep_both_values(tmp_path):
    (row,) = read(tmp_path / "t.csv", "id,title,title,,\n1,first,second,x,y\n")
    assert row == {"id": "1", "title": "first", "title.1": "second"}


def test_text_stays_as_it_is_written(tmp_path):
    values = ["007", "1e5", "NA", "null", "True", "12.0", "2020-01-01", "#x", "=1+1", "1_000"]
    rows = read(tmp_path / "t.csv", "id\n" + "\n".join(values) + "\n")
    assert [row["id"] for row in rows] == values


def test_a_lone_carriage_return_breaks_no_row(tmp_path):
    rows = read(tmp_path / "t.csv", "id,title\n1,a\rb\n2,c\n")
    assert [row["title"] for row in rows] == ["a\nb", "c"]
    with open_table(tmp_path / "out.csv", ["id", "title"]) as write:
        write(["1", "a\rb"])
        write(["2\0", "c\r\nd"])
    with (tmp_path / "out.csv").open(encoding="utf-8", newline="") as file:
        assert list(csv.DictReader(file)) == [{"id": "1", "title": "a\nb"}, {"id": "2", "title": "c\nd"}]


def test_long_values_are_read(tmp_path):
    long = "la " * 60_000
    assert read(tmp_path / "t.csv", f"id,lyrics\n1,{long}\n")[0]["lyrics"] == long.strip()
    assert read(tmp_path / "t.jsonl", json.dumps({"lyrics": long}))[0]["lyrics"] == long.strip()


@pytest.mark.parametrize("name", ["t.csv", "t.jsonl", "t.csv.gz"])
def test_a_line_without_an_end_is_not_read_into_memory(tmp_path, monkeypatch, name):
    monkeypatch.setattr(csv_records, "LONGEST_RECORD", 1000)
    content = b"x" * 5000
    with pytest.raises(InputError, match="line 1 is too long"):
        read(tmp_path / name, gzip.compress(content) if name.endswith("gz") else content)


def test_json_lines(tmp_path):
    lines = [
        '{"id": 12, "nothing": null, "nan": NaN, "inf": -Infinity, "yes": true, "x": 0.5}',
        '{"late": "é", "list": [1, "a", null], "deep": {"a": [{"b": 1}]}, "half": "a\\ud800b", "zero": "\\u0000"}',
        "",
        "{}",
        '{"huge": ' + "9" * 5000 + ', "large": 1e999, "": "no name"}',
    ]
    rows = read(tmp_path / "t.jsonl", "\n".join(lines))
    assert len(rows) == 4
    some = {name: text for name, text in rows[0].items() if text}
    assert some == {"id": "12", "yes": "true", "x": "0.5"}
    some = {name: text for name, text in rows[1].items() if text}
    assert some == {"late": "é", "list": '[1, "a", null]', "deep": '{"a": [{"b": 1}]}', "half": "a?b"}
    assert not any(rows[2].values())
    assert {name: len(text) for name, text in rows[3].items() if text} == {"huge": 5000}
    assert read(tmp_path / "e.jsonl", "{}\n{}\n") == [{}, {}]


@pytest.mark.parametrize("line", ["{", "[1]", "12", "[" * 100_000, '{"a": 1} {"a": 2}'])
def test_broken_json_is_named_with_its_line(tmp_path, line):
    with pytest.raises(InputError, match="line 2 is"):
        read(tmp_path / "t.jsonl", '{"id": 1}\n' + line + "\n")


def test_parquet_with_values_that_python_cannot_hold(tmp_path):
    pa = pytest.importorskip("pyarrow")
    parquet = pytest.importorskip("pyarrow.parquet")
    far = pa.array([2**55, 0, None], pa.int64()).cast(pa.timestamp("ms"))
    columns = {
        "id": pa.array([1.0, float("nan"), None]),
        "far": far,
        "picture": pa.array([b"\x89PNG\xff", b"text", None]),
        "image": pa.array([{"bytes": b"\xff\xd8", "path": "a.jpg"}, None, {"bytes": None, "path": None}]),
        "text": pa.array(["a\rb", "", None]),
    }
    table = pa.table(list(columns.values()), names=[*list(columns)[:-1], "id"])
    parquet.write_table(table, tmp_path / "t.parquet")
    rows = list(read_rows(tmp_path / "t.parquet"))
    assert [row["id"] for row in rows] == ["1.0", "", ""]
    assert [row["id.1"] for row in rows] == ["a\nb", "", ""]
    assert [row["far"] for row in rows] == ["", "1970-01-01 00:00:00", ""]
    assert [row["picture"] for row in rows] == ["", "text", ""]
    assert rows[0]["image"] == '{"bytes": "", "path": "a.jpg"}'


def test_a_missing_column_is_named(tmp_path):
    for name, text in (("t.csv", "id,b\n"), ("u.csv", "id,b\n1,2\n"), ("v.csv", "")):
        (tmp_path / name).write_text(text)
        with pytest.raises(InputError, match=r"has no column .*title"):
            list(read_rows(str(tmp_path / name), ["id", "title"]))


def test_an_error_or_a_full_disk_leaves_the_old_table(tmp_path, monkeypatch):
    (tmp_path / "t.csv").write_text("old")

    def fail():
        with open_table(tmp_path / "t.csv", ["a"]) as write:
            write([1])
            raise KeyError

    with pytest.raises(KeyError):
        fail()

    def full(*_args, **_options):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("csv.writer", lambda *_args, **_options: SimpleNamespace(writerow=full))
    with pytest.raises(OutputError, match="No space left"), open_table(tmp_path / "t.csv", ["a"]):
        pass
    assert [path.name for path in tmp_path.iterdir() if path.is_file()] == ["t.csv"]
    assert (tmp_path / "t.csv").read_text() == "old"


def test_what_is_written_reads_back_whatever_the_text(tmp_path, monkeypatch):
    monkeypatch.setattr(tables_module, "_BLOCK_ROWS", 7)
    chance = random.Random(3)  # noqa: S311 — texts, not secrets
    letters = "ab,;\t|\"\n'é\u2028 #="
    rows = [[str(number), *("".join(chance.choices(letters, k=5)).strip() for _ in range(3))] for number in range(500)]
    with open_table(tmp_path / "t.csv", ["id", "a", "b", "c"]) as write:
        for row in rows:
            write(row)
    assert [list(row.values()) for row in read_rows(tmp_path / "t.csv")] == rows


def test_a_header_with_quotes_and_carriage_returns(tmp_path):
    (tmp_path / "t.csv").write_bytes(b'preview|img|"a""b\rc"|x"y\rz\n1|2|3|4\n')
    assert list(read_rows(tmp_path / "t.csv")) == [{"preview": "1", "img": "2", 'a"b c': "3", 'x"y z': "4"}]


def test_a_quoted_value_longer_than_the_limit_of_the_csv_module(tmp_path):
    (tmp_path / "t.csv").write_text('a,b\n1,"x\n' + "p,q\n" * 50_000 + 'y,z"\n2,3\n')
    assert [row["a"] for row in read_rows(tmp_path / "t.csv")] == ["1", "2"]
