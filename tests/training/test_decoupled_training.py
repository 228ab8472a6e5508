"""A decoupled adapter is trained, saved, loaded, drawn and judged with, like any other."""

from __future__ import annotations

import dataclasses
import json

import numpy as np
import pytest
import torch

from covergen_cli.config import AdapterConfig, GenerateConfig, TrainConfig
from covergen_cli.config.resolve import resolve
from covergen_cli.covers.fingerprint import find_models
from covergen_cli.covers.pipeline import load_pipeline
from covergen_cli.dataset.pairs import read_pairs
from covergen_cli.evaluation.alignment import measure_conditions
from covergen_cli.evaluation.test_data import audio_tokens, load_run
from covergen_cli.events import EpochDone
from covergen_cli.models.base import load_base
from covergen_cli.models.checkpoint import load_adapter
from covergen_cli.models.decoupled import own_projections
from covergen_cli.training import loop
from covergen_cli.training.latent_cache import prepare_latents
from tiny import tiny_embedding
from training_data import drain, write_dataset

SHAPE = dataclasses.replace(resolve(AdapterConfig, preset="decoupled"), hidden_dim=16, rank=2, tokens=2)


class Trained:
    def __init__(self, place, base, shape=SHAPE, **settings):
        self.data, self.run = write_dataset(place / "DATA", {"train": 10, "val": 4, "test": 4}), place / "RUN"
        self.config = TrainConfig(
            base=str(base), epochs=2, batch_size=4, learning_rate=3e-3, samples=2, device="cpu", **settings
        )
        self.events = list(loop.train(self.data, self.run, self.config, shape))


@pytest.fixture(scope="module")
def trained(base_folder, tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CONFIG_HOME", str(tmp_path_factory.mktemp("config")))
        patch.setenv("COVERGEN_GENERATE_STEPS", "2")
        return Trained(tmp_path_factory.mktemp("decoupled"), base_folder)


@pytest.fixture(scope="module")
def pipeline(trained):
    config = GenerateConfig(adapter=str(trained.run), steps=2, device="cpu")
    return load_pipeline(config, find_models(config)), config


def test_the_projections_start_as_the_base_s_own_and_learn(trained, base_folder):
    own, adapter = own_projections(load_base(str(base_folder))), load_adapter(trained.run).adapter
    found = adapter.state_dict()
    assert own.keys() | {"projections.norm.bias"} == {name for name in found if name.startswith("projections.")}
    for name, value in own.items():
        assert 0 < (found[name] - value).norm() < 0.5 * value.norm()
    facts = json.loads((trained.run / "adapter" / "adapter.json").read_text())
    assert facts["architecture"]["cross_attention"] == "decoupled"
    assert [event for event in trained.events if isinstance(event, EpochDone)][-1].samples.is_file()


def test_only_the_updates_are_trained_with_a_rank(base_folder, tmp_path, monkeypatch):
    monkeypatch.setenv("COVERGEN_GENERATE_STEPS", "1")
    low = Trained(tmp_path, base_folder, dataclasses.replace(SHAPE, projection_rank=2))
    found = load_adapter(low.run).adapter.state_dict()
    for name, value in own_projections(load_base(str(base_folder))).items():
        if "norm" not in name:
            assert torch.equal(found[name], value)
            assert found[name.replace("weight", "lora_b")].abs().sum() > 0


def test_covers_depend_on_the_music_and_on_the_scale_of_the_audio(pipeline):
    loaded, config = pipeline
    songs = loaded.audio_tokens(tiny_embedding(1), tiny_embedding(2))

    def draw(**settings):
        return loaded.draw(songs, [5, 5], dataclasses.replace(config, **settings))

    drawn = draw()
    assert not torch.allclose(drawn[0], drawn[1], atol=1e-3)
    weak, none, silent = draw(audio_scale=0.5), draw(audio_scale=0.0), draw(no_audio=True)
    assert torch.allclose(none, silent, atol=1e-4)
    assert torch.allclose(none[0], none[1], atol=1e-4)
    assert (weak - none).norm() < (drawn - none).norm()
    assert torch.allclose(drawn[:1], loaded.draw(songs[:1], [5], config), atol=1e-4)


def test_it_is_judged_like_any_other(trained):
    run = load_run("run", GenerateConfig(adapter=str(trained.run), steps=2, device="cpu"))
    pairs, base = read_pairs(trained.data, "test"), run.pipeline.base
    latents = drain(prepare_latents(trained.data, base, pairs))[0].mean(range(len(pairs)))
    tokens = audio_tokens(run, pairs)
    ids = [pair.id for pair in pairs]
    measured = measure_conditions(
        base, ids, latents, tokens, tokens.mean(0, keepdim=True), draws=5, seed=0, batch_size=8
    )
    losses = drain(measured)[0]
    assert all(np.isfinite(values).all() for values in losses.values())
    assert not np.allclose(losses["true"], losses["shuffled"])
    plain = load_base(str(trained.config.base))
    again = drain(
        measure_conditions(plain, ids, latents, tokens, tokens[:1], draws=5, seed=0, batch_size=8, names=("null",))
    )[0]
    np.testing.assert_allclose(losses["null"], again["null"], rtol=1e-5)


def test_a_shared_adapter_can_be_the_start_and_brings_pooling_and_mapper(trained, base_folder, tmp_path, monkeypatch):
    monkeypatch.setenv("COVERGEN_GENERATE_STEPS", "1")
    shared = Trained(tmp_path / "shared", base_folder, dataclasses.replace(SHAPE, cross_attention="shared"), seed=3)
    begun = Trained(tmp_path / "begun", base_folder, init=str(shared.run))
    first, second, scratch = (load_adapter(run.run).adapter.state_dict() for run in (shared, begun, trained))
    frozen = "mapper.first.weight"
    assert torch.equal(first[frozen], second[frozen])
    assert not torch.equal(scratch[frozen], second[frozen])
    assert second.keys() == scratch.keys()
