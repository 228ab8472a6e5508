"""The refiner's pass is that of diffusers' own pipelines, and it can be seeded and refused."""

import dataclasses

import pytest
import torch

from covergen_cli.config import GenerateConfig
from covergen_cli.diffusion import refine as refine_module
from covergen_cli.diffusion.refine import refine, refine_calls
from covergen_cli.errors import ModelError
from covergen_cli.models.base import load_base
from tiny import tiny_base, tiny_refiner, tiny_sd_base, tiny_xl_base

CONFIG = GenerateConfig(refine=True, refine_steps=6, refine_strength=0.5, refine_guidance=3.0)
MAKERS = {"refiner": tiny_refiner, "xl": tiny_xl_base, "sd": tiny_sd_base}


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    folder = tmp_path_factory.mktemp("models")
    return {name: make(folder / name) for name, make in MAKERS.items()}


def load(folder, dtype=torch.float32):
    return load_base(str(folder), "cpu", dtype, "refiner")


@pytest.fixture(scope="module")
def refiner(folders):
    return load(folders["refiner"])


def pictures(count=1, side=32):
    return torch.rand(count, 3, side, side, generator=torch.Generator().manual_seed(0)) * 2 - 1


def refined(model, given, seeds, config=CONFIG, callback=None, prompt="a b"):
    conditions = model.embed(prompt), model.embed("b", negative=True)
    return refine(model, given, seeds, *conditions, config, callback)


def test_a_refiner_in_half_precision_returns_float32(folders):
    half = load(folders["refiner"], torch.bfloat16)
    assert refined(half, pictures(), [7]).dtype == torch.float32


def pipeline_of(name, folder, model):
    """The image-to-image pipeline of diffusers around the parts of a model."""
    import diffusers
    from transformers import CLIPTextModel, CLIPTextModelWithProjection, CLIPTokenizer

    parts = {"vae": model.vae, "unet": model.unet}
    kinds = {"text_encoder": CLIPTextModel, "text_encoder_2": CLIPTextModelWithProjection}
    for suffix in ("", "_2") if name != "sd" else ("",):
        for part, kind in ((f"text_encoder{suffix}", kinds[f"text_encoder{suffix}"]), ("tokenizer", CLIPTokenizer)):
            key = part if part.startswith("text") else f"tokenizer{suffix}"
            parts[key] = kind.from_pretrained(folder / key) if (folder / key).is_dir() else None
    if name == "sd":
        scheduler = diffusers.PNDMScheduler.from_pretrained(folder / "scheduler")
        further = {"safety_checker": None, "feature_extractor": None, "requires_safety_checker": False}
        pipeline = diffusers.StableDiffusionImg2ImgPipeline(scheduler=scheduler, **parts, **further)
    else:
        pipeline = diffusers.StableDiffusionXLImg2ImgPipeline(
            scheduler=diffusers.EulerDiscreteScheduler.from_pretrained(folder / "scheduler"),
            requires_aesthetics_score=name == "refiner",
            add_watermarker=False,
            **parts,
        )
    pipeline.set_progress_bar_config(disable=True)
    return pipeline


@pytest.mark.parametrize("name", MAKERS)
def test_it_equals_the_pipeline_of_diffusers(folders, name, monkeypatch):
    """Same picture, prompts, schedule and noise: same result, text encoders and time ids included."""
    model = load(folders[name])
    pipeline = pipeline_of(name, folders[name], model)
    monkeypatch.setattr(refine_module, "_refiner_seed", lambda seed: seed)
    given = pictures(side=model.native_size)
    with torch.inference_mode():
        latents = model.encode(given)
    sizes = {"original_size": (32, 32), "target_size": (32, 32)} if name != "sd" else {}
    theirs = pipeline(
        prompt="a b",
        negative_prompt="b",
        image=latents,
        strength=0.5,
        num_inference_steps=6,
        guidance_scale=3.0,
        generator=torch.Generator().manual_seed(7),
        output_type="latent",
        **sizes,
    ).images
    with torch.inference_mode():
        theirs = model.decode(theirs)
    ours = refined(model, given, [7])
    assert torch.allclose(ours, theirs, atol=1e-4)
    assert (ours - given).abs().max() > 0.05


def test_pictures_are_enlarged_to_its_size_and_do_not_depend_on_each_other(refiner):
    together = refined(refiner, pictures(2, side=16), [1, 2])
    assert together.shape == (2, 3, 32, 32)
    assert together.abs().max() <= 1
    alone = refined(refiner, pictures(2, side=16)[1:], [2])
    assert torch.allclose(together[1], alone[0], atol=1e-4)


def test_seed_strength_and_prompt_count(refiner):
    first = refined(refiner, pictures(), [1])
    assert torch.equal(refined(refiner, pictures(), [1]), first)
    assert not torch.allclose(refined(refiner, pictures(), [2]), first, atol=1e-3)
    stronger = dataclasses.replace(CONFIG, refine_strength=1.0)
    assert not torch.allclose(refined(refiner, pictures(), [1], stronger), first, atol=1e-3)
    assert not torch.allclose(refined(refiner, pictures(), [1], prompt="b"), first, atol=1e-5)


@pytest.mark.parametrize(("strength", "calls"), [(0.0, 1), (0.5, 3), (1.0, 6)])
def test_steps_are_reported(refiner, strength, calls):
    config = dataclasses.replace(CONFIG, refine_strength=strength)
    reported = []
    refined(refiner, pictures(), [0], config, lambda done, total: reported.append((done, total)))
    assert reported == [(done, calls) for done in range(1, calls + 1)]
    assert refine_calls(config) == calls
    assert refine_calls(GenerateConfig()) == 0


@pytest.mark.parametrize("name", ["refiner", "xl"])
def test_half_precision_leaves_an_autoencoder_that_overflows_alone(folders, name):
    model = load(folders[name], torch.float16)
    assert (model.unet.dtype, model.vae.dtype, model.dtype) == (torch.float16, torch.float32, torch.float16)
    model = load(folders[name], torch.bfloat16)
    assert (model.unet.dtype, model.vae.dtype) == (torch.bfloat16, torch.bfloat16)
    with torch.inference_mode():
        assert torch.isfinite(model.decode(model.encode(pictures()))).all()


def test_a_model_without_words_is_no_refiner_and_the_refiner_no_base(folders, tmp_path):
    with pytest.raises(ModelError, match="is not a refiner"):
        load(tiny_base(tmp_path / "flow"))
    with pytest.raises(ModelError, match="draws from pictures only") as caught:
        load_base(str(folders["refiner"]))
    assert "--refine" in caught.value.hint
