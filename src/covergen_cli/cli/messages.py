"""The wording of events: one line each, for people."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from covergen_cli import events
from covergen_cli.cli.progress import clock, size_text

_ACTIVITIES = {
    "tags": "reading the tags of",
    "check": "checking",
    "listen": "preparing",
    "draw": "generating",
    "motion": "animating",
}
"""Tasks of generate, in words; the other commands name their tasks in words."""

_LINES: dict[type, str | Callable[[Any], str]] = {
    events.CoverSkipped: lambda event: f"{_name(event)}: already there ({event.reason}), seed {event.seed}",
    events.ArtPresent: lambda event: (
        f"{event.input.parent if event.songs else event.input.name}: "
        f"has art ({event.output.name if event.output else 'in the tags'})"
    ),
    events.CoverFinished: lambda event: (
        f"{_name(event)}: {_used(event)}, seed {event.seed}, {event.seconds:.1f} s"
        + (", earlier cover replaced" if event.replaced else "")
    ),
    events.ModelDownloading: lambda event: (
        f"downloading {event.name} from {event.source}"
        + (f", about {size_text(event.about_bytes)}" if event.about_bytes else "")
        + f"; licence {event.licence}"
    ),
    events.ArtWritten: lambda event: (
        f"embedded the cover in {event.input}, {event.bytes / 1e6:.2f} MB"
        + (f"; the original file is {event.backup}" if event.backup else "")
    ),
    events.FileSaved: "saved {0.what} to {0.output}",
    events.FetchPlanned: "{0.total} rows, {0.pending} to fetch",
    events.EmbedPlanned: "{0.total} rows, {0.present} already embedded",
    events.EvalPlanned: lambda event: (
        f"{event.pairs} pairs × {event.draws} draws, {event.songs} songs × {event.song_draws} draws, "
        f"{event.covers} covers: about {clock(event.seconds)}"
    ),
    events.TrainPlanned: lambda event: (
        f"{event.train_pairs} training pairs, {event.validation_pairs} validation pairs, "
        f"{event.parameters / 1e6:.2f} M trainable parameters, {event.steps} steps; "
        + (f"resuming from {event.resumed}" if event.resumed else f"starting from {event.start or 'scratch'}")
    ),
    events.EpochDone: lambda event: (
        f"epoch {event.epoch}/{event.epochs}: training loss {event.train_loss:.4f}, "
        f"validation loss {event.validation_loss:.4f}" + " (best so far)" * event.best
    ),
    events.TrainStopped: "stopped after step {0.step}; run the same command again to continue",
    events.TrainFinished: lambda event: (
        f"finished after {count(event.epochs, 'epoch')}"
        + " (stopped early, because the validation loss no longer improved)" * event.early
        + f"; the best is epoch {event.best_epoch} with a validation loss of {event.validation_loss:.4f}"
    ),
}
_DETAILS: dict[type, str | Callable[[Any], str]] = {
    events.ModelLoaded: "loaded {0.name} in {0.seconds:.1f} s",
    events.ClipEmbedded: lambda event: f"{event.id}: {_used(event)}, {event.frames} rows",
    events.PairMissed: "row {0.row}, {0.id}: {0.reason}",
    events.CheckpointSaved: "saved {0.path}",
}
"""Lines that only ``--verbose`` shows."""


def message(event: events.Event, *, verbose: bool) -> str | None:
    """Return the line that stays on the screen for an event, ``None`` for events without one.

    Warnings and errors are not among them; the terminal writes them in colour.
    """
    line = _LINES.get(type(event)) or (_DETAILS.get(type(event)) if verbose else None)
    return line.format(event) if isinstance(line, str) else line and line(event)


def count(number: int, noun: str) -> str:
    """Return ``1 cover`` or ``2 covers``."""
    return f"{number} {noun}{'' if number == 1 else 's'}"


def activity(event: events.Progress) -> str:
    """Return what is being done, such as ``generating song.mp3``."""
    return f"{_ACTIVITIES.get(event.task, event.task)} {event.detail}".strip()


def step_text(step: events.StepDone, *, left: bool) -> str:
    """Return loss, speed and, if asked for, remaining time of a training."""
    speed = f"{step.pairs_per_second:.{0 if step.pairs_per_second >= 100 else 1}f} pairs/s"
    memory = "" if step.memory_bytes is None else f", {step.memory_bytes / 2**30:.1f} GB"
    remaining = f", {clock(step.seconds_left)} left" if left else ""
    return f"loss {step.loss:.4f}, {speed}{remaining}{memory}"


def _name(event: events.CoverFinished | events.CoverSkipped) -> str:
    return str(event.output) if event.songs else event.input.name  # an album has no single song to name


def _used(event: events.CoverFinished | events.ClipEmbedded) -> str:
    if event.segment:
        return f"segment {clock(event.segment[0])}–{clock(event.segment[1])}"
    # An album has several segments; a picture that the user brings needs none.
    return count(len(event.songs), "song") if event.songs else "your picture"
