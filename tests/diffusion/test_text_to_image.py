"""A prompt gives the latents that the pipelines of diffusers give, for every layout that is drawn with."""

import pytest
import torch

from covergen_cli.diffusion.guidance import guide
from covergen_cli.diffusion.sampler import denoise
from covergen_cli.models.base import load_base
from tiny import tiny_sd_base, tiny_turbo_base, tiny_xl_base

LAYOUTS = {
    "sd1": (tiny_sd_base, {}, "PNDMScheduler", 6, 4.0),
    "sd2": (tiny_sd_base, {"prediction_type": "v_prediction"}, "DDIMScheduler", 6, 4.0),
    "turbo": (tiny_turbo_base, {}, "EulerDiscreteScheduler", 3, 1.0),
    "xl": (tiny_xl_base, {}, "EulerDiscreteScheduler", 6, 4.0),
}


def pipeline_of(folder, base, scheduler, *, xl):
    import diffusers
    from transformers import CLIPTextModel, CLIPTextModelWithProjection, CLIPTokenizer

    parts = {
        "vae": base.vae,
        "unet": base.unet,
        "scheduler": getattr(diffusers, scheduler).from_pretrained(folder / "scheduler"),
        "text_encoder": CLIPTextModel.from_pretrained(folder / "text_encoder"),
        "tokenizer": CLIPTokenizer.from_pretrained(folder / "tokenizer"),
    }
    if xl:
        parts["text_encoder_2"] = CLIPTextModelWithProjection.from_pretrained(folder / "text_encoder_2")
        parts["tokenizer_2"] = CLIPTokenizer.from_pretrained(folder / "tokenizer_2")
        pipeline = diffusers.StableDiffusionXLPipeline(add_watermarker=False, **parts)
    else:
        further = {"safety_checker": None, "feature_extractor": None, "requires_safety_checker": False}
        pipeline = diffusers.StableDiffusionPipeline(**parts, **further)
    pipeline.set_progress_bar_config(disable=True)
    return pipeline


@pytest.mark.parametrize("negative", [None, "b"], ids=["plain", "negative"])
@pytest.mark.parametrize("layout", LAYOUTS)
def test_a_prompt_draws_what_diffusers_draws(tmp_path, layout, negative):
    make, settings, scheduler, steps, guidance = LAYOUTS[layout]
    folder = make(tmp_path / "base", **settings)
    base = load_base(str(folder))
    theirs = pipeline_of(folder, base, scheduler, xl=layout == "xl")(
        prompt="a b",
        negative_prompt=negative,
        num_inference_steps=steps,
        guidance_scale=guidance,
        generator=torch.Generator().manual_seed(3),
        height=base.native_size,
        width=base.native_size,
        output_type="latent",
    ).images
    nothing = base.null if negative is None else base.embed(negative, negative=True)
    ours = denoise(base, guide(nothing, [(base.embed("a b"), 1.0)], guidance), [3], steps, scheduler)
    assert torch.allclose(ours, theirs, atol=1e-3)
    assert ours.std() > 0.1


def test_a_small_step_count_of_turbo_starts_at_the_end_of_the_schedule(tmp_path):
    from covergen_cli.diffusion.sampler import make_scheduler

    scheduler = make_scheduler(load_base(str(tiny_turbo_base(tmp_path / "turbo"))))
    scheduler.set_timesteps(1)
    assert scheduler.timesteps.tolist() == [999.0]
