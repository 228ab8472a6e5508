import re

import numpy as np
import pytest

from covergen_cli.covers.looks.trace import closed_paths, simplify


def area(path):
    """Area within closed paths; holes run the other way round."""
    total = 0.0
    for part in filter(None, path.split("M")):
        x, y = np.array(re.findall(r"[\d.]+", part), float).reshape(-1, 2).T
        total += (x * np.roll(y, -1) - y * np.roll(x, -1)).sum() / 2
    return abs(total)


def test_a_ring_that_leaves_the_picture_is_traced_to_a_hundredth_of_a_pixel():
    y, x = (np.mgrid[0:256, 0:256] + 0.5) / 256
    ring = 0.1 - np.abs(np.hypot(x - 0.5, y - 0.5) - 0.3)
    path = closed_paths(ring.astype(np.float32))
    assert path.count("M") == 2
    assert area(path) == pytest.approx(1e6 * np.pi * (0.4**2 - 0.2**2), rel=1e-3)
    half = closed_paths((0.3 - np.hypot(x, y - 0.5)).astype(np.float32))
    assert half.count("Z") == 1
    assert area(half) == pytest.approx(1e6 * np.pi * 0.3**2 / 2, rel=2e-3)


def test_straight_lines_keep_their_ends_alone():
    line = np.stack([np.linspace(0, 10, 50), np.linspace(0, 5, 50)], axis=1)
    assert simplify(line, 0.01).tolist() == [[0, 0], [10, 5]]
