"""Gradients in float16 neither vanish nor overflow."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
import torch

from covergen_cli.training import gradients
from covergen_cli.training.batches import Batch
from covergen_cli.training.gradients import LARGEST_SCALE, TokenGradients

PAIRS = 2


@pytest.fixture
def batch():
    numbers = torch.ones(PAIRS)
    return Batch(numbers, numbers, numbers, numbers, numbers, torch.tensor([1.0, 3.0]))


@pytest.fixture
def gradients_of(monkeypatch):
    """Gradients for a model in half precision whose loss grows by ``slope`` with every token."""

    def make(slope, dtype=torch.float16, **settings):
        def loss(_unet, _scheduler, _latents, tokens, *_):
            return (tokens.to(dtype) * torch.tensor(slope, dtype=dtype)).float().flatten(1).sum(1)

        monkeypatch.setattr(gradients, "denoising_loss", loss)
        base = SimpleNamespace(dtype=dtype, unet=None, scheduler_config={})
        return TokenGradients(base, weighted=False, at_once=PAIRS, **{"scale": LARGEST_SCALE, **settings})

    return make


@pytest.mark.parametrize("slope", [3e-4, 0.5, 500.0])
def test_they_are_those_of_full_precision_whatever_their_size(gradients_of, batch, slope):
    tokens = torch.zeros(PAIRS, 1, 3)
    exact = gradients_of(slope, torch.float32).compute(tokens, batch)[1]
    half = gradients_of(slope)
    loss, found = half.compute(tokens, batch)
    torch.testing.assert_close(found, exact, rtol=2e-3, atol=0)
    assert found[1, 0, 0] == pytest.approx(3 * slope / PAIRS, rel=2e-3)
    assert loss == 0
    assert half.scale == {3e-4: LARGEST_SCALE / 2, 0.5: LARGEST_SCALE / 2, 500.0: 64}[slope]


def test_without_the_scale_small_ones_would_vanish(gradients_of, batch):
    tokens = torch.zeros(PAIRS, 1, 3)
    small = 1e-8
    assert (
        not gradients_of(1.0, scale=1.0)
        ._compute(tokens, Batch(*[batch.times] * 5, batch.weights * small), 1.0)[1]
        .any()
    )
    assert gradients_of(1.0).compute(tokens, Batch(*[batch.times] * 5, batch.weights * small))[1].all()


def test_the_scale_grows_again_and_never_above_the_first_one(gradients_of):
    half = gradients_of(1.0, scale=LARGEST_SCALE / 4)
    for step in range(1, 8001):
        half.grow(step)
    assert half.scale == LARGEST_SCALE
