"""Draws the pictures of a model card: covers of many songs, variations of a few, and sweeps of one descriptor."""

from __future__ import annotations

from collections.abc import Generator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
from PIL import Image

from covergen_cli.audio.descriptors import ENDS, NAMES
from covergen_cli.covers.fingerprint import song_seed
from covergen_cli.covers.steering import condition_tokens
from covergen_cli.events import Progress
from covergen_cli.files import atomic_path

if TYPE_CHECKING:
    from covergen_cli.config import GenerateConfig
    from covergen_cli.covers.pipeline import CoverPipeline
    from covergen_cli.starter.card_measure import AnalysedSong

SWEEPS: tuple[tuple[str, str, str], ...] = tuple((name, *ends) for name, ends in ENDS.items() if name != "dynamics")
"""The rows of ``sweep.png``: a descriptor, and names of its low and its high end."""

_GRID_SONGS = 24
_GRID_WIDE = 6
_GRID_CELL = 288
_VARIED_SONGS = 4
_VARIATIONS = 4
_SWEEP_STEPS = 7
_CELL = 240
_GAP = 8

Row = list[Image.Image]


@dataclass(frozen=True)
class ShownSongs:
    """Names of the songs in the pictures.

    Args:
        grid: row by row.
        variations: one per row.
    """

    grid: list[str]
    variations: list[str]


def draw_pictures(
    out: Path,
    pipeline: CoverPipeline,
    songs: Sequence[AnalysedSong],
    config: GenerateConfig,
) -> Generator[Progress, None, ShownSongs]:
    """Write ``grid.png``, ``variations.png`` and ``sweep.png``; the seed chooses the songs.

    There is no ``sweep.png`` for a base without condition encoder.

    Args:
        out: folder of the pictures.
        pipeline: the models.
        songs: the songs to choose from.
        config: settings for drawing.
    """
    picked = np.random.default_rng([config.seed, 3]).permutation(len(songs))
    chosen = [songs[i] for i in picked[:_GRID_SONGS]]
    varied = [songs[i] for i in picked[-_VARIED_SONGS:]]
    yield from _grid(out / "grid.png", pipeline, chosen, config)
    yield from _variations(out / "variations.png", pipeline, varied, config)
    if pipeline.base.condition_encoder is not None:
        yield from _sweep(out / "sweep.png", pipeline, config)
    return ShownSongs([song.name for song in chosen], [song.name for song in varied])


def _grid(
    path: Path, pipeline: CoverPipeline, songs: Sequence[AnalysedSong], config: GenerateConfig
) -> Generator[Progress, None, None]:
    cells: Row = []
    for song in songs:
        seed = song_seed(config.seed, song.embedding)
        cells.append(pipeline.draw_cover(pipeline.audio_tokens(song.embedding), seed, config))
        yield Progress(path.name, len(cells), len(songs), song.name)
    _save(path, [cells[start : start + _GRID_WIDE] for start in range(0, len(cells), _GRID_WIDE)], _GRID_CELL)


def _variations(
    path: Path, pipeline: CoverPipeline, songs: Sequence[AnalysedSong], config: GenerateConfig
) -> Generator[Progress, None, None]:
    rows: list[Row] = []
    for song in songs:
        tokens = pipeline.audio_tokens(song.embedding)
        seeds = [song_seed(config.seed + i, song.embedding) for i in range(_VARIATIONS)]
        rows.append([pipeline.draw_cover(tokens, seed, config) for seed in seeds])
        yield Progress(path.name, len(rows), len(songs), song.name)
    _save(path, rows, _CELL)


def _sweep(path: Path, pipeline: CoverPipeline, config: GenerateConfig) -> Generator[Progress, None, None]:
    """Vary one descriptor per row, with the others in the middle and the same noise, and so the same layout."""
    rows: list[Row] = []
    for number, (name, _, _) in enumerate(SWEEPS):
        values = np.full((_SWEEP_STEPS, len(NAMES)), 0.5, np.float32)
        values[:, NAMES.index(name)] = np.linspace(0.02, 0.98, _SWEEP_STEPS)
        tokens = torch.cat([condition_tokens(pipeline.base, row) for row in values])
        rows.append([pipeline.draw_cover(one[None], config.seed + number, config) for one in tokens])
        yield Progress(path.name, len(rows), len(SWEEPS), name)
    _save(path, rows, _CELL)


def _save(path: Path, rows: Sequence[Row], side: int) -> None:
    """Resize covers to ``side`` pixels and write them as a grid with transparent gaps."""
    width, height = max(len(row) for row in rows), len(rows)
    size = (width * (side + _GAP) - _GAP, height * (side + _GAP) - _GAP)
    sheet = Image.new("RGBA", size)
    for y, row in enumerate(rows):
        for x, cover in enumerate(row):
            cell = cover.resize((side, side), Image.Resampling.LANCZOS)
            sheet.paste(cell, (x * (side + _GAP), y * (side + _GAP)))
    with atomic_path(path) as temporary:
        sheet.save(temporary, format="PNG", optimize=True)
