"""Stage 1 of the starter: makes the paintings that the base is trained on."""

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
    """Return random descriptors ``(count, 7)``, independent and spread over [0, 1], so that all combinations occur."""
    rng = np.random.default_rng([seed, 7])
    return rng.beta(0.9, 0.9, size=(count, len(NAMES))).astype(np.float32)


def _paint_chunk(descriptors: npt.NDArray[np.float32], first_seed: int, size: int) -> npt.NDArray[np.uint8]:
    return np.stack([paint(row, first_seed + i, size) for i, row in enumerate(descriptors)])


def open_paintings(folder: Path) -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.float32]]:
    """Return the result of :func:`paint_all`: paintings ``(N, S, S, 3)``, memory-mapped, and descriptors ``(N, 7)``."""
    return np.load(folder / "paintings.npy", mmap_mode="r"), np.load(folder / "descriptors.npy")


def paint_all(folder: Path, *, count: int, size: int, seed: int, workers: int, chunk: int = 250) -> Iterator[Progress]:
    """Write ``count`` paintings to ``folder/paintings.npy``; an interrupted call is continued.

    Args:
        folder: folder of the results; ``painted.txt`` in it counts the finished paintings.
        count: number of paintings, a multiple of ``chunk``.
        size: pixels per side.
        seed: seed of descriptors and layouts.
        workers: number of processes.
        chunk: paintings per task of a process.
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
