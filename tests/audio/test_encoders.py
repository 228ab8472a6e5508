from __future__ import annotations

import json

import numpy as np
import pytest

from covergen_cli.audio.encoders import ENCODERS, Encoder, get_encoder
from covergen_cli.audio.openl3_encoder import OpenL3Encoder
from covergen_cli.config import OpenL3Config
from covergen_cli.errors import ModelError
from openl3_files import cache_recipe, keras_bytes, recipe_layers


@pytest.mark.parametrize("name", ENCODERS)
def test_every_encoder_is_made_by_name_and_by_its_spec(name):
    if name == "openl3":
        cache_recipe()
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


def test_openl3_names_hop_window_and_weights():
    cache_recipe("openl3-mel128-music")
    config = OpenL3Config(input_repr="mel128", hop_seconds=0.25, center=False)
    encoder = OpenL3Encoder(config)
    spec = json.loads(json.dumps(encoder.spec()))
    assert (spec["hop_seconds"], spec["window_seconds"], spec["sample_rate_hz"]) == (0.25, 1.0, 48000)
    assert len(spec["weights"]) == 64
    again = get_encoder(spec)
    assert again.config == config
    embedding = again.embed(np.zeros(60000, np.float32), 48000)
    assert embedding.shape == (2, 512)
    assert embedding.dtype == np.float32
    with pytest.raises(ModelError, match="another version"):
        get_encoder(spec | {"version": 0})


def test_openl3_offline_without_weights_says_what_to_do():
    with pytest.raises(ModelError, match="network is off") as caught:
        get_encoder("openl3")
    assert "covergen models pull openl3" in caught.value.hint


def test_openl3_with_other_weights_is_found_again_by_its_spec(tmp_path):
    cache_recipe()
    published = get_encoder("openl3").spec()
    layers = recipe_layers()
    layers[1][1]["bias"] += 1
    file = tmp_path / "mine.h5"
    file.write_bytes(keras_bytes(layers))
    mine = get_encoder("openl3", weights_file=file).spec()
    assert mine["weights"] != published["weights"]
    file.unlink()
    assert get_encoder(mine).spec() == mine
    assert get_encoder(published).spec() == published
    with pytest.raises(ModelError, match="other weights") as caught:
        get_encoder(mine | {"weights": "0" * 64})
    assert "--openl3-weights" in caught.value.hint


@pytest.mark.parametrize("wrong", [{"input_repr": "mel64"}, {"hop_seconds": "often"}, {"hop_seconds": 0}])
def test_a_damaged_spec_of_openl3_is_refused(wrong):
    cache_recipe()
    with pytest.raises(ModelError, match="damaged"):
        get_encoder(get_encoder("openl3").spec() | wrong)
