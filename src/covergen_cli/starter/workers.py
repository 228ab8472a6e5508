"""Spread work over processes."""

from __future__ import annotations

import multiprocessing
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from typing import Any


@contextmanager
def mapping(workers: int) -> Iterator[Callable[..., Iterator[Any]]]:
    """Give a function that works as the built-in ``map`` does, results in order, but in ``workers`` processes.

    Args:
        workers: with 1 it is ``map`` itself, and nothing is started.
    """
    if workers <= 1:
        yield map
        return
    # Started anew, not forked: torch may have threads by now, and a fork of a program with threads can hang.
    with ProcessPoolExecutor(workers, mp_context=multiprocessing.get_context("spawn")) as pool:
        yield pool.map
