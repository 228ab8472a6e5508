"""Tiny models of the real classes, made from a seed: a base of each kind, an adapter, a song of noise."""

from __future__ import annotations

import json

import numpy as np
import torch

from covergen_cli.config import AdapterConfig
from covergen_cli.files import write_bytes
from covergen_cli.models.adapter import Adapter
from covergen_cli.models.checkpoint import save_adapter
from covergen_cli.models.fingerprint import base_fingerprint

WIDTH = 32
FLOW = {
    "_class_name": "DPMSolverMultistepScheduler",
    "num_train_timesteps": 1000,
    "prediction_type": "flow_prediction",
    "use_flow_sigmas": True,
}
EPSILON = {
    "_class_name": "PNDMScheduler",
    "beta_end": 0.012,
    "beta_schedule": "scaled_linear",
    "beta_start": 0.00085,
    "num_train_timesteps": 1000,
    "set_alpha_to_one": False,
    "skip_prk_steps": True,
    "steps_offset": 1,
    "clip_sample": False,
}
REFINER = {
    "_class_name": "EulerDiscreteScheduler",
    "beta_end": 0.012,
    "beta_schedule": "scaled_linear",
    "beta_start": 0.00085,
    "num_train_timesteps": 1000,
    "prediction_type": "epsilon",
    "steps_offset": 1,
    "timestep_spacing": "leading",
}
TURBO = {**REFINER, "timestep_spacing": "trailing"}
POOLED = 16
ENCODER = {"name": "fake", "version": 1, "embedding_dim": 512}


def write_json(path, data):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(data))


def tiny_unet(width=WIDTH, sample_size=8, **settings):
    from diffusers import UNet2DConditionModel

    return UNet2DConditionModel(
        sample_size=sample_size,
        in_channels=4,
        out_channels=4,
        block_out_channels=(8, 16),
        down_block_types=("DownBlock2D", "CrossAttnDownBlock2D"),
        up_block_types=("CrossAttnUpBlock2D", "UpBlock2D"),
        layers_per_block=1,
        cross_attention_dim=width,
        attention_head_dim=8,
        norm_num_groups=4,
        **settings,
    )


def tiny_vae(**settings):
    from diffusers import AutoencoderKL

    return AutoencoderKL(
        block_out_channels=(8, 8),
        down_block_types=("DownEncoderBlock2D",) * 2,
        up_block_types=("UpDecoderBlock2D",) * 2,
        latent_channels=4,
        norm_num_groups=4,
        sample_size=16,
        **{"scaling_factor": 0.5, "shift_factor": 0.25, **settings},
    )


def _write(folder, scheduler, width):
    tiny_unet(width).save_pretrained(folder / "unet")
    tiny_vae().save_pretrained(folder / "vae")
    write_json(folder / "scheduler" / "scheduler_config.json", scheduler)
    return folder


def tiny_base(folder, cross_attention_dim=WIDTH, tokens=8, seed=0):
    """A base like the starter: predicts a flow, has a learned null condition; 16×16 pixels."""
    from safetensors.torch import save

    with torch.random.fork_rng():
        torch.manual_seed(seed)
        _write(folder, FLOW, cross_attention_dim)
        null = save({"null": torch.randn(1, tokens, cross_attention_dim)})
    write_bytes(folder / "null_condition" / "null.safetensors", null)
    return folder


def tiny_sd_base(folder, cross_attention_dim=WIDTH, seed=0, prediction_type="epsilon"):
    """Like Stable Diffusion 1 (``epsilon``) or 2 (``v_prediction``); its null condition is CLIP's empty prompt."""
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        _write(folder, {**EPSILON, "prediction_type": prediction_type}, cross_attention_dim)
        write_clip(folder, cross_attention_dim)
    return folder


def tiny_turbo_base(folder, seed=0):
    """Like sd-turbo: the parts of Stable Diffusion 2, noise predicted, timesteps spaced from the end."""
    tiny_sd_base(folder, seed=seed)
    write_json(folder / "scheduler" / "scheduler_config.json", TURBO)
    return folder


def tiny_refiner(folder, seed=0):
    """A refiner like that of Stable Diffusion XL, 32×32 pixels: text encoder with projection, time ids."""
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        _write_xl(folder, WIDTH, numbers=5)
        write_clip(folder, WIDTH, "_2")
    index = {"_class_name": "StableDiffusionXLImg2ImgPipeline", "requires_aesthetics_score": True}
    write_json(folder / "model_index.json", {**index, "force_zeros_for_empty_prompt": False})
    return folder


def tiny_xl_base(folder, seed=0):
    """A base like Stable Diffusion XL, 32×32 pixels: two text encoders, side by side, and six time ids."""
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        _write_xl(folder, 2 * WIDTH, numbers=6)
        write_clip(folder, WIDTH, num_hidden_layers=2)
        write_clip(folder, WIDTH, "_2")
    write_json(folder / "model_index.json", {"_class_name": "StableDiffusionXLPipeline"})
    return folder


def _write_xl(folder, width, numbers):
    shape = {"addition_time_embed_dim": 8, "projection_class_embeddings_input_dim": numbers * 8 + POOLED}
    tiny_unet(width, 16, addition_embed_type="text_time", **shape).save_pretrained(folder / "unet")
    tiny_vae(scaling_factor=0.5, shift_factor=None, force_upcast=True).save_pretrained(folder / "vae")
    write_json(folder / "scheduler" / "scheduler_config.json", REFINER)


def write_clip(folder, width, suffix="", **settings):
    """A text encoder with its tokenizer, which knows two letters."""
    from transformers import CLIPTextConfig, CLIPTextModel, CLIPTextModelWithProjection

    words = ["<|startoftext|>", "<|endoftext|>", "a", "a</w>", "b", "b</w>", "ab</w>"]
    write_json(folder / f"tokenizer{suffix}" / "vocab.json", {word: index for index, word in enumerate(words)})
    (folder / f"tokenizer{suffix}" / "merges.txt").write_text("#version: 0.2\na b</w>\n")
    words_of_control = {
        "tokenizer_class": "CLIPTokenizer",
        "model_max_length": 77,
        "bos_token": "<|startoftext|>",
        "eos_token": "<|endoftext|>",
        "unk_token": "<|endoftext|>",
        "pad_token": "<|endoftext|>",
    }
    write_json(folder / f"tokenizer{suffix}" / "tokenizer_config.json", words_of_control)
    shape = {
        "intermediate_size": 32,
        "num_hidden_layers": 2 if suffix else 1,
        "num_attention_heads": 2,
        "projection_dim": POOLED,
        **settings,
    }
    config = CLIPTextConfig(
        vocab_size=len(words),
        hidden_size=width,
        max_position_embeddings=77,
        bos_token_id=0,
        eos_token_id=1,
        pad_token_id=1,
        **shape,
    )
    kind = CLIPTextModelWithProjection if suffix else CLIPTextModel
    kind(config).save_pretrained(folder / f"text_encoder{suffix}")


def tiny_adapter_config(**settings):
    return AdapterConfig(**{"hidden_dim": 16, "output_dim": WIDTH, "blocks": 1, "rank": 2, **settings})


def tiny_adapter(folder, base, *, seed=0, encoder=ENCODER, **settings):
    """An adapter for the base in the folder ``base``; its LoRA is random, not zero, so that it does something."""
    config = tiny_adapter_config(**settings)
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        adapter = Adapter(config).eval()
        for layer in (adapter.mapper.first, adapter.mapper.final):
            torch.nn.init.normal_(layer.lora_b)
    facts = {
        "reference": str(base),
        "revision": None,
        "fingerprint": base_fingerprint(base),
        "cross_attention_dim": config.output_dim,
    }
    save_adapter(folder, adapter, encoder, facts, {"epochs": 1})
    return folder


def tiny_embedding(seed=0, frames=6):
    """An embedding ``(frames, 512)``, as an encoder would give it."""
    return np.random.default_rng(seed).standard_normal((frames, 512)).astype(np.float32)


def tiny_song(path, hz=220.0, seconds=0.5, **tags):
    """Write a tone as flac, with tags by ffmpeg's names, e.g. ``album_artist``."""
    import av

    path.parent.mkdir(parents=True, exist_ok=True)
    samples = (0.3 * np.sin(2 * np.pi * hz * np.arange(int(seconds * 8000)) / 8000) * 32767).astype(np.int16)
    with av.open(str(path), "w", format="flac") as container:
        container.metadata.update({name: str(text) for name, text in tags.items()})
        track = container.add_stream("flac", rate=8000, layout="mono")
        frame = av.AudioFrame.from_ndarray(samples[None], format="s16", layout="mono")
        frame.sample_rate = 8000
        container.mux(track.encode(frame))
        container.mux(track.encode(None))
    return path


def tiny_safety_checker(folder, *, flags):
    """A safety checker beside a base, which flags every picture or none."""
    import torch
    from diffusers.pipelines.stable_diffusion.safety_checker import StableDiffusionSafetyChecker
    from transformers import CLIPConfig, CLIPImageProcessor

    small = {"hidden_size": 8, "intermediate_size": 8, "num_hidden_layers": 1, "num_attention_heads": 2}
    vision = {**small, "image_size": 16, "patch_size": 8}
    checker = StableDiffusionSafetyChecker(CLIPConfig(text_config=small, vision_config=vision, projection_dim=8))
    with torch.no_grad():
        for thresholds in (checker.concept_embeds_weights, checker.special_care_embeds_weights):
            thresholds.fill_(-2.0 if flags else 2.0)  # cosines lie between -1 and 1
    checker.save_pretrained(folder / "safety_checker")
    size = {"height": 16, "width": 16}
    CLIPImageProcessor(size={"shortest_edge": 16}, crop_size=size).save_pretrained(folder / "feature_extractor")
    return folder
