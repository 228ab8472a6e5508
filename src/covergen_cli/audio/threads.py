"""Apply a function to a stream of items in threads, with bounded memory.

Decoding, resampling and the transforms release the GIL for most of their time, so threads suffice, and unlike the
processes of a pool they end with the program.
"""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable, Generator, Iterable
from contextlib import suppress
from typing import TypeVar

_POLL_SECONDS = 0.1
_JOIN_SECONDS = 3.0
_Item = TypeVar("_Item")
_Result = TypeVar("_Result")


def in_threads(
    work: Callable[[_Item], _Result], items: Iterable[_Item], workers: int, stop: threading.Event
) -> Generator[_Result, None, None]:
    """Yield the result of ``work`` for each item, in the order in which they are ready.

    Items are taken one at a time, under a lock, when a thread is free; at most ``2 × workers`` results wait. Calls
    nest: ``items`` may be another such generator.

    Args:
        work: called in a thread.
        items: iterated in the threads.
        workers: number of threads.
        stop: set it to end early; the remaining results are not yielded.

    Raises:
        Exception: whatever ``work`` or ``items`` raised first.
    """
    pipeline = _Pipeline(work, items, workers, stop)
    threads = [threading.Thread(target=pipeline.run, daemon=True, name="covergen-embed") for _ in range(workers)]
    for thread in threads:
        thread.start()
    try:
        yield from pipeline.results(workers)
    finally:
        pipeline.closed.set()
        until = time.monotonic() + _JOIN_SECONDS
        for thread in threads:
            # A file that is being written gets the time to be finished; a long song is abandoned.
            thread.join(max(0.0, until - time.monotonic()))


class _Pipeline:
    def __init__(
        self, work: Callable[[_Item], _Result], items: Iterable[_Item], workers: int, stop: threading.Event
    ) -> None:
        self._work, self._items, self._stop = work, iter(items), stop
        self._taking = threading.Lock()
        self._queue: queue.Queue[tuple[str, object]] = queue.Queue(2 * workers)
        self.closed = threading.Event()

    def run(self) -> None:
        """Process items until there are none left."""
        try:
            while not self._over():
                with self._taking:
                    try:
                        item = next(self._items)
                    except StopIteration:
                        break
                self._put("result", self._work(item))
        except BaseException as error:  # noqa: BLE001 — raised again by whoever waits for the results
            self._put("error", error)
        self._put("end", None)

    def results(self, workers: int) -> Generator[_Result, None, None]:
        """Yield results until every thread has ended."""
        while workers and not self._over():
            try:
                kind, value = self._queue.get(timeout=_POLL_SECONDS)
            except queue.Empty:
                continue
            if kind == "error" and isinstance(value, BaseException):
                raise value
            if kind == "end":
                workers -= 1
            else:
                yield value  # type: ignore[misc]  # the queue holds what the work returned

    def _over(self) -> bool:
        return self.closed.is_set() or self._stop.is_set()

    def _put(self, kind: str, value: object) -> None:
        put = False
        while not put and not self._over():
            with suppress(queue.Full):
                self._queue.put((kind, value), timeout=_POLL_SECONDS)
                put = True
