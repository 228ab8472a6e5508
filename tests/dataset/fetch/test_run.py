"""Whole fetches: every row accounted for, whatever the server does and whenever the process dies."""

import csv
import json
import random
import signal
import subprocess
import sys
import time
import tracemalloc
from collections import Counter

import pytest

from covergen_cli.config import FetchConfig
from covergen_cli.dataset.fetch.database import Database
from covergen_cli.dataset.fetch.run import fetch_dataset
from covergen_cli.dataset.images import clean as images
from covergen_cli.dataset.sources.base import Item
from covergen_cli.dataset.sources.table import TableSource
from covergen_cli.errors import ConfigError, InputError, OutputError
from covergen_cli.events import FetchFinished, FetchPlanned, PairFetched, PairMissed
from dataset_files import read_table
from fault_server import FaultServer, cover, song
from odd_sources import OddSource

# What becomes of a row whose music or cover is served with a fault.
FAULTS = [
    ("audio", "reset-once", "ok"),
    ("image", "404", "failed"),
    ("audio", "truncate-once", "ok"),
    ("audio", "ignore-range", "ok"),
    ("image", "html", "failed"),
    ("audio", "wrong-range", "ok"),
    ("audio", "lying-range", "ok"),
    ("audio", "410", "failed"),
    ("audio", "stall-once", "ok"),
    ("audio", "short-length", "failed"),
    ("image", "short-length", "failed"),
    ("image", "long-length", "failed"),
    ("image", "403", "failed"),
    ("audio", "429-once", "ok"),
    ("image", "wait-seconds-once", "ok"),
    ("audio", "wait-date-once", "ok"),
    ("audio", "500", "failed"),
    ("audio", "503-once", "ok"),
    ("image", "to-metadata", "failed"),
    ("audio", "circle", "failed"),
    ("image", "endless", "failed"),
    ("audio", "gzip-bomb", "failed"),
    ("image", "gzipped", "ok"),
    ("image", "png-bomb", "failed"),
    ("audio", "truncate", "failed"),
    ("audio", "moved", "ok"),
    ("audio", "noai", "filtered"),
    ("audio", "short", "filtered"),
    ("audio", "silent", "filtered"),
    ("image", "refuse-range", "ok"),
]
QUICK = {
    "timeout_seconds": 2.0,
    "backoff_seconds": 0.02,
    "wait_seconds": 2.0,
    "largest_mb": 0.3,
    "tries": 4,
    "concurrency": 16,
    "workers": 1,
}
PROGRAM = """
import sys
from covergen_cli.dataset.fetch import hosts
public = hosts.is_public
hosts.is_public = lambda address: address == "127.0.0.1" or public(address)
from covergen_cli.cli.main import run
sys.exit(run(sys.argv[1:]))
"""


@pytest.fixture
def server(monkeypatch):
    from covergen_cli.dataset.fetch import hosts

    monkeypatch.delenv("HF_HUB_OFFLINE")
    public = hosts.is_public
    monkeypatch.setattr(hosts, "is_public", lambda address: address == "127.0.0.1" or public(address))
    with FaultServer() as server:
        yield server


def write_table(path, server, count, faulty=3):
    """A table in which every so many rows have a fault; the row's number names its files."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["Name", "artist", "spotify_id", "preview", "img", "valence"])
        for number in range(count):
            faults = {"audio": "ok", "image": "ok"}
            if faulty and number % faulty == 0:
                kind, fault, _ = FAULTS[number // faulty % len(FAULTS)]
                faults[kind] = fault
            urls = [f"{server.url}/{kind}/{fault}/{number}.x" for kind, fault in faults.items()]
            writer.writerow([f"Song {number}", f"Band {number % 7}", f"s{number}", *urls, number / 100])
    return path


def expected(number, faulty=3):
    return FAULTS[number // faulty % len(FAULTS)][2] if number % faulty == 0 else "ok"


def run(table, folder, **settings):
    config = FetchConfig(**(QUICK | settings))
    return list(fetch_dataset(TableSource(table, config), folder, config))


def check(folder, count):
    """Every row is accounted for, as it should be, and every file is what was served."""
    rows = read_table(folder / "status.csv")
    assert [int(row["row"]) for row in rows] == list(range(1, count + 1))
    wrong = {
        row["id"]: (row["status"], row["reason"]) for row in rows if row["status"] != expected(int(row["row"]) - 1)
    }
    assert not wrong
    assert all(row["reason"] for row in rows if row["status"] != "ok")
    counts = json.loads((folder / "dataset.json").read_text())["counts"]
    assert counts["rows"] == count == sum(counts.values()) - counts["rows"]
    pairs = read_table(folder / "manifest.csv")
    assert [row["id"] for row in pairs] == [row["id"] for row in rows if row["status"] == "ok"]
    for pair in pairs:
        number = int(pair["id"][1:])
        assert (folder / pair["audio_path"]).read_bytes() == song(number)
        assert (folder / pair["image_path"]).read_bytes() == images.clean_image(cover(number)).jpeg
        assert pair["title"] == f"Song {number}"
        assert float(pair["valence"]) == number / 100
    left = {path.name for path in (folder / ".fetch").rglob("*")}
    assert left <= {"ledger.sqlite", "ledger.sqlite-wal"}
    assert not [path for path in folder.rglob("*") if path.suffix in {".part", ".name"} or path.name.startswith(".a")]


def kill_and_rerun(table, folder, server, *, kills, step, workers):
    """Run the command, kill it after some requests, again and again; then let it end. Return its exit code."""
    chance = random.Random(7)  # noqa: S311 — any moment will do
    settings = [f"--{name.replace('_', '-')}={value}" for name, value in (QUICK | {"workers": workers}).items()]
    command = [sys.executable, "-c", PROGRAM, "fetch", str(table), "-o", str(folder), *settings, "-q"]
    for _ in range(kills):
        goal = len(server.requests) + chance.randint(1, step)
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
        while len(server.requests) < goal and process.poll() is None:
            time.sleep(0.001)
        time.sleep(chance.random() * 0.05)
        process.kill()
        assert process.wait() == -signal.SIGKILL, process.stderr.read()
        process.stderr.close()
    return subprocess.run(command, capture_output=True, text=True, check=False)


def test_a_third_of_the_rows_faulty_and_killed_twice(server, tmp_path):
    count = 3 * len(FAULTS)
    table = write_table(tmp_path / "t.csv", server, count)
    ended = kill_and_rerun(table, tmp_path / "D", server, kills=2, step=70, workers=1)
    assert ended.returncode == 3, ended.stderr
    assert ended.stdout.splitlines() == [str(tmp_path / "D" / "manifest.csv")]
    check(tmp_path / "D", count)
    asked = Counter(path for path, _ in server.requests if "/ok/" in path)
    again = sum(times - 1 for times in asked.values())
    assert again <= 2 * 2 * (QUICK["concurrency"] + 4), "only what was under way at a kill is asked for again"
    server.requests.clear()
    run(table, tmp_path / "D", retry="none")
    assert not server.requests
    check(tmp_path / "D", count)


@pytest.mark.slow
def test_two_thousand_rows_and_ten_kills(server, tmp_path):
    count = 2000
    table = write_table(tmp_path / "t.csv", server, count)
    began = time.monotonic()
    ended = kill_and_rerun(table, tmp_path / "D", server, kills=10, step=600, workers=2)
    assert ended.returncode == 3, ended.stderr
    check(tmp_path / "D", count)
    counts = json.loads((tmp_path / "D" / "dataset.json").read_text())["counts"]
    asked = Counter(path for path, _ in server.requests if "/ok/" in path)
    again = sum(times - 1 for times in asked.values())
    sys.stderr.write(
        f"\n{counts}, {len(server.requests)} requests, {again} files without a fault asked for again, "
        f"{time.monotonic() - began:.0f} s\n"
    )


def test_events_tell_what_happens(server, tmp_path):
    table = write_table(tmp_path / "t.csv", server, 12)
    events = run(table, tmp_path / "D")
    planned = next(event for event in events if isinstance(event, FetchPlanned))
    assert (planned.total, planned.pending) == (12, 12)
    fetched = [event for event in events if isinstance(event, PairFetched)]
    missed = [event for event in events if isinstance(event, PairMissed)]
    finished = events[-1]
    assert isinstance(finished, FetchFinished)
    assert (len(fetched), len(missed)) == (finished.counts["ok"], finished.counts["failed"]) == (11, 1)
    assert finished.dead == 1
    assert finished.causes == {"404": 1}
    assert finished.bytes == sum(event.bytes for event in fetched) > 0
    assert finished.hosts == {server.url.removeprefix("http://"): (11, 1)}


def test_files_that_are_lost_are_fetched_again_and_no_others(server, tmp_path):
    table, folder = write_table(tmp_path / "t.csv", server, 9, faulty=0), tmp_path / "D"
    run(table, folder)
    (folder / "images" / "s3.jpg").unlink()
    (folder / "audio" / "s5.wav").write_bytes(b"")
    server.requests.clear()
    run(table, folder)
    assert {path.split("/")[-1] for path, _ in server.requests} == {"3.x", "5.x"}
    assert len(read_table(folder / "manifest.csv")) == 9


def test_a_repeated_id_is_a_duplicate_of_the_first_row(server, tmp_path):
    table = write_table(tmp_path / "t.csv", server, 4, faulty=0)
    lines = table.read_text().splitlines()
    table.write_text("\n".join([*lines, lines[2], lines[1]]) + "\n")
    *_, finished = run(table, tmp_path / "D")
    assert finished.counts == {"rows": 6, "ok": 4, "failed": 0, "duplicate": 2, "filtered": 0}
    rows = read_table(tmp_path / "D" / "status.csv")
    assert [row["reason"] for row in rows[4:]] == ["row 2 has the same id", "row 1 has the same id"]
    assert len(server.requests) == 8


def test_equal_covers_are_marked_or_dropped(server, tmp_path):
    table = write_table(tmp_path / "t.csv", server, 4, faulty=0)
    table.write_text(table.read_text().replace("/image/ok/3.x", "/image/ok/1.x"))
    run(table, tmp_path / "D")
    marked = read_table(tmp_path / "D" / "manifest.csv")
    assert [row["cover_id"] for row in marked] == ["s0", "s1", "s2", "s1"]
    server.requests.clear()
    *_, finished = run(table, tmp_path / "D", dedupe="drop")
    assert finished.counts == {"rows": 4, "ok": 3, "failed": 0, "duplicate": 1, "filtered": 0}
    assert [row["id"] for row in read_table(tmp_path / "D" / "manifest.csv")] == ["s0", "s1", "s2"]
    assert "s1" in read_table(tmp_path / "D" / "status.csv")[3]["reason"]
    run(table, tmp_path / "D", dedupe="none")
    assert "cover_id" not in read_table(tmp_path / "D" / "manifest.csv")[0]
    assert not server.requests, "all of this is decided from what is known"


def test_limit_and_sample(server, tmp_path):
    table, folder = write_table(tmp_path / "t.csv", server, 40, faulty=0), tmp_path / "D"
    *_, finished = run(table, folder, limit=5)
    assert finished.counts["rows"] == 5
    server.requests.clear()
    run(table, folder, limit=7)
    assert len(server.requests) == 4, "only two rows are new"
    drawn = []
    for name, seed in (("A", 0), ("B", 0), ("C", 1)):
        run(table, tmp_path / name, sample=8, seed=seed)
        drawn.append([row["id"] for row in read_table(tmp_path / name / "status.csv")])
    assert len(drawn[0]) == 8
    assert drawn[0] == drawn[1] != drawn[2]
    longer = write_table(tmp_path / "t" / "t.csv", server, 60, faulty=0)
    run(longer, tmp_path / "A", sample=8)
    kept = {row["id"] for row in read_table(tmp_path / "A" / "status.csv")} & set(drawn[0])
    assert len(kept) >= 3, "a sample changes little when rows are added"


def test_credentials_in_urls_are_written_nowhere_but_in_the_database(server, tmp_path, caplog):
    host = server.url.removeprefix("http://")
    rows = [
        f"http://ana:secret@{host}/audio/{fault}/{n}.wav,http://{host}/image/ok/{n}.jpg"
        for n, fault in enumerate(["ok", "404"])
    ]
    rows.append("file://ana:secret@host/a.wav,file://ana:secret@host/a.jpg")
    table = tmp_path / "t.csv"
    table.write_text("preview,img\n" + "\n".join(rows) + "\n")
    config = FetchConfig(workers=1, tries=1, allow_private_hosts=True)
    events = list(fetch_dataset(TableSource(table, config), tmp_path / "DATA", config, errors=tmp_path / "errors.csv"))
    assert events[-1].counts["ok"] == 1
    texts = [str(events), caplog.text]
    texts += [
        path.read_text() for path in [*(tmp_path / "DATA").glob("*.*"), tmp_path / "errors.csv"] if path.is_file()
    ]
    assert len(texts) == 6
    assert not [text for text in texts if "secret" in text or "ana" in text]
    assert f"http://{host}/audio/ok/0.wav" in (tmp_path / "DATA" / "status.csv").read_text()


def test_which_failures_are_tried_again(server, tmp_path):
    table = write_table(tmp_path / "t.csv", server, 3, faulty=0)
    text = table.read_text().replace("/image/ok/0.x", "/image/404-once/0.x").replace("/ok/1.x", "/500/1.x")
    table.write_text(text)
    folder = tmp_path / "D"
    assert run(table, folder)[-1].counts["failed"] == 2
    for retry, asked in (("none", set()), ("passing", {"1.x"}), ("all", {"0.x", "1.x"})):
        server.requests.clear()
        run(table, folder, retry=retry)
        assert {path.split("/")[-1] for path, _ in server.requests} == asked
    assert [row["status"] for row in read_table(folder / "status.csv")] == ["ok", "failed", "ok"]


def test_a_row_that_names_other_files_now_is_fetched_again(server, tmp_path):
    table, folder = write_table(tmp_path / "t.csv", server, 3, faulty=0), tmp_path / "D"
    run(table, folder)
    table.write_text(table.read_text().replace("/audio/ok/1.x", "/audio/ok/9.x").replace("Song 2", "Other"))
    server.requests.clear()
    run(table, folder)
    assert {path for path, _ in server.requests} == {"/audio/ok/9.x", "/image/ok/1.x"}
    assert (folder / "audio" / "s1.wav").read_bytes() == song(9)
    assert read_table(folder / "manifest.csv")[2]["title"] == "Other", "metadata is that of the table"


def test_an_interrupted_run_leaves_true_tables(server, tmp_path):
    table, folder = write_table(tmp_path / "t.csv", server, 60, faulty=0), tmp_path / "D"
    config = FetchConfig(**QUICK | {"concurrency": 2})
    events = fetch_dataset(TableSource(table, config), folder, config)
    fetched = []
    for event in events:
        fetched += [event] if isinstance(event, PairFetched) else []
        if len(fetched) == 5:
            break
    events.close()
    counts = json.loads((folder / "dataset.json").read_text())["counts"]
    assert counts["rows"] == 60 == counts["ok"] + counts["failed"]
    assert counts["ok"] >= 5
    rows = read_table(folder / "status.csv")
    assert {row["cause"] for row in rows if row["status"] == "failed"} == {"not tried"}
    assert run(table, folder)[-1].counts["ok"] == 60


def test_a_full_disk_ends_the_run_and_loses_nothing(server, tmp_path, monkeypatch):
    from covergen_cli.dataset.fetch import partial

    table, folder = write_table(tmp_path / "t.csv", server, 30, faulty=0), tmp_path / "D"
    finish, finished = partial.Partial.finish, []

    def full(self):
        finished.append(self)
        if len(finished) > 20:
            raise OSError(28, "No space left on device")
        finish(self)

    monkeypatch.setattr(partial.Partial, "finish", full)
    with pytest.raises(OutputError) as raised:
        run(table, folder)
    assert "No space left" in raised.value.message
    assert "Free space" in raised.value.hint
    assert len(read_table(folder / "status.csv")) == 30
    monkeypatch.undo()
    assert run(table, folder, allow_private_hosts=True)[-1].counts["ok"] == 30


def test_two_runs_in_one_folder_keep_out_of_each_other_s_way(server, tmp_path):
    table, folder = write_table(tmp_path / "t.csv", server, 5, faulty=0), tmp_path / "D"
    events = fetch_dataset(TableSource(table, FetchConfig(**QUICK)), folder, FetchConfig(**QUICK))
    next(events)
    with pytest.raises(OutputError, match="another covergen fetch"):
        run(table, folder)
    events.close()
    assert run(table, folder)[-1].counts["ok"] == 5


def test_a_folder_that_belongs_to_something_else(server, tmp_path):
    table, folder = write_table(tmp_path / "t.csv", server, 2, faulty=0), tmp_path / "D"
    folder.mkdir()
    (folder / "manifest.csv").write_text("id,audio_path,image_path\n")
    with pytest.raises(ConfigError, match="did not write"):
        run(table, folder)
    run(table, tmp_path / "E")
    other = write_table(tmp_path / "other.csv", server, 2, faulty=0)
    with pytest.raises(ConfigError, match=r"filled with name t\.csv, not other\.csv"):
        run(other, tmp_path / "E")


def test_another_table_of_the_same_name_does_not_take_a_folder_over(server, tmp_path):
    table, folder = write_table(tmp_path / "one" / "t.csv", server, 4, faulty=0), tmp_path / "D"
    run(table, folder)
    before = {path.name: path.read_bytes() for path in (folder / "audio").iterdir()}
    text = table.read_text()
    for number, other in enumerate((text.replace("/ok/0.x", "/ok/9.x"), "\n".join(text.splitlines()[:2]))):
        path = tmp_path / f"other{number}" / "t.csv"
        path.parent.mkdir()
        path.write_text(other)
        with pytest.raises(ConfigError, match="filled from another table of the same name"):
            run(path, folder)
    assert {path.name: path.read_bytes() for path in (folder / "audio").iterdir()} == before
    assert len(read_table(folder / "manifest.csv")) == 4
    moved = table.rename(tmp_path / "t.csv")
    moved.write_text(text + text.splitlines()[1].replace("s0", "s9").replace("/ok/0.x", "/ok/9.x") + "\n")
    assert run(moved, folder)[-1].counts["ok"] == 5


def test_columns_named_like_ours_keep_their_values(server, tmp_path):
    table, folder = write_table(tmp_path / "t.csv", server, 2, faulty=0), tmp_path / "D"
    header, *rows = table.read_text().splitlines()
    names = ["id", "audio_path", "seconds", "cover_id", "lettering", "source_id"]
    table.write_text(
        "\n".join([f"{header},{','.join(names)}", *(f"{row},{','.join(map(str.upper, names))}" for row in rows)])
    )
    for dedupe in ("mark", "none"):
        run(table, folder, dedupe=dedupe)
        row = read_table(folder / "manifest.csv")[0]
        assert (row["id"], row["audio_path"], row.get("cover_id")) == (
            "s0",
            "audio/s0.wav",
            "s0" if dedupe == "mark" else None,
        )
        assert [row[f"source_{name}"] for name in names[:5]] == [name.upper() for name in names[:5]]
        assert row["source_source_id"] == "SOURCE_ID" or row["source_id"] == "SOURCE_ID"


def test_a_damaged_database_says_so(server, tmp_path):
    table, folder = write_table(tmp_path / "t.csv", server, 2, faulty=0), tmp_path / "D"
    run(table, folder)
    (folder / ".fetch" / "ledger.sqlite").write_bytes(b"no database" * 100)
    with pytest.raises(OutputError, match=r"ledger\.sqlite"):
        run(table, folder)


def test_a_table_that_cannot_be_read_to_its_end_changes_nothing(server, tmp_path):
    table, folder = write_table(tmp_path / "t.csv", server, 3, faulty=0), tmp_path / "D"
    run(table, folder)
    before = (folder / "status.csv").read_bytes()
    table.write_bytes(table.read_bytes() + b'"cut off')
    with pytest.raises(InputError):
        run(table, folder)
    assert (folder / "status.csv").read_bytes() == before


def test_what_a_source_says_of_its_rows(tmp_path):
    source = OddSource(("good", "unwanted", "broken", "good"))
    events = list(fetch_dataset(source, tmp_path / "D", FetchConfig(workers=1), errors=tmp_path / "errors.csv"))
    assert events[-1].counts == {"rows": 4, "ok": 2, "failed": 1, "duplicate": 0, "filtered": 1}
    pair = read_table(tmp_path / "D" / "manifest.csv")[0]
    assert (pair["title"], pair["learnt"], pair["audio_path"]) == ("T1", "yes", "audio/o1.wav")
    assert [row["reason"] for row in read_table(tmp_path / "errors.csv")] == ["broken"]


def test_what_nobody_thought_of_fails_one_row(tmp_path):
    source = OddSource(("good", "bug", "good"))
    *_, finished = fetch_dataset(source, tmp_path / "D", FetchConfig(workers=1))
    assert finished.counts["ok"] == 2
    reason = read_table(tmp_path / "D" / "status.csv")[1]["reason"]
    assert reason == "unexpected RuntimeError: nobody thought of that"


def test_a_full_disk_in_a_worker_ends_the_run(tmp_path):
    with pytest.raises(OutputError, match="No space left"):
        list(fetch_dataset(OddSource(("good", "full")), tmp_path / "D", FetchConfig(workers=1)))
    assert read_table(tmp_path / "D" / "status.csv")[1]["cause"] == "not tried"


def test_what_kills_a_worker_fails_alone(tmp_path):
    source = OddSource(("good", "crash", "good"))
    *_, finished = fetch_dataset(source, tmp_path / "D", FetchConfig(workers=2))
    assert finished.counts == {"rows": 3, "ok": 2, "failed": 1, "duplicate": 0, "filtered": 0}
    assert finished.causes == {"crash": 1}
    assert read_table(tmp_path / "D" / "status.csv")[1]["status"] == "failed"


def test_memory_does_not_grow_with_rows(tmp_path, monkeypatch):
    def items():
        for row in range(1, 2001):
            yield Item(row, f"id{row}", f"http://host/audio/{row}", f"http://host/image/{row}", {"title": "x" * 2000})

    monkeypatch.setattr("covergen_cli.dataset.fetch.database._ITEMS_AT_ONCE", 100)

    database = Database(tmp_path / "ledger.sqlite")
    tracemalloc.start()
    for _ in database.replace_listing(items(), str, None, same_source=True):
        pass
    assert sum(1 for _ in database.pending_items("passing")) == 2000
    assert sum(1 for _ in database.settled()) == 2000
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    database.close()
    assert peak < 2e6, "a batch of rows, not all: they are more than 4 MB"


def test_lettering_is_flagged_or_filtered_also_afterwards(tmp_path, monkeypatch):
    from covergen_cli.dataset.fetch import run as fetch

    source = OddSource(("good", "good"))
    list(fetch_dataset(source, tmp_path / "D", FetchConfig(workers=1)))
    shares = iter([0.01, 0.5])
    monkeypatch.setattr(fetch, "text_area", lambda _: next(shares))
    list(fetch_dataset(source, tmp_path / "D", FetchConfig(workers=1, lettering="flag")))
    assert [row["lettering"] for row in read_table(tmp_path / "D" / "manifest.csv")] == ["0.0100", "0.5000"]
    *_, finished = fetch_dataset(source, tmp_path / "D", FetchConfig(workers=1, lettering="drop"))
    assert finished.causes == {"lettering": 1}
    assert read_table(tmp_path / "D" / "status.csv")[1]["reason"] == "50% of the cover is text"


def test_causes_tell_music_from_images(server, tmp_path):
    table = write_table(tmp_path / "t.csv", server, 4, faulty=0)
    text = table.read_text()
    for number, place in enumerate(("image/html", "audio/html", "audio/silent", "image/noai")):
        text = text.replace(f"{place.split('/')[0]}/ok/{number}.x", f"{place}/{number}.x")
    table.write_text(text)
    *_, finished = run(table, tmp_path / "D")
    assert finished.causes == {"unusable image": 1, "unusable music": 1, "unwanted music": 1, "noai": 1}
    *_, finished = run(table, tmp_path / "D", retry="all", ignore_noai=True)
    assert finished.counts["ok"] == 1
