"""The wording of events: one line each, for people."""

from __future__ import annotations

from typing import TYPE_CHECKING

from covergen_cli.cli.progress import clock
from covergen_cli.events import (
    ArtWritten,
    CheckpointSaved,
    ClipEmbedded,
    ContactSheetWritten,
    CoverFinished,
    CoverSkipped,
    EmbedPlanned,
    EpochDone,
    EvalPlanned,
    Explained,
    FetchPlanned,
    ModelLoaded,
    PairMissed,
    Progress,
    StepDone,
    TrainFinished,
    TrainPlanned,
    TrainStopped,
)

if TYPE_CHECKING:
    from covergen_cli.events import Event

_ACTIVITIES = {
    "tags": "reading the tags of",
    "look": "checking",
    "listen": "preparing",
    "prepare": "preparing",
    "draw": "generating",
    "generate": "generating",
}


def count(number: int, noun: str) -> str:
    """Return ``1 cover`` or ``2 covers``."""
    return f"{number} {noun}{'' if number == 1 else 's'}"


def activity(event: Progress) -> str:
    """Return what is being done, such as ``generating song.mp3``."""
    return f"{_ACTIVITIES.get(event.task, event.task)} {event.detail}".strip()


def step_text(step: StepDone) -> str:
    """Return loss, speed and remaining time of a training."""
    speed = f"{step.pairs_per_second:.{0 if step.pairs_per_second >= 100 else 1}f} pairs/s"
    memory = "" if step.memory_bytes is None else f", {step.memory_bytes / 2**30:.1f} GB"
    return f"loss {step.loss:.4f}, {speed}, {clock(step.seconds_left)} left{memory}"


def message(event: Event, *, verbose: bool) -> str | None:
    """Return the line that an event leaves on the screen, ``None`` for events without one.

    Warnings and errors are not covered; the terminal writes them in colour.
    """
    return _of_files(event) or _of_jobs(event) or (_verbose(event) if verbose else None)


def _of_files(event: Event) -> str | None:
    if isinstance(event, CoverSkipped):
        return f"{_name(event)}: already there ({event.reason}), seed {event.seed}"
    if isinstance(event, CoverFinished):
        used = f"segment {_span(event.segment)}" if event.segment else count(len(event.songs), "song")
        return f"{_name(event)}: {used}, seed {event.seed}, {event.seconds:.1f} s"
    if isinstance(event, ArtWritten):
        backup = f"; the original file is {event.backup}" if event.backup else ""
        return f"embedded the cover in {event.input}, {event.bytes / 1e6:.2f} MB{backup}"
    if isinstance(event, Explained):
        return f"saved the explanation to {event.output}"
    if isinstance(event, ContactSheetWritten):
        return f"saved a contact sheet of {count(event.covers, 'cover')} to {event.output}"
    return None


def _of_jobs(event: Event) -> str | None:
    if isinstance(event, FetchPlanned):
        return f"{event.total} rows, {event.pending} to fetch"
    if isinstance(event, EmbedPlanned):
        return f"{event.total} rows, {event.present} already embedded"
    if isinstance(event, EvalPlanned):
        return (
            f"{event.pairs} pairs × {event.draws} draws, {event.songs} songs × {event.song_draws} draws, "
            f"{event.covers} covers: about {clock(event.seconds)}"
        )
    return _of_training(event)


def _of_training(event: Event) -> str | None:
    if isinstance(event, TrainPlanned):
        start = f"resuming from {event.resumed}" if event.resumed else "starting from scratch"
        return (
            f"{event.train_pairs} training pairs, {event.validation_pairs} validation pairs, "
            f"{event.parameters / 1e6:.2f} M trainable parameters, {event.steps} steps; {start}"
        )
    if isinstance(event, EpochDone):
        best = " (best so far)" if event.best else ""
        losses = f"training loss {event.train_loss:.4f}, validation loss {event.validation_loss:.4f}"
        return f"epoch {event.epoch}/{event.epochs}: {losses}{best}"
    if isinstance(event, TrainStopped):
        return f"stopped after step {event.step}; run the same command again to continue"
    if isinstance(event, TrainFinished):
        early = " (stopped early, because the validation loss no longer improved)" if event.early else ""
        best = f"the best is epoch {event.best_epoch} with a validation loss of {event.validation_loss:.4f}"
        return f"finished after {event.epochs} epochs{early}; {best}"
    return None


def _verbose(event: Event) -> str | None:
    if isinstance(event, ModelLoaded):
        return f"loaded {event.name} in {event.seconds:.1f} s"
    if isinstance(event, ClipEmbedded):
        return f"{event.id}: segment {_span(event.segment)}, {event.frames} rows"
    if isinstance(event, PairMissed):
        return f"row {event.row}, {event.id}: {event.reason}"
    if isinstance(event, CheckpointSaved):
        return f"saved {event.path}"
    return None


def _name(event: CoverFinished | CoverSkipped) -> str:
    """Return the song's name, or for an album the path of its cover."""
    return str(event.output) if event.songs else event.input.name


def _span(segment: tuple[float, float]) -> str:
    return f"{clock(segment[0])}–{clock(segment[1])}"
