"""The dry run: which covers a run would draw, skip, or fail to draw, without loading a model."""

from __future__ import annotations

import os
from collections.abc import Generator, Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING, Any

from covergen_cli.audio.io import probe
from covergen_cli.config import GenerateConfig
from covergen_cli.covers.decide import Decision, decide_covers, event_of, skip_existing, skipped_song
from covergen_cli.covers.fingerprint import Models, find_models
from covergen_cli.covers.inputs import input_fault
from covergen_cli.covers.shuffle import donors
from covergen_cli.errors import InputError
from covergen_cli.events import CoverFailed, CoverPlanned, Progress, Warned
from covergen_cli.weights.hub import NotFetchedError

if TYPE_CHECKING:
    from covergen_cli.covers.plan import Job
    from covergen_cli.events import Event


@dataclass(frozen=True)
class _Base:
    """The part of a base that decides whether a scheduler fits it."""

    reference: str
    scheduler_config: dict[str, Any]


def dry_run(jobs: Sequence[Job], config: GenerateConfig) -> Generator[Event, None, None]:
    """Yield what :func:`covergen_cli.covers.generate.generate` would do, after the same checks, and write nothing.

    No model is loaded or downloaded. Only the headers of songs are read, and the audio of those whose cover exists.

    Args:
        jobs: from :func:`covergen_cli.covers.plan.plan`.
        config: the settings.

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
    donor_of = donors(jobs, config)
    jobs, skipped = skip_existing(jobs, config)
    yield from skipped
    for song, group in groupby(jobs, key=lambda job: job.input):
        covers = list(group)
        yield Progress("look", 0, None, covers[0].label)
        yield from _song_events(covers, config, models, donor_of.get(song))


def _check_scheduler(config: GenerateConfig, models: Models) -> None:
    # The default fits every base, and checking another takes seconds of imports.
    if config.scheduler != GenerateConfig.scheduler:
        from covergen_cli.diffusion.sampler import make_scheduler

        make_scheduler(_Base(models.base_reference, models.scheduler_config), config.scheduler)


def _song_events(
    jobs: Sequence[Job], config: GenerateConfig, models: Models | None, donor: Job | None
) -> Iterator[Event]:
    """Yield the events of one song or album."""
    try:
        warnings = _probe_songs(jobs[0], config)
        decisions: Sequence[Decision] = [Decision("draw")] * len(jobs)
        if config.overwrite != "force" and any(os.path.lexists(job.output) for job in jobs):
            decided = decide_covers(jobs, config, models, donor)
            decisions, warnings = decided.decisions, [*warnings, *decided.text_warnings]
    except InputError as error:
        yield from (CoverFailed(job.input, job.output, job.seed, error.message, error.hint, job.songs) for job in jobs)
        return
    yield from (Warned(text) for text in warnings)
    for job, decision in zip(jobs, decisions, strict=True):
        yield event_of(job, decision) or CoverPlanned(job.input, job.output, job.seed, job.songs)


def _probe_songs(job: Job, config: GenerateConfig) -> list[str]:
    """Read the header of every song; return warnings about songs that an album's cover would be made without.

    Raises:
        InputError: the song, or every song of the album, cannot be used.
    """
    errors = [error for path in job.all_songs if (error := _probe_error(path, config))]
    if len(errors) == len(job.all_songs):
        raise errors[0]
    return [skipped_song(error) for error in errors]


def _probe_error(path: Path, config: GenerateConfig) -> InputError | None:
    if fault := input_fault(path):
        return fault
    try:
        length = probe(path).duration_seconds
    except InputError as error:
        return error
    if config.segment is None or length is None or config.segment[0] < length:
        return None
    return InputError(f"{path} has no sound at {config.segment[0]:g} s", hint=f"It ends after {length:.1f} s.")
