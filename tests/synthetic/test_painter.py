"""Paintings follow what was heard and vary with the seed."""

import numpy as np
import pytest

from covergen_cli.audio.descriptors import NAMES
from covergen_cli.measures.qualities import EXPECTED, Qualities, measure
from covergen_cli.synthetic.families import FAMILIES
from covergen_cli.synthetic.kinds import KINDS, family_weights, genre_tags
from covergen_cli.synthetic.painter import make_plan, paint
from covergen_cli.synthetic.synth import GENRES


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
    assert rho > 0.75  # 0.85 and more over 200 paintings


def test_same_seed_same_picture_other_seed_other_picture() -> None:
    heard = np.full(len(NAMES), 0.6)
    assert np.array_equal(paint(heard, 5), paint(heard, 5))
    assert np.abs(paint(heard, 5).astype(int) - paint(heard, 6)).mean() > 4


def test_a_painting_is_square_srgb_of_the_size_asked_for() -> None:
    picture = paint(np.zeros(len(NAMES)), 1, size=96)
    assert picture.shape == (96, 96, 3)
    assert picture.dtype == np.uint8


def _only(family: str) -> np.ndarray:
    return np.eye(len(KINDS), dtype=np.float32)[KINDS.index(family)]


@pytest.mark.parametrize("extreme", [0.0, 1.0])
@pytest.mark.parametrize("family", FAMILIES)
def test_every_family_has_contrast_even_for_extreme_music(family: str, extreme: float) -> None:
    heard = np.full(len(NAMES), extreme)
    measured = [measure(paint(heard, seed, 64, _only(family))) for seed in range(6)]
    assert min(one.contrast for one in measured) > 0.07
    assert min(one.busyness for one in measured) > 3


def test_the_kind_of_music_decides_the_family_and_leans_the_colours() -> None:
    heard = np.full(len(NAMES), 0.5)
    weights = family_weights(heard, (("metal", 5.0), ("loud", 3.0)))
    assert KINDS[int(weights.argmax())] == "shards"
    assert weights.sum() == pytest.approx(1, abs=1e-5)
    assert KINDS[int(family_weights(heard, (("violin", 4.0), ("strings", 4.0))).argmax())] == "lines"
    redder, greener = make_plan(heard, 1, _only("shards")), make_plan(heard, 1, _only("cutouts"))
    assert redder.palette[0, 1] > greener.palette[0, 1]


def test_every_genre_of_the_synthesiser_suits_a_family_clearly() -> None:
    heard = np.full(len(NAMES), 0.5)
    assert min(family_weights(heard, genre_tags(genre)).max() for genre in GENRES) > 0.4


def test_colours_follow_smoothly_from_the_music_with_a_little_of_the_seed() -> None:
    heard, kinds = np.full(len(NAMES), 0.4), _only("flow")
    one, other = make_plan(heard, 1, kinds).palette, make_plan(heard, 2, kinds).palette
    near = make_plan(heard + 0.01, 1, kinds).palette
    far = make_plan(heard + 0.4, 1, kinds).palette
    assert np.abs(one - near).max() < 0.05 < np.abs(one - far).max()
    assert 0 < np.abs(one - other).max() < 0.2


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
