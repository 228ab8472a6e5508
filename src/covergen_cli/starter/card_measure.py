"""Analyses held-out songs for a model card, draws their covers, and measures both."""

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
from covergen_cli.audio.musicnn import ranked_tags
from covergen_cli.audio.segment import find_segment
from covergen_cli.config import SegmentConfig
from covergen_cli.covers.fingerprint import song_seed
from covergen_cli.errors import InputError
from covergen_cli.events import Progress, Warned
from covergen_cli.measures.correlation import agreement_table
from covergen_cli.measures.diversity import NEAR_COPY, distance, spread_of, thumbnail
from covergen_cli.measures.qualities import FIELDS, measure
from covergen_cli.synthetic.kinds import family_weights, genre_tags
from covergen_cli.synthetic.painter import paint
from covergen_cli.synthetic.synth import compose, render

if TYPE_CHECKING:
    from covergen_cli.audio.encoders import Encoder
    from covergen_cli.config import GenerateConfig
    from covergen_cli.covers.pipeline import CoverPipeline

    Drawing: TypeAlias = Generator[Progress | Warned, None, "MeasuredCovers"]

FIRST_HELD_OUT_SEED = 10_000_000
"""First seed of the synthesised songs that are not used in training."""

SEEDS_PER_SONG = 2
_SONG_SECONDS = 60.0
_SONG_RATE_HZ = 44_100

Tags: TypeAlias = tuple[tuple[str, float], ...]
Picture = npt.NDArray[np.uint8]
Thumbnails: TypeAlias = npt.NDArray[np.float32]
"""``(N, …, 32, 32, 3)``, OKLab."""


@dataclass(frozen=True)
class AnalysedSong:
    """Embedding and descriptors of a song's salient segment.

    Args:
        name: name of the file without suffix.
        embedding: float32 ``(T, E)``.
        descriptors: float32 ``(7,)``.
        kinds: how much each family of forms suits it, float32 ``(8,)``.
        seconds: wall-clock time of finding, decoding and embedding the segment.
    """

    name: str
    embedding: npt.NDArray[np.float32]
    descriptors: npt.NDArray[np.float32]
    kinds: npt.NDArray[np.float32]
    seconds: float


@dataclass(frozen=True)
class MeasuredCovers:
    """Measurements of the covers of ``N`` songs, :data:`SEEDS_PER_SONG` each.

    Args:
        qualities: float32 ``(N, 2, 7)``, in the order of :data:`covergen_cli.measures.qualities.FIELDS`.
        thumbnails: float32 ``(N, 2, 32, 32, 3)``.
        seconds: wall-clock time of drawing each, float64 ``(N, 2)``.
    """

    qualities: npt.NDArray[np.float32]
    thumbnails: npt.NDArray[np.float32]
    seconds: npt.NDArray[np.float64]


def analyse_song(path: Path, encoder: Encoder, tags: Tags | None = None) -> AnalysedSong:
    """Find the salient segment of a song, and compute its embedding, descriptors and kind.

    Args:
        path: the music file.
        encoder: the audio encoder.
        tags: what kind of music it is; ``None`` to ask the tagger.

    Raises:
        InputError: the file cannot be used.
    """
    started = time.monotonic()
    found = find_segment(path, SegmentConfig())
    clip = load(path, encoder.sample_rate_hz, found.start_seconds, found.end_seconds)
    embedding = encoder.embed(clip.samples, clip.sample_rate_hz)
    seconds = time.monotonic() - started
    descriptors = describe(clip.samples, clip.sample_rate_hz).as_array()
    heard = ranked_tags(clip.samples, clip.sample_rate_hz) if tags is None else tags
    return AnalysedSong(path.stem, embedding, descriptors, family_weights(descriptors, heard), seconds)


def analyse_songs(paths: Sequence[Path], encoder: Encoder) -> Generator[Progress | Warned, None, list[AnalysedSong]]:
    """Analyse songs; those that cannot be used are left out with a warning."""
    songs = []
    for number, path in enumerate(paths):
        try:
            songs.append(analyse_song(path, encoder))
        except InputError as error:
            yield Warned(error.message, path)
        yield Progress("analyse", number + 1, len(paths), path.name)
    return songs


def compose_songs(count: int, encoder: Encoder) -> Generator[Progress | Warned, None, list[AnalysedSong]]:
    """Synthesise ``count`` held-out songs, write them to files, and analyse them like other songs."""
    songs = []
    with tempfile.TemporaryDirectory() as folder:
        for number in range(count):
            seed = FIRST_HELD_OUT_SEED + number
            path = Path(folder) / f"song {seed}.mp3"
            song = compose(seed)
            save_mp3(path, render(song, _SONG_SECONDS, _SONG_RATE_HZ), _SONG_RATE_HZ)
            songs.append(analyse_song(path, encoder, genre_tags(song.genre)))
            path.unlink()
            yield Progress("compose", number + 1, count)
    return songs


def draw_covers(pipeline: CoverPipeline, songs: Sequence[AnalysedSong], config: GenerateConfig) -> Drawing:
    """Draw and measure the covers of songs, with the seed ``config.seed`` and the following ones."""

    def draw(song: AnalysedSong, seed: int) -> Picture:
        return np.asarray(pipeline.draw_cover(pipeline.audio_tokens(song.embedding), seed, config))

    return (yield from _measured("draw", songs, config.seed, draw))


def paint_covers(pipeline: CoverPipeline, songs: Sequence[AnalysedSong], config: GenerateConfig) -> Drawing:
    """Make paintings from the descriptors of songs, as for training, and measure them."""

    def draw(song: AnalysedSong, seed: int) -> Picture:
        picture = torch.from_numpy(paint(song.descriptors, seed, 256, song.kinds)).permute(2, 0, 1).float() / 127.5 - 1
        return np.asarray(pipeline.enlarge(picture, seed, config))

    return (yield from _measured("paint", songs, config.seed, draw))


def _measured(
    task: str, songs: Sequence[AnalysedSong], first_seed: int, draw: Callable[[AnalysedSong, int], Picture]
) -> Drawing:
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
    return MeasuredCovers(qualities, thumbnails, seconds)


def measure_agreement(
    songs: Sequence[AnalysedSong], drawn: MeasuredCovers, painted: MeasuredCovers, seed: int
) -> list[dict[str, Any]]:
    """Correlate descriptors of songs with qualities of their covers, averaged over the covers of a song.

    Returns:
        the table of :func:`covergen_cli.measures.correlation.agreement_table` with the keys ``covers``, ``painter``
        and ``shuffled``.
    """
    descriptors = np.stack([song.descriptors for song in songs])
    seen = {"covers": drawn.qualities.mean(axis=1), "painter": painted.qualities.mean(axis=1)}
    return agreement_table(descriptors, seen, seed=seed)


def find_near_copies(
    drawn: Thumbnails, fresh: Thumbnails, paintings: Picture
) -> Generator[Progress, None, dict[str, Any]]:
    """Measure how similar covers are to the training paintings.

    Args:
        drawn: thumbnails of the covers, ``(N, 32, 32, 3)``.
        fresh: thumbnails of paintings that were not used in training, ``(N, 32, 32, 3)``, for comparison.
        paintings: all training paintings, sRGB ``(M, S, S, 3)``.

    Returns:
        ``covers`` N, ``paintings`` M, and for ``drawn`` and ``fresh`` the ``median`` and the ``smallest`` distance to
        the nearest painting, and the number of ``copies``.
    """
    known = np.empty((len(paintings), *drawn.shape[1:]), np.float32)
    for number, painting in enumerate(paintings):
        known[number] = thumbnail(painting)
        if number % 500 == 0:
            yield Progress("read paintings", number, len(paintings))
    found: dict[str, Any] = {"covers": len(drawn), "paintings": len(paintings)}
    for name, pictures in (("drawn", drawn), ("fresh", fresh)):
        nearest = _nearest(pictures, known)
        near, copies = float(nearest.min()), int((nearest < NEAR_COPY).sum())
        found[name] = {"median": float(np.median(nearest)), "smallest": near, "copies": copies}
    return found


def _coarse(pictures: Thumbnails) -> Thumbnails:
    """Return thumbnails ``(N, 32, 32, 3)`` reduced to ``(N, 8, 8, 3)``."""
    small: Thumbnails = pictures.reshape(len(pictures), 8, 4, 8, 4, 3).mean(axis=(2, 4))
    return small


def _nearest(pictures: Thumbnails, known: Thumbnails, candidates: int = 64) -> npt.NDArray[np.float64]:
    """Return the distance of each picture to the nearest of ``known``, among the candidates nearest at 8×8 pixels."""
    outline, found = _coarse(known), np.empty(len(pictures))
    for number, (picture, coarse) in enumerate(zip(pictures, _coarse(pictures), strict=True)):
        order = np.argsort(np.linalg.norm(outline - coarse, axis=-1).mean(axis=(1, 2)))[:candidates]
        found[number] = min(distance(picture, known[i]) for i in order)
    return found


def measure_diversity(covers: MeasuredCovers) -> dict[str, float]:
    """Return the figures of :func:`covergen_cli.measures.diversity.spread_of` and ``between_variations``.

    The latter is the mean distance between two covers of one song.
    """
    within = [distance(first, second) for first, second in covers.thumbnails]
    return spread_of(covers.thumbnails[:, 0]) | {"between_variations": float(np.mean(within))}
