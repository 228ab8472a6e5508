"""``synthetic:N`` as a source of pairs."""

import pytest

from covergen_cli.dataset.images.clean import clean_image
from covergen_cli.dataset.sources.synthetic import SyntheticSource
from covergen_cli.errors import ConfigError
from covergen_cli.synthetic.pairs import METADATA, make_pair


def test_the_first_pairs_do_not_hang_on_how_many_there_are():
    few, many = SyntheticSource(3, 7), SyntheticSource(100, 7)
    assert list(few.items()) == list(many.items())[:3]
    assert list(few.items()) != list(SyntheticSource(3, 8).items())
    assert [item.id for item in few.items()] == ["synthetic-000000", "synthetic-000001", "synthetic-000002"]


def test_a_pair_is_that_of_its_numbers_and_its_cover_is_clean(tmp_path):
    source = SyntheticSource(3, 7)
    item = list(source.items())[2]
    pair = source.obtain(item, tmp_path)
    assert pair.metadata == make_pair(7, 2).metadata
    assert tuple(item.metadata) == tuple(pair.metadata) == METADATA
    assert clean_image(pair.image).jpeg == pair.image.read_bytes()
    assert pair.audio.suffix == ".mp3"


def test_names():
    assert SyntheticSource.parse("synthetic:12", 3) == SyntheticSource(12, 3)
    assert SyntheticSource.parse("music/synthetic", 3) is None
    for name in ("synthetic:", "synthetic:0", "synthetic:-1", "synthetic:many", "synthetic:1e9"):
        with pytest.raises(ConfigError, match="has no number of pairs") as caught:
            SyntheticSource.parse(name, 3)
        assert "synthetic:100" in caught.value.hint
