"""First half of a model card: hear songs that the model never saw, draw their covers, and measure both."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
import numpy.typing as npt
import torch

from covergen_cli.audio.descriptors import describe
from covergen_cli.audio.io import load, save_mp3
from covergen_cli.audio.segment import find_segment
from covergen_cli.config import SegmentConfig
from covergen_cli.covers.pipeline import song_seed
from covergen_cli.errors import InputError
from covergen_cli.events import Progress, Warned
from covergen_cli.measures.correlation import agreement_table
from covergen_cli.measures.diversity import NEAR_COPY, distance, spread_of, thumbnail
from covergen_cli.measures.qualities import FIELDS, measure
from covergen_cli.synthetic.painter import paint
from covergen_cli.synthetic.synth import compose, render

if TYPE_CHECKING:
    from covergen_cli.audio.encoders import Encoder
    from covergen_cli.config import GenerateConfig
    from covergen_cli.covers.pipeline import CoverPipeline

    Drawing: TypeAlias = Generator[Progress | Warned, None, "Covers"]

FIRST_HELD_OUT_SEED = 10_000_000
"""Songs of the synthesiser from this seed on are never used in training."""

SEEDS_PER_SONG = 2
_SONG_SECONDS = 60.0
_SONG_RATE_HZ = 44_100

Picture = npt.NDArray[np.uint8]
Thumbnails: TypeAlias = npt.NDArray[np.float32]
"""``(N, …, 32, 32, 3)``, OKLab."""


@dataclass(frozen=True)
class Song:
    """A song as ``covergen generate`` hears it, with what there is to hear in it.

    Args:
        name: the file's name, without its folder.
        embedding: float32 ``(T, E)`` of the salient segment.
        descriptors: float32 ``(7,)`` of the same segment.
        seconds: wall-clock time of finding the segment, reading and embedding it.
    """

    name: str
    embedding: npt.NDArray[np.float32]
    descriptors: npt.NDArray[np.float32]
    seconds: float


@dataclass(frozen=True)
class Covers:
    """Measurements of ``N`` songs' covers, :data:`SEEDS_PER_SONG` each.

    Args:
        qualities: float32 ``(N, 2, 5)``, fields of :class:`covergen_cli.measures.qualities.Qualities`.
        thumbnails: float32 ``(N, 2, 32, 32, 3)``.
        seconds: float64 ``(N, 2)``, wall-clock time of drawing each.
    """

    qualities: npt.NDArray[np.float32]
    thumbnails: npt.NDArray[np.float32]
    seconds: npt.NDArray[np.float64]


def hear(path: Path, encoder: Encoder) -> Song:
    """Find the salient segment of a song, embed it and describe it.

    Raises:
        InputError: the file cannot be used.
    """
    started = time.monotonic()
    found = find_segment(path, SegmentConfig())
    clip = load(path, encoder.sample_rate_hz, found.start_seconds, found.end_seconds)
    embedding = encoder.embed(clip.samples, clip.sample_rate_hz)
    seconds = time.monotonic() - started
    return Song(path.stem, embedding, describe(clip.samples, clip.sample_rate_hz).as_array(), seconds)


def hear_songs(paths: Sequence[Path], encoder: Encoder) -> Generator[Progress | Warned, None, list[Song]]:
    """Hear every song that can be used."""
    songs = []
    for number, path in enumerate(paths):
        try:
            songs.append(hear(path, encoder))
        except InputError as error:
            yield Warned(error.message, path)
        yield Progress("hear", number + 1, len(paths), path.name)
    return songs


def compose_songs(count: int, encoder: Encoder) -> Generator[Progress | Warned, None, list[Song]]:
    """Compose ``count`` songs that no model was trained on, and hear them as files, like any other song."""
    songs = []
    with tempfile.TemporaryDirectory() as folder:
        for number in range(count):
            seed = FIRST_HELD_OUT_SEED + number
            path = Path(folder) / f"song {seed}.mp3"
            save_mp3(path, render(compose(seed), _SONG_SECONDS, _SONG_RATE_HZ), _SONG_RATE_HZ)
            songs.append(hear(path, encoder))
            path.unlink()
            yield Progress("compose", number + 1, count)
    return songs


def draw_covers(pipeline: CoverPipeline, songs: Sequence[Song], config: GenerateConfig) -> Drawing:
    """Draw and measure the covers of songs, with the seeds ``config.seed`` and the next."""

    def draw(song: Song, seed: int) -> Picture:
        return np.asarray(pipeline.draw_cover(pipeline.audio_tokens(song.embedding), seed, config))

    return (yield from _measured("draw", songs, config.seed, draw))


def paint_covers(pipeline: CoverPipeline, songs: Sequence[Song], config: GenerateConfig) -> Drawing:
    """Paint the same songs by rule, from their descriptors: what a model that learned all would draw."""

    def draw(song: Song, seed: int) -> Picture:
        picture = torch.from_numpy(paint(song.descriptors, seed, 256)).permute(2, 0, 1).float() / 127.5 - 1
        return np.asarray(pipeline.finish(picture, seed, config))

    return (yield from _measured("paint", songs, config.seed, draw))


def _measured(task: str, songs: Sequence[Song], first_seed: int, draw: Callable[[Song, int], Picture]) -> Drawing:
    count = len(songs)
    qualities = np.empty((count, SEEDS_PER_SONG, len(FIELDS)), np.float32)
    thumbnails = np.empty((count, SEEDS_PER_SONG, 32, 32, 3), np.float32)
    seconds = np.empty((count, SEEDS_PER_SONG))
    for number, song in enumerate(songs):
        for index in range(SEEDS_PER_SONG):
            started = time.monotonic()
            picture = draw(song, song_seed(first_seed + index, song.embedding))
            seconds[number, index] = time.monotonic() - started
            qualities[number, index] = measure(picture).as_array()
            thumbnails[number, index] = thumbnail(picture)
        yield Progress(task, number + 1, count, song.name)
    return Covers(qualities, thumbnails, seconds)


def agreement_of(songs: Sequence[Song], drawn: Covers, painted: Covers, seed: int) -> list[dict[str, Any]]:
    """Correlate what was heard with what is seen, for every pair that should rise together.

    Returns:
        JSON-able, one entry per pair: ``heard``, ``seen``, and ``covers``, ``painter`` and ``shuffled``, each with
        ``rho``, ``low`` and ``high``. A song's quality is the mean over its covers.
    """
    heard = np.stack([song.descriptors for song in songs])
    seen = {"covers": drawn.qualities.mean(axis=1), "painter": painted.qualities.mean(axis=1)}
    return agreement_table(heard, seen, seed=seed)


def memory_of(drawn: Thumbnails, fresh: Thumbnails, paintings: Picture) -> Generator[Progress, None, dict[str, Any]]:
    """Look for covers that are copies of training paintings.

    Args:
        drawn: ``(N, 32, 32, 3)``, of covers.
        fresh: ``(N, 32, 32, 3)``, of paintings that nobody was trained on: how near chance comes.
        paintings: sRGB ``(M, S, S, 3)``, all that were trained on.

    Returns:
        ``covers`` N, ``paintings`` M, and for ``drawn`` and ``fresh`` the distance to the nearest painting: its
        ``median``, the ``smallest``, and how many are ``copies``.
    """
    known = np.empty((len(paintings), *drawn.shape[1:]), np.float32)
    for number, painting in enumerate(paintings):
        known[number] = thumbnail(painting)
        if number % 500 == 0:
            yield Progress("remember", number, len(paintings))
    found: dict[str, Any] = {"covers": len(drawn), "paintings": len(paintings)}
    for name, pictures in (("drawn", drawn), ("fresh", fresh)):
        nearest = _nearest(pictures, known)
        near, copies = float(nearest.min()), int((nearest < NEAR_COPY).sum())
        found[name] = {"median": float(np.median(nearest)), "smallest": near, "copies": copies}
    return found


def _coarse(pictures: Thumbnails) -> Thumbnails:
    """Average thumbnails ``(N, 32, 32, 3)`` to ``(N, 8, 8, 3)``."""
    small: Thumbnails = pictures.reshape(len(pictures), 8, 4, 8, 4, 3).mean(axis=(2, 4))
    return small


def _nearest(pictures: Thumbnails, known: Thumbnails, candidates: int = 64) -> npt.NDArray[np.float64]:
    """Distance of each of ``pictures`` to the nearest of ``known``, among those that are nearest at 8 × 8 pixels."""
    outline, found = _coarse(known), np.empty(len(pictures))
    for number, (picture, coarse) in enumerate(zip(pictures, _coarse(pictures), strict=True)):
        order = np.argsort(np.linalg.norm(outline - coarse, axis=-1).mean(axis=(1, 2)))[:candidates]
        found[number] = min(distance(picture, known[i]) for i in order)
    return found


def diversity_of(covers: Covers) -> dict[str, float]:
    """Summarise how unlike covers are; distances as :func:`covergen_cli.measures.diversity.distance`.

    Returns:
        ``between_songs`` and ``between_variations``, mean distances; ``smallest`` between two songs; ``pairs`` of
        songs; ``near_copies`` among them.
    """
    within = [distance(first, second) for first, second in covers.thumbnails]
    return spread_of(covers.thumbnails[:, 0]) | {"between_variations": float(np.mean(within))}
