"""Decoupled cross-attention: the U-Net is as it was without audio, and the audio has its own keys and values."""

from __future__ import annotations

import dataclasses

import pytest
import torch
from torch.nn import functional

from covergen_cli.config import AdapterConfig
from covergen_cli.models.adapter import Adapter
from covergen_cli.models.base import load_base
from covergen_cli.models.condition import Condition, join
from covergen_cli.models.decoupled import (
    condition_on,
    cross_attentions,
    decouple,
    own_projections,
    projection_widths,
    scale_audio,
    widths_of,
)
from covergen_cli.models.unet import UNet, use_plain_attention
from tiny import WIDTH, tiny_base

SHAPE = AdapterConfig(hidden_dim=16, rank=2, output_dim=WIDTH, tokens=3, cross_attention="decoupled")
TIME = torch.tensor(500.0)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tiny_base(tmp_path_factory.mktemp("decoupled") / "base")


@pytest.fixture(params=["diffusers", "diffusers-plain", "ours"])
def base(request, folder):
    loaded = load_base(str(folder))
    if request.param == "ours":
        unet = UNet(dict(loaded.unet.config))
        unet.load_state_dict(loaded.unet.state_dict())
        return dataclasses.replace(loaded, unet=unet.requires_grad_(requires_grad=False))
    if request.param == "diffusers-plain":
        use_plain_attention(loaded.unet)
    return loaded


def call(base, tokens, **further):
    latents = torch.randn(len(tokens), *base.latent_shape, generator=torch.Generator().manual_seed(1))
    return base.unet(latents, TIME, encoder_hidden_states=tokens, return_dict=False, **further)[0]


def adapter_for(base, **settings):
    with torch.random.fork_rng():
        torch.manual_seed(0)
        adapter = Adapter(dataclasses.replace(SHAPE, **settings), projection_widths(base.unet)).eval()
    adapter.load_state_dict(adapter.state_dict() | own_projections(base))
    return adapter


def embeddings(count=2):
    return torch.randn(count, 4, 512, generator=torch.Generator().manual_seed(2))


def test_without_audio_nothing_changes_bit_for_bit(base):
    null = base.null_tokens.expand(2, -1, -1)
    before, weights = call(base, null), {name: value.clone() for name, value in base.unet.state_dict().items()}
    decouple(base)
    assert torch.equal(call(base, null), before)
    after = base.unet.state_dict()
    assert weights.keys() == after.keys()
    assert all(torch.equal(value, after[name]) for name, value in weights.items())
    silent = torch.zeros(2, 3, 2 * sum(projection_widths(base.unet).values()))
    torch.testing.assert_close(call(base, silent), before)


def test_the_layers_are_found_in_the_same_order_in_both_kinds_of_u_net(folder):
    theirs = load_base(str(folder)).unet
    assert projection_widths(theirs) == projection_widths(UNet(dict(theirs.config)))
    assert list(projection_widths(theirs)) == list(projection_widths(UNet(dict(theirs.config))))


def test_audio_adds_attention_with_its_own_keys_and_values(base):
    """By hand, in one layer whose input and output are observed."""
    decouple(base)
    audio = adapter_for(base)(embeddings())
    name, layer = next(iter(cross_attentions(base.unet).items()))
    seen = {}
    layer.register_forward_hook(
        lambda _module, arguments, keywords, output: seen.update(
            hidden=arguments[0] if arguments else keywords["hidden_states"], output=output
        ),
        with_kwargs=True,
    )
    call(base, audio)
    hidden, output = seen["hidden"], seen["output"]
    widths = projection_widths(base.unet)
    start, half = list(widths).index(name), sum(widths.values())
    start = sum(list(widths.values())[:start])
    key, value = audio[..., start : start + widths[name]], audio[..., half + start : half + start + widths[name]]
    null = base.null_tokens.expand(2, -1, -1)

    def attend(key, value):
        parts = (part.unflatten(-1, (layer.heads, -1)).transpose(1, 2) for part in (layer.to_q(hidden), key, value))
        return functional.scaled_dot_product_attention(*parts).transpose(1, 2).flatten(2)

    together = attend(layer.to_k(null), layer.to_v(null)) + attend(key, value)
    torch.testing.assert_close(output, layer.to_out[0](together), rtol=1e-4, atol=1e-5)


def test_the_scale_weighs_the_audio_and_zero_is_none(base):
    decouple(base)
    audio, null = adapter_for(base)(embeddings()), base.null_tokens.expand(2, -1, -1)
    whole, none = call(base, audio), call(base, null)
    torch.testing.assert_close(call(base, scale_audio(audio, 0.0)), none)
    assert (call(base, scale_audio(audio, 0.5)) - none).norm() < (whole - none).norm()
    torch.testing.assert_close(call(base, null, audio=audio), whole)


def test_conditions_with_and_without_audio_fit_into_one_call(base):
    decouple(base)
    audio = adapter_for(base)(embeddings())
    heard = condition_on(base, audio)
    both = join([base.null.expand(2), heard])
    together = call(base, both.tokens, audio=both.audio)[2:]
    latents = torch.randn(4, *base.latent_shape, generator=torch.Generator().manual_seed(1))[2:]
    alone = base.unet(latents, TIME, encoder_hidden_states=heard.tokens, audio=audio, return_dict=False)[0]
    torch.testing.assert_close(together, alone, rtol=1e-4, atol=1e-5)
    text = Condition(torch.ones(1, 5, WIDTH))
    beside = condition_on(base, audio, text, 2.0)
    assert (beside.tokens.shape, beside.audio.shape) == ((2, 5, WIDTH), audio.shape)
    assert torch.equal(beside.audio, scale_audio(audio, 2.0))
    plain = condition_on(base, torch.zeros(2, 3, WIDTH))
    assert (plain.tokens.shape, plain.audio) == ((2, 3, WIDTH), None)


@pytest.mark.parametrize("rank", [0, 4])
def test_gradients_reach_the_projections_and_not_the_u_net(base, rank):
    decouple(base)
    adapter = adapter_for(base, projection_rank=rank).train()
    call(base, adapter(embeddings())).square().mean().backward()
    for name, parameter in adapter.projections.named_parameters():
        trained = "norm" in name or not rank or not name.endswith("weight")
        assert parameter.requires_grad == trained
        assert (parameter.grad is not None) == trained
        if trained and not name.endswith("lora_a"):
            assert parameter.grad.abs().sum() > 0
    assert all(parameter.grad is None for parameter in base.unet.parameters())


def test_tokens_are_normalised_to_the_spread_of_the_null_condition(base):
    adapter = adapter_for(base)
    tokens = adapter.projections.norm(adapter.tokens(embeddings()))
    assert tokens.std().item() == pytest.approx(base.null_tokens.std().item(), rel=0.05)


def test_the_widths_can_be_read_from_the_weights(base):
    widths = projection_widths(base.unet)
    assert widths_of(adapter_for(base).state_dict()) == widths
    assert widths_of({"mapper.first.weight": torch.zeros(2, 2)}) == {}
