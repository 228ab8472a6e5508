"""Which pairs, noise and times a step sees."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
import torch

from covergen_cli.training.batches import CoverBatches
from covergen_cli.training.embedding_cache import Embeddings
from covergen_cli.training.latent_cache import Latents

COUNT = 10


def make(size=4, *, spread=True, stratified=True, **settings):
    keys = [str(index) for index in range(COUNT)]
    latents = np.zeros((COUNT, 2 if spread else 1, 2, 3, 3), np.float16)
    latents[:, 0] = np.arange(COUNT)[:, None, None, None]
    latents[:, 1:] = 0.5
    frames = np.arange(COUNT, dtype=np.float32)[:, None].repeat(512, axis=1)
    rows = {key: latents[index : index + 1] for index, key in enumerate(keys)}
    clips = {key: frames[index : index + 2] for index, key in enumerate(keys)}
    weights = settings.pop("weights", torch.ones(COUNT))
    return CoverBatches(
        Embeddings(clips, keys),
        Latents(rows, keys),
        weights,
        size,
        seed=settings.pop("seed", 0),
        times_of=lambda uniform: uniform,
        stratified=stratified,
        **settings,
    )


def test_every_epoch_sees_every_pair_in_an_order_of_its_own():
    batches = make()
    assert batches.steps_per_epoch == 3
    epochs = [[pair for step in range(3 * e, 3 * e + 3) for pair in batches.pairs_of(step)] for e in range(4)]
    for pairs in epochs:
        assert set(pairs) == set(range(COUNT))
        assert pairs[COUNT:] == pairs[: 12 - COUNT]
    assert all(one != other for one, other in itertools.combinations(epochs, 2))
    assert epochs[0] != [pair for step in range(3) for pair in make(seed=1).pairs_of(step)]


def test_a_batch_depends_on_the_seed_and_the_step_alone():
    first, again = make().at(7), make().at(7)
    assert all(torch.equal(value, getattr(again, name)) for name, value in vars(first).items())
    assert not torch.equal(first.noise, make().at(8).noise)
    assert not torch.equal(first.noise, make(seed=1).at(7).noise)


def test_two_processes_share_the_batch_of_one():
    whole = make(4).at(5)
    parts = [make(2, rank=rank, processes=2).at(5) for rank in (0, 1)]
    for name in ("latents", "noise", "times", "lengths", "weights"):
        assert torch.equal(torch.cat([getattr(part, name) for part in parts]), getattr(whole, name)), name


def test_latents_are_drawn_anew_where_the_autoencoder_has_a_spread():
    batch, pairs = make().at(0), make().pairs_of(0)
    away = batch.latents - torch.tensor(pairs).view(-1, 1, 1, 1)
    assert 0.3 < away.std() < 0.7
    assert not torch.allclose(away / 0.5, batch.noise)
    still = make(spread=False).at(0)
    assert torch.equal(still.latents, torch.tensor(pairs).view(-1, 1, 1, 1).expand(4, 2, 3, 3).float())


def test_times_of_a_batch_fall_one_in_each_part_or_anywhere():
    batches = make(8)
    for step in range(20):
        assert torch.equal((batches.at(step).times * 8).long(), torch.arange(8))
    free = torch.cat([make(8, stratified=False).at(step).times for step in range(50)])
    assert free.mean().item() == pytest.approx(0.5, abs=0.06)
    assert ((free.view(50, 8) * 8).long() != torch.arange(8)).any()


def test_weights_count_relative_to_their_mean():
    weights = torch.arange(1.0, COUNT + 1)
    batches = make(COUNT, weights=weights)
    assert batches.at(0).weights.mean().item() == pytest.approx(1)
    pairs = batches.pairs_of(0)
    assert torch.allclose(batches.at(0).weights, (weights / weights.mean())[pairs])


def test_embeddings_are_those_of_the_pairs():
    batches = make()
    batch = batches.at(1)
    for row, length, pair in zip(batch.embeddings, batch.lengths.tolist(), batches.pairs_of(1), strict=True):
        assert row[0, 0].item() == pair
        assert length == min(2, COUNT - pair)


def test_on_a_device_pictures_lie_as_convolutions_like_them():
    batch = make().at(0).to(torch.device("cpu"))
    assert batch.latents.is_contiguous(memory_format=torch.channels_last)
    assert batch.noise.is_contiguous(memory_format=torch.channels_last)
