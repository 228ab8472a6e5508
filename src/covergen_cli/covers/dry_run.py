"""What a run would do, without a model: which covers it would draw, leave, or fail to make."""

from __future__ import annotations

from collections.abc import Generator, Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING, Any

from covergen_cli.audio.io import probe
from covergen_cli.config import GenerateConfig
from covergen_cli.covers.fingerprint import Models, Verdict, cover_facts, find_models, judge
from covergen_cli.covers.jobs import songs_of
from covergen_cli.covers.prepare import input_hash, left_out, look_at_songs
from covergen_cli.covers.shuffle import donors
from covergen_cli.covers.text.wording import wanted_lettering
from covergen_cli.errors import InputError
from covergen_cli.events import CoverFailed, CoverPlanned, CoverSkipped, Progress, Warned
from covergen_cli.weights import NotFetchedError

if TYPE_CHECKING:
    from covergen_cli.covers.jobs import Job
    from covergen_cli.events import Event

REFUSED_HINT = "Use --overwrite force to replace it, or another -o."
"""What to do about a picture that is in the way."""


@dataclass(frozen=True)
class _Base:
    """What of a base decides whether a scheduler fits it."""

    reference: str
    scheduler_config: dict[str, Any]


def dry_run(jobs: Sequence[Job], config: GenerateConfig) -> Generator[Event, None, None]:
    """Tell what :func:`covergen_cli.covers.generate.generate` would do, with the same checks, and write nothing.

    No model is loaded or fetched. Of a song only the head is read, of one whose cover exists the sound.

    Args:
        jobs: from :func:`covergen_cli.covers.plan.plan`.
        config: how would be drawn.

    Yields:
        one ``CoverPlanned``, ``CoverSkipped`` or ``CoverFailed`` per job, progress, and warnings.

    Raises:
        ModelError: a model is missing or damaged, or the scheduler does not fit it.
        ConfigError: there is no such scheduler, or no such device.
    """
    if config.device not in {"auto", "cpu"}:
        from covergen_cli.weights.device import choose_device

        choose_device(config.device)
    models = None
    try:
        models = find_models(config, fetch=False)
    except NotFetchedError as error:
        yield Warned(f"{error.message}; it would be fetched, and every cover drawn")
    if models is not None:
        _check_scheduler(config, models)
    givers = donors(jobs, config)
    for _, group in groupby(jobs, key=lambda job: job.input):
        song = list(group)
        yield Progress("look", 0, None, song[0].label)
        yield from _song_events(song, config, models, givers.get(song[0].input))


def _check_scheduler(config: GenerateConfig, models: Models) -> None:
    # The one that presets choose fits every base, and checking another takes seconds of imports.
    if config.scheduler != GenerateConfig.scheduler:
        from covergen_cli.diffusion.sampler import make_scheduler

        make_scheduler(_Base(models.base_reference, models.scheduler_config), config.scheduler)


def _song_events(
    jobs: Sequence[Job], config: GenerateConfig, models: Models | None, donor: Job | None
) -> Iterator[Event]:
    """Judge the covers of one song or album; those that ``skip`` leaves alone need no song that can be read."""
    if config.overwrite == "skip":
        yield from (_skipped(job, "exists") for job in jobs if job.output.exists())
        jobs = [job for job in jobs if not job.output.exists()]
    if not jobs:
        return
    try:
        verdicts, warnings = _judged(jobs, config, models, donor)
    except InputError as error:
        yield from (CoverFailed(job.input, job.output, job.seed, error.message, error.hint, job.songs) for job in jobs)
        return
    yield from (Warned(text) for text in warnings)
    for job, verdict in zip(jobs, verdicts, strict=True):
        if verdict.action == "skip":
            yield _skipped(job, verdict.reason)
        elif verdict.action == "refuse":
            yield CoverFailed(job.input, job.output, job.seed, verdict.reason, REFUSED_HINT, job.songs)
        else:
            yield CoverPlanned(job.input, job.output, job.seed, job.songs)


def _skipped(job: Job, reason: str) -> CoverSkipped:
    return CoverSkipped(job.input, job.output, job.seed, reason, job.songs)


def _judged(
    jobs: Sequence[Job], config: GenerateConfig, models: Models | None, donor: Job | None
) -> tuple[list[Verdict], list[str]]:
    """Return a verdict per job, and warnings.

    Raises:
        InputError: the song, or every song of the album, cannot be used.
    """
    warnings = _look(jobs[0], config)
    if config.overwrite == "force" or not any(job.output.exists() for job in jobs):
        return [Verdict("draw")] * len(jobs), warnings
    songs, _ = look_at_songs(jobs[0])
    digest = input_hash(jobs[0], songs)
    words, notes = wanted_lettering(config, songs[0][0], album=bool(jobs[0].songs))
    warnings += notes
    heard = None if donor is None else input_hash(donor, look_at_songs(donor)[0])
    prints = [
        cover_facts(job, digest, config, models, lettering=words, heard_sha256=heard)["fingerprint"] if models else ""
        for job in jobs
    ]
    return [judge(job.output, text, config.overwrite, songs) for job, text in zip(jobs, prints, strict=True)], warnings


def _look(job: Job, config: GenerateConfig) -> list[str]:
    """Read the head of every song; return what is wrong with the songs of an album that has others.

    Raises:
        InputError: the song, or every song of the album, cannot be used.
    """
    wrong = [error for path in songs_of(job) if (error := _wrong(path, config))]
    if len(wrong) == len(songs_of(job)):
        raise wrong[0]
    return [left_out(error) for error in wrong]


def _wrong(path: Path, config: GenerateConfig) -> InputError | None:
    try:
        length = probe(path).duration_seconds
    except InputError as error:
        return error
    if config.segment is None or length is None or config.segment[0] < length:
        return None
    return InputError(f"{path} has no sound at {config.segment[0]:g} s", hint=f"It ends after {length:.1f} s.")
