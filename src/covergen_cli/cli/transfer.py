"""How a download looks: a bar on a terminal, else a line now and then."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from covergen_cli.cli.terminal import Terminal
    from covergen_cli.events import Progress

_LINE_SECONDS = 10.0


def size_text(size: int) -> str:
    """``19234567`` → ``19.2 MB``, in powers of ten; nothing is ``–``."""
    if not size:
        return "–"
    amount, unit = float(size), "B"
    for unit in ("B", "kB", "MB", "GB"):
        if amount < 1000 or unit == "GB":
            break
        amount /= 1000
    return f"{amount:.0f} {unit}" if unit in {"B", "kB"} else f"{amount:.1f} {unit}"


@contextmanager
def transfer(terminal: Terminal, about_bytes: int) -> Iterator[Callable[[Progress], None]]:
    """Give a function that shows how far a download has come.

    Args:
        terminal: where to show it; a quiet one shows nothing.
        about_bytes: the whole, roughly, for when the events do not say; 0 when that is not known.
    """
    if terminal.quiet:
        yield lambda _: None
    elif terminal.interactive:
        yield from _bar(terminal, about_bytes)
    else:
        yield _lines(terminal)


def _lines(terminal: Terminal) -> Callable[[Progress], None]:
    last = time.monotonic()

    def show(event: Progress) -> None:
        nonlocal last
        if event.done and time.monotonic() - last >= _LINE_SECONDS:
            last = time.monotonic()
            of = f" of {size_text(event.total)}" if event.total else ""
            terminal.note(f"{event.detail}: {size_text(event.done)}{of}")

    return show


def _bar(terminal: Terminal, about_bytes: int) -> Iterator[Callable[[Progress], None]]:
    from rich.console import Console
    from rich.progress import BarColumn, DownloadColumn, TextColumn, TimeRemainingColumn, TransferSpeedColumn
    from rich.progress import Progress as Bars

    bars = Bars(
        TextColumn("{task.description}", markup=False),
        BarColumn(bar_width=30),
        DownloadColumn(),
        TransferSpeedColumn(),
        TimeRemainingColumn(compact=True),
        console=Console(stderr=True, no_color=terminal.color is False or None, highlight=False),
        transient=True,
    )
    task = bars.add_task("fetching", total=about_bytes or None)

    def show(event: Progress) -> None:
        total = event.total or (max(about_bytes, event.done) if about_bytes else None)
        bars.update(task, description=event.detail, completed=event.done, total=total)

    with bars:
        yield show
