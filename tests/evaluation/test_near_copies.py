"""A copy of a training cover is found, a picture of its own is not."""

import numpy as np
import torch
from PIL import Image

from covergen_cli.evaluation.covers import measure_covers
from covergen_cli.evaluation.near_copies import find_nearest, hash_covers, summarise_near_copies
from training_data import drain


class Cached:
    """Latents, as the cache gives them."""

    def __init__(self, latents):
        self.latents = latents

    def __len__(self):
        return len(self.latents)

    def mean(self, indices):
        return self.latents[list(indices)]


def test_copies_are_counted_and_named(tmp_path):
    rng = np.random.default_rng(0)
    small = rng.integers(0, 256, (6, 8, 8, 3)).astype(np.uint8)
    paths = []
    for number, picture in enumerate(small):
        paths.append(tmp_path / f"{number}.png")
        Image.fromarray(picture).resize((256, 256), Image.Resampling.BICUBIC).save(paths[-1])
    copy = tmp_path / "copy.jpg"
    Image.open(paths[2]).save(copy, quality=70)
    seen, (train, told) = drain(measure_covers([copy, paths[5]]))[0].hashes, drain(hash_covers(paths[:5]))
    assert told[-1].done == 5
    latents = torch.randn(6, 4, 4, 4, generator=torch.Generator().manual_seed(0))
    found = find_nearest(seen, torch.stack([latents[2] + 0.05, latents[5]]), train, Cached(latents[:5]))
    assert found.copies.tolist() == [True, False]
    assert (found.by_hash[0], found.by_latent[0]) == (2, 2)
    assert found.bits[0] <= 2
    assert found.distances[0] < 0.06
    facts = summarise_near_copies(found, found.select([1]), 5, 9)
    assert facts["covers"]["near_copies"] == 1
    assert facts["true"]["near_copies"] == 0
    assert (facts["compared"], facts["train_covers"]) == (5, 9)
