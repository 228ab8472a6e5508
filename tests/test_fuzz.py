"""Random names, tags, tables and headers: whatever comes, it is used or refused in plain words.

A slice runs with every test run; ``pytest -m slow tests/test_fuzz.py`` tries ten thousand inputs. An input that fails
is found again by its kind and seed: ``random.Random(f"{kind} {seed}")``.
"""

# ruff: noqa: S311 — these numbers are for tests

import csv
import io
import json
import os
import random
import resource
import signal
import sys
import zlib
from contextlib import contextmanager, suppress

import pytest
from PIL import Image

from audio.signals import tone, write_audio
from covergen_cli.audio.embedded_images import read_pictures
from covergen_cli.audio.io import load, probe
from covergen_cli.audio.validate import validate
from covergen_cli.cli.main import run
from covergen_cli.config import FetchConfig
from covergen_cli.covers.inputs import find_songs, read_list
from covergen_cli.covers.tag_pictures import open_tags
from covergen_cli.dataset.fetch import http, partial
from covergen_cli.dataset.fetch.run import fetch_dataset, open_source
from covergen_cli.dataset.sources.table import TableSource
from covergen_cli.dataset.tables import clean, open_table, read_rows
from covergen_cli.errors import CovergenError
from dataset_files import read_table, write_song

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="needs names that are bytes, and alarms")

NAMES_PER_FOLDER = 25
SECONDS, MEGABYTES = 60, 400
"""What one input may take, and what all of a test may add to the memory of the process."""

CODECS = {"mp3": "libmp3lame", "m4a": "aac", "flac": "flac", "ogg": "vorbis", "opus": "libopus", "wav": "pcm_s16le"}


@contextmanager
def bounded(what):
    """Fail after a minute, and name the input in any failure."""

    def stop(*_):
        raise TimeoutError

    signal.signal(signal.SIGALRM, stop)
    signal.alarm(SECONDS)
    try:
        yield
    except BaseException as error:
        error.add_note(what) if hasattr(error, "add_note") else None
        raise
    finally:
        signal.alarm(0)


def some_bytes(dice, most=40):
    alphabet = (
        b"abc 01.,;|\t'\"%{}[]\\/-_=:@#?&*!~\r\n\xff\xfe\xe9\x80\x00\xc3\xa4\xf0\x9f\x8e\xb5\xed\xa0\x80\xef\xbb\xbf"
    )
    return bytes(dice.choices(alphabet, k=dice.randrange(most)))


def some_text(dice, most=40):
    return some_bytes(dice, most).decode("utf-8", dice.choice(["replace", "surrogateescape", "ignore"]))


def mutated(dice, data, head=4000):
    """Change, insert, delete or repeat some bytes, mostly near the beginning or the end, and perhaps cut the rest."""
    data = bytearray(data)
    for _ in range(dice.randrange(1, 12)):
        span = min(head, len(data)) or 1
        place = dice.randrange(span) if dice.random() < 0.8 else max(0, len(data) - 1 - dice.randrange(span))
        kind = dice.randrange(4)
        if kind == 0:
            data[place : place + 1] = bytes([dice.choice([0, 1, 0x7F, 0x80, 0xFF, dice.randrange(256)])])
        elif kind == 1:
            data[place:place] = some_bytes(dice)
        elif kind == 2:
            del data[place : place + dice.randrange(1, 30)]
        else:
            data[place : place + 4] = dice.choice([b"\xff\xff\xff\xff", b"\0\0\0\0", b"\x7f\xff\xff\xff", data[:4]])
    return bytes(data[: dice.randrange(len(data) + 1)] if dice.random() < 0.2 else data)


@pytest.fixture(scope="session")
def originals(tmp_path_factory):
    folder = tmp_path_factory.mktemp("originals")
    buffer = io.BytesIO()
    Image.effect_noise((64, 64), 90).convert("RGB").save(buffer, format="JPEG")
    songs = {}
    for suffix, codec in CODECS.items():
        song = write_audio(folder / f"song.{suffix}", tone(440, 1.0, 48000), 48000, codec, "stereo")
        if suffix != "wav":
            open_tags(song).write(folder / f"art.{suffix}", buffer.getvalue(), (64, 64))
            song = folder / f"art.{suffix}"
        songs[suffix] = song.read_bytes()
    return songs, buffer.getvalue()


def fuzz_tags(dice, folder, originals):
    songs, jpeg = originals
    suffix = dice.choice(list(songs))
    song, copy = folder / f"song.{suffix}", folder / f"copy.{suffix}"
    song.write_bytes(mutated(dice, songs[suffix]))
    for work in (probe, read_pictures, lambda path: load(path, 8000), lambda path: validate(path, 60.0)):
        with suppress(CovergenError):
            work(song)
    with suppress(CovergenError):
        tags = open_tags(song)
        before = tags.sha256_without_art()
        tags.pictures()
        tags.write(copy, jpeg, (64, 64))
        assert open_tags(copy).pictures() == [jpeg]
        assert open_tags(copy).sha256_without_art() == before


def fuzz_tables(dice, folder, _originals):
    suffix = dice.choice([".csv", ".tsv", ".jsonl", ".csv.gz", ".parquet"])
    mark = dice.choice([",", "\t", ";", "|"])
    ends = dice.choice(["\n", "\r\n", "\r"])
    names = dice.sample(["preview", "img", "id", "title", "artist", "", "preview", "seconds", some_text(dice)], 5)
    rows = [names, *([some_text(dice) for _ in range(dice.randrange(4, 7))] for _ in range(dice.randrange(6)))]
    if suffix == ".jsonl":
        values = [None, 1, 1.5, True, [1], {"a": 1}, float("nan"), 10**400, "x"]
        records = [dict(zip(names, (dice.choice([*values, *row]) for _ in row), strict=False)) for row in rows]
        text = ends.join(json.dumps(record) for record in records)
    elif dice.random() < 0.5:
        buffer = io.StringIO()
        csv.writer(buffer, delimiter=mark, lineterminator=ends).writerows(rows)
        text = buffer.getvalue()
    else:
        text = ends.join(mark.join(row) for row in rows)
    data = text.encode(dice.choice(["utf-8", "utf-16", "latin-1", "utf-8-sig"]), "replace")
    data = mutated(dice, data) if data and dice.random() < 0.4 else data
    path = folder / f"table{suffix}"
    path.write_bytes(zlib.compress(data, wbits=31) if suffix.endswith("gz") and dice.random() < 0.9 else data)
    with suppress(CovergenError):
        items = list(TableSource(path, FetchConfig()).items())
        assert [item.row for item in items] == list(range(1, len(items) + 1))
    columns = [f"c{number}" for number in range(dice.randrange(1, 5))]
    written = [[some_text(dice) for _ in columns] for _ in range(3)]
    with open_table(folder / "ours.csv", columns) as write:
        for row in written:
            write(row)
    found = [list(row.values()) for row in read_rows(folder / "ours.csv")]
    cleaned = [[clean(value) for value in row] for row in written]
    assert found == cleaned


def fuzz_headers(dice, folder, _originals):
    number = dice.choice(["0", "1", "99", "100", "-1", "9" * 30, "1.5", " 7 ", "٣"])
    span = dice.choice(
        [f"bytes 0-99/{number}", f"bytes {number}-99/100", "bytes */100", "items 0-1/2", some_text(dice)]
    )
    headers = {
        "content-range": span,
        "content-length": number,
        "etag": some_text(dice),
        "last-modified": some_text(dice),
        "content-encoding": dice.choice(["gzip", "deflate", "x", ""]),
    }
    body = dice.randbytes(dice.randrange(3000))
    download = partial.Partial(folder / f"file{dice.randrange(3)}")
    with suppress(partial.UnfitError):
        download.begin(
            dice.choice([200, 206]), {k: v for k, v in headers.items() if dice.random() < 0.7}, continued=False
        )
        coded = dice.choice(
            [body, zlib.compress(body, wbits=31), zlib.compress(body), mutated(dice, b"x" + zlib.compress(body))]
        )
        decoders = [partial.Decoder(coding) for coding in dice.choices(partial.Decoder.CODINGS, k=dice.randrange(3))]
        with suppress(zlib.error):
            for start in range(0, len(coded), 100):
                for piece in partial.decoded(coded[start : start + 100], decoders):
                    assert len(piece) <= 1 << 16
                    download.add(piece)
        download.store()
        download.request()
        download.missing()
        download.finish()
    assert (
        http.retry_after_seconds(dice.choice([number, some_text(dice), f"Wed, {number} Oct 2026 07:28:00 GMT"])) or 0
    ) >= 0
    http.forbids_ai(some_text(dice))
    base = http.parse_url("https://ana:x@h.org/a")
    for url in (some_text(dice), f"http://{some_text(dice)}", f"http://h.org:{number}/{some_text(dice)}"):
        for start in (None, base):
            with suppress(http.FailedError):
                parsed = http.parse_url(url, start)
                http.authorization(parsed)
                assert parsed.port is None or 0 < parsed.port < 65536


def fuzz_lists(dice, folder, _originals):
    (folder / "a.mp3").write_bytes(b"x")
    lines = [
        dice.choice([some_bytes(dice), b"a.mp3", b"./%61.mp3", b"#EXTINF:1,x", b"file:///" + some_bytes(dice)])
        for _ in range(5)
    ]
    data = dice.choice([b"", b"\xef\xbb\xbf", b"\xff\xfe", b"\xfe\xff"]) + dice.choice([b"\n", b"\r\n", b"\r"]).join(
        lines
    )
    with suppress(CovergenError):
        read_list(data)
    playlist = folder / dice.choice(["list.m3u", "list.m3u8"])
    playlist.write_bytes(data)
    with suppress(CovergenError):
        find_songs([playlist])


FUZZERS = {
    function.__name__.removeprefix("fuzz_"): function for function in (fuzz_tags, fuzz_tables, fuzz_headers, fuzz_lists)
}
QUICK = {"tags": 30, "tables": 50, "headers": 250, "lists": 100}
SHARES = {"tags": 3000, "tables": 3000, "headers": 2500, "lists": 1000}
"""Inputs of the slow test; with five hundred names, ten thousand."""


def fuzz(kind, seeds, folder, originals):
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    for seed in seeds:
        with bounded(f"{kind} {seed}"):
            FUZZERS[kind](random.Random(f"{kind} {seed}"), folder, originals)
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < MEGABYTES * 1000


@pytest.mark.parametrize("kind", FUZZERS)
def test_some_random_inputs_are_used_or_refused(kind, tmp_path, originals):
    fuzz(kind, range(QUICK[kind]), tmp_path, originals)


@pytest.mark.slow
@pytest.mark.parametrize("kind", FUZZERS)
def test_random_inputs_are_used_or_refused(kind, tmp_path, originals):
    fuzz(kind, range(SHARES[kind]), tmp_path, originals)


def songs_of_random_names(dice, folder):
    """Write small files of random names, some into folders of random names; return their paths."""
    (folder / "song.wav").unlink(missing_ok=True)
    sound = write_song(folder.parent / "sound.wav", seconds=5.1).read_bytes()
    found = []
    while len(found) < NAMES_PER_FOLDER:
        parts = [part for part in some_bytes(dice, 60).replace(b"\0", b"x").split(b"/") if part.strip(b".")]
        parts = [part.lstrip(b".") or b"x" for part in parts] or [b"x"]
        parts[-1] += dice.choice([b".wav", b".mp3", b".OGG"])
        path = folder.joinpath(*map(os.fsdecode, parts))
        with suppress(OSError):
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(dice.choice([b"", b"junk", sound]))
            found.append(path)
    Image.effect_noise((200, 200), 90).convert("RGB").save(folder / "cover.jpg")
    return set(found)


def fuzz_names(seed, tmp_path, capfd):
    folder = tmp_path / f"music {seed}"
    folder.mkdir()
    files = songs_of_random_names(random.Random(f"names {seed}"), folder)
    code = run(["generate", str(folder), "-o", str(tmp_path / "out"), "--dry-run", "--json", "--base", "painter"])
    out, err = capfd.readouterr()
    records = [json.loads(line) for line in out.splitlines()]
    assert code in {0, 1, 3}, err
    assert {record["input"] for record in records} == {str(path) for path in files}
    assert len({record["output"] for record in records}) == len(records)
    assert not [word for word in ("Traceback", "bug", "unexpected") if word in err], err
    *_, finished = fetch_dataset(open_source(str(folder), FetchConfig()), tmp_path / f"D{seed}", FetchConfig(workers=1))
    assert finished.counts["rows"] == len(files)
    assert sum(finished.counts[name] for name in ("ok", "failed", "duplicate", "filtered")) == len(files)
    assert not any("unexpected" in row["reason"] for row in read_table(finished.status))
    for row in read_table(finished.manifest):
        assert (tmp_path / f"D{seed}" / row["audio_path"]).is_file()


def test_some_songs_of_random_names(tmp_path, capfd):
    with bounded("names 0"):
        fuzz_names(0, tmp_path, capfd)


@pytest.mark.slow
def test_songs_of_random_names(tmp_path, capfd):
    for seed in range(500 // NAMES_PER_FOLDER):
        with bounded(f"names {seed}"):
            fuzz_names(seed, tmp_path, capfd)
