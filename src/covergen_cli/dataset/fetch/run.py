"""Fill a dataset folder from a source: everything that is missing, nothing twice, a status for every row.

::

    DATA/status.csv         one line per row of the source, with its status and the reason
    DATA/manifest.csv       one line per complete pair
    DATA/dataset.json       the source, and counts of its rows
    DATA/audio/ID.mp3       the music, unchanged
    DATA/images/ID.jpg      the cover, cleaned
    DATA/.fetch/            the database of outcomes, and incomplete files
"""

from __future__ import annotations

import os
import shutil
from array import array
from collections.abc import Callable, Generator, Iterator
from concurrent.futures import Future
from concurrent.futures.process import BrokenProcessPool
from contextlib import ExitStack, closing, suppress
from dataclasses import dataclass, replace
from itertools import chain, islice
from pathlib import Path
from queue import SimpleQueue
from typing import TYPE_CHECKING, Any

from covergen_cli.dataset.fetch.database import Database, Outcome
from covergen_cli.dataset.fetch.processes import Workers
from covergen_cli.dataset.fetch.results import (
    DATASET_JSON,
    STATUS,
    Summary,
    read_dataset_json,
    write_dataset_json,
    write_results,
)
from covergen_cli.dataset.fetch.worker import Folders, process
from covergen_cli.dataset.images.clean import clean_image
from covergen_cli.dataset.images.duplicates import deduplicate
from covergen_cli.dataset.images.text_area import text_area
from covergen_cli.dataset.layout import MANIFEST
from covergen_cli.dataset.sources.folder import FolderSource
from covergen_cli.dataset.sources.synthetic import SyntheticSource
from covergen_cli.dataset.sources.table import TableSource
from covergen_cli.errors import ConfigError, OutputError
from covergen_cli.events import FetchFinished, FetchPlanned, PairFetched, PairMissed, Progress
from covergen_cli.files import sha256_bytes

if TYPE_CHECKING:
    from covergen_cli.config import FetchConfig
    from covergen_cli.dataset.sources.base import Item, Missed, Source
    from covergen_cli.events import Event

_WAITING_PER_WORKER = 4


def open_source(text: str, config: FetchConfig) -> Source:
    """Return the source that a text names: a table, a folder of music, or ``synthetic:N``.

    Raises:
        ConfigError: it is ``synthetic:`` without a number.
    """
    path = Path(text)
    if path.is_dir():
        return FolderSource(path, copy=config.copy)
    return SyntheticSource.parse(text, config.seed) or TableSource(path, config)


def fetch_dataset(
    source: Source, folder: Path, config: FetchConfig, *, errors: Path | None = None
) -> Generator[Event, None, None]:
    """Fetch every pair of a source that is missing, then write the tables of the dataset folder.

    Closing the iterator ends the work; the tables are written, and the next run continues. So does a run after one that
    was killed. Worker processes are spawned, so a program that calls this has to be importable: it has to start below
    ``if __name__ == "__main__"``, or set ``config.workers`` to 1.

    Args:
        source: the source of the pairs.
        folder: the dataset folder, created if it is missing.
        config: settings.
        errors: also write the failed rows to this table.

    Yields:
        ``Progress`` while the source is read, ``FetchPlanned``, then a ``PairFetched`` or ``PairMissed`` per row that
        was worked on, in the order in which they are done, then ``FetchFinished``.

    Raises:
        InputError: the source cannot be read.
        ConfigError: it lacks a column, needs a package that is missing, or the folder belongs to another source.
        OutputError: the folder cannot be written to, or another run is using it.
    """
    folders = Folders(folder, folder / ".fetch" / "files")
    same_source = _check_source(source, folder)
    rest = source.items()
    first = next(rest, None)  # before anything is written: here a source raises that it cannot be read
    rows = islice(chain(filter(None, [first]), rest), config.limit)
    with closing(Database(folder / ".fetch" / "ledger.sqlite")) as database:
        counts = database.replace_listing(
            rows, lambda id_: _rank(config.seed, id_), config.sample, same_source=same_source
        )
        yield from (Progress("reading the source", rows) for rows in counts)
        _make_folders(folders)
        if not (folder / DATASET_JSON).exists():
            write_dataset_json(folder, source)
        _forget_lost_files(database, folder)
        yield FetchPlanned(database.rows(), database.pending(config.retry))
        try:
            yield from _Run(source, database, folders, config).events()
        except BaseException:
            with suppress(OutputError):  # the disk may be full, and an error is being raised already
                _find_duplicates(database, config)
                write_results(folder, source, database, config, errors)
            raise
        shutil.rmtree(folders.workspace, ignore_errors=True)
        _measure_text_areas(database, folders, config)
        _find_duplicates(database, config)
        summary = write_results(folder, source, database, config, errors)
    yield _finished(folder, summary)


def _rank(seed: int, id_: str) -> str:
    return sha256_bytes(f"{seed} {id_}".encode())[:16]


def _check_source(source: Source, folder: Path) -> bool:
    """Check that a folder is empty or was filled from this source; return whether its path is the same too.

    Raises:
        ConfigError: it was filled from another one.
    """
    if (folder / MANIFEST).exists() and not (folder / DATASET_JSON).exists():
        raise ConfigError(f"{folder} has a {MANIFEST} that covergen fetch did not write", hint="Choose another folder.")
    new, old = source.describe(), read_dataset_json(folder).get("source")
    if not isinstance(old, dict):
        return True
    for key in ("kind", "name", "copy"):
        if old.get(key) != new.get(key):
            raise ConfigError(
                f"{folder} was filled with {key} {old.get(key)}, not {new.get(key)}", hint="Choose another folder."
            )
    return old.get("path") == new.get("path")


def _make_folders(folders: Folders) -> None:
    try:
        for path in (folders.data / "audio", folders.data / "images", folders.workspace):
            path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OutputError(
            f"cannot write {folders.data}: {error.strerror or error}", hint="Choose another folder."
        ) from error


def _forget_lost_files(database: Database, folder: Path) -> None:
    """Delete the outcomes of pairs whose files are missing, or incomplete after a power cut."""
    lost = []
    for row in database.settled():
        outcome = row.outcome
        if outcome is not None and outcome.status == "ok":
            files = ((outcome.audio_path, outcome.audio_bytes), (outcome.image_path, outcome.image_bytes))
            if not all(_has_size(folder / path, size) for path, size in files):
                lost.append(row.item)
    for item in lost:
        database.forget(item)


def _measure_text_areas(database: Database, folders: Folders, config: FetchConfig) -> None:
    """Measure the text on covers that an earlier run saved without doing so."""
    if config.lettering == "keep":
        return
    ok = (row for row in database.settled() if row.outcome is not None and row.outcome.status == "ok")
    missing = array("q", (row.item.row for row in ok if row.outcome is not None and row.outcome.lettering is None))
    for row in map(database.row, missing):
        if row.outcome is not None:
            pixels = clean_image(folders.data / row.outcome.image_path).pixels
            database.put(row.item, replace(row.outcome, lettering=text_area(pixels)))


def _find_duplicates(database: Database, config: FetchConfig) -> None:
    """Group the complete pairs by their covers and music; takes about 700 bytes of memory per pair."""
    if config.dedupe == "none":
        return
    rows = array("q")
    columns: tuple[list[str], ...] = ([], [], [], [])
    for row in database.settled():
        if row.outcome is not None and row.outcome.status == "ok" and row.first == row.item.row:
            rows.append(row.item.row)
            values = (row.item.id, row.outcome.cover, row.outcome.looks, row.outcome.music)
            for column, value in zip(columns, values, strict=True):
                column.append(value)
    groups = deduplicate(*columns, mode=config.dedupe, distance=config.dedupe_distance)
    database.put_duplicates((row, *group) for row, group in zip(rows, groups, strict=True))


def _has_size(path: Path, size: int) -> bool:
    try:
        return path.stat().st_size == size
    except OSError:
        return False


@dataclass
class _Done:
    """A download or the processing of a pair that has ended."""

    item: Item
    future: Future[Any]
    downloaded: bool


class _Run:
    """The pairs that are being worked on: a bounded number, some downloading, some in worker processes."""

    def __init__(self, source: Source, database: Database, folders: Folders, config: FetchConfig) -> None:
        self._source, self._database, self._folders, self._config = source, database, folders, config
        self._done: SimpleQueue[_Done] = SimpleQueue()
        self._active = 0

    def events(self) -> Iterator[Event]:
        """Work on every pending row."""
        todo = self._database.pending_items(self._config.retry)
        first = next(todo, None)
        if first is None:
            return
        count = self._config.workers or os.cpu_count() or 1
        with ExitStack() as stack:
            self._workers = stack.enter_context(Workers(count))
            start = stack.enter_context(self._source.downloads(self._folders.workspace))
            most = _WAITING_PER_WORKER * count + (self._config.concurrency if start else 0)
            self._start(first, start)
            while self._active:
                while self._active < most and (item := next(todo, None)) is not None:
                    self._start(item, start)
                yield from self._settle(self._done.get())

    def _start(self, item: Item, start: Callable[[Item], Future[Missed | None]] | None) -> None:
        self._active += 1
        if start is None:
            self._process(item)
        else:
            start(item).add_done_callback(lambda future: self._done.put(_Done(item, future, downloaded=True)))

    def _process(self, item: Item) -> None:
        future = self._workers.submit(process, *self._arguments(item))
        future.add_done_callback(lambda future: self._done.put(_Done(item, future, downloaded=False)))

    def _arguments(self, item: Item) -> tuple[Source, Item, Folders, bool]:
        return self._source, item, self._folders, self._config.lettering != "keep"

    def _settle(self, done: _Done) -> Iterator[Event]:
        """Take the next step: process what was downloaded, save the outcome of what was processed."""
        if done.downloaded:
            missed: Missed | None = done.future.result()
            if missed is None:
                self._process(done.item)
                return
            self._folders.clear(done.item)
            status = "filtered" if missed.unwanted else "failed"
            outcome = Outcome(status, missed.reason, missed.cause, missed.passing)
        else:
            try:
                outcome = done.future.result()
            except BrokenProcessPool:
                outcome = self._process_alone(done.item)
        self._active -= 1
        self._database.put(done.item, outcome)
        if outcome.status == "ok":
            yield PairFetched(done.item.id, outcome.audio_bytes + outcome.image_bytes)
        else:
            yield PairMissed(done.item.id, done.item.row, outcome.reason, unwanted=outcome.status == "filtered")

    def _process_alone(self, item: Item) -> Outcome:
        """Process a pair again after a worker process died, to find the pair that killed it."""
        try:
            outcome: Outcome = self._workers.alone(process, *self._arguments(item))
        except BrokenProcessPool:
            self._folders.clear(item)
            return Outcome("failed", "the process that decoded it crashed", "crash")
        return outcome


def _finished(folder: Path, summary: Summary) -> FetchFinished:
    return FetchFinished(
        manifest=folder / MANIFEST,
        status=folder / STATUS,
        counts={name: summary.counts[name] for name in ("rows", "ok", "failed", "duplicate", "filtered")},
        causes=dict(summary.causes.most_common()),
        hosts=summary.busiest_hosts(),
        bytes=summary.bytes,
        dead=summary.dead,
    )
