"""Qualities of pictures whose values can be worked out."""

import numpy as np
import pytest

from covergen_cli.measures.qualities import measure


def _plain(*colour: int) -> np.ndarray:
    return np.tile(np.array(colour, dtype=np.uint8), (256, 256, 1))


def test_a_grey_picture_has_no_saturation_contrast_or_forms() -> None:
    grey = measure(_plain(128, 128, 128))
    assert grey.lightness == pytest.approx(0.6, abs=0.01)
    assert grey.saturation == pytest.approx(0, abs=1e-3)
    assert grey.contrast == pytest.approx(0, abs=1e-3)
    assert grey.busyness == pytest.approx(0, abs=1e-3)


def test_yellow_is_warmer_than_red_and_red_than_blue() -> None:
    yellow, red, blue = (measure(_plain(*c)).warmth for c in ((255, 220, 0), (255, 0, 0), (0, 0, 255)))
    assert 1 >= yellow > red > 0 > blue >= -1


def test_more_stripes_are_busier_whatever_their_contrast() -> None:
    def stripes(width: int, bright: int) -> np.ndarray:
        row = np.where((np.arange(256) // width) % 2 == 0, 60, bright).astype(np.uint8)
        return np.tile(row[None, :, None], (256, 1, 3))

    few, many, faint = (measure(stripes(*s)).busyness for s in ((32, 200), (8, 200), (8, 110)))
    assert many > 3 * few
    assert faint == pytest.approx(many, rel=0.05)


@pytest.mark.parametrize(("degrees", "expected"), [(0, 0.0), (45, 0.5), (90, 1.0)])
def test_lines_lie_lean_and_stand(degrees: float, expected: float) -> None:
    y, x = np.mgrid[:256, :256]
    across = x * np.sin(np.deg2rad(degrees)) - y * np.cos(np.deg2rad(degrees))
    grey = (127 + 100 * np.sin(across / 12)).astype(np.uint8)
    assert measure(np.repeat(grey[..., None], 3, axis=2)).uprightness == pytest.approx(expected, abs=0.03)


def test_edges_are_hard_or_soft_whatever_their_contrast_and_number() -> None:
    def steps(width: float, height: float, number: int) -> float:
        waves = np.sin(np.linspace(0, np.pi * number, 256))
        grey = 127 + height * np.clip(waves / width, -1, 1)
        return measure(np.tile(grey.astype(np.uint8)[None, :, None], (256, 1, 3))).hardness

    hard, faint, many, soft = steps(0.02, 100, 4), steps(0.02, 30, 4), steps(0.02, 100, 8), steps(1, 100, 4)
    assert faint == pytest.approx(hard, abs=0.05)
    assert many == pytest.approx(hard, abs=0.05)
    assert hard > 0.7
    assert soft < 0.3


def test_size_hardly_matters() -> None:
    from covergen_cli.synthetic.painter import paint

    heard = np.full(7, 0.7)
    small, large = measure(paint(heard, 4, size=256)).as_array(), measure(paint(heard, 4, size=512)).as_array()
    assert large == pytest.approx(small, rel=0.05, abs=0.01)
