import numpy as np
import pytest
from PIL import Image

from covergen_cli.covers.looks import palette_from
from covergen_cli.covers.looks.palette import LEAST_STEP, cluster, grade, palette_of
from covergen_cli.errors import ConfigError
from covergen_cli.measures.colour import oklab_to_srgb, srgb_to_oklab


def pictures():
    rng = np.random.default_rng(5)
    yield np.zeros((500, 3), np.uint8)
    yield np.full((500, 3), 127, np.uint8)
    for _ in range(20):
        middle, spread = rng.uniform(0, 255, 3), rng.uniform(2, 80)
        yield np.clip(rng.normal(middle, spread, (500, 3)), 0, 255).astype(np.uint8)


@pytest.mark.parametrize("count", [4, 5, 6, 7])
def test_graded_palettes_keep_their_guarantees(count):
    for picture in pictures():
        centres, shares = cluster(srgb_to_oklab(picture), count)
        assert shares.sum() == pytest.approx(1)
        graded = grade(centres, shares)
        assert np.diff(graded[:, 0]).min() >= LEAST_STEP
        assert np.ptp(graded[:, 0]) > 0.7
        # Inside sRGB: the way to bytes and back changes nothing but rounding.
        assert np.abs(srgb_to_oklab(oklab_to_srgb(graded)) - graded).max() < 0.02
        assert len(set(palette_of(graded).hexes)) == count


def test_darker_pictures_stay_darker():
    rng = np.random.default_rng(1)
    noise = rng.normal(0, 25, (500, 3))
    means = []
    for level in (60, 120, 190):
        centres, shares = cluster(srgb_to_oklab(np.clip(level + noise, 0, 255).astype(np.uint8)), 6)
        means.append((shares * grade(centres, shares)[:, 0]).sum())
    assert means == sorted(means)


def test_palette_of_colours_and_of_a_picture(tmp_path):
    assert palette_from("#FFF,#0b132b, #1c2541").hexes == ("#0b132b", "#1c2541", "#ffffff")
    path = tmp_path / "cover.png"
    Image.effect_noise((80, 80), 90).convert("RGB").save(path)
    assert len(palette_from(path, 5).hexes) == 5


@pytest.mark.parametrize(
    "source", ["#fff", "#ggg,#000", "#12,#000", "missing.png", ",".join(f"#{i}00" for i in range(9))]
)
def test_bad_palettes_are_refused(source):
    with pytest.raises(ConfigError):
        palette_from(source)
