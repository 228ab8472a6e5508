"""The adapter does what the paper's formulas say."""

import math

import pytest
import torch

from covergen_cli.config import AdapterConfig
from covergen_cli.errors import ConfigError
from covergen_cli.models.adapter import (
    Adapter,
    AttentionPooling,
    AttentionResampler,
    LoRAAudioToImageMapper,
    LoRALinear,
    ResidualBlock,
)
from tiny import tiny_adapter_config, tiny_unet

BOTH = [{"pooling": "attention", "tokens": 1}, {"pooling": "resampler", "tokens": 3}]


@pytest.fixture(autouse=True)
def _seeded():
    torch.manual_seed(0)


def test_pooling_by_hand():
    pooling = AttentionPooling(2)
    with torch.no_grad():
        pooling.hidden.weight.copy_(torch.tensor([[1.0, 0.0], [0.0, 2.0]]))
        pooling.hidden.bias.copy_(torch.tensor([0.0, 0.5]))
        pooling.score.weight.copy_(torch.tensor([[1.0, -1.0]]))
    frames = [(1.0, 0.0), (0.0, 1.0)]
    scores = [math.tanh(x) - math.tanh(2 * y + 0.5) for x, y in frames]
    total = sum(math.exp(score) for score in scores)
    first, second = (math.exp(score) / total for score in scores)
    pooled = pooling(torch.tensor([frames]))
    assert pooled.tolist()[0] == pytest.approx([first, second], abs=1e-6)
    assert pooling.weights(torch.tensor([frames])).tolist()[0] == pytest.approx([first, second], abs=1e-6)


def test_one_frame_pools_to_itself():
    frame = torch.randn(1, 1, 8)
    assert torch.allclose(AttentionPooling(8)(frame), frame[0], atol=1e-6)


def test_padding_gets_no_weight():
    weights = AttentionPooling(8).weights(torch.randn(2, 5, 8), torch.tensor([5, 2]))
    assert weights[1, 2:].tolist() == [0.0, 0.0, 0.0]
    assert weights.sum(dim=1).tolist() == pytest.approx([1.0, 1.0])


@pytest.mark.parametrize("shape", BOTH, ids=lambda shape: shape["pooling"])
@pytest.mark.parametrize("rubbish", [0.0, 1e4, math.nan, math.inf])
def test_a_clip_does_not_depend_on_its_batch(shape, rubbish):
    adapter = Adapter(tiny_adapter_config(**shape)).double().eval()
    clips = [torch.randn(length, 512, dtype=torch.float64) for length in (7, 1, 4)]
    batch = torch.full((3, 7, 512), rubbish, dtype=torch.float64)
    for row, clip in zip(batch, clips, strict=True):
        row[: len(clip)] = clip
    together = adapter(batch, torch.tensor([7, 1, 4]))
    for row, clip in zip(together, clips, strict=True):
        assert torch.allclose(row, adapter(clip[None])[0], atol=1e-9)


@pytest.mark.parametrize("shape", BOTH, ids=lambda shape: shape["pooling"])
def test_padding_gets_no_gradient(shape):
    adapter = Adapter(tiny_adapter_config(**shape)).eval()
    batch = torch.randn(2, 4, 512, requires_grad=True)
    adapter(batch, torch.tensor([4, 2])).square().sum().backward()
    assert batch.grad[1, 2:].abs().max() == 0
    assert batch.grad[1, :2].abs().max() > 0


@pytest.mark.parametrize("lengths", [[0, 3], [4, 3], [-1, 1]])
def test_lengths_that_cannot_be(lengths):
    for module in (AttentionPooling(8), AttentionResampler(8, 2, 2)):
        with pytest.raises(ValueError, match="lengths must lie in"):
            module(torch.randn(2, 3, 8), torch.tensor(lengths))


def test_no_frames_at_all():
    with pytest.raises(ValueError, match="T >= 1"):
        AttentionPooling(8)(torch.randn(1, 0, 8))


def test_lora_starts_as_its_frozen_layer():
    layer = LoRALinear(5, 3, rank=2, alpha=4.0)
    values = torch.randn(2, 5)
    assert layer.lora_b.abs().max() == 0
    assert layer.lora_a.abs().max() > 0
    assert torch.allclose(layer(values), values @ layer.weight.T + layer.bias, atol=1e-6)


def test_lora_formula():
    layer = LoRALinear(5, 3, rank=2, alpha=4.0)
    torch.nn.init.normal_(layer.lora_b)
    values = torch.randn(2, 5)
    weight = layer.weight + 4.0 * layer.lora_b @ layer.lora_a
    assert torch.allclose(layer(values), values @ weight.T + layer.bias, atol=1e-5)


def test_lora_trains_a_and_b_only():
    layer = LoRALinear(5, 3, rank=2, alpha=1.0)
    torch.nn.init.normal_(layer.lora_b)
    layer(torch.randn(2, 5)).sum().backward()
    with_gradient = {name for name, parameter in layer.named_parameters() if parameter.grad is not None}
    assert with_gradient == {"lora_a", "lora_b"}
    assert {"weight", "bias"} <= layer.state_dict().keys()
    assert sum(p.numel() for p in layer.parameters() if p.requires_grad) == 2 * (5 + 3)


def test_residual_block_by_hand():
    block = ResidualBlock(3, dropout=0.5).eval()
    with torch.no_grad():
        block.linear1.weight.copy_(torch.tensor([1.0, -1.0, 1.0]).diag())
        block.linear2.weight.copy_(torch.eye(3) * 2)
        for linear in (block.linear1, block.linear2):
            linear.bias.zero_()
        block.norm.weight.fill_(2)
        block.norm.bias.fill_(1)
    # x = (3, 1, −2): ReLU gives (3, 0, 0), and twice that added to x gives (9, 1, −2): mean 8/3, variance 194/9.
    expected = [2 * (value - 8 / 3) / math.sqrt(194 / 9) + 1 for value in (9, 1, -2)]
    assert block(torch.tensor([3.0, 1.0, -2.0])).tolist() == pytest.approx(expected, abs=1e-5)


def test_dropout_works_in_training_only():
    block = ResidualBlock(64, dropout=0.5)
    values = torch.randn(1, 64)
    assert not torch.equal(block(values), block(values))
    block.eval()
    assert torch.equal(block(values), block(values))


def test_mapper_has_the_papers_order():
    config = AdapterConfig(hidden_dim=6, embedding_dim=4, output_dim=3, blocks=0, rank=1)
    mapper = LoRAAudioToImageMapper(config)
    values = torch.randn(2, 4)
    hidden = torch.nn.functional.layer_norm(torch.relu(mapper.first(values)), (6,))
    assert torch.allclose(mapper(values), mapper.final(hidden), atol=1e-6)


MAPPER = {
    *(f"{layer}.{name}" for layer in ("first", "final") for name in ("weight", "bias", "lora_a", "lora_b")),
    *(f"{layer}.{name}" for layer in ("norm", "blocks.0.norm") for name in ("weight", "bias")),
    *(f"blocks.0.{layer}.{name}" for layer in ("linear1", "linear2") for name in ("weight", "bias")),
}
ATTENTION = {"hidden.weight", "hidden.bias", "score.weight"}
RESAMPLER = {
    "queries",
    "position.weight",
    "to_query.weight",
    "to_key.weight",
    *(f"{layer}.{name}" for layer in ("frame.0", "frame.1", "frame.3", "frame_norm") for name in ("weight", "bias")),
    *(f"{layer}.{name}" for layer in ("to_value", "out", "norm") for name in ("weight", "bias")),
}


@pytest.mark.parametrize(
    ("shape", "pooling"), list(zip(BOTH, (ATTENTION, RESAMPLER), strict=True)), ids=["attention", "resampler"]
)
def test_the_weights_have_the_names_of_saved_adapters(shape, pooling):
    names = {f"mapper.{name}" for name in MAPPER} | {f"pooling.{name}" for name in pooling}
    names |= {"offsets"} if shape["pooling"] == "resampler" else set()
    assert Adapter(tiny_adapter_config(**shape)).state_dict().keys() == names


def test_default_shapes():
    assert Adapter(AdapterConfig()).eval()(torch.randn(2, 3, 512)).shape == (2, 8, 768)
    paper = AdapterConfig(pooling="attention", tokens=1)
    assert Adapter(paper).eval()(torch.randn(2, 3, 512)).shape == (2, 1, 768)


def test_tokens_are_distinct():
    tokens = Adapter(tiny_adapter_config()).eval()(torch.randn(1, 9, 512))[0]
    distances = torch.cdist(tokens, tokens) + torch.eye(8) * 1e9
    assert distances.min() > 0.1


def test_the_resampler_hears_order():
    resampler = AttentionResampler(16, 2, 2).eval()
    clip = torch.randn(1, 6, 16)
    assert not torch.allclose(resampler(clip), resampler(clip.flip(1)), atol=1e-3)


@pytest.mark.parametrize("shape", BOTH, ids=lambda shape: shape["pooling"])
def test_everything_but_the_frozen_layers_trains(shape):
    adapter = Adapter(tiny_adapter_config(**shape))
    frozen = {name for name, parameter in adapter.named_parameters() if not parameter.requires_grad}
    assert frozen == {f"mapper.{layer}.{part}" for layer in ("first", "final") for part in ("weight", "bias")}
    for layer in (adapter.mapper.first, adapter.mapper.final):
        torch.nn.init.normal_(layer.lora_b)
    adapter(torch.randn(2, 3, 512)).square().sum().backward()
    assert all(parameter.grad is not None for parameter in adapter.trainable_parameters())
    assert len(adapter.trainable_parameters()) + 4 == len(list(adapter.parameters()))


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"pooling": "attention", "tokens": 8}, "gives one token"),
        ({"pooling": "mean"}, "unknown pooling"),
        ({"rank": 0}, "rank must be at least 1"),
        ({"dropout": 1.0}, "dropout"),
    ],
)
def test_shapes_that_make_no_sense(settings, message):
    with pytest.raises(ConfigError, match=message):
        Adapter(tiny_adapter_config(**settings))


def test_heads_need_not_divide_the_embedding():
    adapter = Adapter(tiny_adapter_config(embedding_dim=10, heads=4, tokens=3)).eval()
    assert adapter.pooling.to_key.weight.shape == (12, 10)
    assert adapter(torch.randn(2, 5, 10)).shape == (2, 3, 32)
    weights = adapter.pooling.weights(torch.randn(2, 5, 10))
    assert weights.sum(dim=1).tolist() == pytest.approx([1.0, 1.0])


def test_one_token_equals_77_copies():
    """The paper repeats its token 77 times; through a real U-Net once is the same."""
    unet = tiny_unet().eval()
    latents, token = torch.randn(2, 4, 8, 8), torch.randn(2, 1, 32)
    with torch.inference_mode():
        once = unet(latents, 500, encoder_hidden_states=token).sample
        often = unet(latents, 500, encoder_hidden_states=token.repeat(1, 77, 1)).sample
        other = unet(latents, 500, encoder_hidden_states=-token).sample
    assert torch.allclose(once, often, atol=1e-5)
    assert not torch.allclose(once, other, atol=1e-3)


def test_the_resamplers_weights_are_a_share_of_time_and_leave_padding_out():
    resampler = AttentionResampler(512, 4, 8).eval()
    clips = torch.randn(2, 6, 512)
    clips[1, 4:] = float("nan")
    weights = resampler.weights(clips, torch.tensor([6, 4]))
    assert weights.shape == (2, 6)
    assert torch.allclose(weights.sum(dim=1), torch.ones(2))
    assert weights[1, 4:].tolist() == [0.0, 0.0]
    assert torch.allclose(weights[1, :4], resampler.weights(clips[1:, :4])[0], atol=1e-6)


def test_the_resamplers_weights_are_those_that_it_resamples_with():
    resampler = AttentionResampler(512, 1, 1).eval()
    clip = torch.randn(1, 5, 512)
    values = resampler.to_value(resampler._frames(clip, torch.ones(1, 5, dtype=torch.bool)))
    gathered = torch.einsum("bt,bte->be", resampler.weights(clip), values)
    expected = resampler.norm(resampler.queries + resampler.out(gathered[:, None]))
    assert torch.allclose(resampler(clip), expected, atol=1e-5)
