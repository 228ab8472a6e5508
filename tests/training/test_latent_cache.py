"""Every cover is encoded once, and what is kept is what the autoencoder gives."""

from __future__ import annotations

import shutil

import numpy as np
import pytest
import torch
from PIL import Image

from covergen_cli.errors import InputError
from covergen_cli.models.base import Base, load_base
from covergen_cli.training import latent_cache as module
from covergen_cli.training.latent_cache import latent_folder, load_cover, prepare_latents
from tiny import tiny_base
from training_data import drain


def prepare(data, base, pairs):
    return drain(prepare_latents(data, base, pairs))[0]


@pytest.fixture
def base(base_folder):
    return load_base(str(base_folder))


@pytest.fixture
def encoded(monkeypatch):
    """Counts the covers that go through the autoencoder."""
    counts = []
    posterior = Base.posterior

    def counting(self, images):
        counts.append(len(images))
        return posterior(self, images)

    monkeypatch.setattr(Base, "posterior", counting)
    return counts


def test_mean_and_spread_are_those_of_the_autoencoder(data, base, pairs):
    latents = prepare(data, base, pairs)
    images = torch.stack([load_cover(pair.image, 16) for pair in pairs])
    with torch.inference_mode():
        distribution = base.vae.encode(images).latent_dist
    mean, deviation = (distribution.mean - 0.25) * 0.5, distribution.std * 0.5
    assert torch.allclose(latents.mean(range(10)), mean, rtol=1e-3, atol=1e-3)
    noise = torch.randn(3, *latents.shape)
    wanted = mean[[4, 0, 7]] + deviation[[4, 0, 7]] * noise
    assert latents.random
    assert latents.shape == base.latent_shape
    assert torch.allclose(latents.sample([4, 0, 7], noise), wanted, atol=3e-3)


def test_a_second_run_encodes_nothing_and_a_replaced_cover_is_encoded_anew(data, base, pairs, encoded):
    before = prepare(data, base, pairs).mean(range(10))
    assert sum(encoded) == 10
    prepare(data, base, pairs)
    assert sum(encoded) == 10
    Image.new("RGB", (16, 16), "red").save(pairs[2].image)
    after = prepare(data, base, pairs).mean(range(10))
    assert sum(encoded) == 11
    changed = [index for index in range(10) if not torch.equal(before[index], after[index])]
    assert changed == [2]


def test_another_base_has_a_cache_of_its_own(data, base, pairs, tmp_path, encoded):
    other = load_base(str(tiny_base(tmp_path / "other", seed=1)))
    first, second = (prepare(data, each, pairs).mean([0]) for each in (base, other))
    assert sum(encoded) == 20
    assert not torch.equal(first, second)
    assert latent_folder(data, base) != latent_folder(data, other)


def test_another_precision_has_a_cache_of_its_own(data, base, pairs, base_folder, encoded):
    prepare(data, load_base(str(base_folder), dtype=torch.bfloat16), pairs)
    exact = prepare(data, base, pairs).mean(range(10))
    assert sum(encoded) == 20
    images = torch.stack([load_cover(pair.image, 16) for pair in pairs])
    with torch.inference_mode():
        assert torch.allclose(exact, base.encode(images), rtol=1e-3, atol=1e-3)


def test_two_songs_with_one_cover_share_its_latent(data, base, pairs, encoded):
    shutil.copy(pairs[0].image, pairs[1].image)
    latents = prepare(data, base, pairs)
    assert sum(encoded) == 9
    assert torch.equal(*latents.mean([0, 1]))


def test_a_run_that_was_stopped_goes_on_where_it_was(data, base, pairs, encoded, monkeypatch):
    monkeypatch.setattr(module, "_PIECE", 4)
    events = prepare_latents(data, base, pairs)
    while (event := next(events)).task != "encoding covers" or event.done < 8:
        pass
    events.close()
    assert sum(encoded) == 8
    latents = prepare(data, base, pairs)
    assert sum(encoded) == 10
    assert not (latent_folder(data, base) / "building").exists()
    images = torch.stack([load_cover(pair.image, 16) for pair in pairs])
    with torch.inference_mode():
        assert torch.allclose(latents.mean(range(10)), base.encode(images), rtol=1e-3, atol=1e-3)


def test_an_autoencoder_without_a_spread_gives_the_same_latent_every_time(data, base, pairs, monkeypatch):
    monkeypatch.setattr(Base, "posterior", lambda _, images: (torch.ones(len(images), 4, 8, 8), None))
    latents = prepare(data, base, pairs)
    assert not latents.random
    assert torch.equal(latents.sample([1], torch.full((1, 4, 8, 8), 9.0)), torch.ones(1, 4, 8, 8))


def test_covers_are_cut_square_turned_upright_and_scaled(tmp_path):
    wide = np.zeros((10, 30, 3), np.uint8)
    wide[:, 10:20] = 255
    Image.fromarray(wide).save(tmp_path / "wide.png")
    assert torch.equal(load_cover(tmp_path / "wide.png", 5), torch.ones(3, 5, 5))
    turned = Image.new("RGB", (8, 8))
    turned.paste("red", (0, 0, 8, 4))
    exif = turned.getexif()
    exif[0x0112] = 3
    turned.save(tmp_path / "turned.png", exif=exif)
    upright = load_cover(tmp_path / "turned.png", 8)
    assert upright[0, -1].min() == 1
    assert upright[0, 0].max() == -1


def test_a_file_that_is_no_picture_is_named(data, base, pairs):
    pairs[3].image.write_bytes(b"<html>")
    with pytest.raises(InputError, match=r"p3\.png"):
        prepare(data, base, pairs)
