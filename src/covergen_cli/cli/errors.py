"""How a command ends: exit codes, and what an error looks like.

::

    0    all done                       1    nothing done, or failed
    2    usage or settings              3    some items failed, the rest is done
    130  Ctrl-C                         143  SIGTERM
"""

from __future__ import annotations

import signal
import threading
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import TYPE_CHECKING, Any

import click

from covergen_cli.errors import ConfigError, CovergenError

if TYPE_CHECKING:
    from covergen_cli.cli.options import Session

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


class GentleStop:
    """While it is entered and armed, Ctrl-C or SIGTERM are taken as a wish; the second at once, as ever.

    Attributes:
        armed: whether the work can end in good order; before that, a signal interrupts as ever.
        signal: the signal that came, or ``None``.
    """

    def __init__(self) -> None:
        self.armed = False
        self.signal: int | None = None
        self._previous: dict[int, Any] = {}

    def asked(self) -> bool:
        """Whether to end the work in good order."""
        return self.signal is not None

    def __enter__(self) -> GentleStop:  # noqa: PYI034 — typing.Self is newer than the oldest Python served
        if threading.current_thread() is threading.main_thread():
            self._previous = {number: signal.signal(number, self._note) for number in (signal.SIGINT, signal.SIGTERM)}
        return self

    def __exit__(self, *_: object) -> None:
        for number, handler in self._previous.items():
            signal.signal(number, handler)

    def _note(self, number: int, _frame: FrameType | None) -> None:
        if self.armed and self.signal is None:
            self.signal = number
        elif number == signal.SIGINT:
            raise KeyboardInterrupt
        else:
            raise Terminated


def report(error: BaseException, session: Session) -> int:
    """Say on stderr what went wrong and choose the exit code.

    Args:
        error: whatever escaped a command.
        session: the global options; with ``debug`` a traceback comes first.

    Returns:
        the exit code.
    """
    terminal = session.terminal()
    if isinstance(error, SystemExit):
        return error.code if isinstance(error.code, int) else FAILED
    if session.debug and not isinstance(error, click.exceptions.NoArgsIsHelpError):
        terminal.raw("".join(traceback.format_exception(error)).rstrip())
    if isinstance(error, (KeyboardInterrupt, click.Abort)):
        return INTERRUPTED
    if isinstance(error, Terminated):
        return TERMINATED
    if isinstance(error, click.ClickException):
        return _report_usage(error, session)
    if isinstance(error, CovergenError):
        terminal.error(error.message, error.hint)
        return USAGE if isinstance(error, ConfigError) else FAILED
    text = " ".join(f"{type(error).__name__}: {error}".split())
    terminal.error(
        f"this is a bug in covergen: {text}", None if session.debug else "run it again with --debug for details"
    )
    return FAILED


def _report_usage(error: click.ClickException, session: Session) -> int:
    if isinstance(error, click.exceptions.NoArgsIsHelpError):
        error.show()
        return USAGE
    context = error.ctx if isinstance(error, click.UsageError) else None
    hint = f"see {context.command_path} --help" if context else None
    session.terminal().error(" ".join(error.format_message().split()).rstrip("."), hint)
    return error.exit_code
