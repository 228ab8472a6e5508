"""Covers that occur more than once are found, and others are not taken for them."""

import io

import numpy as np
import pytest
from PIL import Image

from covergen_cli.dataset.images.duplicates import deduplicate, fingerprint, first_alike
from covergen_cli.synthetic.painter import paint

DISTANCE = 6


@pytest.fixture(scope="module")
def covers():
    rng = np.random.default_rng(5)
    return [paint(rng.beta(0.9, 0.9, 7), seed, 128) for seed in range(40)]


def jpeg(pixels, quality):
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "JPEG", quality=quality)
    with Image.open(file) as image:
        return np.asarray(image)


def scaled(pixels, size):
    return np.asarray(Image.fromarray(pixels).resize((size, size), Image.Resampling.LANCZOS))


def firsts(prints, covers=None, music=None, distance=DISTANCE):
    names = [str(i) for i in range(len(prints))]
    return first_alike(covers or names, prints, music or [""] * len(prints), distance).tolist()


def test_different_covers_stay_apart(covers):
    assert firsts([fingerprint(cover) for cover in covers]) == list(range(len(covers)))


@pytest.mark.parametrize(
    "change",
    [lambda c: jpeg(c, 75), lambda c: scaled(c, 300), lambda c: scaled(c, 64), lambda c: scaled(jpeg(c, 60), 90)],
    ids=["jpeg", "larger", "smaller", "both"],
)
def test_copies_of_covers_are_found(covers, change):
    prints = [fingerprint(cover) for cover in covers] + [fingerprint(change(cover)) for cover in covers]
    found = np.array(firsts(prints))
    assert (found[: len(covers)] == np.arange(len(covers))).all()
    assert (found[len(covers) :] == np.arange(len(covers))).mean() > 0.95


def test_the_same_forms_in_other_colours_are_another_cover(covers):
    recoloured = covers[0][:, :, [2, 0, 1]]
    assert firsts([fingerprint(covers[0]), fingerprint(recoloured)]) == [0, 1]


def test_groups_are_what_a_search_of_all_pairs_finds():
    rng = np.random.default_rng(1)
    bases = rng.integers(0, 256, (40, 8), dtype=np.uint8)
    prints = []
    for _ in range(300):
        hashed = np.unpackbits(bases[rng.integers(40)])
        hashed[rng.choice(64, rng.integers(0, 6), replace=False)] ^= 1
        prints.append(np.packbits(hashed).tobytes().hex() + "80" * 48)
    bits = np.array([np.unpackbits(np.frombuffer(bytes.fromhex(text[:16]), np.uint8)) for text in prints])
    for distance in (0, 3, 6, 16):
        alike = (bits[:, None] != bits[None]).sum(axis=2) <= distance
        reached = alike
        while ((grown := (reached.astype(int) @ alike) > 0) != reached).any():
            reached = grown
        assert firsts(prints, distance=distance) == np.argmax(reached, axis=1).tolist()


def test_equal_bytes_and_equal_music_join_pairs():
    far = ["00" * 56, "ff" * 56, "0f" * 56, "f0" * 56]
    assert firsts(far, covers=["a", "b", "a", "c"]) == [0, 1, 0, 3]
    assert firsts(far, music=["", "", "x", "x"]) == [0, 1, 2, 2]
    assert firsts(far, covers=["a", "b", "a", "c"], music=["m", "", "", "m"]) == [0, 1, 0, 0]


def test_unknown_looks_are_alike_to_nothing():
    assert firsts(["", "", "00" * 56]) == [0, 1, 2]
    assert firsts([]) == []


def test_mark_keeps_all_and_drop_keeps_the_first():
    rows = {"ids": ["p", "q", "r"], "covers": ["a", "b", "a"], "prints": [""] * 3, "music": [""] * 3}
    assert list(deduplicate(**rows, mode="none", distance=6)) == [("", "")] * 3
    assert list(deduplicate(**rows, mode="mark", distance=6)) == [("p", ""), ("q", ""), ("p", "")]
    assert list(deduplicate(**rows, mode="drop", distance=6)) == [("p", ""), ("q", ""), ("p", "p")]
