"""The only module that writes to the screen: results go to stdout, everything else to stderr."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Generator, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import click

from covergen_cli.cli.errors import Terminated
from covergen_cli.cli.messages import activity, count, message, step_text
from covergen_cli.cli.progress import RateMeter, Throttle
from covergen_cli.errors import OutputError
from covergen_cli.events import (
    ArtPresent,
    ClipEmbedded,
    ClipFailed,
    CoverFailed,
    CoverFinished,
    CoverPlanned,
    CoverSkipped,
    EmbedPlanned,
    EpochDone,
    FetchPlanned,
    ModelLoading,
    PairFetched,
    PairMissed,
    Progress,
    StepDone,
    Warned,
)

if TYPE_CHECKING:
    from rich.progress import Progress as Bars
    from rich.progress import TaskID

    from covergen_cli.events import Event

_PLAIN_SECONDS, _LIVE_SECONDS = 10.0, 0.5
"""Minimum time between two progress lines, off a terminal and in the live display."""

_WITH_NUMBER = (CoverFinished, CoverSkipped, ArtPresent, ClipEmbedded, PairMissed)
"""Events whose line begins with ``[done/total]``."""

_OTHER_CELLS = 13
"""Width of the spinner, a time of less than ten hours, a slash, and the spaces between columns."""

_PARTS_OF_ONE = ("draw", "")
"""Tasks whose progress is that of the current item."""


@dataclass
class Tally:
    """Counts of the items of one command."""

    total: int = 0
    finished: int = 0  # those finished in this run; in a dry run, the planned ones
    skipped: int = 0  # those that were already there
    failed: int = 0
    noun: str = "cover"  # name of an item
    bytes: int = 0  # bytes fetched in this run
    log_progress: bool = False  # write ``Progress`` events off a terminal too, at most every 10 seconds

    @property
    def settled(self) -> int:
        """Number of items that are finished, skipped or failed."""
        return self.finished + self.skipped + self.failed

    def count(self, event: Event) -> None:
        """Update the counts from one event."""
        if isinstance(event, EmbedPlanned):
            self.total, self.skipped = event.total, event.present
        elif isinstance(event, FetchPlanned):
            self.total, self.skipped = event.total, event.total - event.pending
        elif isinstance(event, PairFetched):
            self.bytes += event.bytes
        elif isinstance(event, EpochDone):
            self.finished = event.epoch
        self.finished += isinstance(event, (CoverFinished, CoverPlanned, ClipEmbedded, PairFetched))
        self.skipped += isinstance(event, (CoverSkipped, ArtPresent))
        self.failed += isinstance(event, (CoverFailed, ClipFailed, PairMissed))

    def summary(self, folder: Path | None, participle: str = "") -> str:
        """Return ``12 covers, 1 failed, 2 already there — in covers/``; a participle makes it ``12 covers planned``."""
        parts = [f"{count(self.finished, self.noun)} {participle}".rstrip()]
        parts += [f"{self.failed} failed"] * bool(self.failed)
        parts += [f"{self.skipped} already there"] * bool(self.skipped)
        where = f" — in {str(folder).rstrip(os.sep)}{os.sep}" if folder and self.finished + self.skipped else ""
        return ", ".join(parts) + where


class Terminal:
    """Writes lines, and on a terminal a live display below them.

    Quiet, it writes only results and errors. A non-empty ``NO_COLOR`` has the effect of ``no_color``.
    """

    def __init__(self, *, quiet: bool = False, verbose: int = 0, no_color: bool = False) -> None:
        self.quiet = quiet
        self.verbose = verbose
        self.color = False if no_color or os.environ.get("NO_COLOR") else None
        self.interactive = sys.stderr is not None and sys.stderr.isatty() and os.environ.get("TERM") != "dumb"
        self.throttle = Throttle(_LIVE_SECONDS if self.interactive else _PLAIN_SECONDS)
        self._display: _Display | None = None
        self._rate = RateMeter()
        self._step: StepDone | None = None
        self._tasks: set[str] = set()

    def result(self, line: str) -> None:
        """Write one result on stdout and flush it, so that the next program in a pipe can start."""
        if self._display and _stdout_is_terminal():
            self._display.above(line)  # both streams share the screen, so writing past the live display would garble it
            return
        try:
            click.echo(line)
            if sys.stdout is not None:  # it is None where the caller closed it
                sys.stdout.flush()
        except BrokenPipeError:
            raise
        except OSError as error:
            raise OutputError(f"cannot write to standard output: {error.strerror or error}") from error

    def note(self, text: str) -> None:
        """Write an informational line, unless quiet."""
        if not self.quiet:
            self.raw(text)

    def warn(self, text: str) -> None:
        """Write a warning, unless quiet."""
        self.note(click.style("warning: ", fg="yellow") + text)

    def error(self, text: str, hint: str | None = None) -> None:
        """Write an error and, on a second line, a hint."""
        self.raw(click.style("error: ", fg="red", bold=True) + text)
        if hint:
            self.raw(f"  hint: {hint}")

    def raw(self, text: str) -> None:
        """Write a line on stderr."""
        if self._display:
            self._display.above(text)
        else:
            click.echo(text, err=True, color=self.color)

    @contextmanager
    def live(self, tally: Tally) -> Iterator[None]:
        """Show a live display while the body runs, if stderr is a terminal."""
        if self.quiet or self._display or not self.interactive:
            yield
            return
        self._display = _Display(tally, no_color=self.color is False)
        try:
            with self._display.bars:
                yield
        finally:
            self._display = None

    def run(
        self, events: Generator[Event, None, None], tally: Tally, then: Callable[[Event], None] | None = None
    ) -> Event | None:
        """Run a job to its end and return its last event; every event is counted, shown, and passed to ``then``."""
        last = None
        try:
            with self.live(tally), closing(events):
                for last in events:
                    tally.count(last)
                    self.show(last, tally)
                    if then:
                        then(last)
        except (KeyboardInterrupt, Terminated):
            if tally.total:
                self.note(f"stopped after {tally.settled} of {tally.total}; run the same command again to continue")
            raise
        return last

    def show(self, event: Event, tally: Tally) -> None:
        """Show one event that ``tally`` has counted."""
        number = f"[{tally.settled}/{tally.total}] "
        if isinstance(event, StepDone):
            self._step = event
        elif isinstance(event, Progress) and event.task == "training" and self._step:
            event = replace(event, task="", detail=f"{event.detail}: {step_text(self._step, left=not self._display)}")
        # On a screen that shows the path of a cover as the result, the line about it would be the second.
        redundant = isinstance(event, CoverFinished) and self._display and _stdout_is_terminal() and not self.verbose
        if isinstance(event, Warned):
            self.warn(f"{event.path}: {event.message}" if event.path else event.message)
        elif isinstance(event, (CoverFailed, ClipFailed)):
            self.error(event.error, event.hint)
        elif not redundant and (text := message(event, verbose=self.verbose > 0)):
            self.note(number + text if isinstance(event, _WITH_NUMBER) else text)
        if self._display:
            self._display.update(event, tally)
        if isinstance(event, Progress):
            self._log_progress(event, tally)
        self._show_rate(event, tally, number)

    def _log_progress(self, event: Progress, tally: Tally) -> None:
        if not tally.log_progress or self.interactive:
            return
        is_new = event.task not in self._tasks
        self._tasks.add(event.task)
        if self.throttle.ready() or is_new:
            self.note(f"{activity(event)}: {event.done} of {event.total}" if event.task else event.detail)

    def _show_rate(self, event: Event, tally: Tally, number: str) -> None:
        """Show the rate of a job with too many items for one line each."""
        if isinstance(event, (EmbedPlanned, FetchPlanned)):
            self._rate.start(tally.settled)
            self.throttle.restart()
        elif isinstance(event, (ClipEmbedded, ClipFailed, PairFetched, PairMissed)) and self.throttle.ready():
            text = self._rate.read(tally.settled, tally.total, tally.noun, tally.bytes, left=not self._display)
            if text and tally.failed:
                text += f", {tally.failed} failed"
            if text and self._display:
                self._display.describe(text)
            elif text:
                self.note(number + text)


class _Display:
    """Two bars on stderr, all items and the current activity, each with its own time left, or taken when it is done."""

    def __init__(self, tally: Tally, *, no_color: bool) -> None:
        from rich.console import Console
        from rich.progress import BarColumn, MofNCompleteColumn, SpinnerColumn, TextColumn, TimeRemainingColumn
        from rich.progress import Progress as Bars

        console = Console(stderr=True, no_color=no_color or None, highlight=False)
        self._bar_cells = max(8, min(30, console.width // 5))
        self.bars: Bars = Bars(
            SpinnerColumn(),
            TextColumn("{task.description}", markup=False),
            BarColumn(bar_width=self._bar_cells),
            MofNCompleteColumn(),
            TimeRemainingColumn(compact=True, elapsed_when_finished=True),
            console=console,
            transient=True,
            speed_estimate_period=300,
            redirect_stdout=False,
            redirect_stderr=False,
        )
        self._items: TaskID = self.bars.add_task(f"{tally.noun}s", total=tally.total or None)
        self._current: TaskID = self.bars.add_task("starting", total=None)
        self._activity: tuple[str, int | None] | None = None

    def above(self, text: str) -> None:
        """Write a line, which may hold colour codes, above the bars."""
        from rich.text import Text

        self.bars.console.print(Text.from_ansi(text), soft_wrap=True)

    def describe(self, text: str) -> None:
        """Show a text as the current activity."""
        self._show("", text, 0, None)

    def update(self, event: Event, tally: Tally) -> None:
        """Move the bars."""
        if isinstance(event, ModelLoading):
            self.describe(f"loading {event.name}")
        elif isinstance(event, Progress):
            self._show(event.task, activity(event), event.done, event.total)
            part = event.done / event.total if event.task in _PARTS_OF_ONE and event.total else 0.0
            self.bars.update(self._items, completed=min(tally.settled + part, tally.total), total=tally.total or None)
        else:
            self.bars.update(self._items, completed=tally.settled, total=tally.total or None)

    def _show(self, task: str, text: str, done: int, total: int | None) -> None:
        """Move the lower bar; another activity starts its clock anew."""
        current = next(each for each in self.bars.tasks if each.id == self._current)
        text = self._fitted(text, total)
        if (task, total) != self._activity or done < current.completed:
            self._activity = task, total
            self.bars.reset(self._current, total=total, description=text)
        self.bars.update(self._current, description=text, completed=done, total=total)

    def _fitted(self, text: str, total: int | None) -> str:
        """Shorten a text to what the other columns leave of the screen."""
        from rich.cells import cell_len, set_cell_size

        text = " ".join(text.split())
        digits = max(len(str(each)) for each in (total or 0, *(int(task.total or 0) for task in self.bars.tasks)))
        cells = max(8, self.bars.console.width - self._bar_cells - 2 * digits - _OTHER_CELLS)
        return text if cell_len(text) <= cells else set_cell_size(text, cells - 1).rstrip() + "…"


def _stdout_is_terminal() -> bool:
    return sys.stdout is not None and sys.stdout.isatty()  # it is None where the caller closed it
