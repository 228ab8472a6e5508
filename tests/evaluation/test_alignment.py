"""An adapter that does not listen gives no evidence, one that knows everything gives all of it."""

from types import SimpleNamespace

import numpy as np
import pytest
import torch

from covergen_cli.evaluation.alignment import BANDS, CONDITIONS, audio_use, loss_matrix, measure_conditions, verdict
from covergen_cli.evaluation.metrics import Difference, paired_difference, retrieval
from tiny import FLOW, WIDTH, tiny_unet
from training_data import drain

SHAPE = (2, 2, 2)
COUNT = 12
IDS = [f"song{number}" for number in range(COUNT)]


class Unet(torch.nn.Module):
    """Predicts the flow from tokens that hold, flat, what the picture shall be."""

    def __init__(self, trust):
        super().__init__()
        self.weight = torch.nn.Parameter(torch.zeros(()))
        self.trust = trust

    def forward(self, noisy, timesteps, encoder_hidden_states, return_dict):
        times = (timesteps / 1000).view(-1, 1, 1, 1).clamp(min=1e-3)
        believed = encoder_hidden_states.mean(dim=1).view(-1, *SHAPE) * self.trust
        return ((noisy - (1 - times) * believed) / times - believed,)


def base(trust=1.0):
    null = torch.zeros(1, 3, 8)
    return SimpleNamespace(unet=Unet(trust), scheduler_config=FLOW, null_tokens=null)


def pictures(seed):
    return torch.randn(COUNT, *SHAPE, generator=torch.Generator().manual_seed(seed))


def measure(model, latents, tokens, seed=0, draws=5):
    mean = tokens.mean(dim=0, keepdim=True)
    how = {"draws": draws, "seed": seed, "batch_size": 7}
    return drain(measure_conditions(model, IDS[: len(latents)], latents, tokens, mean, **how))[0]


def test_an_oracle_uses_the_audio_and_finds_every_song():
    latents = pictures(0)
    tokens = latents.flatten(1)[:, None]
    losses = measure(base(), latents, tokens)
    assert losses["true"].max() == pytest.approx(0, abs=1e-6)
    found = audio_use(losses, seed=0)
    assert verdict(found["gap"]["shuffled"])[0]
    assert all(band["gap"].mean > 0 for band in found["bands"])
    matrix, told = drain(loss_matrix(base(), IDS, latents, tokens, draws=3, seed=0, batch_size=8))
    assert retrieval(matrix, seed=0).recall[1].value == 1
    assert [event.done for event in told] == list(range(1, COUNT + 1))


def test_an_adapter_that_says_the_same_of_every_song_differs_in_nothing():
    torch.manual_seed(0)
    model = SimpleNamespace(unet=tiny_unet().eval(), scheduler_config=FLOW, null_tokens=torch.randn(1, 4, WIDTH))
    latents = torch.randn(8, 4, 8, 8)
    tokens = torch.randn(1, 3, WIDTH).expand(8, -1, -1).clone()
    losses = measure(model, latents, tokens)
    gap = audio_use(losses, seed=0)["gap"]
    assert (gap["shuffled"].mean, gap["shuffled"].p_value) == (0, 1)
    assert gap["mean"].mean == pytest.approx(0, abs=1e-6)
    assert gap["null"].mean != 0
    assert verdict(gap["shuffled"])[1].startswith("no evidence that the audio is used")
    matrix, _ = drain(loss_matrix(model, IDS[:8], latents, tokens, draws=1, seed=0, batch_size=8))
    found = retrieval(matrix, seed=0)
    assert found.mean_rank.value == found.mean_rank_chance
    assert {k: share.value for k, share in found.recall.items()} == pytest.approx(found.recall_chance)


def test_tokens_that_have_nothing_to_do_with_the_covers_seldom_look_like_evidence():
    trials, alarms = 60, 0
    for seed in range(trials):
        tokens = torch.randn(COUNT, 2, 8, generator=torch.Generator().manual_seed(1000 + seed))
        losses = measure(base(0.3), pictures(seed), tokens, seed=seed)
        alarms += verdict(paired_difference((losses["shuffled"] - losses["true"]).mean(axis=1), seed=seed))[0]
    assert alarms / trials <= 0.05 + 3 * (0.05 * 0.95 / trials) ** 0.5


def test_conditions_share_covers_noise_and_times_whatever_the_batch():
    latents, tokens = pictures(0), torch.randn(COUNT, 2, 8, generator=torch.Generator().manual_seed(1))
    whole = measure(base(0.5), latents, tokens, draws=10)
    assert whole.keys() == set(CONDITIONS)
    assert {values.shape for values in whole.values()} == {(COUNT, 10)}
    mean = tokens.mean(dim=0, keepdim=True)
    again, _ = drain(measure_conditions(base(0.5), IDS, latents, tokens, mean, draws=10, seed=0, batch_size=64))
    for name in CONDITIONS:
        assert np.allclose(whole[name], again[name], atol=1e-6)
    # Without trust in the tokens, all conditions must be one.
    deaf = measure(base(0.0), latents, tokens, draws=10)
    assert np.array_equal(deaf["true"], deaf["shuffled"])
    assert np.array_equal(deaf["true"], deaf["null"])


def test_bands_hold_the_draws_of_their_times():
    losses = {name: np.tile(np.repeat(np.arange(BANDS, dtype=float), 2), (9, 1)) for name in CONDITIONS}
    bands = audio_use(losses, seed=0)["bands"]
    assert [band["loss"].value for band in bands] == [0, 1, 2, 3, 4]
    assert [(band["from"], band["to"]) for band in bands] == [(0, 200), (200, 400), (400, 600), (600, 800), (800, 1000)]


@pytest.mark.parametrize(
    ("gap", "heard", "words"),
    [
        (Difference(0.00213, 0.0019, 0.00236, 0.0001, 200), True, "the audio is used (gap 0.0021 ± 0.0002, p ≤ 0.0001"),
        (Difference(0.001, -0.001, 0.003, 0.3, 200), False, "no evidence that the audio is used (gap 0.001 ± 0.002"),
        (Difference(-0.02, -0.03, -0.01, 0.001, 200), False, "the audio misleads"),
        (Difference(0.5, 0.4, 0.6, 0.03, 6), False, "too few test pairs"),
        (Difference(0.0, 0.0, 0.0, 1.0, 50), False, "no evidence"),
    ],
)
def test_the_verdict_in_words(gap, heard, words):
    assert verdict(gap)[0] is heard
    assert verdict(gap)[1].startswith(words)
