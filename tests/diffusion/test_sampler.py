"""Guidance and seeds do what they say."""

import dataclasses

import pytest
import torch

from covergen_cli.diffusion.guidance import Term, guide
from covergen_cli.diffusion.sampler import SCHEDULERS, Start, denoise, make_scheduler
from covergen_cli.errors import ConfigError, ModelError
from covergen_cli.models.base import load_base
from covergen_cli.models.condition import Condition
from covergen_cli.models.unet import UNet
from tiny import tiny_base, tiny_sd_base


@pytest.fixture(scope="module")
def flow(tmp_path_factory):
    return load_base(str(tiny_base(tmp_path_factory.mktemp("models") / "flow")))


@pytest.fixture(scope="module")
def epsilon(tmp_path_factory):
    base = load_base(str(tiny_base(tmp_path_factory.mktemp("models") / "epsilon")))
    config = {"_class_name": "DDIMScheduler", "prediction_type": "epsilon", "beta_schedule": "scaled_linear"}
    return dataclasses.replace(base, scheduler_config=config)


def sample(base, conditions, seeds, steps, guidance, scheduler="own"):
    return denoise(base, guide(base.null, [(Condition(conditions), 1.0)], guidance), seeds, steps, scheduler)


def tokens(seed=0, batch=1, count=8):
    return torch.randn(batch, count, 32, generator=torch.Generator().manual_seed(seed))


class Counting:
    """A U-Net that counts its calls and the items in them."""

    def __init__(self, unet):
        self.unet, self.config, self.batches = unet, unet.config, []

    def __call__(self, latents, *arguments, **settings):
        self.batches.append(len(latents))
        return self.unet(latents, *arguments, **settings)


def counting(base):
    unet = Counting(base.unet)
    return dataclasses.replace(base, unet=unet), unet


@pytest.mark.parametrize("name", ["own", "dpm++", "unipc", "euler", "heun", "DPMSolverSinglestepScheduler"])
def test_flow_schedulers_draw(flow, name):
    latents = sample(flow, tokens(), [0], 4, 2.0, name)
    assert latents.shape == (1, 4, 8, 8)
    assert torch.isfinite(latents).all()


@pytest.mark.parametrize("name", ["own", *SCHEDULERS])
def test_noise_schedulers_draw(epsilon, name):
    latents = sample(epsilon, tokens(), [0], 4, 2.0, name)
    assert latents.shape == (1, 4, 8, 8)
    assert torch.isfinite(latents).all()


def test_stable_diffusions_own_scheduler(tmp_path):
    base = load_base(str(tiny_sd_base(tmp_path / "sd")))
    assert torch.isfinite(sample(base, tokens(), [0], 4, 2.0)).all()


def test_a_flow_needs_a_scheduler_for_flows(flow):
    with pytest.raises(ModelError, match="predicts a flow") as caught:
        make_scheduler(flow, "ddim")
    assert "dpm++" in caught.value.hint


def test_noise_needs_a_scheduler_for_noise(epsilon):
    with pytest.raises(ModelError, match="only with flow models"):
        make_scheduler(epsilon, "FlowMatchEulerDiscreteScheduler")


@pytest.mark.parametrize("name", ["quick", "UNet2DConditionModel", "NoScheduler", "DDPMWuerstchenScheduler"])
def test_schedulers_that_are_none(epsilon, name):
    with pytest.raises(ConfigError, match=f"no scheduler {name}"):
        make_scheduler(epsilon, name)


def test_a_straight_path_is_followed_exactly(flow):
    """A U-Net that knows the velocity of a straight path leads from the noise to its end, however few the steps."""
    target = torch.full((1, 4, 8, 8), 0.3)
    noise = torch.randn((4, 8, 8), generator=torch.Generator().manual_seed(7))[None]

    class Knowing:
        config = flow.unet.config

        def __call__(self, _latents, _timestep, **_settings):
            return (noise - target,)

    base = dataclasses.replace(flow, unet=Knowing())
    for name in ("dpm++", "euler", "unipc"):
        assert torch.allclose(sample(base, tokens(), [7], 5, 1.0, name), target, atol=5e-3), name


def test_an_item_does_not_depend_on_its_batch(flow):
    conditions = tokens(batch=3)
    together = sample(flow, conditions, [5, 6, 7], 4, 2.0)
    for index, seed in enumerate((5, 6, 7)):
        alone = sample(flow, conditions[index : index + 1], [seed], 4, 2.0)
        assert torch.allclose(together[index], alone[0], atol=1e-4)


def test_random_steps_do_not_depend_on_the_batch(epsilon):
    conditions = tokens(batch=2)
    together = sample(epsilon, conditions, [5, 6], 4, 2.0, "euler-a")
    alone = sample(epsilon, conditions[1:], [6], 4, 2.0, "euler-a")
    assert torch.allclose(together[1], alone[0], atol=1e-3)


def test_the_same_call_gives_the_same_bits(flow):
    torch.manual_seed(1)
    first = sample(flow, tokens(), [3], 4, 2.0)
    torch.manual_seed(2)
    assert torch.equal(sample(flow, tokens(), [3], 4, 2.0), first)
    assert not torch.allclose(sample(flow, tokens(), [4], 4, 2.0), first, atol=1e-2)
    assert not torch.allclose(sample(flow, tokens(1), [3], 4, 2.0), first, atol=1e-4)


def test_guidance_one_never_asks_the_null_condition(flow):
    base, unet = counting(flow)
    spoilt = dataclasses.replace(base, null=Condition(base.null_tokens * torch.nan))
    latents = sample(spoilt, tokens(), [0], 3, 1.0)
    assert torch.isfinite(latents).all()
    assert unet.batches == [1, 1, 1]


def test_guidance_formula(flow):
    """One Euler step over a flow is linear in the prediction, so guidance must be too."""
    none, half, one, three = (sample(flow, tokens(), [0], 1, guidance, "euler") for guidance in (0.0, 0.5, 1.0, 3.0))
    assert torch.allclose(half, (none + one) / 2, atol=1e-4)
    assert torch.allclose(three, none + 3 * (one - none), atol=1e-4)
    null = sample(flow, flow.null_tokens, [0], 1, 1.0, "euler")
    assert torch.allclose(none, null, atol=1e-4)


@pytest.mark.parametrize("count", [8, 1])
def test_one_call_a_step_whatever_the_lengths_of_the_conditions(flow, count):
    base, unet = counting(flow)
    sample(base, tokens(batch=2, count=count), [0, 1], 2, 2.0)
    assert unet.batches == [4, 4]


def test_a_call_for_each_condition_where_the_u_net_takes_no_mask(flow):
    """Ours takes none: conditions of one length are asked for together, others one by one."""
    plain = UNet(flow.unet.config)
    plain.load_state_dict(flow.unet.state_dict())
    calls = []
    plain.register_forward_pre_hook(lambda _module, inputs: calls.append(len(inputs[0])))
    ours = dataclasses.replace(flow, unet=plain.eval())
    for count, batches in ((8, [4, 4]), (1, [2, 2, 2, 2])):
        conditions = tokens(batch=2, count=count)
        drawn = sample(ours, conditions, [0, 1], 2, 2.0)
        assert calls == batches
        assert torch.allclose(drawn, sample(flow, conditions, [0, 1], 2, 2.0), atol=1e-4)
        calls.clear()


def test_both_ways_of_calling_agree(flow):
    shared = sample(flow, tokens(), [0], 2, 2.0)
    longer = dataclasses.replace(flow, null=Condition(flow.null_tokens.repeat(1, 2, 1)))
    assert torch.allclose(sample(longer, tokens(), [0], 2, 2.0), shared, atol=1e-4)


def test_every_step_is_reported_and_the_callback_can_stop(flow):
    reported = []

    def callback(done, total):
        reported.append((done, total))
        if done == 2:
            raise InterruptedError

    with pytest.raises(InterruptedError):
        denoise(flow, [Term(1.0, Condition(tokens()))], [0], 3, callback=callback)
    assert reported == [(1, 3), (2, 3)]
    assert not torch.is_inference_mode_enabled()


@pytest.mark.parametrize(("strength", "taken"), [(0.01, 1), (0.5, 3), (1.0, 6)])
def test_a_weaker_start_takes_fewer_steps(epsilon, strength, taken):
    start, reported = Start(torch.full((1, 4, 8, 8), 0.3), strength), []
    latents = denoise(
        epsilon, [Term(1.0, Condition(tokens()))], [0], 6, "euler", start, lambda *progress: reported.append(progress)
    )
    assert reported == [(done, taken) for done in range(1, taken + 1)]
    assert torch.isfinite(latents).all()


def test_without_strength_the_picture_stays(epsilon):
    start = Start(torch.full((1, 4, 8, 8), 0.3), 0.01)
    near = denoise(epsilon, [Term(1.0, Condition(tokens()))], [0], 100, "euler", start)
    far = denoise(epsilon, [Term(1.0, Condition(tokens()))], [0], 4, "euler", dataclasses.replace(start, strength=1.0))
    assert (near - 0.3).abs().mean() < 0.2 * (far - 0.3).abs().mean()


@pytest.mark.parametrize("shape", [(1, 8, 16), (2, 8, 32), (8, 32)])
def test_tokens_that_do_not_fit(flow, shape):
    with pytest.raises(ModelError, match="do not fit"):
        sample(flow, torch.zeros(shape), [0], 2, 2.0)
