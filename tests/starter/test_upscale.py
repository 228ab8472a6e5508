"""The upscaler learns what a filter cannot know."""

import numpy as np
import pytest
import torch

from covergen_cli.models.upscaler import Upscaler
from covergen_cli.starter.autoencoder import build_autoencoder
from covergen_cli.starter.train_loop import Budget
from covergen_cli.starter.upscale import make_drafts, restore, train_upscaler


def _edges(count, seed):
    """Pictures of hard edges at any place, ``(N, 64, 64, 3)``."""
    places = np.random.default_rng(seed).uniform(8, 56, count)
    rows = np.where(np.arange(64) < places[:, None], 40, 210).astype(np.uint8)
    return np.broadcast_to(rows[:, None, :, None], (count, 64, 64, 3)).copy()


def _small(large):
    return large.reshape(len(large), 16, 4, 16, 4, 3).mean(axis=(2, 4)).round().astype(np.uint8)


def _off(upscaler, large):
    pictures = torch.from_numpy(_small(large)).permute(0, 3, 1, 2) / 127.5 - 1
    with torch.inference_mode():
        made = (upscaler(pictures).permute(0, 2, 3, 1) + 1) * 127.5
    return float((made - torch.from_numpy(large)).abs().mean())


@pytest.mark.usefixtures("full_precision")
def test_edges_get_sharper_than_by_enlargement(tmp_path):
    torch.manual_seed(0)
    masters = _edges(64, 1)
    upscaler, budget = Upscaler(channels=8, blocks=1), Budget(steps=150, minutes=5, learning_rate=5e-3, ema_decay=0.9)
    plain = _off(upscaler, _edges(16, 2))
    list(train_upscaler(tmp_path, upscaler, _small(masters), masters, budget, seed=1))
    restored = Upscaler(channels=8, blocks=1)
    restore(tmp_path, restored)
    assert _off(restored, _edges(16, 2)) < 0.7 * plain


@pytest.mark.usefixtures("full_precision")
def test_drafts_are_what_the_autoencoder_makes_of_small_masters(tmp_path):
    vae = build_autoencoder().eval()
    vae.register_to_config(scaling_factor=1.0)
    masters = np.full((3, 256, 256, 3), 40, dtype=np.uint8)
    masters[1] = 220
    events = list(make_drafts(tmp_path, vae, masters, seed=0))
    drafts = np.load(tmp_path / "drafts.npy")
    assert events[-1].done == 3
    assert drafts.shape == (3, 64, 64, 3)
    assert drafts[1].mean() > drafts[0].mean() + 20
    assert abs(drafts[0].mean() - drafts[2].mean()) < 10
    assert list(make_drafts(tmp_path, vae, masters, seed=0)) == []
