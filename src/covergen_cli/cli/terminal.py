"""The one place that writes for people and pipes: results on stdout, everything else on stderr."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import click

from covergen_cli.cli.pace import Pace, clock
from covergen_cli.errors import OutputError
from covergen_cli.events import (
    ArtWritten,
    ClipEmbedded,
    ClipFailed,
    ContactSheetWritten,
    CoverFailed,
    CoverFinished,
    CoverPlanned,
    CoverSkipped,
    EmbedPlanned,
    Explained,
    FetchPlanned,
    ModelLoaded,
    ModelLoading,
    PairFetched,
    PairMissed,
    Progress,
    RowsListed,
    Warned,
)

if TYPE_CHECKING:
    from rich.progress import Progress as Bars
    from rich.progress import TaskID

    from covergen_cli.events import Event

_DOING = {
    "tags": "reading the tags of",
    "listen": "listening to",
    "draw": "drawing",
    "decode": "listening to",
    "embed": "listening to",
}


_PARTS_OF_ONE = ("draw", "")
"""Tasks whose progress is that of the thing under way."""

_PLAIN_SECONDS, _LIVE_SECONDS = 10.0, 0.5


@dataclass
class Tally:
    """How many things came to what.

    Args:
        total: things in all.
        finished: made in this run; in a dry run, planned.
        skipped: already there.
        failed: not made.
        noun: what they are called.
        bytes: size of what was made or came in this run.
    """

    total: int = 0
    finished: int = 0
    skipped: int = 0
    failed: int = 0
    noun: str = "cover"
    bytes: int = 0

    @property
    def settled(self) -> int:
        """Those that nothing more will happen to."""
        return self.finished + self.skipped + self.failed

    def count(self, event: Event) -> None:
        """Take note of one event."""
        if isinstance(event, EmbedPlanned):
            self.total, self.skipped = event.total, event.present
        elif isinstance(event, FetchPlanned):
            self.total, self.skipped = event.total, event.total - event.pending
        elif isinstance(event, PairFetched):
            self.bytes += event.bytes
        self.finished += isinstance(event, (CoverFinished, CoverPlanned, ClipEmbedded, PairFetched))
        self.skipped += isinstance(event, CoverSkipped)
        self.failed += isinstance(event, (CoverFailed, ClipFailed, PairMissed))

    def sentence(self, folder: Path | None, made: str = "") -> str:
        """``12 covers, 1 failed, 2 already there — in covers/``; with ``made``, ``12 covers planned``."""
        parts = [f"{_count(self.finished, self.noun)} {made}".rstrip()]
        parts += [f"{self.failed} failed"] * bool(self.failed)
        parts += [f"{self.skipped} already there"] * bool(self.skipped)
        where = (
            "" if folder is None or not self.finished + self.skipped else f" — in {str(folder).rstrip(os.sep)}{os.sep}"
        )
        return ", ".join(parts) + where


class Terminal:
    """Writes lines, and on a terminal a live display below them.

    Args:
        quiet: write errors only on stderr; results are written all the same.
        verbose: from 1 on, say which models are loaded and how long it took.
        no_color: plain text; so does a non-empty ``NO_COLOR``.
    """

    def __init__(self, *, quiet: bool = False, verbose: int = 0, no_color: bool = False) -> None:
        self.quiet = quiet
        self.verbose = verbose
        self.color = False if no_color or os.environ.get("NO_COLOR") else None
        self.interactive = sys.stderr is not None and sys.stderr.isatty() and os.environ.get("TERM") != "dumb"
        self._display: _Display | None = None
        self._pace = Pace(_LIVE_SECONDS if self.interactive else _PLAIN_SECONDS)

    def result(self, line: str) -> None:
        """Write one result on stdout at once, so that the next program in a pipe can begin."""
        if self._display and _on_screen():
            self._display.above(line)  # both streams are the same screen: writing past the live display would garble it
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
        """Say something by the way, unless quiet."""
        if not self.quiet:
            self.raw(text)

    def warn(self, message: str) -> None:
        """Say that something is not as it should be, unless quiet."""
        if not self.quiet:
            self.raw(click.style("warning: ", fg="yellow") + message)

    def error(self, message: str, hint: str | None = None) -> None:
        """Say what is wrong and, on a second line, what to do."""
        self.raw(click.style("error: ", fg="red", bold=True) + message)
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
        """While the body runs, :meth:`show` also drives a live display, where stderr is a terminal."""
        if self.interactive and not self.quiet:
            self._display = _Display(tally, no_color=self.color is False)
        try:
            with self._display.bars if self._display else _nothing():
                yield
        finally:
            self._display = None

    def show(self, event: Event, tally: Tally) -> None:
        """Render one event that ``tally`` has counted."""
        place = f"[{tally.settled}/{tally.total}] "
        if isinstance(event, Warned):
            self.warn(f"{event.path}: {event.message}" if event.path else event.message)
        elif isinstance(event, (CoverFailed, ClipFailed)):
            self.error(event.error, event.hint)
        elif isinstance(event, CoverSkipped):
            self.note(f"{place}{_named(event)}: already there ({event.reason}), seed {event.seed}")
        elif isinstance(event, CoverFinished) and not (self._display and _on_screen() and not self.verbose):
            heard = _span(event.segment) if event.segment else _count(len(event.songs), "song")
            self.note(f"{place}{_named(event)}: heard {heard}, seed {event.seed}, {event.seconds:.1f} s")
        elif isinstance(event, ModelLoaded) and self.verbose:
            self.note(f"loaded {event.name} in {event.seconds:.1f} s")
        if self._display:
            self._display.update(event, tally)
        self._show_embedding(event, tally, place)
        self._show_file(event)
        self._show_fetching(event, tally, place)

    def _show_file(self, event: Event) -> None:
        """Tell of files beside the covers."""
        if isinstance(event, ArtWritten):
            kept = f"; the original is {event.backup}" if event.backup else ""
            self.note(f"put into {event.input}, {event.bytes / 1e6:.2f} MB{kept}")
        elif isinstance(event, Explained):
            self.note(f"explained in {event.output}")
        elif isinstance(event, ContactSheetWritten):
            self.note(f"{event.covers} cover{'' if event.covers == 1 else 's'} in {event.output}")

    def _show_fetching(self, event: Event, tally: Tally, place: str) -> None:
        """Of pairs there are many too: what each came to is told on demand, and the pace now and then."""
        if isinstance(event, RowsListed) and self._display:
            self._display.say(f"{event.rows} rows read")
        elif isinstance(event, FetchPlanned):
            self._pace.start(tally.settled)
            self.note(f"{event.total} rows, {event.pending} to fetch")
        elif isinstance(event, PairMissed) and self.verbose:
            self.note(f"{place}row {event.row}, {event.id}: {event.reason}")
        if isinstance(event, (PairFetched, PairMissed)):
            self._tell_pace(place, self._pace.line(tally.settled, tally.total, tally.noun, tally.bytes), tally.failed)

    def _tell_pace(self, place: str, line: str | None, failed: int = 0) -> None:
        if line is None:
            return
        line += f", {failed} failed" * bool(failed)
        if self._display:
            self._display.say(line)
        else:
            self.note(f"{place}{line}")

    def _show_embedding(self, event: Event, tally: Tally, place: str) -> None:
        """Of embeddings there are many, so that each is told only on demand, and the pace now and then."""
        if isinstance(event, EmbedPlanned):
            self._pace.start(tally.settled)
            self.note(f"{event.total} rows, {event.present} embedded already")
        elif isinstance(event, ClipEmbedded) and self.verbose:
            self.note(f"{place}{event.id}: heard {_span(event.segment)}, {event.frames} rows")
        if isinstance(event, (ClipEmbedded, ClipFailed)):
            self._tell_pace(place, self._pace.line(tally.settled, tally.total))


class _Display:
    """Bars on stderr: the covers in all, and what is being done now."""

    def __init__(self, tally: Tally, *, no_color: bool) -> None:
        from rich.console import Console
        from rich.progress import BarColumn, MofNCompleteColumn, SpinnerColumn, TextColumn, TimeRemainingColumn
        from rich.progress import Progress as Bars

        self.bars: Bars = Bars(
            SpinnerColumn(),
            TextColumn("{task.description}", markup=False),
            BarColumn(bar_width=30),
            MofNCompleteColumn(),
            TimeRemainingColumn(compact=True, elapsed_when_finished=True),
            console=Console(stderr=True, no_color=no_color or None, highlight=False),
            transient=True,
            speed_estimate_period=300,
            redirect_stdout=False,
            redirect_stderr=False,
        )
        self._covers: TaskID = self.bars.add_task(f"{tally.noun}s", total=tally.total or None)
        self._now: TaskID = self.bars.add_task("starting", total=None)

    def above(self, text: str) -> None:
        """Write a line, which may carry colour codes, above the bars."""
        from rich.text import Text

        self.bars.console.print(Text.from_ansi(text), soft_wrap=True)

    def say(self, text: str) -> None:
        """Show a text beside what is being done now."""
        self.bars.update(self._now, description=_short(text), completed=0, total=None)

    def update(self, event: Event, tally: Tally) -> None:
        """Move the bars."""
        if isinstance(event, ModelLoading):
            self.bars.update(self._now, description=f"loading {event.name}", completed=0, total=None)
        elif isinstance(event, Progress):
            doing = f"{_DOING.get(event.task, event.task)} {event.detail}".strip()
            self.bars.update(self._now, description=_short(doing), completed=event.done, total=event.total)
            part = event.done / event.total if event.task in _PARTS_OF_ONE and event.total else 0.0
            self.bars.update(self._covers, completed=min(tally.settled + part, tally.total), total=tally.total or None)
        else:
            self.bars.update(self._covers, completed=tally.settled, total=tally.total or None)


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}{'' if number == 1 else 's'}"


def _named(event: CoverFinished | CoverSkipped) -> str:
    """The song's name; an album goes by the path of its cover."""
    return str(event.output) if event.songs else event.input.name


def _span(segment: tuple[float, float]) -> str:
    return f"{clock(segment[0])}–{clock(segment[1])}"


def _on_screen() -> bool:
    """Whether results go to a terminal; stdout is ``None`` where the caller closed it."""
    return sys.stdout is not None and sys.stdout.isatty()


def _short(text: str, width: int = 72) -> str:
    return text if len(text) <= width else text[: width - 1] + "…"


@contextmanager
def _nothing() -> Iterator[None]:
    yield
