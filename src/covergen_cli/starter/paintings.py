"""Stage 1 of the starter: paint the pictures that the base learns from."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import numpy.typing as npt

from covergen_cli.audio.descriptors import NAMES
from covergen_cli.events import Progress
from covergen_cli.starter.workers import mapping
from covergen_cli.synthetic.painter import paint


def draw_descriptors(count: int, seed: int) -> npt.NDArray[np.float32]:
    """Draw descriptors ``(count, 7)``.

    Each independent and spread wide over [0, 1], so that the base learns every combination.
    """
    rng = np.random.default_rng([seed, 7])
    return rng.beta(0.9, 0.9, size=(count, len(NAMES))).astype(np.float32)


def _paint_chunk(descriptors: npt.NDArray[np.float32], first_seed: int, size: int) -> npt.NDArray[np.uint8]:
    return np.stack([paint(row, first_seed + i, size) for i, row in enumerate(descriptors)])


def open_paintings(folder: Path) -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.float32]]:
    """Open what :func:`paint_all` made: paintings ``(N, S, S, 3)`` memory-mapped, descriptors ``(N, 7)``."""
    return np.load(folder / "paintings.npy", mmap_mode="r"), np.load(folder / "descriptors.npy")


def paint_all(folder: Path, *, count: int, size: int, seed: int, workers: int, chunk: int = 250) -> Iterator[Progress]:
    """Paint ``count`` covers into ``folder/paintings.npy``; goes on where it was stopped.

    Args:
        folder: made if it is not there; ``painted.txt`` in it counts the finished chunks.
        count: how many paintings; a multiple of ``chunk``.
        size: pixels per side.
        seed: decides descriptors and layouts.
        workers: processes that paint.
        chunk: paintings that one of them makes at a time.
    """
    folder.mkdir(parents=True, exist_ok=True)
    descriptors = draw_descriptors(count, seed)
    np.save(folder / "descriptors.npy", descriptors)
    path, counter = folder / "paintings.npy", folder / "painted.txt"
    done = int(counter.read_text()) if counter.exists() and path.exists() else 0
    mode = "r+" if path.exists() else "w+"
    pictures = np.lib.format.open_memmap(path, mode=mode, dtype=np.uint8, shape=(count, size, size, 3))
    starts = range(done, count, chunk)
    with mapping(workers) as each:
        jobs = (descriptors[start : start + chunk] for start in starts)
        firsts = [seed * 1_000_003 + start for start in starts]
        for start, painted in zip(starts, each(_paint_chunk, jobs, firsts, [size] * len(firsts)), strict=True):
            pictures[start : start + len(painted)] = painted
            pictures.flush()
            counter.write_text(str(start + len(painted)))
            yield Progress("paint", start + len(painted), count)
