"""The progress of a download: a bar on a terminal, otherwise a line every 10 seconds."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from covergen_cli.cli.progress import size_text

if TYPE_CHECKING:
    from covergen_cli.cli.terminal import Terminal
    from covergen_cli.events import Progress


@contextmanager
def transfer(terminal: Terminal, about_bytes: int) -> Iterator[Callable[[Progress], None]]:
    """Yield a function that shows the progress of a download.

    Args:
        terminal: where to show it, unless it is quiet.
        about_bytes: approximate size, for events without a total; 0 if it is not known.
    """
    if terminal.interactive and not terminal.quiet:
        yield from _bar(terminal, about_bytes)
        return
    terminal.throttle.restart()

    def write_line(event: Progress) -> None:
        if event.done and terminal.throttle.ready():
            total = f" of {size_text(event.total)}" if event.total else ""
            terminal.note(f"{event.detail}: {size_text(event.done)}{total}")

    yield write_line


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
    task = bars.add_task("downloading", total=about_bytes or None)

    def show(event: Progress) -> None:
        total = event.total or (max(about_bytes, event.done) if about_bytes else None)
        bars.update(task, description=event.detail, completed=event.done, total=total)

    with bars:
        yield show
