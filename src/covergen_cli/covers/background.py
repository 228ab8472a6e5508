"""Background threads, and a generator of the events that work in such a thread emits."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Generator
from concurrent.futures import Future, wait
from typing import TYPE_CHECKING, Any, Generic, TypeVar

if TYPE_CHECKING:
    from covergen_cli.events import Event

_POLL_SECONDS = 0.1
"""A wait without timeout would notice neither ``stop`` nor, on Windows, Ctrl-C."""

_JOIN_SECONDS = 10.0
_T = TypeVar("_T")


class Stopped(Exception):  # noqa: N818 — not an error: the caller asked for it
    """The run was asked to end."""


class Task(Generic[_T]):
    """Work that runs in a daemon thread, which unlike that of a pool cannot delay the end of the program after Ctrl-C.

    Args:
        work: called with ``arguments`` in the thread.
    """

    def __init__(self, work: Callable[..., _T], *arguments: Any) -> None:
        self._future: Future[_T] = Future()
        self._thread = threading.Thread(
            target=self._run, args=(work, arguments), daemon=True, name=f"covergen-{work.__name__.strip('_')}"
        )
        self._thread.start()

    def _run(self, work: Callable[..., _T], arguments: tuple[Any, ...]) -> None:
        try:
            self._future.set_result(work(*arguments))
        except BaseException as error:  # noqa: BLE001 — raised again by result()
            self._future.set_exception(error)

    def wait(self, timeout_seconds: float = _POLL_SECONDS) -> bool:
        """Wait for the end of the work; return whether it has ended."""
        return bool(wait([self._future], timeout_seconds).done)

    def result(self, check_stop: Callable[[], None] | None = None) -> _T:
        """Return or raise what the work did, when it and its thread have ended.

        Args:
            check_stop: called while waiting; may raise.
        """
        while True:
            if check_stop is not None:
                check_stop()
            if self.wait():
                break
        self.join()
        return self._future.result()

    def join(self) -> None:
        """Wait up to ten seconds for the end of the thread: torch aborts a program that ends during its threads."""
        self._thread.join(_JOIN_SECONDS)

    def on_end(self, callback: Callable[[], None]) -> None:
        """Call ``callback`` in the thread when the work has ended."""
        self._future.add_done_callback(lambda _: callback())


class Channel:
    """Passes events from one thread to the thread that iterates over them, and the wish to stop the other way."""

    def __init__(self, stop: threading.Event) -> None:
        self._stop = stop
        self._closed = threading.Event()
        self._events: queue.SimpleQueue[Event | None] = queue.SimpleQueue()
        self._resume = threading.Semaphore(0)

    def check_stop(self) -> None:
        """Raise :class:`Stopped` if ``stop`` was set, or nobody reads the events any more."""
        if self._stop.is_set() or self._closed.is_set():
            raise Stopped

    def emit(self, event: Event) -> None:
        """Pass on an event, and wait until the reader asks for the next one.

        So a reader that stops at an event, as ``--fail-fast`` does, knows that nothing was done after it.

        Raises:
            Stopped: see :meth:`check_stop`.
        """
        self.check_stop()
        self._events.put(event)
        self._resume.acquire()
        self.check_stop()

    def read(self, work: Callable[..., None], *arguments: Any) -> Generator[Event, None, None]:
        """Run ``work`` in a thread, and yield the events that it emits; raise what it raises, except ``Stopped``."""
        task = Task(work, *arguments)
        task.on_end(lambda: self._events.put(None))
        try:
            while True:
                try:
                    event = self._events.get(timeout=_POLL_SECONDS)
                except queue.Empty:
                    continue
                if event is None:
                    break
                yield event
                self._resume.release()
            task.result()
        except Stopped:
            return
        finally:
            self._closed.set()
            self._resume.release()
            task.join()
