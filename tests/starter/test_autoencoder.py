"""The autoencoder: shapes, its start, what is kept of it, and a decoder that trains alone."""

import json

import numpy as np
import pytest
import torch

from covergen_cli.starter import autoencoder as module
from covergen_cli.starter.autoencoder import (
    build_autoencoder,
    encode,
    encode_all,
    restore,
    train_autoencoder,
    train_decoder,
)
from covergen_cli.starter.train_loop import Budget
from covergen_cli.synthetic.painter import paint

TWO_STEPS = Budget(steps=2, minutes=1e6, learning_rate=1e-3)


@pytest.fixture(scope="module")
def paintings():
    drawn = np.random.default_rng(0).uniform(size=(16, 7)).astype(np.float32)
    return np.stack([paint(heard, seed, 32) for seed, heard in enumerate(drawn)])


@pytest.fixture(scope="module")
def trained(tmp_path_factory, paintings):
    """An autoencoder after two steps, and the folder that it was trained in."""
    folder = tmp_path_factory.mktemp("autoencoder")
    torch.manual_seed(0)
    vae = build_autoencoder()
    list(train_autoencoder(folder, vae, paintings, TWO_STEPS, seed=1, batch=2))
    return vae, folder


def pictures(paintings):
    return torch.from_numpy(paintings).permute(0, 3, 1, 2).float() / 127.5 - 1


def test_sixteen_pixels_become_one_latent_and_again_sixteen_pixels():
    vae = build_autoencoder()
    with torch.inference_mode():
        latents = vae.encode(torch.zeros(2, 3, 64, 64)).latents
        assert latents.shape == (2, 8, 4, 4)
        assert vae.decode(latents).sample.shape == (2, 3, 64, 64)


def test_every_block_begins_as_the_identity():
    from diffusers.models.autoencoders.vae import AutoencoderTinyBlock

    blocks = [module for module in build_autoencoder().modules() if isinstance(module, AutoencoderTinyBlock)]
    assert len(blocks) > 10
    values = torch.rand(1, 64, 8, 8)
    with torch.inference_mode():
        assert all(torch.equal(block(values), values) for block in blocks)


def test_the_same_seed_builds_the_same_weights():
    built = []
    for _ in range(2):
        torch.manual_seed(3)
        built.append(build_autoencoder().state_dict())
    assert all(torch.equal(built[0][name], built[1][name]) for name in built[0])


def test_training_leaves_it_frozen_with_latents_of_about_unit_variance(trained, paintings):
    vae, _ = trained
    assert not vae.training
    assert not any(parameter.requires_grad for parameter in vae.parameters())
    with torch.inference_mode():
        latents = (vae.encode(pictures(paintings)).latents - vae.config.shift_factor) * vae.config.scaling_factor
    assert abs(float(latents.mean())) < 0.01
    assert abs(float(latents.std()) - 1) < 0.01


def test_it_can_be_restored(trained, paintings):
    vae, folder = trained
    other = build_autoencoder()
    restore(folder, other)
    assert all(torch.equal(a, b) for a, b in zip(vae.state_dict().values(), other.state_dict().values(), strict=True))
    assert other.config.scaling_factor == json.loads((folder / "latents.json").read_text())["scaling_factor"]
    with torch.inference_mode():
        images = pictures(paintings[:2])
        assert torch.equal(vae.encode(images).latents, other.encode(images).latents)


def test_the_decoder_trains_alone(trained, paintings, tmp_path):
    _, folder = trained
    vae = build_autoencoder()
    restore(folder, vae)
    before = {name: value.clone() for name, value in vae.state_dict().items()}
    list(train_decoder(tmp_path, vae, paintings, TWO_STEPS, seed=2, batch=2))
    after = vae.state_dict()
    assert all(torch.equal(before[name], after[name]) for name in before if name.startswith("encoder."))
    assert any(not torch.equal(before[name], after[name]) for name in before if name.startswith("decoder."))


@pytest.mark.usefixtures("full_precision")
def test_all_paintings_are_encoded_once(trained, tmp_path):
    vae, _ = trained
    drawn = np.stack([paint(np.full(7, 0.5), seed, 256) for seed in range(2)])
    list(encode_all(tmp_path, vae, drawn))
    latents = np.load(tmp_path / "latents.npy")
    assert latents.shape == (2, 8, 16, 16)
    assert np.isfinite(latents).all()
    assert not np.array_equal(latents[0], latents[1])
    written = (tmp_path / "latents.npy").stat().st_mtime_ns
    assert list(encode_all(tmp_path, vae, drawn)) == []
    assert (tmp_path / "latents.npy").stat().st_mtime_ns == written


@pytest.mark.usefixtures("full_precision")
def test_encoding_goes_on_where_it_was_stopped(trained, tmp_path, monkeypatch):
    vae, _ = trained
    drawn = np.stack([paint(np.full(7, 0.5), seed, 256) for seed in range(3)])
    list(encode_all(tmp_path / "whole", vae, drawn))
    monkeypatch.setattr(module, "_ENCODED_AT_ONCE", 1)
    encoding = encode_all(tmp_path / "stopped", vae, drawn)
    next(encoding)
    encoding.close()
    asked = []
    monkeypatch.setattr(module, "encode", lambda vae, some: asked.append(some) or encode(vae, some))
    list(encode_all(tmp_path / "stopped", vae, drawn))
    assert len(asked) == 2
    whole, stopped = (np.load(tmp_path / name / "latents.npy") for name in ("whole", "stopped"))
    np.testing.assert_allclose(whole, stopped, atol=2e-3)
