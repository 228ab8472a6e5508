"""The loss that training minimises, against what diffusers' own schedulers say."""

import pytest
import torch

from covergen_cli.errors import ModelError
from covergen_cli.training.objective import add_noise, denoising_loss, draw_timesteps, target_of

FLOW = {"prediction_type": "flow_prediction"}
EPSILON = {"prediction_type": "epsilon", "beta_start": 0.00085, "beta_end": 0.012, "beta_schedule": "scaled_linear"}


@pytest.fixture
def pair() -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(0)
    return torch.randn(4, 3, 8, 8, generator=generator), torch.randn(4, 3, 8, 8, generator=generator)


def test_noise_and_velocity_agree_with_diffusers(pair) -> None:
    from diffusers import DDPMScheduler

    latents, noise = pair
    times = torch.tensor([0.0, 0.25, 0.5, 0.999])
    scheduler = DDPMScheduler(beta_start=0.00085, beta_end=0.012, beta_schedule="scaled_linear")
    steps = (times * 1000).long()
    assert torch.allclose(
        add_noise(EPSILON, latents, noise, times), scheduler.add_noise(latents, noise, steps), atol=1e-5
    )
    velocity = target_of(EPSILON | {"prediction_type": "v_prediction"}, latents, noise, times)
    assert torch.allclose(velocity, scheduler.get_velocity(latents, noise, steps), atol=1e-5)


def test_the_straight_path_runs_from_picture_to_noise(pair) -> None:
    latents, noise = pair
    assert torch.equal(add_noise(FLOW, latents, noise, torch.zeros(4)), latents)
    assert torch.equal(add_noise(FLOW, latents, noise, torch.ones(4)), noise)
    assert torch.equal(target_of(FLOW, latents, noise, torch.full((4,), 0.3)), noise - latents)


def test_a_perfect_prediction_costs_nothing_and_the_loss_is_per_item(pair) -> None:
    latents, noise = pair

    class Oracle(torch.nn.Module):
        def forward(self, noisy, timesteps, encoder_hidden_states, return_dict):
            assert timesteps.tolist() == pytest.approx([100, 200, 300, 400])
            return ((noise - latents) * torch.tensor([1.0, 1.0, 1.0, 0.0]).view(4, 1, 1, 1),)

    loss = denoising_loss(Oracle(), FLOW, latents, torch.zeros(4, 1, 2), noise, torch.tensor([0.1, 0.2, 0.3, 0.4]))
    assert loss[:3].tolist() == pytest.approx([0, 0, 0])
    assert loss[3].item() == pytest.approx((noise - latents)[3].square().mean().item(), rel=1e-5)


def test_times_lie_in_the_unit_interval_and_repeat_with_the_seed() -> None:
    for logit_normal in (False, True):
        times = draw_timesteps(1000, torch.Generator().manual_seed(1), logit_normal=logit_normal)
        again = draw_timesteps(1000, torch.Generator().manual_seed(1), logit_normal=logit_normal)
        assert 0 < times.min() < times.max() < 1
        assert torch.equal(times, again)


def test_an_unknown_prediction_type_is_refused(pair) -> None:
    with pytest.raises(ModelError, match="sample"):
        target_of({"prediction_type": "sample"}, *pair, torch.zeros(4))
