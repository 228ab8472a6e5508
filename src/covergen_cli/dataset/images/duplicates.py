"""Find covers that occur more than once.

Pairs belong together when their covers are equal byte for byte, when they look alike, or when their music is equal byte
for byte. Covers look alike when their perceptual hashes (Zauner's pHash: signs of the lowest 8 × 8 cosine frequencies)
differ in few of 64 bits and the mean colours of a 4 × 4 grid differ little: the hash ignores colour, and is the same
for soft abstract pictures of different colours.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import Literal

import imagehash
import numpy as np
import numpy.typing as npt
from PIL import Image
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

COLOUR_TOLERANCE = 8
"""Maximum mean difference, of 255, between the 48 colour values of two covers that look alike."""

_HASH_BITS = 64
_GRID = 4
_BITS_SET = np.array([value.bit_count() for value in range(256)], dtype=np.uint8)

Indices = npt.NDArray[np.int64]


def fingerprint(pixels: npt.NDArray[np.uint8]) -> str:
    """Return 112 hexadecimal digits: 16 of the perceptual hash, 96 of the mean colours of a 4 × 4 grid.

    Args:
        pixels: sRGB bytes ``(S, S, 3)``.
    """
    image = Image.fromarray(pixels)
    bits = np.packbits(imagehash.phash(image).hash.ravel()).tobytes()
    return bits.hex() + image.resize((_GRID, _GRID), Image.Resampling.BOX).tobytes().hex()


def deduplicate(
    ids: Sequence[str],
    covers: Sequence[str],
    prints: Sequence[str],
    music: Sequence[str],
    *,
    mode: Literal["none", "mark", "drop"],
    distance: int,
) -> Iterator[tuple[str, str]]:
    """Find the group of every pair, and the pairs to drop.

    Args:
        ids: of the pairs.
        covers: hashes of the covers' bytes.
        prints: results of :func:`fingerprint`.
        music: hashes of the music's bytes; empty if unknown.
        mode: ``none`` forms no groups, ``mark`` keeps every pair, ``drop`` only the first of a group.
        distance: maximum number of different bits between the perceptual hashes of covers that look alike.

    Yields:
        for every pair: its ``cover_id``, which is the id of the first pair of its group (empty with ``none``), and the
        id of the pair that it duplicates (empty if it is kept).
    """
    if mode == "none":
        yield from (("", "") for _ in ids)
        return
    for index, first in enumerate(first_alike(covers, prints, music, distance).tolist()):
        yield ids[first], ids[first] if mode == "drop" and first != index else ""


def first_alike(covers: Sequence[str], prints: Sequence[str], music: Sequence[str], distance: int) -> Indices:
    """Return for every pair the index of the first pair of its group, int64 ``(N,)``.

    Groups are connected components: A and C are in one group if both look like B. So covers that look alike are never
    in different groups, as a split requires. The arguments are those of :func:`deduplicate`.
    """
    count = len(covers)
    edges = [_equal(covers), _equal(music), *_looking_alike(prints, distance)]
    one, other = (np.concatenate([edge[side] for edge in edges]) for side in (0, 1))
    links = coo_array((np.ones(one.size, np.int8), (one, other)), shape=(count, count))
    labels = connected_components(links, directed=False)[1]
    _, first, place = np.unique(labels, return_index=True, return_inverse=True)
    found: Indices = first[place.reshape(-1)].astype(np.int64)
    return found


def _equal(values: Sequence[str]) -> tuple[Indices, Indices]:
    """Link every value to the first equal one; empty values equal nothing."""
    first: dict[str, int] = {}
    links = [(index, first.setdefault(value, index)) for index, value in enumerate(values) if value]
    found = np.array(links, dtype=np.int64).reshape(-1, 2)
    return found[:, 0], found[:, 1]


def _looking_alike(prints: Sequence[str], distance: int) -> Iterator[tuple[Indices, Indices]]:
    """Link covers that look alike.

    The 64 bits are cut into ``distance + 1`` bands. Two hashes that differ in at most ``distance`` bits are equal in
    one of the bands, so that only hashes with an equal band are compared.
    """
    known = np.array([index for index, text in enumerate(prints) if text], dtype=np.int64)
    if not known.size:
        return
    table = np.frombuffer(bytes.fromhex("".join(text for text in prints if text)), np.uint8).reshape(known.size, -1)
    hashes = table[:, : _HASH_BITS // 8].copy().view(np.uint64).reshape(-1)
    colours = table[:, _HASH_BITS // 8 :].astype(np.int16)
    for one, other in _near(hashes, distance):
        alike = np.abs(colours[one] - colours[other]).mean(axis=1) <= COLOUR_TOLERANCE
        yield known[one[alike]], known[other[alike]]


def _near(hashes: npt.NDArray[np.uint64], distance: int) -> Iterator[tuple[Indices, Indices]]:
    """Yield indices of hashes that differ in at most ``distance`` bits, some of them more than once."""
    edges = np.linspace(0, _HASH_BITS, distance + 2).astype(int).tolist()
    for low, high in pairwise(edges):
        band = (hashes >> np.uint64(low)) & np.uint64((1 << (high - low)) - 1)
        order = np.argsort(band, kind="stable")
        band = band[order]
        at = np.arange(len(hashes) - 1)
        step = 1
        while at.size:
            at = at[at + step < len(hashes)]
            at = at[band[at] == band[at + step]]
            one, other = order[at], order[at + step]
            close = _distances(hashes[one], hashes[other]) <= distance
            yield one[close], other[close]
            step += 1


def _distances(one: npt.NDArray[np.uint64], other: npt.NDArray[np.uint64]) -> npt.NDArray[np.int64]:
    differing = (one ^ other).view(np.uint8).reshape(-1, _HASH_BITS // 8)
    counts: npt.NDArray[np.int64] = _BITS_SET[differing].sum(axis=1)
    return counts
