"""Qualities of pictures whose values can be worked out."""

import numpy as np
import pytest

from covergen_cli.synthetic.qualities import measure


def _plain(*colour: int) -> np.ndarray:
    return np.tile(np.array(colour, dtype=np.uint8), (256, 256, 1))


def test_a_grey_picture_has_no_saturation_contrast_or_edges() -> None:
    grey = measure(_plain(128, 128, 128))
    assert grey.lightness == pytest.approx(0.6, abs=0.01)
    assert grey.saturation == pytest.approx(0, abs=1e-3)
    assert grey.contrast == pytest.approx(0, abs=1e-3)
    assert grey.edge_density == pytest.approx(0, abs=1e-3)


def test_yellow_is_warmer_than_red_and_red_than_blue() -> None:
    yellow, red, blue = (measure(_plain(*c)).warmth for c in ((255, 220, 0), (255, 0, 0), (0, 0, 255)))
    assert 1 >= yellow > red > 0 > blue >= -1


def test_more_stripes_more_edges_whatever_their_contrast() -> None:
    def stripes(width: int, bright: int) -> np.ndarray:
        row = np.where((np.arange(256) // width) % 2 == 0, 60, bright).astype(np.uint8)
        return np.tile(row[None, :, None], (256, 1, 3))

    few, many, faint = (measure(stripes(*s)).edge_density for s in ((32, 200), (8, 200), (8, 110)))
    assert many > 3 * few
    assert faint == pytest.approx(many, rel=0.05)


def test_size_hardly_matters() -> None:
    from covergen_cli.synthetic.painter import paint

    heard = np.full(7, 0.7)
    small, large = measure(paint(heard, 4, size=256)).as_array(), measure(paint(heard, 4, size=512)).as_array()
    assert large == pytest.approx(small, rel=0.05, abs=0.01)
