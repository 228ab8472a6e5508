"""How a command ends: exit codes, signals and error messages.

::

    0    all done                       1    nothing done, or failed
    2    usage or settings              3    some items failed, the others are done
    130  Ctrl-C                         143  SIGTERM
"""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import TYPE_CHECKING, Any

import click

from covergen_cli.errors import ConfigError, CovergenError

if TYPE_CHECKING:
    from covergen_cli.cli.options import GlobalOptions

DONE, FAILED, USAGE, PARTLY, INTERRUPTED, TERMINATED = 0, 1, 2, 3, 130, 143


class Terminated(BaseException):
    """SIGTERM arrived; unwinds the stack so that temporary files are removed."""


@contextmanager
def sigterm_as_exception() -> Iterator[None]:
    """Raise :class:`Terminated` in the main thread on SIGTERM while the body runs."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def raise_terminated(_number: int, _frame: FrameType | None) -> None:
        raise Terminated

    previous = signal.signal(signal.SIGTERM, raise_terminated)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, previous)


class GracefulStop:
    """While entered and armed, records the first Ctrl-C or SIGTERM, so that the work can save its state and end.

    A second signal, or one before it is armed, interrupts at once.

    Attributes:
        armed: whether the work can save its state.
        signal: number of the recorded signal, or ``None``.
    """

    def __init__(self) -> None:
        self.armed = False
        self.signal: int | None = None
        self._previous: dict[int, Any] = {}

    def requested(self) -> bool:
        """Return whether the work should end."""
        return self.signal is not None

    def __enter__(self) -> GracefulStop:  # noqa: PYI034 — typing.Self is newer than the oldest Python served
        if threading.current_thread() is threading.main_thread():
            self._previous = {number: signal.signal(number, self._handle) for number in (signal.SIGINT, signal.SIGTERM)}
        return self

    def __exit__(self, *_: object) -> None:
        for number, handler in self._previous.items():
            signal.signal(number, handler)

    def _handle(self, number: int, _frame: FrameType | None) -> None:
        if self.armed and self.signal is None:
            self.signal = number
        elif number == signal.SIGINT:
            raise KeyboardInterrupt
        else:
            raise Terminated


def report(error: BaseException, options: GlobalOptions) -> int:
    """Write an error that escaped a command to stderr, with ``--debug`` after its traceback.

    Returns:
        the exit code.
    """
    if isinstance(error, SystemExit):
        return error.code if isinstance(error.code, int) else FAILED
    if isinstance(error, click.exceptions.NoArgsIsHelpError):
        error.show()
        return USAGE
    terminal = options.terminal()
    if options.debug:
        import traceback

        terminal.raw("".join(traceback.format_exception(error)).rstrip())
    if isinstance(error, (KeyboardInterrupt, click.Abort, Terminated)):
        return TERMINATED if isinstance(error, Terminated) else INTERRUPTED
    if isinstance(error, click.ClickException):
        context = error.ctx if isinstance(error, click.UsageError) else None
        hint = f"see {context.command_path} --help" if context else None
        terminal.error(" ".join(error.format_message().split()).rstrip("."), hint)
        return error.exit_code
    if isinstance(error, CovergenError):
        terminal.error(error.message, error.hint)
        return USAGE if isinstance(error, ConfigError) else FAILED
    _report_unexpected(error, options)
    return FAILED


def _report_unexpected(error: BaseException, options: GlobalOptions) -> None:
    terminal = options.terminal()
    if isinstance(error, (OSError, UnicodeError)):  # from names, paths and disks, not from the program
        reason = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
        path = getattr(error, "filename", None)
        terminal.error(f"{path}: {reason}" if path else reason)
        return
    text = " ".join(f"{type(error).__name__}: {error}".split())
    hint = None if options.debug else "run it again with --debug for details"
    terminal.error(f"this is a bug in covergen: {text}", hint)
