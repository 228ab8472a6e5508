"""Last stage of the starter: writes the trained models in the layout of a base with an adapter."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from safetensors.torch import save_file
from torch import Tensor

from covergen_cli.audio.encoders import get_encoder
from covergen_cli.files import atomic_path, sha256_file, write_json
from covergen_cli.models.base import load_base
from covergen_cli.models.checkpoint import save_adapter
from covergen_cli.models.fingerprint import (
    CONDITION_CONFIG,
    CONDITION_WEIGHTS,
    NULL_WEIGHTS,
    UPSCALER_CONFIG,
    UPSCALER_WEIGHTS,
)
from covergen_cli.starter.unet import SCHEDULER_CONFIG

if TYPE_CHECKING:
    from covergen_cli.models.adapter import Adapter
    from covergen_cli.models.condition_encoder import ConditionEncoder
    from covergen_cli.models.upscaler import Upscaler


def _save_half(model: Any, folder: Path) -> None:
    """Save a diffusers model in half precision; the model itself is not changed."""
    folder.mkdir(parents=True, exist_ok=True)
    known = inspect.signature(type(model).__init__).parameters
    config = {name: value for name, value in model.config.items() if name in known}
    write_json(folder / "config.json", {"_class_name": type(model).__name__, **config})
    tensors = {k: v.detach().to(torch.float16).contiguous() for k, v in model.state_dict().items()}
    with atomic_path(folder / "diffusion_pytorch_model.safetensors") as temporary:
        save_file(tensors, temporary, metadata={"format": "pt"})


def _save_tensors(path: Path, tensors: Mapping[str, Tensor]) -> None:
    """Write tensors in half precision."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with atomic_path(path) as temporary:
        save_file({name: value.detach().half().contiguous() for name, value in tensors.items()}, temporary)


def write_hashes(folder: Path) -> None:
    """Write ``sha256.json``, the hashes of all JSON and safetensors files, which are checked before loading."""
    files = sorted(path for path in folder.rglob("*") if path.is_file() and path.suffix in {".json", ".safetensors"})
    hashes = {path.relative_to(folder).as_posix(): sha256_file(path) for path in files if path.name != "sha256.json"}
    write_json(folder / "sha256.json", hashes)


def write_bundle(
    folder: Path,
    *,
    vae: Any = None,
    unet: Any = None,
    condition: ConditionEncoder | None = None,
    upscaler: Upscaler | None = None,
    adapter: Adapter | None = None,
    training: Mapping[str, object] | None = None,
) -> None:
    """Write the given parts in half precision, and the hashes of the bundle.

    Args:
        folder: folder of the bundle.
        vae: the autoencoder.
        unet: the U-Net.
        condition: the condition encoder, with the learned null condition.
        upscaler: the upscaler.
        adapter: the adapter; the base has to be in ``folder`` already.
        training: metadata about the training of the adapter.
    """
    if vae is not None:
        _save_half(vae, folder / "vae")
    if unet is not None:
        _save_half(unet, folder / "unet")
        write_json(folder / "scheduler" / "scheduler_config.json", SCHEDULER_CONFIG)
    if condition is not None:
        _save_tensors(folder / NULL_WEIGHTS, {"null": condition.null})
        write_json(folder / CONDITION_CONFIG, condition.config)
        _save_tensors(folder / CONDITION_WEIGHTS, condition.state_dict())
    if upscaler is not None:
        write_json(folder / UPSCALER_CONFIG, upscaler.config)
        _save_tensors(folder / UPSCALER_WEIGHTS, upscaler.state_dict())
    if adapter is not None:
        facts = load_base(str(folder)).metadata() | {"reference": "starter"}
        save_adapter(folder / "adapter", adapter, get_encoder("mel").spec(), facts, training or {}, dtype=torch.float16)
    write_hashes(folder)
