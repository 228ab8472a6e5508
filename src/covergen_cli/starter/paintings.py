"""Stage 1 of the starter: makes the paintings that the base is trained on."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from covergen_cli.audio.descriptors import NAMES
from covergen_cli.events import Progress
from covergen_cli.starter.workers import mapping
from covergen_cli.synthetic.conditions import SIZE, Conditions
from covergen_cli.synthetic.kinds import KINDS
from covergen_cli.synthetic.painter import make_plan, paint

Values: TypeAlias = npt.NDArray[np.float32]

_KINDS_SPREAD = 3.0
"""Standard deviation of the logarithms of family weights: one family usually stands out, as in tagged music."""


def draw_music(count: int, seed: int) -> tuple[Values, Values]:
    """Return random descriptors ``(count, 7)`` and weights of families ``(count, 8)``.

    Both are independent and spread widely, so that all combinations occur.
    """
    rng = np.random.default_rng([seed, 7])
    descriptors = rng.beta(0.9, 0.9, size=(count, len(NAMES))).astype(np.float32)
    kinds = np.exp(_KINDS_SPREAD * rng.standard_normal((count, len(KINDS)))).astype(np.float32)
    return descriptors, kinds / kinds.sum(axis=1, keepdims=True)


def _paint_chunk(
    descriptors: Values, kinds: Values, first_seed: int, size: int
) -> tuple[npt.NDArray[np.uint8], Values]:
    pictures, conditions = [], []
    for i, (heard, suited) in enumerate(zip(descriptors, kinds, strict=True)):
        palette = make_plan(heard, first_seed + i, suited).palette
        conditions.append(Conditions(heard, suited, palette).as_array())
        pictures.append(paint(heard, first_seed + i, size, suited))
    return np.stack(pictures), np.stack(conditions)


def open_paintings(folder: Path) -> tuple[npt.NDArray[np.uint8], Values]:
    """Return the result of :func:`paint_all`, memory-mapped: paintings ``(N, S, S, 3)`` and conditions ``(N, 24)``."""
    return np.load(folder / "paintings.npy", mmap_mode="r"), np.load(folder / "conditions.npy", mmap_mode="r")


def paint_all(folder: Path, *, count: int, size: int, seed: int, workers: int, chunk: int = 250) -> Iterator[Progress]:
    """Write ``count`` paintings to ``folder/paintings.npy`` and their conditions beside them.

    An interrupted call is continued.

    Args:
        folder: folder of the results; ``painted.txt`` in it counts the finished paintings.
        count: number of paintings, a multiple of ``chunk``.
        size: pixels per side.
        seed: seed of the music and of the layouts.
        workers: number of processes.
        chunk: paintings per task of a process.
    """
    folder.mkdir(parents=True, exist_ok=True)
    descriptors, kinds = draw_music(count, seed)
    path, counter = folder / "paintings.npy", folder / "painted.txt"
    done = int(counter.read_text()) if counter.exists() and path.exists() else 0
    mode = "r+" if path.exists() else "w+"
    pictures = np.lib.format.open_memmap(path, mode=mode, dtype=np.uint8, shape=(count, size, size, 3))
    told = np.lib.format.open_memmap(folder / "conditions.npy", mode=mode, dtype=np.float32, shape=(count, SIZE))
    starts = range(done, count, chunk)
    with mapping(workers) as each:
        parts = [slice(start, start + chunk) for start in starts]
        music = ([values[part] for part in parts] for values in (descriptors, kinds))
        firsts = [seed * 1_000_003 + start for start in starts]
        for start, (painted, conditions) in zip(
            starts, each(_paint_chunk, *music, firsts, [size] * len(firsts)), strict=True
        ):
            pictures[start : start + len(painted)] = painted
            told[start : start + len(painted)] = conditions
            pictures.flush()
            told.flush()
            counter.write_text(str(start + len(painted)))
            yield Progress("paint", start + len(painted), count)
