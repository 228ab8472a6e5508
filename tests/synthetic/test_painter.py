"""Paintings follow what was heard and vary with the seed."""

import numpy as np
import pytest

from covergen_cli.audio.descriptors import NAMES
from covergen_cli.measures.qualities import EXPECTED, Qualities, measure
from covergen_cli.synthetic.painter import FAMILIES, paint


def _ranks(values: np.ndarray) -> np.ndarray:
    return np.argsort(np.argsort(values))


@pytest.fixture(scope="module")
def painted() -> tuple[np.ndarray, dict[str, np.ndarray]]:
    rng = np.random.default_rng(3)
    heard = rng.uniform(0, 1, (80, len(NAMES)))
    seen = np.stack([measure(paint(row, seed, size=128)).as_array() for seed, row in enumerate(heard)])
    return heard, dict(zip(Qualities.__dataclass_fields__, seen.T, strict=True))


@pytest.mark.parametrize(("descriptor", "quality"), EXPECTED)
def test_what_is_heard_can_be_measured_on_the_painting(painted, descriptor: str, quality: str) -> None:
    heard, seen = painted
    rho = np.corrcoef(_ranks(heard[:, NAMES.index(descriptor)]), _ranks(seen[quality]))[0, 1]
    assert rho > 0.7  # 0.81 and more over 420 paintings


def test_same_seed_same_picture_other_seed_other_picture() -> None:
    heard = np.full(len(NAMES), 0.6)
    assert np.array_equal(paint(heard, 5), paint(heard, 5))
    assert np.abs(paint(heard, 5).astype(int) - paint(heard, 6)).mean() > 4


def test_a_painting_is_square_srgb_of_the_size_asked_for() -> None:
    picture = paint(np.zeros(len(NAMES)), 1, size=96)
    assert picture.shape == (96, 96, 3)
    assert picture.dtype == np.uint8


@pytest.mark.parametrize("extreme", [0.0, 1.0])
@pytest.mark.parametrize("family", sorted(FAMILIES))
def test_every_family_paints_the_extremes_without_a_blank(monkeypatch, family: str, extreme: float) -> None:
    monkeypatch.setattr("covergen_cli.synthetic.painter.FAMILIES", {family: FAMILIES[family]})
    pictures = [paint(np.full(len(NAMES), extreme), seed, size=64) for seed in range(6)]
    assert max(picture.std() for picture in pictures) > 4


def test_the_six_descriptors_have_a_quality_each() -> None:
    heard, seen = zip(*EXPECTED, strict=True)
    assert set(heard) == set(NAMES) - {"dynamics"}
    assert len(set(seen)) == len(seen)


def test_layout_stays_while_energy_moves_only_colour() -> None:
    low, high = np.full(len(NAMES), 0.5), np.full(len(NAMES), 0.5)
    low[NAMES.index("energy")], high[NAMES.index("energy")] = 0.1, 0.9
    dull, vivid = measure(paint(low, 2)), measure(paint(high, 2))
    assert vivid.saturation > 1.5 * dull.saturation
    assert vivid.contrast > 1.3 * dull.contrast
