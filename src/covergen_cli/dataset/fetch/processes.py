"""Worker processes for files from unknown sources, which may crash a decoder."""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
from collections.abc import Callable
from concurrent.futures import Executor, Future, ProcessPoolExecutor, ThreadPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from typing import Any


class Workers:
    """A pool that continues after one of its processes was killed; a context manager.

    Args:
        count: number of processes; with 1, a thread of this process does the work.
    """

    def __init__(self, count: int) -> None:
        self._count = count
        self._pool: Executor = self._new(count)

    def __enter__(self) -> Workers:  # noqa: PYI034 — typing.Self is newer than the oldest Python served
        return self

    def __exit__(self, *_: object) -> None:
        self._pool.shutdown(wait=True, cancel_futures=True)

    def submit(self, work: Callable[..., Any], *arguments: object) -> Future[Any]:
        """Start a call; if its exception is ``BrokenProcessPool``, use :meth:`alone`."""
        try:
            return self._pool.submit(work, *arguments)
        except BrokenProcessPool:
            self._pool = self._new(self._count)
            return self._pool.submit(work, *arguments)

    def alone(self, work: Callable[..., Any], *arguments: object) -> Any:
        """Make a call in a process of its own.

        Raises:
            BrokenProcessPool: the call killed its process.
        """
        with self._new(2) as pool:
            return pool.submit(work, *arguments).result()

    @staticmethod
    def _new(count: int) -> Executor:
        if count == 1:
            return ThreadPoolExecutor(1)
        # Spawned, since a fork of a program with threads can hang.
        return ProcessPoolExecutor(count, mp_context=multiprocessing.get_context("spawn"), initializer=_prepare)


def _prepare() -> None:
    """Leave Ctrl-C to the main process, and end when that ends, even if it was killed."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    threading.Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os.kill(os.getpid(), signal.SIGTERM)
