"""The refiner's pass is that of diffusers' own pipeline, and it can be seeded and refused."""

import dataclasses

import pytest
import torch

from covergen_cli.config import GenerateConfig
from covergen_cli.diffusion import refine as refine_module
from covergen_cli.diffusion.refine import refine, refine_calls
from covergen_cli.errors import ConfigError, ModelError
from covergen_cli.models.refiner import load_refiner
from tiny import tiny_base, tiny_refiner

CONFIG = GenerateConfig(refine=True, refine_steps=6, refine_strength=0.5, refine_guidance=3.0)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tiny_refiner(tmp_path_factory.mktemp("models") / "refiner")


@pytest.fixture(scope="module")
def refiner(folder):
    return load_refiner(str(folder), "a b", "b", "cpu", torch.float32)


def pictures(count=1, side=32):
    return torch.rand(count, 3, side, side, generator=torch.Generator().manual_seed(0)) * 2 - 1


def refined(refiner, given, seeds, config=CONFIG):
    return refine(refiner, given, seeds, config)


def test_a_refiner_in_half_precision_returns_float32(folder):
    half = load_refiner(str(folder), "a b", "b", "cpu", torch.bfloat16)
    assert refined(half, pictures(), [7]).dtype == torch.float32


def test_it_equals_the_pipeline_of_diffusers(folder, refiner, monkeypatch):
    """Same picture, prompts, schedule and noise: same result, text encoder and time ids included."""
    from diffusers import StableDiffusionXLImg2ImgPipeline
    from transformers import CLIPTextModelWithProjection, CLIPTokenizer

    model = refiner.model
    from diffusers import EulerDiscreteScheduler

    pipeline = StableDiffusionXLImg2ImgPipeline(
        vae=model.vae,
        text_encoder=None,
        text_encoder_2=CLIPTextModelWithProjection.from_pretrained(folder / "text_encoder_2"),
        tokenizer=None,
        tokenizer_2=CLIPTokenizer.from_pretrained(folder / "tokenizer_2"),
        unet=model.unet,
        scheduler=EulerDiscreteScheduler.from_pretrained(folder / "scheduler"),
        requires_aesthetics_score=True,
        force_zeros_for_empty_prompt=False,
        add_watermarker=False,
    )
    pipeline.set_progress_bar_config(disable=True)
    monkeypatch.setattr(refine_module, "_refiner_seed", lambda seed: seed)
    given = pictures()
    with torch.inference_mode():
        latents = model.encode(given)
    theirs = pipeline(
        prompt="a b",
        negative_prompt="b",
        image=latents,
        strength=0.5,
        num_inference_steps=6,
        guidance_scale=3.0,
        generator=torch.Generator().manual_seed(7),
        original_size=(32, 32),
        target_size=(32, 32),
        output_type="pt",
    ).images
    ours = (refined(refiner, given, [7]) + 1) / 2
    assert torch.allclose(ours, theirs, atol=1e-4)
    assert (ours - (given + 1) / 2).abs().max() > 0.05


def test_pictures_are_enlarged_to_its_size_and_do_not_depend_on_each_other(refiner):
    together = refined(refiner, pictures(2, side=16), [1, 2])
    assert together.shape == (2, 3, 32, 32)
    assert together.abs().max() <= 1
    alone = refined(refiner, pictures(2, side=16)[1:], [2])
    assert torch.allclose(together[1], alone[0], atol=1e-4)


def test_seed_strength_and_prompt_count(folder, refiner):
    first = refined(refiner, pictures(), [1])
    assert torch.equal(refined(refiner, pictures(), [1]), first)
    assert not torch.allclose(refined(refiner, pictures(), [2]), first, atol=1e-3)
    stronger = dataclasses.replace(CONFIG, refine_strength=1.0)
    assert not torch.allclose(refined(refiner, pictures(), [1], stronger), first, atol=1e-3)
    other = load_refiner(str(folder), "b", "b", "cpu", torch.float32)
    assert not torch.allclose(refined(other, pictures(), [1]), first, atol=1e-5)


@pytest.mark.parametrize(("strength", "calls"), [(0.0, 1), (0.5, 3), (1.0, 6)])
def test_steps_are_reported(refiner, strength, calls):
    config = dataclasses.replace(CONFIG, refine_strength=strength)
    reported = []
    refine(refiner, pictures(), [0], config, lambda done, total: reported.append((done, total)))
    assert reported == [(done, calls) for done in range(1, calls + 1)]
    assert refine_calls(config) == calls
    assert refine_calls(GenerateConfig()) == 0


def test_half_precision_leaves_an_autoencoder_that_overflows_alone(folder):
    model = load_refiner(str(folder), "a", None, "cpu", torch.float16).model
    assert (model.unet.dtype, model.vae.dtype) == (torch.float16, torch.float32)
    model = load_refiner(str(folder), "a", None, "cpu", torch.bfloat16).model
    assert (model.unet.dtype, model.vae.dtype) == (torch.bfloat16, torch.bfloat16)
    with torch.inference_mode():
        assert torch.isfinite(model.decode(model.encode(pictures()))).all()


def test_a_base_is_no_refiner_and_a_refiner_no_base(folder, tmp_path):
    from shutil import copytree

    from covergen_cli.models.base import load_base

    odd = tiny_base(tmp_path / "odd")
    for part in ("text_encoder_2", "tokenizer_2"):
        copytree(folder / part, odd / part)
    with pytest.raises(ModelError, match="is not a refiner"):
        load_refiner(str(odd), "a", None, "cpu", torch.float32)
    with pytest.raises(ModelError, match="needs conditions other than tokens"):
        load_base(str(folder))


def test_a_prompt_that_is_too_long(folder):
    with pytest.raises(ConfigError, match="the model takes 75"):
        load_refiner(str(folder), "a " * 76, None, "cpu", torch.float32)
