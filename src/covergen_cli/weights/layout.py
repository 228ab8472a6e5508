"""Layouts of models: which files of a published model are needed, and which models cannot be used."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any, Literal, TypeAlias

from covergen_cli.errors import ModelError

Kind: TypeAlias = Literal["base", "refiner", "adapter", "safety"]
"""What a model is used as. A refiner draws from pictures; any base with a text encoder can be one.

``safety`` stands for the safety checker that comes with a base.
"""

_PARTS = ("unet", "vae", "text_encoder", "text_encoder_2")
_SMALL = re.compile(
    r"model_index\.json|scheduler/scheduler_config\.json|tokenizer(_2)?/[^/]+\.(json|txt)"
    r"|((unet|vae|text_encoder|text_encoder_2|upscaler)/)?config\.json"
    r"|null_condition/null\.safetensors|upscaler/upscaler\.safetensors"
)
_ADAPTER = re.compile(r"(adapter/)?adapter\.(json|safetensors)")
_SAFETY = re.compile(r"model_index\.json|safety_checker/config\.json|feature_extractor/preprocessor_config\.json")

_PIPELINES = {f"StableDiffusion{xl}{task}Pipeline" for xl in ("", "XL") for task in ("", "Img2Img")}
_REASONS = {
    "Flux": "it has a transformer in place of the U-Net",
    "StableDiffusion3": "it has a transformer in place of the U-Net",
    "PixArt": "it has a transformer in place of the U-Net",
    "Inpaint": "it fills in parts of pictures",
    "Upscale": "it enlarges pictures",
    "InstructPix2Pix": "it edits pictures",
    "LatentConsistency": "its U-Net takes the guidance scale as a condition",
    "Kandinsky": "its U-Net takes images as a condition",
    "ControlNet": "its U-Net takes images as a condition",
}


def check_pipeline(index: Mapping[str, Any], name: str, kind: Kind | None) -> None:
    """Refuse a model that cannot be used.

    Args:
        index: content of its ``model_index.json``.
        name: as the user wrote it.
        kind: what it is to be used as; ``None`` for anything.

    Raises:
        ModelError: its pipeline is one that CoverGen does not draw with, or it is a refiner that is to be a base.
    """
    pipeline = str(index.get("_class_name"))
    if pipeline not in _PIPELINES:
        reason = next((text for part, text in _REASONS.items() if part in pipeline), "its layout is another one")
        raise ModelError(
            f"CoverGen does not draw with {name}, a {pipeline}: {reason}",
            hint="A base has the layout of Stable Diffusion 1, 2 or XL.",
        )
    if kind == "base" and is_xl(index) and index.get("text_encoder", [None])[0] is None and "text_encoder" in index:
        raise ModelError(
            f"{name} is the refiner of Stable Diffusion XL, which draws from pictures only",
            hint="Use it with --refine.",
        )


def is_xl(index: Mapping[str, Any]) -> bool:
    """Return whether a ``model_index.json`` is that of a Stable Diffusion XL or its refiner."""
    return str(index.get("_class_name")).startswith("StableDiffusionXL")


def wanted_files(names: Sequence[str], kind: Kind | None, *, half: bool) -> list[str]:
    """Return the files of a published model that are needed.

    Args:
        names: all files.
        kind: what it is to be used as; ``None`` for anything.
        half: prefer weights in half precision (``*.fp16.safetensors``). A part never comes in both.
    """
    if kind == "safety":
        small = [name for name in names if _SAFETY.fullmatch(name)]
        return small + _weights(names, "safety_checker/", half=half)
    wanted = [] if kind in {"base", "refiner"} else [name for name in names if _ADAPTER.fullmatch(name)]
    if kind == "adapter":
        return wanted
    wanted += [name for name in names if _SMALL.fullmatch(name)]
    prefixes = [f"{part}/" for part in _PARTS] if "unet/config.json" in names else [""]
    return wanted + [name for prefix in prefixes for name in _weights(names, prefix, half=half)]


def _weights(names: Sequence[str], prefix: str, *, half: bool) -> list[str]:
    """Return the weight files of one part, whose names begin with ``prefix``: one file, or shards with their index."""
    for variant in ("fp16", "") if half else ("", "fp16"):
        dotted = rf"\.{variant}" if variant else ""
        stem = rf"{prefix}(diffusion_pytorch_model|model){dotted}"
        single = [name for name in names if re.fullmatch(rf"{stem}\.safetensors", name)]
        shards = [name for name in names if re.fullmatch(rf"{stem}-\d+-of-\d+\.safetensors", name)]
        if single:
            return single
        if shards:
            index = rf"{prefix}(diffusion_pytorch_model|model)\.safetensors\.index{dotted}\.json"
            return [name for name in names if re.fullmatch(index, name)] + shards
    return []
