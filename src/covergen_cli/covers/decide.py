"""Decides which covers are drawn, from hashes and files alone, for runs and dry runs: no model is loaded."""

from __future__ import annotations

import logging
import os
from collections.abc import Generator, Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

from covergen_cli.audio.audio_hash import audio_sha256
from covergen_cli.audio.io import probe
from covergen_cli.config import GenerateConfig
from covergen_cli.covers.cover_provenance import cover_provenance
from covergen_cli.covers.fingerprint import Models, find_models
from covergen_cli.covers.inputs import input_fault
from covergen_cli.covers.motion.due import needs_motion
from covergen_cli.covers.plan import donors, folder_error
from covergen_cli.covers.text.wording import cover_text
from covergen_cli.errors import CovergenError, InputError
from covergen_cli.events import CoverFailed, CoverPlanned, CoverSkipped, Progress, Warned
from covergen_cli.files import sha256_bytes, sha256_file
from covergen_cli.provenance import read_provenance
from covergen_cli.weights.hub import NotFetchedError

if TYPE_CHECKING:
    from covergen_cli.covers.plan import Job
    from covergen_cli.events import Event
_log = logging.getLogger(__name__)


class HashedSong(NamedTuple):
    """A music file and the SHA-256 of its audio, without its tags."""

    path: Path
    sha256: str


class Decision(NamedTuple):
    """``draw`` a cover, ``animate`` or ``skip`` it because it exists, or ``refuse`` to replace another, and why."""

    action: Literal["draw", "animate", "skip", "refuse"]
    reason: str = ""

    @property
    def needs_picture(self) -> bool:
        """Whether the picture is needed, to write the cover or its loop."""
        return self.action in {"draw", "animate"}


class DecidedCover(NamedTuple):
    """What happens to a cover, and its provenance without the names and segments of songs."""

    decision: Decision
    provenance: dict[str, Any]


@dataclass(frozen=True)
class Decisions:
    """Decisions about the covers of one song or album."""

    songs: tuple[HashedSong, ...]
    donor_songs: tuple[HashedSong, ...]  # those whose audio is used instead; empty unless songs are shuffled
    covers: tuple[DecidedCover, ...]
    skipped_songs: tuple[str, ...]  # warnings about songs that the album's cover is made without
    text_warnings: tuple[str, ...]  # warnings about text that cannot be set as asked


def skip_existing(jobs: Sequence[Job], config: GenerateConfig) -> tuple[list[Job], list[CoverSkipped | CoverFailed]]:
    """Return the jobs to prepare, and events for the others.

    The others are covers that cannot be written to their folders, and with ``overwrite: skip`` those that exist,
    unless a segment or a loop is to be saved beside them.
    """
    rest: list[Job] = []
    settled: list[CoverSkipped | CoverFailed] = []
    error_of = cache(folder_error)
    for job in jobs:
        segment_missing = job.segment_output is not None and not os.path.lexists(job.segment_output)
        more = segment_missing or config.motion is not None
        if config.overwrite == "skip" and os.path.lexists(job.output) and not more:
            settled.append(CoverSkipped(job.input, job.output, job.seed, "exists", job.songs))
        elif error := error_of(job.output.parent):
            settled.append(failure_of(job, error))
        else:
            rest.append(job)
    return rest, settled


def decide_covers(
    jobs: Sequence[Job], config: GenerateConfig, models: Models | None, donor: Job | None = None
) -> Decisions:
    """Decide which covers of one song or album are drawn.

    Args:
        jobs: the covers of one song or album.
        config: the settings.
        models: the models; ``None`` if they are not on this machine yet, which makes every cover out of date.
        donor: the song or album whose audio is used instead, when songs are shuffled.

    Raises:
        InputError: the song, or every song of the album, is missing, a folder, empty, or unreadable.
        ConfigError: the font cannot be read.
    """
    songs, skipped, sha256 = _hash_songs(jobs[0])
    donor_songs, _, donor_sha256 = ((), (), None) if donor is None else _hash_songs(donor)
    text, text_warnings = cover_text(config, songs[0].path, album=bool(jobs[0].songs), group=jobs[0].group)
    covers = []
    for job in jobs:
        provenance: dict[str, Any] = {"fingerprint": ""}
        if models is not None:
            provenance = cover_provenance(job, sha256, config, models, text=text, donor_sha256=donor_sha256)
        decision = decide(job.output, provenance["fingerprint"], config.overwrite, songs)
        if decision.action == "skip" and needs_motion(job.output, provenance["fingerprint"], config):
            decision = Decision("animate", decision.reason)
        covers.append(DecidedCover(decision, provenance))
    return Decisions(songs, donor_songs, tuple(covers), skipped, tuple(text_warnings))


def decide(
    output: Path,
    fingerprint: str,
    overwrite: Literal["changed", "skip", "force"],
    songs: Sequence[tuple[Path, str]] = (),
) -> Decision:
    """Decide whether one cover is drawn.

    Args:
        output: the cover's file.
        fingerprint: of the cover as it would be drawn now, from :func:`cover_provenance`.
        overwrite: see :class:`covergen_cli.config.GenerateConfig`.
        songs: music files and the hashes of their audio. A cover that was made from none of them belongs to another
            song and is refused; without ``songs``, no cover is refused for that.
    """
    if overwrite == "force" or not os.path.lexists(output):
        return Decision("draw")
    if overwrite == "skip":
        return Decision("skip", "exists")
    made = read_provenance(output)
    if made is None:
        return Decision("refuse", f"{output} exists and was not made by covergen")
    if made.get("fingerprint") == fingerprint:
        return Decision("skip", "unchanged")
    rows = made.get("songs")
    sources = rows if isinstance(rows, list) else [made]
    known = {source.get("input_sha256") for source in sources if isinstance(source, dict)}
    # Covers up to version 0.1.0 recorded the hash of the whole file.
    if not songs or any(sha256 in known for _, sha256 in songs) or any(sha256_file(path) in known for path, _ in songs):
        return Decision("draw")
    return Decision("refuse", f"{output} exists and was made from another song, or from another version of this one")


def event_of(job: Job, decision: Decision) -> CoverSkipped | CoverFailed | None:
    """Return the event of a cover that is not drawn, ``None`` for one that is."""
    if decision.action in {"skip", "animate"}:
        return CoverSkipped(job.input, job.output, job.seed, decision.reason, job.songs)
    if decision.action == "refuse":
        hint = "Use --overwrite force to replace it, or another -o."
        return CoverFailed(job.input, job.output, job.seed, decision.reason, hint, job.songs)
    return None


def failure_of(job: Job, error: Exception) -> CoverFailed:
    """Return the event of a cover that fails with an error; unexpected errors are logged with their traceback."""
    hint = None
    if isinstance(error, CovergenError):
        text, hint = error.message, error.hint
    elif isinstance(error, (OSError, UnicodeError)):  # from names, paths and disks, not from the program
        reason = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
        text = f"{getattr(error, 'filename', None) or job.input}: {reason}"
    else:
        _log.error("unexpected error with %s", job.input, exc_info=error)
        text = f"{job.input}: unexpected {type(error).__name__}: {error}"
        hint = "This is a bug; please report it."
    return CoverFailed(job.input, job.output, job.seed, text, hint, job.songs)


def _hash_songs(job: Job) -> tuple[tuple[HashedSong, ...], tuple[str, ...], str]:
    """Return the readable songs of a job with their hashes, warnings about the others, and the hash of the job.

    The hash of an album is one over those of its songs, in any order.

    Raises:
        InputError: the song, or every song of the album, is missing, a folder, empty, or unreadable.
    """
    songs, warnings = [], []
    for path in job.all_songs:
        try:
            songs.append(HashedSong(path, _hash_song(path)))
        except InputError as error:  # noqa: PERF203 — one bad song of an album must not stop the others
            if not job.songs:
                raise
            warnings.append(skipped_song(error.message))
    if not songs:
        raise no_usable_song(job, warnings)
    sha256 = sha256_bytes("".join(sorted(song.sha256 for song in songs)).encode()) if job.songs else songs[0].sha256
    return tuple(songs), tuple(warnings), sha256


def _hash_song(path: Path) -> str:
    if fault := input_fault(path):
        raise fault
    try:
        if path.stat().st_size == 0:
            raise InputError(f"{path} is empty")
        return audio_sha256(path)
    except FileNotFoundError as error:
        raise InputError(f"{path} does not exist", hint="Check the name.") from error
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror or error}") from error


def skipped_song(reason: str) -> str:
    """Return the warning about a song that its album's cover is made without."""
    return f"{reason}; the album's cover is made without it"


def no_usable_song(job: Job, warnings: Sequence[str]) -> InputError:
    """Return the error for an album without usable songs."""
    first = warnings[0].partition(";")[0]
    return InputError(f"no song for {job.output} can be used: {first}", hint="Check the files of this album.")


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
    # The default scheduler fits every base, and checking another takes seconds of imports.
    if models is not None and config.scheduler != GenerateConfig.scheduler:
        from covergen_cli.diffusion.sampler import make_scheduler

        make_scheduler(models, config.scheduler)
    donor_of = donors(jobs, config)
    jobs, skipped = skip_existing(jobs, config)
    yield from skipped
    for (song, _), group in groupby(jobs, key=lambda job: (job.input, job.songs)):
        covers = list(group)
        yield Progress("check", 0, None, covers[0].label)
        yield from _song_events(covers, config, models, donor_of.get(song))


def _song_events(
    jobs: Sequence[Job], config: GenerateConfig, models: Models | None, donor: Job | None
) -> Iterator[Event]:
    """Yield the events of one song or album."""
    try:
        errors = [error for path in jobs[0].all_songs if (error := _probe_error(path, config))]
        if len(errors) == len(jobs[0].all_songs):
            raise errors[0]
        warnings = [skipped_song(error.message) for error in errors]
        decisions: Sequence[Decision] = [Decision("draw")] * len(jobs)
        if config.overwrite != "force" and any(os.path.lexists(job.output) for job in jobs):
            decided = decide_covers(jobs, config, models, donor)
            decisions = [cover.decision for cover in decided.covers]
            warnings += decided.text_warnings
    except InputError as error:
        yield from (failure_of(job, error) for job in jobs)
        return
    yield from (Warned(text) for text in warnings)
    for job, decision in zip(jobs, decisions, strict=True):
        yield event_of(job, decision) or CoverPlanned(job.input, job.output, job.seed, job.songs)


def _probe_error(path: Path, config: GenerateConfig) -> InputError | None:
    """Return why a song cannot be used, as far as its header tells, or ``None``."""
    if fault := input_fault(path):
        return fault
    try:
        length = probe(path).duration_seconds
    except InputError as error:
        return error
    if config.segment is None or length is None or config.segment[0] < length:
        return None
    return InputError(f"{path} has no sound at {config.segment[0]:g} s", hint=f"It ends after {length:.1f} s.")
