"""Whole fetches: every row accounted for, whatever the server does and whenever the process dies."""

import csv
import json
import random
import signal
import subprocess
import sys
import time
from collections import Counter

import pytest

from covergen_cli.config import FetchConfig
from covergen_cli.data import images
from covergen_cli.data.fetch import fetch_dataset
from covergen_cli.data.tables import TableSource
from covergen_cli.events import FetchFinished, FetchPlanned, PairFetched, PairMissed
from fault_server import FaultServer, cover, song

from .conftest import read_table

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
    ("audio", "short-length", "filtered"),
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
    "timeout_seconds": 0.5,
    "backoff_seconds": 0.02,
    "wait_seconds": 2.0,
    "largest_mb": 0.3,
    "tries": 3,
    "concurrency": 16,
    "workers": 1,
}
PROGRAM = """
import sys
from covergen_cli.data import _hosts
public = _hosts.is_public
_hosts.is_public = lambda address: address == "127.0.0.1" or public(address)
from covergen_cli.cli.main import run
sys.exit(run(sys.argv[1:]))
"""


@pytest.fixture
def server(monkeypatch):
    from covergen_cli.data import _hosts

    public = _hosts.is_public
    monkeypatch.setattr(_hosts, "is_public", lambda address: address == "127.0.0.1" or public(address))
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


def test_a_third_of_the_rows_faulty_and_killed_three_times(server, tmp_path):
    count = 150
    table = write_table(tmp_path / "t.csv", server, count)
    ended = kill_and_rerun(table, tmp_path / "D", server, kills=3, step=90, workers=1)
    assert ended.returncode == 3, ended.stderr
    assert ended.stdout.splitlines() == [str(tmp_path / "D" / "manifest.csv")]
    check(tmp_path / "D", count)
    asked = Counter(path for path, _ in server.requests if "/ok/" in path)
    again = sum(times - 1 for times in asked.values())
    assert again <= 3 * 2 * (QUICK["concurrency"] + 4), "only what was under way at a kill is asked for again"
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
