"""Our DPM-Solver++ takes the steps that diffusers' takes."""

import pytest
import torch

from covergen_cli.diffusion.dpm_solver import FlowDPMSolver, flow_sigmas, is_supported
from covergen_cli.starter.unet import SCHEDULER_CONFIG as CONFIG

CPU = torch.device("cpu")


def velocity(latents, timestep):
    """Stands for a U-Net: smooth, and neither constant nor linear."""
    return torch.tanh(latents.roll(1, dims=1)) * 0.7 - latents * timestep / 2000


def drawn(scheduler, steps, skipped, dtype=torch.float32):
    scheduler.set_timesteps(steps, device=CPU)
    generator = torch.Generator().manual_seed(3)
    clean, noise = (torch.randn(2, 4, 3, 3, generator=generator) for _ in range(2))
    latents, timesteps = noise, scheduler.timesteps[skipped:]
    if skipped:
        scheduler.set_begin_index(skipped)
        latents = scheduler.add_noise(clean, noise, timesteps[:1].repeat(2))
    for timestep in timesteps:
        latents = scheduler.step(velocity(latents, timestep).to(dtype), timestep, latents, return_dict=False)[0]
    return latents


@pytest.mark.parametrize(("steps", "skipped"), [(1, 0), (2, 0), (2, 1), (3, 0), (8, 0), (8, 3), (50, 0)])
def test_the_latents_are_those_of_diffusers(steps, skipped):
    from diffusers import DPMSolverMultistepScheduler

    reference = DPMSolverMultistepScheduler(**{key: value for key, value in CONFIG.items() if key[0] != "_"})
    ours = FlowDPMSolver(CONFIG)
    assert torch.allclose(drawn(ours, steps, skipped), drawn(reference, steps, skipped), atol=1e-6)
    assert torch.equal(ours.timesteps, reference.timesteps)


def test_the_dtype_is_that_of_the_prediction():
    assert drawn(FlowDPMSolver(CONFIG), 3, 0, torch.bfloat16).dtype == torch.bfloat16


def test_noise_falls_from_one_to_zero():
    sigmas = flow_sigmas(8, 1000, 2.0)
    assert len(sigmas) == 9
    assert sigmas[0] == pytest.approx(0.9995, abs=1e-4)
    assert sigmas[-1] == 0
    assert (sigmas.diff() < 0).all()


@pytest.mark.parametrize(
    "change",
    [
        {"_class_name": "UniPCMultistepScheduler"},
        {"prediction_type": "epsilon"},
        {"use_flow_sigmas": False},
        {"solver_order": 3},
        {"use_karras_sigmas": True},
    ],
    ids=lambda change: next(iter(change)),
)
def test_other_settings_are_left_to_diffusers(change):
    assert is_supported(CONFIG)
    assert not is_supported({**CONFIG, **change})


def test_settings_whose_default_in_diffusers_is_another_must_be_given():
    assert not is_supported({key: value for key, value in CONFIG.items() if key != "use_flow_sigmas"})
