"""Draws covers for songs (§3.4) and yields events about what happens.

The next songs are prepared in threads while the current one is drawn, and the models load while the first song is
prepared. On a CPU covers are drawn one at a time, so that the bytes of a cover never depend on other songs, and each is
written as soon as it is finished. A GPU draws several covers at once, and while it draws the next ones, the last ones
are finished and written in threads.
"""

from __future__ import annotations

import os
import threading
import time
from collections import deque
from collections.abc import Generator, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING, Any

from covergen_cli.covers.background import Channel, Stopped, Task
from covergen_cli.covers.decide import dry_run as dry_run  # noqa: PLC0414 — re-exported
from covergen_cli.covers.decide import event_of, failure_of, skip_existing
from covergen_cli.covers.explain import write_explanation
from covergen_cli.covers.fingerprint import Models, song_seed
from covergen_cli.covers.loading import PipelineLoader, fetch_models
from covergen_cli.covers.motion.due import DrawnCover
from covergen_cli.covers.picture_cache import RawPicture, save_picture
from covergen_cli.covers.plan import donors
from covergen_cli.covers.plan import plan as plan  # noqa: PLC0414 — re-exported
from covergen_cli.covers.prepare import EmbeddedMusic, PreparedSong, Preparer
from covergen_cli.covers.processes import Processes, make_processes
from covergen_cli.covers.prompts import NO_PROMPTS, Prompts
from covergen_cli.covers.styling import explain_look, look_of, style_and_save
from covergen_cli.errors import ModelError
from covergen_cli.events import CoverFinished, CoverSkipped, FileSaved, Progress, Warned

if TYPE_CHECKING:
    from torch import Tensor

    from covergen_cli.config import GenerateConfig
    from covergen_cli.covers.explain import Explanation
    from covergen_cli.covers.looks import Look
    from covergen_cli.covers.plan import Job
    from covergen_cli.covers.styling import Finish
    from covergen_cli.events import Event

_SONGS_AHEAD = 2


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
        models = yield from fetch_models(config)
        run = _Run(config, models, donors(jobs, config), channel, make_processes(missing, config, models))
        yield from channel.read(run.draw_covers, missing)


@dataclass(frozen=True)
class _Cover:
    """A cover that is to be drawn."""

    job: Job
    music: EmbeddedMusic  # the song or album
    audio_source: EmbeddedMusic  # the music to draw from: its own, or a donor's
    provenance: dict[str, Any]  # without names and segments of songs
    seconds: float  # time spent on it so far
    key: str | None  # name of its picture in the cache; ``None`` if it is not kept
    present: CoverSkipped | None  # the cover is there already, and only its loop is written


class _Run:
    """One call of :func:`generate`; its methods run in one background thread and emit events."""

    def __init__(
        self,
        config: GenerateConfig,
        models: Models,
        donor_of: Mapping[Path, Job],
        channel: Channel,
        processes: Processes,
    ) -> None:
        self._config = config
        self._models = models
        self._channel = channel
        self._loader = PipelineLoader(config, models, channel, import_for_looks=not processes.count)
        self._batch: list[_Cover] = []
        self._writing: deque[tuple[_Cover, Task[tuple[CoverFinished | CoverSkipped, DrawnCover]]]] = deque()
        self._processes = processes
        self._preparer = Preparer(config, models, channel.check_stop, self._loader.start, donor_of, processes)

    def draw_covers(self, jobs: Sequence[Job]) -> None:
        """Draw the covers of all songs."""
        songs = [list(group) for _, group in groupby(jobs, lambda job: (job.input, job.songs))]
        try:
            for covers, task in self._start_preparing(songs):
                self._add_song(covers, task)
            self._draw_batch()
            self._report_finished()
        finally:
            for _, writing in self._writing:
                writing.join()
            self._processes.close()

    def _start_preparing(self, songs: Sequence[list[Job]]) -> Iterator[tuple[list[Job], Task[PreparedSong]]]:
        """Yield the songs in order, while the next ones are prepared: two, or as many as are drawn at once."""
        ahead: deque[tuple[list[Job], Task[PreparedSong]]] = deque()
        for jobs in songs:
            ahead.append((jobs, Task(self._preparer.prepare, jobs)))
            if len(ahead) > max(_SONGS_AHEAD, self._loader.batch):
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
                self._channel.emit(failure_of(job, error))
            return
        for text in song.warnings:
            self._channel.emit(Warned(text, None if jobs[0].songs else jobs[0].input))
        if song.saved_segment is not None:
            self._channel.emit(FileSaved(song.saved_segment, "the segment"))
        seconds = song.seconds
        for job, prepared in zip(jobs, song.covers, strict=True):
            event = event_of(job, prepared.decision)
            if event is not None and not prepared.decision.needs_picture:
                self._channel.emit(event)
            elif song.music is not None:
                source = song.audio_source or song.music
                present = event if isinstance(event, CoverSkipped) else None
                cover = _Cover(job, song.music, source, prepared.provenance, seconds, prepared.key, present)
                self._add_cover(cover, prepared.picture)
                seconds = 0.0
        if song.explanation is not None and song.music is not None:
            self._explain(jobs[0], song.explanation, song.music)

    def _add_cover(self, cover: _Cover, picture: RawPicture | None) -> None:
        """Write a cover whose picture is known, or draw it once the batch is full."""
        if picture is not None:
            self._start_writing(cover, picture)
            if self._loader.batch == 1:
                self._report_finished()
            return
        self._batch.append(cover)
        if len(self._batch) >= self._loader.get().batch:
            self._draw_batch()

    def _explain(self, job: Job, explanation: Explanation, music: EmbeddedMusic) -> None:
        """Write the picture that explains a cover, which has to be there."""
        self._draw_batch()
        self._report_finished()
        attention = prompt = None
        if self._models.own_picture is None and music.embedding is not None:
            pipeline = self._loader.get()
            attention = pipeline.attention(music.embedding)
            prompt = pipeline.write_prompts(music.heard, job.seed, self._config).shown
        reasons = explain_look(self._config, job, music.heard)
        self._channel.emit(write_explanation(job, explanation, attention, prompt, reasons))

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
        """Draw the covers of the batch, and start to write them."""
        if not self._batch:
            return
        covers, self._batch = self._batch, []
        pipeline = self._loader.get()
        started = time.monotonic()
        embeddings = [cover.audio_source.embedding for cover in covers if cover.audio_source.embedding is not None]
        tokens = pipeline.audio_tokens(*embeddings)
        if self._config.steer is not None:
            heard = [cover.audio_source.heard for cover in covers if cover.audio_source.heard is not None]
            tokens = pipeline.steer(tokens, heard, self._config.steer)
        seeds = [
            song_seed(cover.job.seed, cover.music.embedding) for cover in covers if cover.music.embedding is not None
        ]
        prompts = [pipeline.write_prompts(cover.audio_source.heard, cover.job.seed, self._config) for cover in covers]

        def report_step(done: int, total: int) -> None:
            self._channel.emit(Progress("draw", done, total, covers[0].job.label))

        pictures = pipeline.draw(tokens, seeds, self._config, report_step, prompts)
        share = (time.monotonic() - started) / len(covers)
        self._report_finished()  # the batch before, which was written while this one was drawn
        for cover, seed, picture, prompt in zip(covers, seeds, pictures, prompts, strict=True):
            self._start_writing(replace(cover, seconds=cover.seconds + share), picture, seed, prompt)
        if self._loader.batch == 1:
            self._report_finished()

    def _start_writing(
        self, cover: _Cover, picture: RawPicture | Tensor, seed: int = 0, prompts: Prompts = NO_PROMPTS
    ) -> None:
        """Start to style and write a cover in a thread; a picture that was just drawn is kept in the cache."""
        look = look_of(self._config, cover.job, cover.music.heard)
        finish = None if look is not None else self._loader.choose_enlarger(picture)
        self._writing.append((cover, Task(self._write_cover, cover, picture, seed, prompts, look, finish)))

    def _write_cover(
        self,
        cover: _Cover,
        picture: RawPicture | Tensor,
        seed: int,
        prompts: Prompts,
        look: Look | None,
        finish: Finish | None,
    ) -> tuple[CoverFinished | CoverSkipped, DrawnCover]:
        """Style and write a cover, unless it is there already."""
        started, job, music = time.monotonic(), cover.job, cover.music
        if not isinstance(picture, RawPicture):
            segments = {song.sha256: segment for song, segment in music.parts if segment is not None}
            picture = RawPicture(self._loader.get().to_image(picture), seed, segments, music.heard, prompts)
            if cover.key is not None and not music.warnings:  # a kept picture could not repeat them
                save_picture(cover.key, picture)
        provenance = {**cover.provenance, **music.provenance(job)}
        song, segment = music.parts[0]
        drawn = DrawnCover(job, picture, look, finish, provenance, song.path, segment)
        if cover.present is not None:
            return cover.present, drawn
        replaced = os.path.lexists(job.output)
        arguments = (job, picture, provenance, self._config, look, finish)
        if look is None:
            style_and_save(*arguments)
        else:
            self._processes.run(style_and_save, *arguments, or_here=True)
        finished = CoverFinished(
            job.input,
            job.output,
            job.seed,
            None if job.songs else music.segment,
            cover.seconds + time.monotonic() - started,
            picture.image.width,
            tuple(song.path for song, _ in music.parts) if job.songs else (),
            None if look is None else str(look),
            self._models.base_reference,
            picture.prompts.shown,
            replaced,
        )
        return finished, drawn

    def _report_finished(self) -> None:
        """Wait for the covers that are being written, and report each."""
        while self._writing:
            cover, task = self._writing[0]
            try:
                finished: tuple[Event, DrawnCover | None] = task.result(self._channel.check_stop)
            except Stopped:
                raise
            except Exception as error:  # noqa: BLE001 — one cover that cannot be written must not end the run
                finished = failure_of(cover.job, error), None
            event, drawn = finished
            self._writing.popleft()
            self._channel.emit(event)
            if drawn is not None and self._config.motion is not None:
                self._animate(drawn)

    def _animate(self, cover: DrawnCover) -> None:
        """Write the loop of a cover."""
        from covergen_cli.covers.motion.save import save_motion

        with closing(save_motion(cover, self._config)) as events:
            for event in events:
                self._channel.emit(event)
