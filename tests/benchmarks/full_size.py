"""Models of the published sizes with random weights: what they draw is noise, what they compute is the real amount."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import torch

sys.path.append(str(Path(__file__).parents[1]))
from covergen_cli.audio.encoders import get_encoder
from tiny import EPSILON, REFINER, tiny_adapter, write_clip

VAE = {
    "block_out_channels": (128, 256, 512, 512),
    "down_block_types": ("DownEncoderBlock2D",) * 4,
    "up_block_types": ("UpDecoderBlock2D",) * 4,
    "layers_per_block": 2,
    "latent_channels": 4,
}
UNET_15 = {
    "sample_size": 64,
    "cross_attention_dim": 768,
    "attention_head_dim": 8,
    "block_out_channels": (320, 640, 1280, 1280),
}
UNET_REFINER = {
    "sample_size": 128,
    "cross_attention_dim": 1280,
    "attention_head_dim": (6, 12, 24, 24),
    "block_out_channels": (384, 768, 1536, 1536),
    "down_block_types": ("DownBlock2D", "CrossAttnDownBlock2D", "CrossAttnDownBlock2D", "DownBlock2D"),
    "up_block_types": ("UpBlock2D", "CrossAttnUpBlock2D", "CrossAttnUpBlock2D", "UpBlock2D"),
    "transformer_layers_per_block": 4,
    "use_linear_projection": True,
    "addition_embed_type": "text_time",
    "addition_time_embed_dim": 256,
    "projection_class_embeddings_input_dim": 5 * 256 + 1280,
}


def build(folder, unet, scheduler, **vae):
    """Write U-Net, autoencoder and scheduler."""
    from diffusers import AutoencoderKL, UNet2DConditionModel

    torch.manual_seed(0)
    UNet2DConditionModel(**unet).half().save_pretrained(folder / "unet")
    AutoencoderKL(**VAE, **vae).half().save_pretrained(folder / "vae")
    (folder / "scheduler").mkdir()
    (folder / "scheduler" / "scheduler_config.json").write_text(json.dumps(scheduler))
    return folder


def build_stable_diffusion(folder):
    """Write a base of 860 M weights with CLIP's text encoder, and an adapter for it; return the adapter's folder."""
    build(folder, UNET_15, EPSILON, sample_size=512)
    write_clip(folder, 768, num_hidden_layers=12, num_attention_heads=12, intermediate_size=3072)
    spec = get_encoder("mel").spec()
    return tiny_adapter(folder / "adapter", folder, encoder=spec, output_dim=768, hidden_dim=1024, blocks=2, rank=16)


def build_refiner(folder):
    """Write a refiner of 2.3 thousand million weights; its text encoder is of the real width, and shallow."""
    build(folder, UNET_REFINER, REFINER, sample_size=1024, scaling_factor=0.13025, force_upcast=True)
    write_clip(folder, 1280, "_2", num_attention_heads=20, projection_dim=1280)
    return folder
