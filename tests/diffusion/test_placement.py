"""Models are fitted to the memory there is, and work the same wherever they wait."""

import pytest
import torch

from covergen_cli.config import GenerateConfig
from covergen_cli.diffusion import placement as module
from covergen_cli.diffusion.placement import Placement, offload_layers, placement_for_memory, prepare_model, swap_models
from covergen_cli.models.base import load_base
from tiny import tiny_base

GB = 10**9


SD15, REFINER, XL = 2.2 * GB, 4.9 * GB, 5.3 * GB
LOW = {"piecewise": True, "tiled": True}


@pytest.mark.parametrize(
    ("total", "models", "settings", "side", "expected"),
    [
        (None, [SD15], {}, 512, {}),
        (None, [SD15, REFINER], {}, 1024, {}),
        (None, [SD15], {"low_memory": True}, 512, LOW),
        (None, [SD15], {"batch_size": 4}, 512, {"batch": 4}),
        (80 * GB, [SD15], {}, 512, {"batch": 8}),
        (80 * GB, [SD15, REFINER], {}, 1024, {"batch": 8}),
        (80 * GB, [XL], {}, 1024, {"batch": 8}),
        (24 * GB, [SD15, REFINER], {}, 1024, {"batch": 1}),
        (15.8 * GB, [SD15, REFINER], {}, 1024, {"tiled": True}),
        (12 * GB, [SD15, REFINER], {}, 1024, {"together": False, "tiled": True}),
        (12 * GB, [XL], {}, 1024, {"tiled": True}),
        (12 * GB, [SD15], {}, 512, {"batch": 6}),
        (6 * GB, [SD15], {}, 512, {"batch": 1}),
        (3 * GB, [SD15], {}, 512, LOW),
        (8 * GB, [XL], {}, 1024, LOW),
        (6 * GB, [SD15, REFINER], {}, 1024, {"together": False, **LOW}),
        (24 * GB, [SD15, REFINER], {"low_memory": True}, 1024, {"together": False, **LOW}),
        (24 * GB, [SD15], {"batch_size": 2}, 512, {"batch": 2}),
    ],
)
def test_fitted_to_memory(total, models, settings, side, expected):
    assert placement_for_memory(total, models, side, GenerateConfig(**settings)) == Placement(**expected)


@pytest.fixture
def bases(tmp_path):
    return [load_base(str(tiny_base(tmp_path / name, seed=seed))) for seed, name in enumerate("ab")]


def asked(base):
    with torch.inference_mode():
        latents = torch.ones(1, *base.latent_shape)
        return base.unet(latents, 3, encoder_hidden_states=base.null_tokens).sample, base.decode(latents)


def test_a_piecewise_model_draws_the_same(bases):
    base, _ = bases
    before = asked(base)
    offload_layers(base, torch.device("cpu"))
    prepare_model(base, torch.device("cpu"), Placement(piecewise=True, tiled=True))
    assert base.vae.use_tiling
    assert base.vae.use_slicing
    for one, other in zip(before, asked(base), strict=True):
        assert torch.allclose(one, other, atol=1e-5)


class Moving:
    """A part that remembers where it was sent."""

    def __init__(self, log, name):
        self.log, self.name = log, name

    def to(self, device):
        self.log.append((self.name, str(device)))


def turns(placement):
    log = []

    class Model:
        def __init__(self, name):
            self.unet, self.vae = Moving(log, f"{name}.unet"), Moving(log, f"{name}.vae")
            self.device = torch.device("meta")

    swap_models(Model("base"), Model("refiner"), placement)
    return log


def test_one_goes_before_the_other_comes():
    assert turns(Placement(together=True)) == []
    assert turns(Placement(together=False)) == [
        ("refiner.vae", "cpu"),
        ("refiner.unet", "cpu"),
        ("base.vae", "meta"),
        ("base.unet", "meta"),
    ]
    assert turns(Placement(together=False, piecewise=True)) == [("refiner.vae", "cpu"), ("base.vae", "meta")]


def test_the_size_of_a_gpu_and_of_the_models_is_asked_of_them(monkeypatch, bases):
    device = torch.device("cuda")
    properties = type("Properties", (), {"total_memory": 12 * GB})
    monkeypatch.setattr(torch.cuda, "get_device_properties", lambda _: properties)
    config = GenerateConfig()
    sizes = [sum(p.numel() * 4 for part in (base.unet, base.vae) for p in part.parameters()) for base in bases]
    assert module.choose_placement(device, bases, config) == placement_for_memory(12 * GB, sizes, 16, config)
    assert module.choose_placement(torch.device("cpu"), bases, config) == Placement()
    monkeypatch.setattr(properties, "total_memory", sum(sizes))
    assert module.choose_placement(device, bases, config).piecewise


def test_with_little_memory_the_starter_decodes_as_ever():
    """Its autoencoder has sixteen pixels to a latent, which the tiles of its kind do not reckon with."""
    base = load_base("starter")
    latents = torch.randn(1, *base.latent_shape, generator=torch.Generator().manual_seed(0))
    with torch.inference_mode():
        before = base.decode(latents)
        prepare_model(base, torch.device("cpu"), Placement(piecewise=True, tiled=True))
        assert torch.equal(base.decode(latents), before)
