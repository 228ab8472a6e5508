"""``covergen fetch`` as a user runs it, from each of its sources."""

import csv
import json

import pytest

from fault_server import FaultServer, cover, song


def table(path, server, faults):
    """A table with one row per fault of its image."""
    lines = [
        f"Song {n},Band,id{n},{server.url}/audio/ok/{n}.wav,{server.url}/image/{fault}/{n}.jpg"
        for n, fault in enumerate(faults)
    ]
    path.write_text("\n".join(["Name,artist,spotify_id,preview,img", *lines]) + "\n")
    return path


@pytest.fixture
def server(monkeypatch):
    monkeypatch.delenv("HF_HUB_OFFLINE")
    with FaultServer() as server:
        yield server


QUICK = ("--allow-private-hosts", "--workers", "1", "--backoff-seconds", "0.01", "--tries", "2")


def test_a_table(covergen, server, tmp_path):
    ended = covergen("fetch", table(tmp_path / "t.csv", server, ["ok", "ok"]), "-o", tmp_path / "D", *QUICK)
    assert (ended.code, ended.out.splitlines()) == (0, [str(tmp_path / "D" / "manifest.csv")]), ended.err
    assert "2 of 2 rows are pairs" in ended.err
    assert covergen("embed", tmp_path / "D", "-q").code == 0, "the next step takes it from here"


def test_some_rows_fail(covergen, server, tmp_path):
    source = table(tmp_path / "t.csv", server, ["ok", "404", "html", "noai"])
    ended = covergen("fetch", source, "-o", tmp_path / "D", *QUICK, "-v", "--errors", tmp_path / "bad.csv")
    assert (ended.code, ended.out.splitlines()) == (3, [str(tmp_path / "D" / "manifest.csv")])
    for words in (
        "1 of 4 rows are pairs",
        "2 failed",
        "1 filtered",
        "1 404",
        "1 noai",
        "dead links (404 or 410): 1",
        "bad.csv",
    ):
        assert words in ended.err
    assert "row 2, id1: image http" in ended.err
    with (tmp_path / "bad.csv").open(newline="") as file:
        assert [row["id"] for row in csv.DictReader(file)] == ["id1", "id2"]


def test_json(covergen, server, tmp_path):
    source = table(tmp_path / "t.csv", server, ["ok", "410"])
    record = json.loads(covergen("fetch", source, "-o", tmp_path / "D", *QUICK, "--json", "-q").out)
    assert {name: record[name] for name in ("schema", "status", "rows", "ok", "failed", "dead_links")} == {
        "schema": 1,
        "status": "partly",
        "rows": 2,
        "ok": 1,
        "failed": 1,
        "dead_links": 1,
    }
    assert record["hosts"] == {server.url.removeprefix("http://"): {"ok": 1, "missed": 1}}
    assert record["manifest"] == str(tmp_path / "D" / "manifest.csv")


def test_an_overview_to_look_at(covergen, server, tmp_path):
    source, page = table(tmp_path / "t.csv", server, ["ok", "404"]), tmp_path / "D" / "report.html"
    ended = covergen("fetch", source, "-o", tmp_path / "D", *QUICK, "--report")
    assert f"saved the overview to {page}" in ended.err
    assert "Song 0" in page.read_text(encoding="utf-8")
    record = json.loads(covergen("fetch", source, "-o", tmp_path / "D", *QUICK, "--report", "--json", "-q").out)
    assert record["report"] == str(page)


def test_nothing_but_failures(covergen, server, tmp_path):
    ended = covergen("fetch", table(tmp_path / "t.csv", server, ["404"]), "-o", tmp_path / "D", *QUICK)
    assert (ended.code, ended.out) == (1, "")


def test_private_addresses_need_to_be_allowed(covergen, server, tmp_path):
    ended = covergen("fetch", table(tmp_path / "t.csv", server, ["ok"]), "-o", tmp_path / "D", "--workers", "1")
    assert ended.code == 1
    assert "1 forbidden address" in ended.err
    assert not server.requests


def test_file_urls_need_no_network(covergen, tmp_path):
    (tmp_path / "a.wav").write_bytes(song(1))
    (tmp_path / "b.jpg").write_bytes(cover(1))
    (tmp_path / "t.tsv").write_text(f"audio\timage\n{(tmp_path / 'a.wav').as_uri()}\t{(tmp_path / 'b.jpg').as_uri()}\n")
    columns = ("--audio-column", "audio", "--image-column", "image")
    ended = covergen("fetch", tmp_path / "t.tsv", "-o", tmp_path / "D", *columns, "--workers", "1", "--offline")
    assert ended.code == 0, ended.err
    (audio,) = (tmp_path / "D" / "audio").iterdir()
    assert audio.read_bytes() == song(1)


def test_a_folder_of_music(covergen, tmp_path):
    (tmp_path / "music" / "band").mkdir(parents=True)
    (tmp_path / "music" / "band" / "song.wav").write_bytes(song(1))
    (tmp_path / "music" / "band" / "cover.jpg").write_bytes(cover(1))
    ended = covergen("fetch", tmp_path / "music", "-o", tmp_path / "D", "--workers", "1")
    assert ended.code == 0, ended.err
    with (tmp_path / "D" / "manifest.csv").open(newline="") as file:
        (row,) = csv.DictReader(file)
    assert row["audio_path"] == str(tmp_path / "music" / "band" / "song.wav"), "the music stays where it is"
    assert (row["title"], row["image_path"]) == ("song", f"images/{row['id']}.jpg")


def test_synthetic_pairs(covergen, tmp_path):
    ended = covergen("fetch", "synthetic:2", "-o", tmp_path / "D", "--workers", "1", "--lettering", "flag")
    assert ended.code == 0, ended.err
    with (tmp_path / "D" / "manifest.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["id"] for row in rows] == ["synthetic-000000", "synthetic-000001"]
    assert all(row["genre"] and 0 <= float(row["lettering"]) < 0.04 for row in rows)
    ended = covergen("fetch", "synthetic:3", "-o", tmp_path / "D", "--workers", "1")
    assert "1 to fetch" in ended.err
    assert "3 of 3 rows are pairs" in ended.err


def test_interrupted(covergen, server, tmp_path, monkeypatch):
    from covergen_cli.dataset.fetch import run as fetch

    def stop(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(fetch._Run, "_settle", stop)
    ended = covergen("fetch", table(tmp_path / "t.csv", server, ["ok"] * 3), "-o", tmp_path / "D", *QUICK)
    assert (ended.code, ended.out) == (130, "")
    assert "run the same command again to continue" in ended.err
    monkeypatch.undo()
    assert covergen("fetch", tmp_path / "t.csv", "-o", tmp_path / "D", *QUICK).code == 0


@pytest.mark.parametrize(
    ("line", "code", "words"),
    [
        (["missing.csv", "-o", "D"], 1, "does not exist"),
        (["t.csv", "-o", "D", "--audio-column", "mp3"], 2, "no column 'mp3'"),
        (["t.csv"], 2, "--output"),
        (["t.csv", "-o", "D", "--concurrency", "0"], 2, "concurrency"),
        (["synthetic:x", "-o", "D"], 2, "no number of pairs"),
        (["t.txt", "-o", "D"], 1, "not a table that can be read"),
        (["t.csv", "-o", "t.csv"], 2, "t.csv"),
    ],
)
def test_what_cannot_work_says_why(covergen, tmp_path, monkeypatch, line, code, words):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "t.csv").write_text("preview,img\nhttp://h/a,http://h/b\n")
    (tmp_path / "t.txt").write_text("x")
    ended = covergen("fetch", *line)
    assert (ended.code, ended.out) == (code, "")
    assert words in ended.err
    assert "bug" not in ended.err
    assert not (tmp_path / "D").exists()
