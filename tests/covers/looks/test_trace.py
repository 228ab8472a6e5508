import itertools
import re

import numpy as np
import pytest

from covergen_cli.covers.looks.bezier import path_data
from covergen_cli.covers.looks.trace import smooth_paths
from svg_paths import NUMBERS, area, points_of


def test_a_ring_that_leaves_the_picture_is_traced_to_a_hundredth_of_a_pixel():
    y, x = (np.mgrid[0:256, 0:256] + 0.5) / 256
    ring = 0.1 - np.abs(np.hypot(x - 0.5, y - 0.5) - 0.3)
    path = smooth_paths(ring.astype(np.float32))
    assert path.count("M") == 2
    assert path.count("c") < 40
    assert area(path) == pytest.approx(1e6 * np.pi * (0.4**2 - 0.2**2), rel=1e-3)
    for line, radius in zip(points_of(path), (400, 200), strict=True):
        assert np.abs(np.hypot(*(line - 500).T) - radius).max() < 0.2
    half = smooth_paths((0.3 - np.hypot(x, y - 0.5)).astype(np.float32))
    assert half.count("Z") == 1
    assert area(half) == pytest.approx(1e6 * np.pi * 0.3**2 / 2, rel=2e-3)


def test_curves_meet_without_a_bend():
    turn = np.linspace(0, 2 * np.pi, 400)
    radius = 200 + 60 * np.sin(5 * turn)
    line = np.stack([500 + radius * np.cos(turn), 500 + radius * np.sin(turn)], axis=1)
    line[-1] = line[0]
    curves = [np.array(NUMBERS.findall(body), float) for body in re.findall(r"c([^clMZ]*)", path_data(line))]
    assert 10 < len(curves) < 90
    for one, other in itertools.pairwise(curves):
        into, out_of = one[4:] - one[2:4], other[:2]
        assert into @ out_of > 0.995 * np.hypot(*into) * np.hypot(*out_of)


def test_squares_keep_their_corners():
    edge = np.linspace(0, 100, 101)
    zero, full = np.zeros(101), np.full(101, 100.0)
    sides = [(edge, zero), (full, edge), (edge[::-1], full), (zero, edge[::-1])]
    square = np.concatenate([np.stack(side, axis=1)[:-1] for side in sides] + [[[0.0, 0.0]]])
    path = path_data(square)
    assert path.count("l") == 4
    assert "c" not in path
    assert area(path) == pytest.approx(1e4)


def test_nothing_is_drawn_around_a_point():
    assert path_data(np.array([[5.0, 5.0], [5.1, 5.0], [5.0, 5.0]])) == ""
