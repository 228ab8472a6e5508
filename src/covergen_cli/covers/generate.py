"""Draws covers for songs (§3.4) and yields events about what happens.

The next songs are prepared in threads while the current one is drawn, and the models load while the first song is
prepared. On a CPU covers are drawn one at a time, so that the bytes of a cover never depend on other songs, and each is
written as soon as it is finished. A GPU draws several covers at once, and while it draws the next ones, the last ones
are finished and written in threads.
"""

from __future__ import annotations

import logging
import threading
import time
from collections import deque
from collections.abc import Generator, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from covergen_cli.covers.background import Channel, Stopped, Task
from covergen_cli.covers.decide import dry_run as dry_run  # noqa: PLC0414 — re-exported
from covergen_cli.covers.decide import event_of, skip_existing
from covergen_cli.covers.explain import write_explanation
from covergen_cli.covers.fingerprint import Models, find_models, song_seed
from covergen_cli.covers.plan import donors
from covergen_cli.covers.plan import plan as plan  # noqa: PLC0414 — re-exported
from covergen_cli.covers.prepare import EmbeddedMusic, PreparedSong, Preparer
from covergen_cli.covers.prompts import NO_PROMPTS, Prompts
from covergen_cli.covers.styling import look_of
from covergen_cli.errors import CovergenError, ModelError
from covergen_cli.events import (
    CoverFailed,
    CoverFinished,
    ModelDownloading,
    ModelLoaded,
    ModelLoading,
    Progress,
    Warned,
)
from covergen_cli.weights import catalogue, hub
from covergen_cli.weights.hub import NotFetchedError

if TYPE_CHECKING:
    from torch import Tensor

    from covergen_cli.config import GenerateConfig
    from covergen_cli.covers.pipeline import CoverPipeline
    from covergen_cli.covers.plan import Job
    from covergen_cli.events import Event

_SONGS_AHEAD = 2
_load_lock = threading.Lock()
_log = logging.getLogger(__name__)


def generate(
    jobs: Sequence[Job], config: GenerateConfig, *, stop: threading.Event | None = None
) -> Generator[Event, None, None]:
    """Draw covers.

    Every job ends in exactly one ``CoverFinished``, ``CoverSkipped`` or ``CoverFailed``; a failure does not affect the
    other jobs. Models are loaded only if there is something to draw.

    Args:
        jobs: from :func:`plan`; the jobs of one song follow each other.
        config: the settings.
        stop: set it, from any thread or a signal handler, to end before the next denoising step. Closing the generator
            does the same. A cover that is not finished leaves no file.

    Yields:
        events, as things happen.

    Raises:
        ModelError: a model is missing, damaged, or does not fit the others.
        ConfigError: device, precision or scheduler are invalid, or settings exclude each other.
    """
    channel = Channel(stop or threading.Event())
    missing, skipped = skip_existing(jobs, config)
    yield from skipped
    if missing:
        models = yield from _fetch_models(config)
        run = _Run(config, models, donors(jobs, config), channel)
        yield from channel.read(run.draw_covers, missing)


def _fetch_models(config: GenerateConfig) -> Generator[Event, None, Models]:
    """Return the models; report page, size and licence of each before it is downloaded."""
    reported: set[str] = set()
    while (missing := _missing_model(config)) is not None and missing.reference not in reported:
        model = catalogue.describe(missing.reference)
        yield ModelDownloading(model.name, model.source, model.licence, model.download_bytes)
        hub.resolve(missing.reference, missing.kind)
        reported.add(missing.reference)
    return find_models(config)


def _missing_model(config: GenerateConfig) -> NotFetchedError | None:
    try:
        find_models(config, fetch=False)
    except NotFetchedError as error:
        return error
    return None


@dataclass(frozen=True)
class _Cover:
    """A cover that is to be drawn.

    Args:
        job: its job.
        music: the embedded song or album.
        condition: the music to draw from: its own, or a donor's.
        metadata: provenance, without names and segments of songs.
        seconds: time spent on it so far.
        prompts: the words that it is drawn by.
    """

    job: Job
    music: EmbeddedMusic
    condition: EmbeddedMusic
    metadata: dict[str, Any]
    seconds: float
    prompts: Prompts = NO_PROMPTS


class _Run:
    """One call of :func:`generate`; its methods run in one background thread and emit events."""

    def __init__(self, config: GenerateConfig, models: Models, donor_of: Mapping[Path, Job], channel: Channel) -> None:
        self._config = config
        self._models = models
        self._channel = channel
        self._lock = threading.Lock()
        self._loading: Task[CoverPipeline] | None = None
        self._pipeline: CoverPipeline | None = None
        self._batch: list[_Cover] = []
        self._finishing: deque[tuple[_Cover, Task[float]]] = deque()
        self._preparer = Preparer(config, models, channel.check_stop, self._start_loading, donor_of)

    def draw_covers(self, jobs: Sequence[Job]) -> None:
        """Draw the covers of all songs."""
        songs = [list(group) for _, group in groupby(jobs, lambda job: job.input)]
        try:
            for covers, task in self._start_preparing(songs):
                self._add_song(covers, task)
            self._draw_batch()
            self._report_finished()
        finally:
            for _, finishing in self._finishing:
                finishing.join()

    def _start_preparing(self, songs: Sequence[list[Job]]) -> Iterator[tuple[list[Job], Task[PreparedSong]]]:
        """Yield the songs in order, while the next ones are prepared: two, or as many as are drawn at once."""
        ahead: deque[tuple[list[Job], Task[PreparedSong]]] = deque()
        for jobs in songs:
            ahead.append((jobs, Task(self._preparer.prepare, jobs)))
            if len(ahead) > max(_SONGS_AHEAD, 1 if self._pipeline is None else self._pipeline.placement.batch):
                yield ahead.popleft()
        yield from ahead

    def _add_song(self, jobs: list[Job], task: Task[PreparedSong]) -> None:
        """Report what is decided about the covers of a song, and draw those that are due once the batch is full."""
        try:
            song = self._wait_for_song(jobs[0], task)
        except (Stopped, ModelError):
            raise
        except Exception as error:  # noqa: BLE001 — one broken song must not end the run
            for job in jobs:
                self._channel.emit(_failure(job, error))
            return
        for text in song.warnings:
            self._channel.emit(Warned(text, None if jobs[0].songs else jobs[0].input))
        seconds = song.seconds
        for job, decision, metadata in zip(jobs, song.decisions.decisions, song.decisions.metadata, strict=True):
            event = event_of(job, decision)
            if event is not None:
                self._channel.emit(event)
            elif song.music is not None and song.condition is not None:
                self._batch.append(_Cover(job, song.music, song.condition, metadata, seconds))
                seconds = 0.0
                if len(self._batch) >= self._get_pipeline().placement.batch:
                    self._draw_batch()
        if song.explanation is not None and song.condition is not None:
            pipeline = self._get_pipeline()
            attention = pipeline.attention(song.condition.embedding)
            prompts = pipeline.write_prompts(song.condition.heard, jobs[0].seed, self._config)
            self._channel.emit(write_explanation(jobs[0], song.explanation, attention, prompts.shown))

    def _wait_for_song(self, job: Job, task: Task[PreparedSong]) -> PreparedSong:
        """Wait for a song or an album, and report how many of its songs are embedded."""
        total, reported = len(job.all_songs), 0
        self._channel.emit(Progress("listen", 0, total, job.label))
        while not task.wait():
            self._channel.check_stop()
            if reported < self._preparer.embedded[job.input] < total:
                reported = self._preparer.embedded[job.input]
                self._channel.emit(Progress("listen", reported, total, job.label))
        return task.result(self._channel.check_stop)

    def _draw_batch(self) -> None:
        """Draw the covers of the batch, and start to finish and write them."""
        if not self._batch:
            return
        covers, self._batch = self._batch, []
        pipeline = self._get_pipeline()
        started = time.monotonic()
        tokens = pipeline.audio_tokens(*(cover.condition.embedding for cover in covers))
        seeds = [song_seed(cover.job.seed, cover.music.embedding) for cover in covers]
        prompts = [pipeline.write_prompts(cover.condition.heard, cover.job.seed, self._config) for cover in covers]
        label = covers[0].job.label
        pictures = pipeline.draw(
            tokens,
            seeds,
            self._config,
            lambda done, total: self._channel.emit(Progress("draw", done, total, label)),
            prompts,
        )
        share = (time.monotonic() - started) / len(covers)
        self._report_finished()
        for number, (seed, picture) in enumerate(zip(seeds, pictures, strict=True)):
            cover = replace(covers[number], prompts=prompts[number])
            self._finishing.append((cover, Task(self._finish, cover, seed, picture, cover.seconds + share)))
        if pipeline.placement.batch == 1:
            self._report_finished()

    def _finish(self, cover: _Cover, seed: int, picture: Tensor, seconds: float) -> float:
        """Finish and write a cover; return the seconds that were spent on it in all."""
        started = time.monotonic()
        metadata = {**cover.metadata, **cover.music.provenance(cover.job), **cover.prompts.as_metadata()}
        look = look_of(self._config, cover.job.seed, cover.music.heard)
        self._get_pipeline().save(cover.job, picture, seed, metadata, self._config, look)
        return seconds + time.monotonic() - started

    def _report_finished(self) -> None:
        """Wait for the covers that are being finished, and report each."""
        while self._finishing:
            cover, task = self._finishing[0]
            job, music = cover.job, cover.music
            try:
                seconds = task.result(self._channel.check_stop)
            except Stopped:
                raise
            except Exception as error:  # noqa: BLE001 — one cover that cannot be written must not end the run
                event: Event = _failure(job, error)
            else:
                segment = None if job.songs else music.segment
                songs = tuple(song.path for song, _ in music.parts) if job.songs else ()
                size = self._get_pipeline().native_size
                look = look_of(self._config, job.seed, music.heard)
                event = CoverFinished(
                    job.input,
                    job.output,
                    job.seed,
                    segment,
                    seconds,
                    size,
                    songs,
                    None if look is None else str(look),
                    self._models.base_reference,
                    cover.prompts.shown,
                )
            self._finishing.popleft()
            self._channel.emit(event)

    def _start_loading(self) -> Task[CoverPipeline]:
        """Start to load the models, once; called from several threads."""
        with self._lock:
            if self._loading is None:
                self._loading = Task(_load, self._config, self._models)
            return self._loading

    def _get_pipeline(self) -> CoverPipeline:
        """Return the loaded models; wait for them the first time."""
        if self._pipeline is None:
            loading = self._start_loading()
            self._channel.emit(ModelLoading(self._models.base_reference))
            self._pipeline = loading.result(self._channel.check_stop)
            self._channel.emit(ModelLoaded(self._models.base_reference, self._pipeline.seconds))
        return self._pipeline


def _load(config: GenerateConfig, models: Models) -> CoverPipeline:
    """Import torch and diffusers and load the models, in one thread.

    One load at a time: diffusers changes the state of torch for all threads while it builds a model, and a run that
    ended early may still be loading.
    """
    if models.base_reference == "painter":
        from covergen_cli.covers.painter import PainterPipeline

        return cast("CoverPipeline", PainterPipeline())  # the same interface, without tensors
    with _load_lock:
        from covergen_cli.covers.pipeline import load_pipeline

        return load_pipeline(config, models)


def _failure(job: Job, error: Exception) -> CoverFailed:
    if isinstance(error, CovergenError):
        return CoverFailed(job.input, job.output, job.seed, error.message, error.hint, job.songs)
    if isinstance(error, (OSError, UnicodeError)):  # from names, paths and disks, not from the program
        reason = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
        path = getattr(error, "filename", None) or job.input
        return CoverFailed(job.input, job.output, job.seed, f"{path}: {reason}", None, job.songs)
    _log.error("unexpected error with %s", job.input, exc_info=error)
    text = f"{job.input}: unexpected {type(error).__name__}: {error}"
    return CoverFailed(job.input, job.output, job.seed, text, "This is a bug; please report it.", job.songs)
