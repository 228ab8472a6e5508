"""Distances between pictures are what an eye would order them by."""

import numpy as np

from covergen_cli.measures.diversity import NEAR_COPY, distance, distances_between, thumbnail
from covergen_cli.synthetic.painter import paint


def flat(*rgb, size=64):
    return np.full((size, size, 3), rgb, np.uint8)


def test_a_thumbnail_has_the_mean_colours_of_its_picture_at_any_size():
    picture = paint(np.full(7, 0.5), 3, 128)
    for size in (128, 320):
        enlarged = np.kron(picture, np.ones((5, 5, 1), np.uint8))[::2, ::2] if size == 320 else picture
        small = thumbnail(enlarged)
        assert small.shape == (32, 32, 3)
        assert np.allclose(small, thumbnail(picture), atol=0.03)


def test_the_same_picture_is_at_no_distance_and_white_is_one_from_black():
    black, white = thumbnail(flat(0, 0, 0)), thumbnail(flat(255, 255, 255))
    assert distance(black, black) == 0
    assert abs(distance(black, white) - 1) < 1e-3


def test_a_grain_of_noise_is_a_copy_and_another_layout_is_not():
    picture = paint(np.full(7, 0.5), 3, 128)
    noise = np.random.default_rng(0).integers(-6, 7, picture.shape)
    grainy = np.clip(picture.astype(int) + noise, 0, 255).astype(np.uint8)
    assert distance(thumbnail(picture), thumbnail(grainy)) < NEAR_COPY
    assert distance(thumbnail(picture), thumbnail(paint(np.full(7, 0.5), 4, 128))) > NEAR_COPY


def test_every_pair_is_measured_once():
    small = np.stack([thumbnail(flat(level, level, level)) for level in (0, 0, 255)])
    assert np.allclose(sorted(distances_between(small)), [0, 1, 1], atol=1e-3)
    assert distances_between(small[:1]).size == 0
