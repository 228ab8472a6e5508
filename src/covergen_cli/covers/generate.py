"""From songs to covers, the whole of §3.4, for one song or a thousand.

The next songs are read, searched and embedded in threads of their own while the model draws in the caller's; the model
itself loads while the first song is read. On a CPU covers are drawn one at a time, so the bytes of one never depend on
its neighbours, and each is written as soon as it is finished. A GPU draws several at once, and while it draws the next
ones, the last ones are finished and written in threads.
"""

from __future__ import annotations

import logging
import threading
import time
from collections import deque
from collections.abc import Generator, Iterator, Mapping, Sequence
from concurrent.futures import Future, wait
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar, cast

from covergen_cli.covers.dry_run import REFUSED_HINT, dry_run
from covergen_cli.covers.explain import write_explanation
from covergen_cli.covers.fingerprint import Models, find_models
from covergen_cli.covers.jobs import Job, songs_of
from covergen_cli.covers.plan import plan
from covergen_cli.covers.prepare import Listened, Listener, Stopped, in_thread
from covergen_cli.covers.shuffle import donors
from covergen_cli.errors import CovergenError, ModelError
from covergen_cli.events import CoverFailed, CoverFinished, CoverSkipped, ModelLoaded, ModelLoading, Progress, Warned

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt
    from torch import Tensor

    from covergen_cli.config import GenerateConfig
    from covergen_cli.covers.pipeline import Painter
    from covergen_cli.events import Event

__all__ = ["Job", "dry_run", "generate", "plan"]

_AHEAD = 2
_PATIENCE_SECONDS = 0.1
_FAREWELL_SECONDS = 10.0
_load_lock = threading.Lock()
_log = logging.getLogger(__name__)
_T = TypeVar("_T")


def generate(
    jobs: Sequence[Job], config: GenerateConfig, *, stop: threading.Event | None = None
) -> Generator[Event, None, None]:
    """Draw covers and tell what happens as it happens.

    Every job ends in exactly one ``CoverFinished``, ``CoverSkipped`` or ``CoverFailed``; what is wrong with one song or
    place never stops the others. No model is loaded when there is nothing to draw.

    Args:
        jobs: from :func:`plan`; the jobs of one song stand together.
        config: how to draw.
        stop: set it, from any thread or a signal handler, to end before the next step. Closing the iterator does the
            same. A cover that is not finished leaves no file.

    Yields:
        events, as things happen.

    Raises:
        ModelError: a model is missing, damaged, or does not fit; nothing can be drawn.
        ConfigError: device, precision or scheduler make no sense, or settings exclude each other.
    """
    stop = stop or threading.Event()
    missing: list[Job] = []
    for job in jobs:
        if config.overwrite == "skip" and job.output.exists():
            yield CoverSkipped(job.input, job.output, job.seed, "exists", job.songs)
        else:
            missing.append(job)
    if missing and not stop.is_set():
        yield from _Run(config, find_models(config), stop, donors(jobs, config)).events(missing)


@dataclass(frozen=True)
class _Order:
    """A cover that is to be drawn: its job, its song, what it will say about itself, and the time spent so far."""

    job: Job
    song: Listened
    facts: dict[str, Any]
    spent: float


class _Run:
    """One call of :func:`generate` that has something to look at."""

    def __init__(
        self, config: GenerateConfig, models: Models, stop: threading.Event, donors: Mapping[Path, Job]
    ) -> None:
        self._config = config
        self._models = models
        self._stop = stop
        self._closed = threading.Event()
        self._lock = threading.Lock()
        self._loading: Future[Painter] | None = None
        self._painter: Painter | None = None
        self._orders: list[_Order] = []
        self._finishing: deque[tuple[_Order, Future[float]]] = deque()
        self._listener = Listener(config, models, self._check_stop, self._start_loading, donors)

    def events(self, jobs: Sequence[Job]) -> Iterator[Event]:
        try:
            for song, coming in self._listened([list(group) for _, group in groupby(jobs, key=lambda job: job.input)]):
                yield from self._song_events(song, coming)
            yield from self._draw_events()
            yield from self._finished_events()
        except Stopped:
            return
        finally:
            self._closed.set()
            # What is being written just now gets the time to be whole, so that no temporary file stays behind.
            wait([coming for _, coming in self._finishing], timeout=_FAREWELL_SECONDS)
            # A thread that has given its result is not over yet; should the program end meanwhile, torch aborts it.
            for thread in threading.enumerate():
                if thread.name == "covergen-finish":
                    thread.join(_FAREWELL_SECONDS)

    def _check_stop(self) -> None:
        if self._stop.is_set() or self._closed.is_set():
            raise Stopped

    def _listened(self, songs: Sequence[list[Job]]) -> Iterator[tuple[list[Job], Future[Listened]]]:
        """Give the songs in order, the next ones already on their way: two, or as many as are drawn at once."""
        coming: deque[tuple[list[Job], Future[Listened]]] = deque()
        for jobs in songs:
            coming.append((jobs, self._listener.start(jobs)))
            if len(coming) > max(_AHEAD, self._batch()):
                yield coming.popleft()
        yield from coming

    def _batch(self) -> int:
        """Covers that are drawn at once; 1 as long as nobody knows."""
        return 1 if self._painter is None else self._painter.placement.batch

    def _start_loading(self) -> None:
        """Load the models in a thread, once; called when the first song needs them."""
        with self._lock:
            if self._loading is None:
                self._loading = in_thread(_load, self._config, self._models)

    def _wait(self, future: Future[_T]) -> _T:
        """Wait in short turns: a plain wait hears neither ``stop`` nor, on Windows, Ctrl-C."""
        while True:
            self._check_stop()
            if wait([future], timeout=_PATIENCE_SECONDS).done:
                return future.result()

    def _heard(self, job: Job, coming: Future[Listened]) -> Generator[Event, None, Listened]:
        """Wait for a song or an album, telling how many of its songs were heard."""
        total, told = len(songs_of(job)), 0
        yield Progress("listen", 0, total, job.label)
        while not wait([coming], timeout=_PATIENCE_SECONDS).done:
            self._check_stop()
            if told < self._listener.heard[job.input] < total:
                told = self._listener.heard[job.input]
                yield Progress("listen", told, total, job.label)
        return self._wait(coming)

    def _song_events(self, jobs: list[Job], coming: Future[Listened]) -> Iterator[Event]:
        try:
            song = yield from self._heard(jobs[0], coming)
        except (Stopped, ModelError):
            raise
        except Exception as error:  # noqa: BLE001 — one broken song must not end a night's work
            yield from (_failure(job, error) for job in jobs)
            return
        yield from (Warned(text, None if jobs[0].songs else jobs[0].input) for text in song.warnings)
        spent = song.seconds
        for job, verdict, facts in zip(jobs, song.verdicts, song.facts, strict=True):
            if verdict.action == "skip":
                yield CoverSkipped(job.input, job.output, job.seed, verdict.reason, job.songs)
            elif verdict.action == "refuse":
                yield CoverFailed(job.input, job.output, job.seed, verdict.reason, REFUSED_HINT, job.songs)
            else:
                painter = yield from self._painter_events()
                self._orders.append(_Order(job, song, facts, spent))
                spent = 0.0
                if len(self._orders) >= painter.placement.batch:
                    yield from self._draw_events()
        if song.explanation is not None and song.condition is not None:
            painter = yield from self._painter_events()
            yield write_explanation(jobs[0], song.explanation, painter.attention(song.condition))

    def _draw_events(self) -> Iterator[Event]:
        """Draw what was ordered, at once, and hand it on to be finished."""
        if not self._orders:
            return
        orders, self._orders = self._orders, []
        painter = yield from self._painter_events()
        started = time.monotonic()
        embeddings = [_there(order.song.embedding) for order in orders]
        conditions = [_there(order.song.condition) for order in orders]
        seeds = painter.seeds([order.job.seed for order in orders], embeddings)
        steps = painter.paint_together(painter.listen_all(conditions), seeds, self._config)
        pictures = yield from self._steps_events(steps, orders[0].job.label)
        share = (time.monotonic() - started) / len(orders)
        yield from self._finished_events()
        for order, seed, picture in zip(orders, seeds, pictures, strict=True):
            self._finishing.append((order, in_thread(self._finish, painter, order, seed, picture, share)))
        if painter.placement.batch == 1:
            yield from self._finished_events()

    def _steps_events(
        self, steps: Generator[tuple[int, int], None, Tensor], name: str
    ) -> Generator[Event, None, Tensor]:
        while True:
            try:
                done, total = next(steps)
            except StopIteration as end:
                return cast("Tensor", end.value)
            yield Progress("draw", done, total, name)
            self._check_stop()

    def _finish(self, painter: Painter, order: _Order, seed: int, picture: Tensor, share: float) -> float:
        """Bring a picture to its size and write it; return the seconds that its cover took."""
        started = time.monotonic()
        provenance = {**order.facts, **order.song.sources(order.job)}
        painter.write(order.job, picture, seed, provenance, self._config)
        return order.spent + share + time.monotonic() - started

    def _finished_events(self) -> Iterator[Event]:
        """Wait for the covers that are being finished, and tell of each."""
        while self._finishing:
            order, coming = self._finishing[0]
            job = order.job
            try:
                seconds = self._wait(coming)
            except CovergenError as error:
                self._finishing.popleft()
                yield _failure(job, error)
                continue
            self._finishing.popleft()
            painter = yield from self._painter_events()
            size, (segment, songs) = painter.native_size, order.song.heard(job)
            yield CoverFinished(job.input, job.output, job.seed, segment, seconds, size, songs)

    def _painter_events(self) -> Generator[Event, None, Painter]:
        if self._painter is None:
            self._start_loading()
            if self._loading is None:
                raise AssertionError("loading did not start")
            yield ModelLoading(self._models.base_reference)
            self._painter = self._wait(self._loading)
            yield ModelLoaded(self._models.base_reference, self._painter.seconds)
        return self._painter


def _there(embedding: npt.NDArray[np.float32] | None) -> npt.NDArray[np.float32]:
    if embedding is None:
        raise AssertionError("a song that is to be drawn was not embedded")
    return embedding


def _load(config: GenerateConfig, models: Models) -> Painter:
    """Import what is heavy and load the models, both in the thread that this runs in.

    One at a time: diffusers changes torch for all threads while it builds a model, and a run that ended early may leave
    its thread at it.
    """
    with _load_lock:
        from covergen_cli.covers.pipeline import load_painter

        return load_painter(config, models)


def _failure(job: Job, error: Exception) -> CoverFailed:
    if isinstance(error, CovergenError):
        return CoverFailed(job.input, job.output, job.seed, error.message, error.hint, job.songs)
    _log.error("unexpected error with %s", job.input, exc_info=error)
    text = f"{job.input}: unexpected {type(error).__name__}: {error}"
    return CoverFailed(job.input, job.output, job.seed, text, "This is a bug; please report it.", job.songs)
