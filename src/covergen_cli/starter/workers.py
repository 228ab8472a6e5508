"""Distributes work over processes."""

from __future__ import annotations

import multiprocessing
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from typing import Any


@contextmanager
def mapping(workers: int) -> Iterator[Callable[..., Iterator[Any]]]:
    """Yield a function like the built-in ``map`` that runs in ``workers`` processes; with 1 it is ``map`` itself."""
    if workers <= 1:
        yield map
        return
    # Spawned, because forking a process that has threads, as torch starts, can hang.
    with ProcessPoolExecutor(workers, mp_context=multiprocessing.get_context("spawn")) as pool:
        yield pool.map
