"""The U-Net in plain torch gives what diffusers gives with the same weights, for every shape that it supports."""

import pytest
import torch

from covergen_cli.models.unet import UNet, timestep_embedding, use_plain_attention
from tiny import WIDTH, tiny_unet

SD15 = {
    "block_out_channels": (32, 64, 128, 128),
    "down_block_types": ("CrossAttnDownBlock2D",) * 3 + ("DownBlock2D",),
    "up_block_types": ("UpBlock2D",) + ("CrossAttnUpBlock2D",) * 3,
    "layers_per_block": 2,
    "attention_head_dim": 8,
    "norm_num_groups": 32,
    "cross_attention_dim": 24,
}
SD2 = {**SD15, "attention_head_dim": [1, 2, 4, 4], "use_linear_projection": True, "upcast_attention": True}
STARTER = {
    "sample_size": 16,
    "in_channels": 8,
    "out_channels": 8,
    "block_out_channels": (16, 32, 48),
    "layers_per_block": 1,
    "down_block_types": ("DownBlock2D", "CrossAttnDownBlock2D", "DownBlock2D"),
    "up_block_types": ("UpBlock2D", "CrossAttnUpBlock2D", "UpBlock2D"),
    "cross_attention_dim": 24,
    "attention_head_dim": 4,
    "norm_num_groups": 16,
}
SINES = {**STARTER, "flip_sin_to_cos": False, "freq_shift": 1, "norm_eps": 1e-4}


def pair(settings):
    """A U-Net of diffusers with random weights, and ours with the same."""
    from diffusers import UNet2DConditionModel

    with torch.random.fork_rng():
        torch.manual_seed(0)
        reference = UNet2DConditionModel(**settings).eval()
    config = dict(reference.config)
    assert UNet.supports({**config, "_class_name": "UNet2DConditionModel"})
    ours = UNet(config).eval()
    ours.load_state_dict(reference.state_dict())  # strict: the same names
    return reference, ours


def inputs(channels, side=(16, 16), batch=2, tokens=5, width=24):
    generator = torch.Generator().manual_seed(1)
    return (
        torch.randn(batch, channels, *side, generator=generator),
        torch.randn(batch, tokens, width, generator=generator),
    )


@pytest.mark.parametrize("settings", [SD15, SD2, STARTER, SINES], ids=["sd15", "sd2", "starter", "sines"])
def test_the_prediction_is_that_of_diffusers(settings):
    reference, ours = pair(settings)
    latents, tokens = inputs(reference.config.in_channels)
    with torch.inference_mode():
        for timestep in (torch.tensor(431.5), torch.tensor([3, 999]), torch.tensor(0)):
            wanted = reference(latents, timestep, encoder_hidden_states=tokens, return_dict=False)[0]
            assert torch.allclose(ours(latents, timestep, tokens)[0], wanted, atol=1e-5)


def test_sides_that_are_no_multiple_of_the_scale():
    reference, ours = pair(STARTER)
    latents, tokens = inputs(8, (15, 13))
    with torch.inference_mode():
        wanted = reference(latents, torch.tensor(7), encoder_hidden_states=tokens, return_dict=False)[0]
        assert torch.allclose(ours(latents, torch.tensor(7), tokens)[0], wanted, atol=1e-5)


def test_half_precision_is_that_of_diffusers():
    reference, ours = (model.to(torch.bfloat16) for model in pair(STARTER))
    latents, tokens = (value.to(torch.bfloat16) for value in inputs(8))
    with torch.inference_mode():
        wanted = reference(latents, torch.tensor(431), encoder_hidden_states=tokens, return_dict=False)[0]
        assert torch.equal(ours(latents, torch.tensor(431), tokens)[0], wanted)


def test_plain_attention_gives_the_same_and_gradients():
    _, ours = pair(STARTER)
    latents, tokens = inputs(8)
    tokens.requires_grad_(True)
    fused = ours(latents, torch.tensor(431), tokens)[0]
    (fused_gradient,) = torch.autograd.grad(fused.square().sum(), tokens)
    use_plain_attention(ours)
    plain = ours(latents, torch.tensor(431), tokens)[0]
    (plain_gradient,) = torch.autograd.grad(plain.square().sum(), tokens)
    assert torch.allclose(plain, fused, atol=1e-5)
    assert torch.allclose(plain_gradient, fused_gradient, rtol=1e-3, atol=1e-4)
    assert not torch.equal(plain, fused), "the same kernel was used"


def test_full_size_has_the_names_and_shapes_of_diffusers():
    from diffusers import UNet2DConditionModel

    full = {
        **SD15,
        "block_out_channels": (320, 640, 1280, 1280),
        "cross_attention_dim": 768,
    }
    with torch.device("meta"):
        reference = UNet2DConditionModel(**full)
        ours = UNet(dict(reference.config))
    assert {name: value.shape for name, value in ours.state_dict().items()} == {
        name: value.shape for name, value in reference.state_dict().items()
    }


@pytest.mark.parametrize(
    "change",
    [
        {"addition_embed_type": "text_time"},
        {"transformer_layers_per_block": [1, 2]},
        {"down_block_types": ["AttnDownBlock2D"]},
        {"a_setting_of_tomorrow": 1},
        {"_class_name": "UNet2DModel"},
        {"cross_attention_dim": [32, 32]},
    ],
    ids=lambda change: next(iter(change)),
)
def test_what_it_cannot_do_is_left_to_diffusers(change):
    config = {**tiny_unet().config, "_class_name": "UNet2DConditionModel"}
    assert UNet.supports(config)
    assert not UNet.supports({**config, **change})


def test_the_timestep_embedding_by_hand():
    waves = timestep_embedding(torch.tensor([2.0]), 4, flip_sin_to_cos=True, freq_shift=0)
    angles = torch.tensor([2.0, 0.02])
    assert torch.allclose(waves, torch.cat([angles.cos(), angles.sin()])[None])


def test_a_dictionary_is_not_returned():
    _, ours = pair(STARTER)
    with pytest.raises(ValueError, match="return_dict=False"):
        ours(*inputs(8)[:1], torch.tensor(1), inputs(8)[1], return_dict=True)


@pytest.mark.parametrize("plain", [True, False], ids=["ours", "diffusers"])
def test_checkpointing_keeps_less_for_the_backward_pass_and_gives_the_same_gradient(plain):
    torch.manual_seed(0)
    theirs = tiny_unet().requires_grad_(requires_grad=False)
    unet = theirs
    if plain:
        unet = UNet(dict(theirs.config))
        unet.load_state_dict(theirs.state_dict())
        unet.requires_grad_(requires_grad=False)
    latents, tokens = torch.randn(2, 4, 8, 8), torch.randn(2, 3, WIDTH, requires_grad=True)

    def backward():
        kept = []
        with torch.autograd.graph.saved_tensors_hooks(lambda t: kept.append(t.nbytes) or t, lambda t: t):
            predicted = unet(latents, torch.tensor(500.0), encoder_hidden_states=tokens, return_dict=False)[0]
        (gradient,) = torch.autograd.grad(predicted.square().mean(), tokens)
        return sum(kept), gradient

    whole, expected = backward()
    unet.enable_gradient_checkpointing()
    less, gradient = backward()
    assert less < whole / 2
    torch.testing.assert_close(gradient, expected)
