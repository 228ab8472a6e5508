from __future__ import annotations

import pytest

from covergen_cli.audio.encoders import ENCODERS, Encoder, get_encoder
from covergen_cli.errors import ModelError


@pytest.mark.parametrize("name", list(ENCODERS))
def test_every_encoder_is_made_by_name_and_by_its_spec(name):
    encoder = get_encoder(name)
    assert isinstance(encoder, Encoder)
    assert encoder.name == name
    assert get_encoder(encoder.spec()).spec() == encoder.spec()


@pytest.mark.parametrize("asked", ["tape", {"name": "tape"}, {}, {"name": 3}])
def test_unknown_encoder(asked):
    with pytest.raises(ModelError, match="no audio encoder") as caught:
        get_encoder(asked)
    assert "mel" in caught.value.hint


def test_another_version_is_refused():
    with pytest.raises(ModelError, match="another version"):
        get_encoder(get_encoder("mel").spec() | {"hash": "0" * 16})
