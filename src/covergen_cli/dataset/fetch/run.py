"""Fill a dataset folder from a source: everything that is missing, nothing twice, every row accounted for.

::

    DATA/status.csv         one line per row of the source: what became of it, and why
    DATA/manifest.csv       one line per complete pair
    DATA/dataset.json       the source, and how many rows came to what
    DATA/audio/ID.mp3       the music, as it came
    DATA/images/ID.jpg      the cover, cleaned
    DATA/.fetch/            what further runs need to know, and files on their way
"""

from __future__ import annotations

import hashlib
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

from covergen_cli.dataset.fetch.database import Ledger, Outcome
from covergen_cli.dataset.fetch.processes import Workers
from covergen_cli.dataset.fetch.tables import FACTS, STATUS, Summary, read_facts, write_facts, write_tables
from covergen_cli.dataset.fetch.worker import Places, keep
from covergen_cli.dataset.images.clean import clean_image
from covergen_cli.dataset.images.duplicates import judge
from covergen_cli.dataset.images.text_area import lettering
from covergen_cli.dataset.layout import MANIFEST
from covergen_cli.dataset.sources.folder import FolderSource
from covergen_cli.dataset.sources.synthetic import SyntheticSource
from covergen_cli.dataset.sources.table import TableSource
from covergen_cli.errors import ConfigError, OutputError
from covergen_cli.events import FetchFinished, FetchPlanned, PairFetched, PairMissed, RowsListed

if TYPE_CHECKING:
    from covergen_cli.config import FetchConfig
    from covergen_cli.dataset.sources.base import Item, Missed, Source
    from covergen_cli.events import Event

_WAITING_PER_WORKER = 4


def open_source(text: str, config: FetchConfig) -> Source:
    """Find out what kind of source is meant.

    Args:
        text: a table, a folder of music, or ``synthetic:N``.
        config: what the source needs to know.

    Raises:
        ConfigError: it is ``synthetic:`` without a number.
    """
    path = Path(text)
    if path.is_dir():
        return FolderSource(path, copy=config.copy)
    return SyntheticSource.named(text, config.seed) or TableSource(path, config)


def fetch_dataset(
    source: Source, folder: Path, config: FetchConfig, *, errors: Path | None = None
) -> Generator[Event, None, None]:
    """Fetch every pair of a source that is not there yet, then write the tables of the dataset folder.

    Closing the iterator ends the work; the tables are written, and the next run goes on from there. So does a run after
    one that was killed. Worker processes are started anew, so a program that calls this has to be importable: its own
    start belongs under ``if __name__ == "__main__"``, or ``config.workers`` has to be 1.

    Args:
        source: where the pairs come from.
        folder: the dataset folder, made when it is missing.
        config: what to fetch, and how.
        errors: also write the rows that failed to this table.

    Yields:
        ``RowsListed`` while the source is read, ``FetchPlanned``, then a ``PairFetched`` or ``PairMissed`` per row that
        something was to be done for, in the order in which they are settled, then ``FetchFinished``.

    Raises:
        InputError: the source cannot be read.
        ConfigError: it has no such column, needs a package that is missing, or the folder belongs to another source.
        OutputError: the folder cannot be written to, or another run is at work in it.
    """
    places = Places(folder, folder / ".fetch" / "files")
    _claim(source, folder)
    rest = source.items()
    first = next(rest, None)  # before anything is written: this is where a source says that it cannot be read
    rows = islice(chain(filter(None, [first]), rest), config.limit)
    with closing(Ledger(folder / ".fetch" / "ledger.sqlite")) as ledger:
        yield from map(RowsListed, ledger.list_anew(rows, lambda id_: _draw(config.seed, id_), config.sample))
        _make_folders(places)
        if not (folder / FACTS).exists():
            write_facts(folder, source)
        _forget_lost_files(ledger, folder)
        total, pending = ledger.rows(), ledger.pending(config.retry)
        yield FetchPlanned(folder, total, pending)
        try:
            yield from _Run(source, ledger, places, config).events()
        except BaseException:
            with suppress(OutputError):  # the disk may be full, and there is an error on its way already
                _find_duplicates(ledger, config)
                write_tables(folder, source, ledger, config, errors)
            raise
        shutil.rmtree(places.workspace, ignore_errors=True)
        _measure_lettering(ledger, places, config)
        _find_duplicates(ledger, config)
        summary = write_tables(folder, source, ledger, config, errors)
    yield _finished(folder, summary)


def _draw(seed: int, id_: str) -> str:
    return hashlib.sha256(f"{seed} {id_}".encode()).hexdigest()[:16]


def _claim(source: Source, folder: Path) -> None:
    """See that a folder is empty, or was filled from this source.

    Raises:
        ConfigError: it was not.
    """
    if (folder / MANIFEST).exists() and not (folder / FACTS).exists():
        raise ConfigError(
            f"{folder} holds a {MANIFEST} that covergen fetch did not write", hint="Choose another folder."
        )
    made_from, facts = source.describe(), read_facts(folder).get("source")
    if isinstance(facts, dict):
        for key in ("kind", "name", "copy"):
            if facts.get(key) != made_from.get(key):
                raise ConfigError(
                    f"{folder} was filled with {key} {facts.get(key)}, not {made_from.get(key)}",
                    hint="Choose another folder.",
                )


def _make_folders(places: Places) -> None:
    try:
        for path in (places.data / "audio", places.data / "images", places.workspace):
            path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OutputError(
            f"cannot write {places.data}: {error.strerror or error}", hint="Choose another folder."
        ) from error


def _forget_lost_files(ledger: Ledger, folder: Path) -> None:
    """Take back what is said of pairs whose files are not there any more, or are not whole (after a power cut)."""
    lost = []
    for row in ledger.settled():
        outcome = row.outcome
        if outcome is not None and outcome.status == "ok":
            files = ((outcome.audio_path, outcome.audio_bytes), (outcome.image_path, outcome.image_bytes))
            if not all(_has_size(folder / path, size) for path, size in files):
                lost.append(row.item)
    for item in lost:
        ledger.forget(item)


def _measure_lettering(ledger: Ledger, places: Places, config: FetchConfig) -> None:
    """Measure the lettering of covers that an earlier run kept without doing so."""
    if config.lettering == "keep":
        return
    there = (row for row in ledger.settled() if row.outcome is not None and row.outcome.status == "ok")
    lacking = array("q", (row.item.row for row in there if row.outcome is not None and row.outcome.lettering is None))
    for row in map(ledger.row, lacking):
        if row.outcome is not None:
            pixels = clean_image(places.data / row.outcome.image_path).pixels
            ledger.put(row.item, replace(row.outcome, lettering=lettering(pixels)))


def _find_duplicates(ledger: Ledger, config: FetchConfig) -> None:
    """Group the pairs that are there by their covers and music; takes about 700 bytes of memory per pair."""
    if config.dedupe == "none":
        return
    rows = array("q")
    columns: tuple[list[str], ...] = ([], [], [], [])
    for row in ledger.settled():
        if row.outcome is not None and row.outcome.status == "ok" and row.first == row.item.row:
            rows.append(row.item.row)
            facts = (row.item.id, row.outcome.cover, row.outcome.looks, row.outcome.music)
            for column, fact in zip(columns, facts, strict=True):
                column.append(fact)
    judged = judge(*columns, mode=config.dedupe, distance=config.dedupe_distance)
    ledger.judge((row, *verdict) for row, verdict in zip(rows, judged, strict=True))


def _has_size(path: Path, size: int) -> bool:
    try:
        return path.stat().st_size == size
    except OSError:
        return False


@dataclass
class _Done:
    """Something that was started has ended: a download, or the checking of a pair."""

    item: Item
    future: Future[Any]
    downloaded: bool


class _Run:
    """The pairs that are under way: a bounded number, some with the downloader, some with the workers."""

    def __init__(self, source: Source, ledger: Ledger, places: Places, config: FetchConfig) -> None:
        self._source, self._ledger, self._places, self._config = source, ledger, places, config
        self._done: SimpleQueue[_Done] = SimpleQueue()
        self._under_way = 0

    def events(self) -> Iterator[Event]:
        """Settle every row that something is to be done for."""
        todo = self._ledger.pending_items(self._config.retry)
        first = next(todo, None)
        if first is None:
            return
        count = self._config.workers or os.cpu_count() or 1
        with ExitStack() as stack:
            self._workers = stack.enter_context(Workers(count))
            start = stack.enter_context(self._source.downloads(self._places.workspace))
            most = _WAITING_PER_WORKER * count + (self._config.concurrency if start else 0)
            self._start(first, start)
            while self._under_way:
                while self._under_way < most and (item := next(todo, None)) is not None:
                    self._start(item, start)
                yield from self._settle(self._done.get())

    def _start(self, item: Item, start: Callable[[Item], Future[Missed | None]] | None) -> None:
        self._under_way += 1
        if start is None:
            self._check(item)
        else:
            start(item).add_done_callback(lambda future: self._done.put(_Done(item, future, downloaded=True)))

    def _check(self, item: Item) -> None:
        future = self._workers.submit(keep, *self._work(item))
        future.add_done_callback(lambda future: self._done.put(_Done(item, future, downloaded=False)))

    def _work(self, item: Item) -> tuple[Source, Item, Places, bool]:
        return self._source, item, self._places, self._config.lettering != "keep"

    def _settle(self, done: _Done) -> Iterator[Event]:
        """Take the next step with what has ended: check what was downloaded, write down what was checked."""
        if done.downloaded:
            missed: Missed | None = done.future.result()
            if missed is None:
                self._check(done.item)
                return
            self._places.clear(done.item)
            status = "filtered" if missed.unwanted else "failed"
            outcome = Outcome(status, missed.reason, missed.cause, missed.passing)
        else:
            try:
                outcome = done.future.result()
            except BrokenProcessPool:
                outcome = self._check_alone(done.item)
        self._under_way -= 1
        self._ledger.put(done.item, outcome)
        if outcome.status == "ok":
            yield PairFetched(done.item.id, outcome.audio_bytes + outcome.image_bytes)
        else:
            yield PairMissed(done.item.id, done.item.row, outcome.reason, unwanted=outcome.status == "filtered")

    def _check_alone(self, item: Item) -> Outcome:
        """A worker process died, and all pairs that were with the workers are under suspicion."""
        try:
            outcome: Outcome = self._workers.alone(keep, *self._work(item))
        except BrokenProcessPool:
            self._places.clear(item)
            return Outcome("failed", "the process that decoded it broke down", "crash")
        return outcome


def _finished(folder: Path, summary: Summary) -> FetchFinished:
    return FetchFinished(
        manifest=folder / MANIFEST,
        status=folder / STATUS,
        counts={name: summary.counts[name] for name in ("rows", "ok", "failed", "duplicate", "filtered")},
        causes=dict(summary.causes.most_common()),
        hosts=summary.busiest(),
        bytes=summary.bytes,
        dead=summary.dead,
    )
