"""``covergen train``: an adapter from pairs of music and cover."""

from __future__ import annotations

import json
import os
import signal
import time
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import click

from covergen_cli.cli.errors import DONE, FAILED, GentleStop, Terminated
from covergen_cli.cli.options import Command, Session, given_settings, global_options, setting_options
from covergen_cli.cli.pace import clock
from covergen_cli.cli.terminal import Tally, Terminal
from covergen_cli.config import AdapterConfig, TrainConfig
from covergen_cli.config.resolve import BUILT_IN, preset_names, resolve
from covergen_cli.events import (
    CheckpointSaved,
    EpochDone,
    Progress,
    StepDone,
    TrainFinished,
    TrainPlanned,
    TrainStopped,
)

if TYPE_CHECKING:
    from covergen_cli.events import Event

SCHEMA = 1
"""Version of the object that ``--json`` writes."""

_PLAIN_SECONDS = 20.0


@click.command(cls=Command)
@click.argument("data", metavar="DATA", type=click.Path(path_type=Path))
@click.option(
    "-o", "--output", "run", metavar="RUN", type=click.Path(path_type=Path), required=True, help="The run folder."
)
@click.option(
    "--preset",
    default=BUILT_IN,
    show_default=True,
    help=f"Settings to start from: {', '.join(preset_names())}, or a YAML file with sections train and adapter.",
)
@click.option(
    "--resume",
    metavar="auto|never|PATH",
    default="auto",
    show_default=True,
    help="Go on from the newest checkpoint in RUN, begin anew, or go on from this checkpoint.",
)
@setting_options(TrainConfig)
@click.option("--json", "as_json", is_flag=True, help="One JSON object on stdout instead of a path.")
@global_options
@click.pass_context
def train(
    context: click.Context, /, data: Path, run: Path, preset: str, resume: str, as_json: bool, **_settings: Any
) -> int:
    """Train an adapter for a frozen image model on pairs of music and cover.

    DATA is a dataset folder with embeddings and splits. RUN gets the adapter, checkpoints, metrics and sample covers;
    covergen generate --adapter RUN draws with it. Stop it however you like: the same line goes on where it was. The
    path of RUN goes to stdout.
    """
    config = resolve(TrainConfig, preset=preset, overrides=given_settings(context, TrainConfig))
    shape = resolve(AdapterConfig, preset=preset)
    terminal = context.ensure_object(Session).terminal()
    # Of the processes that accelerate starts, the first speaks for all.
    speaks = os.environ.get("RANK", "0") == "0"
    terminal.quiet |= not speaks
    finished = _train(data, run, config, shape, _start(resume), terminal)
    if finished is None:
        return FAILED
    if speaks:
        terminal.result(json.dumps(_record(finished)) if as_json else str(run))
    return DONE


def _start(resume: str) -> Literal["auto", "never"] | Path:
    return "auto" if resume == "auto" else "never" if resume == "never" else Path(resume)


def _train(
    data: Path,
    run: Path,
    config: TrainConfig,
    shape: AdapterConfig,
    resume: Literal["auto", "never"] | Path,
    terminal: Terminal,
) -> TrainFinished | None:
    """Run the library's generator to its end; a signal saves the state first.

    Raises:
        KeyboardInterrupt: it was stopped by Ctrl-C.
        Terminated: it was stopped by SIGTERM.
    """
    from covergen_cli.training import loop

    lines, tally = _Lines(terminal), Tally(noun="epoch", total=config.epochs)
    with GentleStop() as stop, terminal.live(tally):
        with closing(loop.train(data, run, config, shape, resume=resume, stop=stop.asked)) as events:
            for event in events:
                stop.armed |= isinstance(event, TrainPlanned)
                tally.finished = event.epoch if isinstance(event, EpochDone) else tally.finished
                lines.show(event, tally)
                if isinstance(event, TrainFinished):
                    return event
        if stop.signal == signal.SIGINT:
            raise KeyboardInterrupt
        if stop.signal is not None:
            raise Terminated
    return None


def _record(finished: TrainFinished) -> dict[str, Any]:
    return {
        "schema": SCHEMA,
        "status": "ok",
        "run": str(finished.run),
        "adapter": str(finished.adapter),
        "epochs": finished.epochs,
        "steps": finished.steps,
        "early": finished.early,
        "best_epoch": finished.best_epoch,
        "validation_loss": finished.validation_loss,
        "seconds": round(finished.seconds, 3),
    }


class _Lines:
    """Says what a training tells, in words; the live line where there is one, else a line now and then."""

    def __init__(self, terminal: Terminal) -> None:
        self._terminal = terminal
        self._last: StepDone | None = None
        self._said = time.monotonic()

    def show(self, event: Event, tally: Tally) -> None:
        """Show one event."""
        if isinstance(event, StepDone):
            self._last = event
        if isinstance(event, Progress) and event.task == "training":
            event = Progress("", event.done, event.total, event.detail + self._pace())
        if isinstance(event, Progress):
            self._say_now_and_then(event)
        elif (text := _sentence(event, verbose=self._terminal.verbose > 0)) is not None:
            self._say(text)
        self._terminal.show(event, tally)

    def _pace(self) -> str:
        if self._last is None:
            return ""
        step = self._last
        memory = "" if step.memory_bytes is None else f", {step.memory_bytes / 2**30:.1f} GB"
        return (
            f": loss {step.loss:.4f}, {step.pairs_per_second:.{0 if step.pairs_per_second >= 100 else 1}f} pairs/s, "
            f"{clock(step.seconds_left)} left{memory}"
        )

    def _say_now_and_then(self, event: Progress) -> None:
        if not self._terminal.interactive and time.monotonic() - self._said > _PLAIN_SECONDS:
            self._say(event.detail or f"{event.task} {event.done}/{event.total}")

    def _say(self, text: str) -> None:
        self._terminal.note(text)
        self._said = time.monotonic()


def _sentence(event: Event, *, verbose: bool) -> str | None:
    """What is written about an event and stays on the screen."""
    if isinstance(event, TrainPlanned):
        start = f"going on from {event.resumed}" if event.resumed else "from the beginning"
        return (
            f"{event.train_pairs} pairs to learn from, {event.validation_pairs} to judge by, "
            f"{event.parameters / 1e6:.2f} M numbers to train, {event.steps} steps; {start}"
        )
    if isinstance(event, EpochDone):
        best = ", the best so far" if event.best else ""
        return (
            f"epoch {event.epoch}/{event.epochs}: loss {event.train_loss:.4f} in training, "
            f"{event.validation_loss:.4f} in validation{best}"
        )
    if isinstance(event, CheckpointSaved) and verbose:
        return f"saved {event.path}"
    if isinstance(event, TrainStopped):
        return f"stopped after step {event.step}; the same command goes on from here"
    if isinstance(event, TrainFinished):
        early = ", as the validation loss no longer fell" if event.early else ""
        return (
            f"done after {event.epochs} epochs{early}; the best was epoch {event.best_epoch} "
            f"with a validation loss of {event.validation_loss:.4f}"
        )
    return None
