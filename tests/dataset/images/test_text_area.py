"""Lettering on covers: found where there is much of it, and not taken for stripes, rays or rings."""

import numpy as np
import pytest
from PIL import Image

import lettered
from covergen_cli.dataset.images.text_area import MUCH_TEXT, text_area
from covergen_cli.synthetic.painter import paint

COVERS = 24


@pytest.fixture(scope="module")
def covers():
    rng = np.random.default_rng(9)
    return [paint(rng.beta(0.9, 0.9, 7), 900 + seed, 256) for seed in range(COVERS)]


def test_paintings_have_no_lettering(covers):
    assert sum(text_area(cover) >= MUCH_TEXT for cover in covers) <= 1


@pytest.mark.parametrize(("height", "lines"), [(0.05, 6), (0.07, 4), (0.1, 3)])
def test_paintings_with_much_text_are_found(covers, height, lines):
    rng = np.random.default_rng(1)
    scores = [text_area(lettered.write_on(cover, rng, height, lines)) for cover in covers]
    assert np.mean(np.array(scores) >= MUCH_TEXT) > 0.9


def test_the_measure_is_the_share_of_the_cover():
    cover = np.full((512, 512, 3), 20, np.uint8)
    shares = [text_area(lettered.write_on(cover, np.random.default_rng(2), 0.07, lines)) for lines in (0, 1, 3, 8)]
    assert shares[0] == 0
    assert shares == sorted(shares)
    assert 0.02 < shares[1] < 0.08
    assert 0.2 < shares[3] < 0.5


def test_dark_and_light_letters_count_alike():
    cover = np.full((300, 300, 3), 20, np.uint8)
    lettered_cover = lettered.write_on(cover, np.random.default_rng(2), 0.08, 4)
    assert text_area(255 - lettered_cover) == pytest.approx(text_area(lettered_cover), abs=0.03)
    assert text_area(lettered_cover) > MUCH_TEXT


def test_stripes_rays_and_grain_are_no_lettering():
    x, y = np.meshgrid(np.linspace(-1, 1, 256), np.linspace(-1, 1, 256))
    rng = np.random.default_rng(0)
    for picture in (
        np.sign(np.sin(60 * x)),
        np.sign(np.sin(30 * np.arctan2(y - 0.2, x))),
        np.sign(np.sin(50 * np.hypot(x, y))),
        rng.uniform(-1, 1, (256, 256)),
    ):
        gray = (127 + 100 * picture).astype(np.uint8)
        assert text_area(np.repeat(gray[..., None], 3, axis=2)) < MUCH_TEXT


def test_size_does_not_matter():
    cover = lettered.write_on(np.full((800, 800, 3), 230, np.uint8), np.random.default_rng(4), 0.08, 4)
    small = np.asarray(Image.fromarray(cover).resize((300, 300), Image.Resampling.LANCZOS))
    assert text_area(small) == pytest.approx(text_area(cover), abs=0.05)
