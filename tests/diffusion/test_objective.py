"""The loss that training minimises, against what diffusers' own schedulers say."""

import itertools

import pytest
import torch

from covergen_cli.diffusion.noise_schedule import signal_and_noise
from covergen_cli.diffusion.objective import (
    MIN_SNR_GAMMA,
    TIME_SHIFT,
    add_noise,
    denoising_loss,
    derangement,
    draw_timesteps,
    fixed_draws,
    item_losses,
    paired_gap,
    target_of,
    time_weights,
    times_at,
)
from covergen_cli.errors import ModelError
from tiny import WIDTH, tiny_unet

FLOW = {"prediction_type": "flow_prediction"}
EPSILON = {"prediction_type": "epsilon", "beta_start": 0.00085, "beta_end": 0.012, "beta_schedule": "scaled_linear"}


@pytest.fixture
def pair() -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(0)
    return torch.randn(4, 3, 8, 8, generator=generator), torch.randn(4, 3, 8, 8, generator=generator)


@pytest.mark.parametrize("schedule", ["linear", "scaled_linear"])
def test_noise_and_velocity_agree_with_diffusers(pair, schedule) -> None:
    from diffusers import DDPMScheduler

    latents, noise = pair
    times = torch.tensor([0.0, 0.25, 0.5, 0.999])
    scheduler = DDPMScheduler(beta_start=0.00085, beta_end=0.012, beta_schedule=schedule)
    config, steps = EPSILON | {"beta_schedule": schedule}, (times * 1000).long()
    assert torch.allclose(
        add_noise(config, latents, noise, times), scheduler.add_noise(latents, noise, steps), atol=1e-5
    )
    velocity = target_of(config | {"prediction_type": "v_prediction"}, latents, noise, times)
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


def test_an_unknown_beta_schedule_is_refused(pair) -> None:
    with pytest.raises(ModelError, match="cannot follow the base's scheduler: sine"):
        add_noise(EPSILON | {"beta_schedule": "sine"}, *pair, torch.zeros(4))


def test_an_unknown_prediction_type_is_refused(pair) -> None:
    with pytest.raises(ModelError, match="sample"):
        target_of({"prediction_type": "sample"}, *pair, torch.zeros(4))


def test_a_model_that_predicts_flow_is_known_by_its_scheduler_too(pair) -> None:
    config = {"_class_name": "FlowMatchEulerDiscreteScheduler"}
    assert torch.equal(target_of(config, *pair, torch.full((4,), 0.3)), pair[1] - pair[0])


IDS = ("a", "b", "c", "d", "e")
SHAPE = (4, 8, 8)


def test_what_an_item_is_measured_with_depends_on_nothing_but_its_id() -> None:
    all_of_them, some = fixed_draws(IDS, SHAPE, 3, seed=1), fixed_draws(("d", "b"), SHAPE, 3, seed=1)
    assert torch.equal(all_of_them.times[[3, 1]], some.times)
    assert torch.equal(all_of_them.noise(3, 2), some.noise(0, 2))
    drawn = [all_of_them.noise(item, draw) for item in range(5) for draw in range(3)]
    assert all(not torch.equal(one, other) for one, other in itertools.combinations(drawn, 2))
    assert not torch.equal(some.noise(0, 0), fixed_draws(("d",), SHAPE, 3, seed=2).noise(0, 0))


def test_the_times_of_an_item_fall_one_in_each_part() -> None:
    times = fixed_draws([str(number) for number in range(200)], SHAPE, 4, seed=0).times
    assert torch.equal((times * 4).long(), torch.arange(4).expand(200, 4))
    assert (times * 4 % 1).mean().item() == pytest.approx(0.5, abs=0.06)


@pytest.mark.parametrize("scheduler", [FLOW, EPSILON, EPSILON | {"prediction_type": "v_prediction"}])
def test_losses_do_not_depend_on_the_batch_and_are_those_of_training(scheduler) -> None:
    torch.manual_seed(0)
    unet = tiny_unet().eval()
    latents, tokens = torch.randn(5, *SHAPE), torch.randn(5, 2, WIDTH)
    draws = fixed_draws(IDS, SHAPE, 3, seed=0)
    together = item_losses(unet, scheduler, latents, tokens, draws, 15)
    assert torch.allclose(together, item_losses(unet, scheduler, latents, tokens, draws, 4), atol=1e-5)
    alone = denoising_loss(unet, scheduler, latents[2:3], tokens[2:3], draws.noise(2, 1)[None], draws.times[2, 1][None])
    assert together[2, 1].item() == pytest.approx(alone.item(), rel=1e-4)
    assert not together.requires_grad


def test_one_set_of_tokens_serves_every_item() -> None:
    torch.manual_seed(0)
    unet, tokens, latents = tiny_unet().eval(), torch.randn(1, 2, WIDTH), torch.randn(5, *SHAPE)
    draws = fixed_draws(IDS, SHAPE, 2, seed=0)
    same = item_losses(unet, FLOW, latents, tokens.expand(5, -1, -1).clone(), draws, 4)
    assert torch.equal(item_losses(unet, FLOW, latents, tokens, draws, 4), same)


def test_the_gap_is_paired_and_its_error_is_over_items() -> None:
    first = torch.tensor([[1.0, 3.0], [10.0, 20.0], [5.0, 5.0]])
    other = first + torch.tensor([[0.1, 0.3], [0.4, 0.2], [0.0, 0.2]])
    gap = paired_gap(first, other)
    assert gap.mean == pytest.approx((0.2 + 0.3 + 0.1) / 3, rel=1e-5)
    assert gap.standard_error == pytest.approx(0.1 / 3**0.5, rel=1e-5)
    assert gap.n == 3
    assert paired_gap(other, first).mean == pytest.approx(-gap.mean)
    with pytest.raises(ValueError, match="cannot pair"):
        paired_gap(first, other[:2])
    with pytest.raises(ValueError, match="cannot pair"):
        paired_gap(first[:1], other[:1])


@pytest.mark.parametrize("count", [2, 3, 10, 101])
def test_a_derangement_leaves_nothing_in_its_place(count) -> None:
    for seed in range(20):
        order = derangement(count, seed)
        assert sorted(order) == list(range(count))
        assert all(place != value for place, value in enumerate(order))
    assert derangement(count, 3) == derangement(count, 3)
    assert count < 10 or derangement(count, 3) != derangement(count, 4)
    with pytest.raises(ValueError, match="no derangement"):
        derangement(1, 0)


def test_weighted_times_of_a_flow_lean_towards_noise_and_others_are_weighed() -> None:
    uniform = (torch.arange(10000) + 0.5) / 10000
    leaning = times_at(FLOW, uniform, weighted=True)
    assert leaning.median().item() == pytest.approx(TIME_SHIFT / (1 + TIME_SHIFT), abs=1e-3)
    assert 0 < leaning.min() < leaning.max() < 1
    assert (time_weights(FLOW, leaning) == 1).all()
    for scheduler in (FLOW, EPSILON):
        assert torch.equal(times_at(scheduler, uniform, weighted=False), uniform)
    assert torch.equal(times_at(EPSILON, uniform, weighted=True), uniform)


@pytest.mark.parametrize("kind", ["epsilon", "v_prediction"])
def test_min_snr_weighs_as_its_authors_say(kind) -> None:
    scheduler, times = EPSILON | {"prediction_type": kind}, torch.tensor([0.01, 0.3, 0.6, 0.99])
    signal, sigma = signal_and_noise(scheduler, times)
    ratio = (signal / sigma) ** 2
    capped = torch.minimum(ratio, torch.tensor(MIN_SNR_GAMMA))
    wanted = capped / ratio if kind == "epsilon" else capped / (ratio + 1)
    assert torch.allclose(time_weights(scheduler, times), wanted)
    assert time_weights(EPSILON, times)[-1] == 1
