"""Synthetic pairs: the same from the same numbers, and what their metadata says of them."""

import numpy as np
import pytest
from PIL import Image

from covergen_cli.audio.descriptors import NAMES, describe
from covergen_cli.audio.io import ANALYSIS_RATE_HZ, load
from covergen_cli.synthetic import pairs
from covergen_cli.synthetic.kinds import family_weights, genre_tags
from covergen_cli.synthetic.painter import paint
from covergen_cli.synthetic.pairs import COVER_PIXELS, PAIR_RATE_HZ, PAIR_SECONDS, make_pair
from covergen_cli.synthetic.synth import GENRES


@pytest.fixture(scope="module")
def pair():
    return make_pair(seed=3, index=41)


def test_the_same_numbers_give_the_same_files(pair, tmp_path):
    pair.save(tmp_path / "a.mp3", tmp_path / "a.jpg")
    make_pair(seed=3, index=41).save(tmp_path / "b.mp3", tmp_path / "b.jpg")
    for suffix in (".mp3", ".jpg"):
        assert (tmp_path / f"a{suffix}").read_bytes() == (tmp_path / f"b{suffix}").read_bytes()


def test_other_numbers_give_other_pairs(pair, monkeypatch):
    monkeypatch.setattr(pairs, "PAIR_SECONDS", 5.0)
    monkeypatch.setattr(pairs, "COVER_PIXELS", 64)
    seeds = {pair.song_seed, make_pair(3, 42).song_seed, make_pair(4, 41).song_seed}
    assert len(seeds) == 3
    assert max(seeds) < 2**53


def test_the_files_are_a_preview_and_a_square_cover(pair, tmp_path):
    pair.save(tmp_path / "a.mp3", tmp_path / "a.jpg")
    heard = load(tmp_path / "a.mp3", ANALYSIS_RATE_HZ).samples
    assert heard.size / ANALYSIS_RATE_HZ == pytest.approx(PAIR_SECONDS, abs=0.1)
    assert describe(heard, ANALYSIS_RATE_HZ).as_array() == pytest.approx(pair.descriptors.as_array(), abs=0.1)
    with Image.open(tmp_path / "a.jpg") as image:
        assert (image.format, image.mode, image.size) == ("JPEG", "RGB", (COVER_PIXELS, COVER_PIXELS))
        assert np.abs(np.asarray(image, float) - pair.cover).mean() < 3


def test_the_cover_is_painted_from_what_is_heard(pair):
    heard = describe(pair.samples, PAIR_RATE_HZ)
    kinds = family_weights(heard.as_array(), genre_tags(pair.genre))
    assert np.array_equal(pair.cover, paint(heard.as_array(), pair.song_seed, COVER_PIXELS, kinds))


def test_the_metadata_tells_the_truth_as_text(pair):
    metadata = pair.metadata
    assert metadata["title"] == "Synthetic 41"
    assert metadata["genre"] in GENRES
    assert metadata["artist"] == f"Synthetic {metadata['genre']} 1"
    assert int(metadata["song_seed"]) == pair.song_seed
    assert [float(metadata[name]) for name in NAMES] == pytest.approx(pair.descriptors.as_array().tolist(), abs=1e-4)
    assert all(isinstance(value, str) for value in metadata.values())
