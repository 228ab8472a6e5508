"""Which songs make an album, and what an album sounds like."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import numpy.typing as npt

    from covergen_cli.audio.tags import Tags
    from covergen_cli.covers.inputs import Song

POOLED_FRAMES = 4096
"""Frames that an album's embedding has at most, unless it has more songs than that."""


@dataclass(frozen=True)
class Album:
    """Songs that share a cover.

    Args:
        name: the album's tag, or the name of the folder.
        songs: in the order of disc, track and path.
        tags: of the first song.
        folder: the innermost folder that holds them all, seen from the folder that was searched.
    """

    name: str
    songs: tuple[Song, ...]
    tags: Tags
    folder: Path


def albums(songs: Iterable[tuple[Song, Tags]]) -> list[Album]:
    """Group songs into albums.

    Songs belong together that share the tags album and album artist, wherever they lie. Without an album artist they
    must lie in the same folder, as many albums are called ``Greatest Hits``. Songs without an album tag go by their
    folder alone.

    Returns:
        the albums, each where its first song came.
    """
    groups: dict[tuple[str, str, str], list[tuple[Song, Tags]]] = {}
    for song, tags in songs:
        folder = str(song.path.resolve().parent)
        artist = (tags.album_artist or "").casefold()
        key = ("", "", folder)
        if tags.album:
            key = (tags.album.casefold(), artist, "" if artist else folder)
        groups.setdefault(key, []).append((song, tags))
    return [_album(sorted(group, key=_order)) for group in groups.values()]


def _order(pair: tuple[Song, Tags]) -> tuple[int, int, tuple[str, ...]]:
    song, tags = pair
    return tags.disc or 1, sys.maxsize if tags.track is None else tags.track, song.path.parts


def _album(group: Sequence[tuple[Song, Tags]]) -> Album:
    first, tags = group[0]
    shared = first.folder.parts
    for song, _ in group:
        same = [one == other for one, other in zip(shared, song.folder.parts, strict=False)]
        shared = shared[: [*same, False].index(False)]
    name = tags.album or first.path.resolve().parent.name
    return Album(name, tuple(song for song, _ in group), tags, Path(*shared))


def thin(embedding: npt.NDArray[np.float32], songs: int) -> npt.NDArray[np.float32]:
    """Keep of one song's embedding ``(T, E)`` what its album has room for: evenly spread frames.

    Args:
        embedding: float32 ``(T, E)``.
        songs: how many the album has.
    """
    share = max(1, POOLED_FRAMES // songs)
    return embedding if len(embedding) <= share else _spread(embedding, share)


def pool(embeddings: Sequence[npt.NDArray[np.float32]]) -> npt.NDArray[np.float32]:
    """Make one embedding of those of an album's songs.

    Every song gets as many frames as the longest has (a shorter one's are repeated), so that all have the same say in
    the adapter's attention, and the frames are ordered by their relative time within their song: what stood at the
    beginning stands at the beginning, as the adapter was trained to hear it. The order of the songs hardly matters,
    and an album of one song is that song.

    The mean of the tokens that the adapter makes of each song would be simpler, but it makes albums look alike: of
    synthetic songs and the starter, albums of eight lay 0.15 from the mean of all tokens (root mean square), where
    single songs lie 0.58 from it, and albums pooled by frames 0.53.

    Args:
        embeddings: float32 ``(T, E)`` each, after :func:`thin`; at least one.

    Returns:
        float32 ``(songs · T, E)`` for the largest ``T``.
    """
    frames = max(len(embedding) for embedding in embeddings)
    spread = np.stack([_spread(embedding, frames) for embedding in embeddings], axis=1)
    return np.ascontiguousarray(spread.reshape(-1, spread.shape[-1]))


def _spread(embedding: npt.NDArray[np.float32], frames: int) -> npt.NDArray[np.float32]:
    """Take frames at even distances, ``(frames, E)``; all of them where there are just as many."""
    places = ((np.arange(frames) + 0.5) * len(embedding) / frames).astype(int)
    return np.take(embedding, places, axis=0)
