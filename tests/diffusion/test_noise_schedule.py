"""The noise of training is that of the base's scheduler, with every setting that changes it."""

import pytest
import torch

from covergen_cli.diffusion.noise_schedule import signal_and_noise, timesteps_at, train_timesteps

BETAS = {"beta_start": 0.00085, "beta_end": 0.012, "beta_schedule": "scaled_linear"}


@pytest.mark.parametrize(
    "settings",
    [
        {},
        BETAS,
        {**BETAS, "rescale_betas_zero_snr": True},
        {**BETAS, "num_train_timesteps": 500},
        {"beta_schedule": "squaredcos_cap_v2"},
        {"trained_betas": [0.1, 0.2, 0.3, 0.4], "num_train_timesteps": 4},
    ],
    ids=["defaults", "stable-diffusion", "zero-snr", "500", "cosine", "trained"],
)
def test_signal_and_noise_are_those_of_diffusers(settings):
    from diffusers import DDPMScheduler

    scheduler = DDPMScheduler(**settings)
    count = train_timesteps(settings)
    times = torch.tensor([0.0, 0.3, 0.75, 1.0])
    steps = (times * count).long().clamp(max=count - 1)
    signal, noise = signal_and_noise({**settings, "clip_sample": False}, times)
    assert torch.equal(timesteps_at(settings, times), steps)
    assert torch.allclose(signal, scheduler.alphas_cumprod[steps].sqrt())
    assert torch.allclose(noise, (1 - scheduler.alphas_cumprod[steps]).sqrt())


def test_the_last_timestep_of_zero_snr_is_nothing_but_noise():
    signal, noise = signal_and_noise({**BETAS, "rescale_betas_zero_snr": True}, torch.tensor([1.0]))
    assert signal.item() == pytest.approx(0, abs=1e-6)
    assert noise.item() == pytest.approx(1)


def test_timesteps_are_whole_for_noise_and_not_for_a_flow():
    times = torch.tensor([0.0004, 0.5006, 0.99999])
    assert timesteps_at(BETAS, times).tolist() == [0, 500, 999]
    flow = {"prediction_type": "flow_prediction", "num_train_timesteps": 1000}
    assert timesteps_at(flow, times).tolist() == pytest.approx([0.4, 500.6, 999.99])
