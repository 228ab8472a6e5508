"""The pictures of a model card: a grid of songs, variations of a few, and sweeps from one song to its opposite."""

from __future__ import annotations

from dataclasses import dataclass
from math import ceil, sqrt
from typing import TYPE_CHECKING

import numpy as np
import torch
from PIL import Image

from covergen_cli.artifacts import atomic_path
from covergen_cli.audio.descriptors import NAMES
from covergen_cli.events import Progress
from covergen_cli.generation.draw import song_seed

if TYPE_CHECKING:
    from collections.abc import Generator, Sequence
    from pathlib import Path

    from covergen_cli.config import GenerateConfig
    from covergen_cli.generation.draw import Painter
    from covergen_cli.starter.card_measure import Song

__all__ = ["SWEEPS", "Shown", "draw_pictures"]

SWEEPS: tuple[tuple[str, str, str], ...] = (
    ("energy", "calm", "intense"),
    ("mode", "minor", "major"),
    ("brightness", "dark", "bright"),
    ("density", "sparse", "busy"),
)
"""Descriptor, and what its low and its high end sound like: the rows of ``sweep.png``."""

_GRID_SONGS = 16
_GRID_CELL = 320
_VARIED_SONGS = 4
_VARIATIONS = 4
_SWEEP_STEPS = 7
_CELL = 240
_GAP = 8

Row = list[Image.Image]


@dataclass(frozen=True)
class Shown:
    """Which songs the pictures show.

    Args:
        grid: names, row by row.
        variations: names, a row each.
        sweep: names of the first and last song of each row, as in :data:`SWEEPS`.
    """

    grid: list[str]
    variations: list[str]
    sweep: list[tuple[str, str]]


def draw_pictures(
    out: Path, painter: Painter, songs: Sequence[Song], config: GenerateConfig
) -> Generator[Progress, None, Shown]:
    """Write ``grid.png``, ``variations.png`` and ``sweep.png`` to ``out``.

    The seed picks the songs of the first two; those of the sweep are the lowest and the highest in a descriptor.
    """
    picked = np.random.default_rng([config.seed, 3]).permutation(len(songs))
    chosen = [songs[i] for i in picked[:_GRID_SONGS]]
    varied = [songs[i] for i in picked[-_VARIED_SONGS:]]
    yield from _grid(out / "grid.png", painter, chosen, config)
    yield from _variations(out / "variations.png", painter, varied, config)
    ends = yield from _sweep(out / "sweep.png", painter, songs, config)
    return Shown([song.name for song in chosen], [song.name for song in varied], ends)


def _grid(
    path: Path, painter: Painter, songs: Sequence[Song], config: GenerateConfig
) -> Generator[Progress, None, None]:
    cells: Row = []
    for song in songs:
        seed = song_seed(config.seed, song.embedding)
        cells.append(painter.cover(painter.listen(song.embedding), seed, config))
        yield Progress(path.name, len(cells), len(songs), song.name)
    wide = ceil(sqrt(len(cells)))
    _save(path, [cells[start : start + wide] for start in range(0, len(cells), wide)], _GRID_CELL)


def _variations(
    path: Path, painter: Painter, songs: Sequence[Song], config: GenerateConfig
) -> Generator[Progress, None, None]:
    rows: list[Row] = []
    for song in songs:
        tokens = painter.listen(song.embedding)
        seeds = [song_seed(config.seed + i, song.embedding) for i in range(_VARIATIONS)]
        rows.append([painter.cover(tokens, seed, config) for seed in seeds])
        yield Progress(path.name, len(rows), len(songs), song.name)
    _save(path, rows, _CELL)


def _sweep(
    path: Path, painter: Painter, songs: Sequence[Song], config: GenerateConfig
) -> Generator[Progress, None, list[tuple[str, str]]]:
    """Go from the tokens of one song to those of another while the noise, and with it the layout, stays."""
    rows: list[Row] = []
    ends: list[tuple[str, str]] = []
    for number, (name, _, _) in enumerate(SWEEPS):
        heard = [float(song.descriptors[NAMES.index(name)]) for song in songs]
        low, high = songs[int(np.argmin(heard))], songs[int(np.argmax(heard))]
        start, end = painter.listen(low.embedding), painter.listen(high.embedding)
        seed = song_seed(config.seed + number, low.embedding)
        shares = torch.linspace(0, 1, _SWEEP_STEPS).tolist()
        rows.append([painter.cover(torch.lerp(start, end, share), seed, config) for share in shares])
        ends.append((low.name, high.name))
        yield Progress(path.name, len(rows), len(SWEEPS), f"{low.name} to {high.name}")
    _save(path, rows, _CELL)
    return ends


def _save(path: Path, rows: Sequence[Row], side: int) -> None:
    """Reduce covers to ``side`` pixels and lay them out in rows, with transparent gaps."""
    width, height = max(len(row) for row in rows), len(rows)
    size = (width * (side + _GAP) - _GAP, height * (side + _GAP) - _GAP)
    sheet = Image.new("RGBA", size)
    for y, row in enumerate(rows):
        for x, cover in enumerate(row):
            cell = cover.resize((side, side), Image.Resampling.LANCZOS)
            sheet.paste(cell, (x * (side + _GAP), y * (side + _GAP)))
    with atomic_path(path) as temporary:
        sheet.save(temporary, format="PNG", optimize=True)
