"""OKLab, against published values."""

import numpy as np
import pytest

from covergen_cli.measures.colour import oklab_to_srgb, oklch, srgb_to_oklab


@pytest.mark.parametrize(
    ("srgb", "lab"),
    [
        ((255, 255, 255), (1.0, 0.0, 0.0)),
        ((255, 0, 0), (0.62796, 0.22486, 0.12585)),
        ((0, 255, 0), (0.86644, -0.23389, 0.17950)),
        ((0, 0, 255), (0.45201, -0.03246, -0.31153)),
    ],
)
def test_primaries(srgb: tuple[int, int, int], lab: tuple[float, float, float]) -> None:
    assert srgb_to_oklab(np.array(srgb, dtype=np.uint8)) == pytest.approx(lab, abs=1e-3)


def test_round_trip_is_exact_to_a_byte() -> None:
    image = np.random.default_rng(0).integers(0, 256, (32, 32, 3), dtype=np.uint8)
    assert np.abs(oklab_to_srgb(srgb_to_oklab(image)).astype(int) - image).max() <= 1


def test_a_colour_that_srgb_cannot_show_loses_chroma_but_keeps_lightness_and_hue() -> None:
    colour = oklch(0.5, 0.6, 264)
    assert colour[0] == pytest.approx(0.5)
    assert 0.05 < np.hypot(colour[1], colour[2]) < 0.6
    assert np.rad2deg(np.arctan2(colour[2], colour[1])) % 360 == pytest.approx(264, abs=0.1)
