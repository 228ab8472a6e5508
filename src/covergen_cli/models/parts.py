"""U-Net and autoencoder, read from the folders that diffusers writes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import safetensors
import torch

from covergen_cli.errors import ModelError
from covergen_cli.models.autoencoder_tiny import AutoencoderTiny
from covergen_cli.models.fingerprint import loading_error, read_model_json, weight_files
from covergen_cli.models.plain import load_plain
from covergen_cli.models.unet import UNet

_AUTOENCODERS = ("AutoencoderKL", "AutoencoderTiny")


def load_unet_and_vae(folder: Path, device: torch.device | str, dtype: torch.dtype) -> tuple[Any, Any]:
    """Load U-Net and autoencoder, frozen, and check that they fit each other.

    Args:
        folder: has the folders ``unet`` and ``vae``.
        device: where to load them.
        dtype: of the weights; see :func:`covergen_cli.models.base.load_base`.

    Returns:
        A ``UNet2DConditionModel``, and an ``AutoencoderKL`` or ``AutoencoderTiny``; where the autoencoder is an
        ``AutoencoderTiny``, both are our own of the same interface, if they support its configuration.

    Raises:
        ModelError: a part is missing, damaged, or does not fit the other.
    """
    configs = {part: read_model_json(folder / part / "config.json") for part in ("unet", "vae")}
    xl = configs["unet"].get("addition_embed_type") is not None
    overflows = xl and dtype == torch.float16 and configs["vae"].get("force_upcast", True)
    vae = load_part(folder / "vae", _AUTOENCODERS, device, torch.float32 if overflows else dtype)
    # A small autoencoder means a small base, for which importing diffusers would take longer than drawing.
    unet = load_part(folder / "unet", ("UNet2DConditionModel",), device, dtype, plain=isinstance(vae, AutoencoderTiny))
    if unet.config.in_channels != vae.config.latent_channels:
        raise ModelError(
            f"{folder}: the U-Net takes {unet.config.in_channels} latent channels, "
            f"the autoencoder gives {vae.config.latent_channels}"
        )
    width = unet.config.cross_attention_dim
    if not isinstance(width, int):
        raise ModelError(f"{folder}: the U-Net's cross_attention_dim is {width!r}; one number is needed")
    if getattr(vae.config, "latents_mean", None) is not None:
        raise ModelError(f"{folder}: the autoencoder scales every latent channel differently, which is not supported")
    return unet, vae


def load_part(
    folder: Path, classes: tuple[str, ...], device: torch.device | str, dtype: torch.dtype, *, plain: bool = True
) -> Any:
    """Load one model, frozen and in evaluation mode.

    Args:
        folder: holds its configuration and weights.
        classes: the classes of diffusers that it may have.
        device: where to load it.
        dtype: of the weights.
        plain: use our own model of the same interface if it supports the configuration.

    Raises:
        ModelError: it is missing, damaged, or of another class.
    """
    config = read_model_json(folder / "config.json")
    name = config.get("_class_name")
    if name not in classes:
        raise ModelError(f"{folder} holds a {name}; CoverGen reads {' or '.join(classes)}")
    kind = next((kind for kind in (AutoencoderTiny, UNet) if kind.supports(config)), None)
    if plain and kind is not None:
        return load_plain(kind, folder, config, dtype).to(device)
    variant = weight_files(folder).variant
    import diffusers

    # A model in several files would show a progress bar.
    diffusers.utils.logging.disable_progress_bar()
    try:
        model, report = getattr(diffusers, name).from_pretrained(
            folder,
            local_files_only=True,
            use_safetensors=True,
            variant=variant,
            torch_dtype=dtype,
            output_loading_info=True,
        )
    except (OSError, ValueError, RuntimeError, TypeError, KeyError, safetensors.SafetensorError) as error:
        raise loading_error(folder, error) from error
    if report["missing_keys"]:
        raise ModelError(f"{folder} lacks {len(report['missing_keys'])} weights, e.g. {report['missing_keys'][0]}")
    return model.to(device).requires_grad_(requires_grad=False).eval()


def pixels_per_latent(vae: Any) -> int:
    """Return the pixels per side that an autoencoder makes of one latent."""
    return int(2 ** (len(vae.config.block_out_channels) - 1))


def native_size(unet: Any, vae: Any, folder: Path) -> int:
    """Return the pixels per side of the images that a U-Net was trained on.

    Raises:
        ModelError: its configuration lacks the size.
    """
    side = unet.config.sample_size
    if not isinstance(side, int):
        raise ModelError(f"{folder / 'unet' / 'config.json'}: sample_size is {side!r}; one number is needed")
    return side * pixels_per_latent(vae)
