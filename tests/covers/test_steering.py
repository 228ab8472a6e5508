"""Steering: what can be asked for, and that covers move that way."""

import numpy as np
import pytest
import torch

from covergen_cli.audio.descriptors import NAMES
from covergen_cli.config import GenerateConfig
from covergen_cli.covers.fingerprint import find_models
from covergen_cli.covers.heard import Heard
from covergen_cli.covers.painter import PainterPipeline
from covergen_cli.covers.pipeline import load_pipeline
from covergen_cli.covers.steering import steered, steering
from covergen_cli.errors import ConfigError, ModelError
from covergen_cli.measures.qualities import measure
from covergen_cli.models.base import load_base
from tiny import tiny_base

MIDDLE = np.full(len(NAMES), 0.5, np.float32)


def test_numbers_are_added_and_words_set_an_end():
    moved = dict(zip(NAMES, steered(MIDDLE, "energy=+0.25, mode=minor,brightness=-1,tempo=fast"), strict=True))
    assert moved["energy"] == pytest.approx(0.75)
    assert moved["brightness"] == 0
    assert moved["mode"] < 0.1
    assert moved["tempo"] > 0.9
    assert moved["density"] == 0.5


@pytest.mark.parametrize("wrong", ["loudness=1", "energy", "energy=2", "mode=fast", "energy=++1", "energy=nan"])
def test_what_cannot_be_asked_for_is_refused(wrong):
    with pytest.raises(ConfigError, match="--steer"):
        steered(MIDDLE, wrong)


def test_the_painter_paints_as_asked():
    pipeline, config = PainterPipeline(), GenerateConfig(base="painter", size=96)
    heard = Heard(dict(zip(NAMES, MIDDLE.tolist(), strict=True)))
    light = []
    for steer in ("brightness=-0.4", "brightness=+0", "brightness=+0.4"):
        (picture,) = pipeline.draw(pipeline.steer(MIDDLE[None], [heard], steer), [3], config)
        light.append(measure(np.asarray(picture)).lightness)
    assert light == sorted(light)
    assert light[2] - light[0] > 0.2


@pytest.fixture(scope="module")
def starter():
    config = GenerateConfig(steps=2, device="cpu")
    return load_pipeline(config, find_models(config))


def test_no_change_leaves_the_tokens_and_a_change_moves_those_of_the_starter(starter):
    tokens = torch.zeros(1, starter.base.null_tokens.shape[1], starter.base.cross_attention_dim)
    heard = Heard(dict(zip(NAMES, MIDDLE.tolist(), strict=True)))
    assert torch.equal(starter.steer(tokens, [heard], "energy=0"), tokens)
    assert starter.steer(tokens, [heard], "energy=+0.3").abs().max() > 0.1


def test_a_base_without_condition_encoder_cannot_be_steered(tmp_path):
    tiny_base(tmp_path)
    with pytest.raises(ModelError, match="steer"):
        steering(load_base(str(tmp_path)), MIDDLE, "energy=1")


def test_steering_without_audio_is_refused():
    with pytest.raises(ConfigError, match="steered"):
        find_models(GenerateConfig(steer="energy=1", no_audio=True))
