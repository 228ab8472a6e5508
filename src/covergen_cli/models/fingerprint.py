"""Files and fingerprints of models, without loading them.

Nothing here imports torch, so that covers that exist already are recognised quickly.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import platformdirs

from covergen_cli.errors import ModelError
from covergen_cli.files import SCHEMA, read_json, sha256_bytes, sha256_file_once

ADAPTER_WEIGHTS = "adapter.safetensors"
ADAPTER_JSON = "adapter.json"
NULL_WEIGHTS = "null_condition/null.safetensors"
CONDITION_CONFIG = "condition_encoder/config.json"
CONDITION_WEIGHTS = "condition_encoder/condition_encoder.safetensors"
UPSCALER_CONFIG = "upscaler/config.json"
UPSCALER_WEIGHTS = "upscaler/upscaler.safetensors"
SAFETY_CHECKER = "safety_checker"


def read_model_json(path: Path) -> dict[str, Any]:
    """Read a JSON object from a model's folder.

    Raises:
        ModelError: it is missing, unreadable, or not a JSON object.
    """
    try:
        data = read_json(path)
    except FileNotFoundError as error:
        raise ModelError(f"{path} is missing", hint="The model folder is incomplete; download it again.") from error
    except (OSError, ValueError) as error:
        raise ModelError(f"{path} cannot be read: {error}") from error
    if not isinstance(data, dict):
        raise ModelError(f"{path} does not hold a JSON object")
    return data


def loading_error(what: object, error: Exception) -> ModelError:
    """Return the error for a model that cannot be loaded, with the first line of its cause."""
    reason = (str(error).strip().splitlines() or [type(error).__name__])[0]
    return ModelError(f"{what} cannot be loaded: {reason}", hint="The files may be damaged; download them again.")


@dataclass(frozen=True)
class WeightFiles:
    """The safetensors files of one part of a model.

    Args:
        paths: one file, or shards sorted by name.
        variant: ``"fp16"`` if the folder holds only that variant.
    """

    paths: tuple[Path, ...]
    variant: str | None = None


def weight_files(folder: Path, stem: str = "diffusion_pytorch_model") -> WeightFiles:
    """Return the safetensors files of a part (``unet``, ``vae``, ``text_encoder``), fp16 if there are no others.

    Raises:
        ModelError: there is none.
    """
    for variant in (None, "fp16"):
        dotted = f".{variant}" if variant else ""
        single = folder / f"{stem}{dotted}.safetensors"
        if single.is_file():
            return WeightFiles((single,), variant)
        shards = sorted(folder.glob(f"{stem}{dotted}-*-of-*.safetensors"))
        if shards:
            return WeightFiles(tuple(shards), variant)
    raise ModelError(
        f"{folder} holds no {stem}.safetensors",
        hint="A base has the folders unet, vae and scheduler; only safetensors files are read.",
    )


def has_safety_checker(folder: Path) -> bool:
    """Return whether a model comes with a safety checker: it is in its folder, or its ``model_index.json`` lists it.

    Raises:
        ModelError: ``model_index.json`` is damaged.
    """
    index = folder / "model_index.json"
    if (folder / SAFETY_CHECKER / "config.json").is_file() or not index.is_file():
        return (folder / SAFETY_CHECKER / "config.json").is_file()
    listed = read_model_json(index).get(SAFETY_CHECKER)
    return isinstance(listed, list) and bool(listed) and listed[0] is not None


def content_hash(path: Path) -> str:
    """Return the SHA-256 of a file's content.

    In the hub's cache a large file is a link to a blob that is named by this hash, so the file need not be read.

    Raises:
        ModelError: the file cannot be read.
    """
    try:
        target = path.resolve(strict=True)
        name = target.name
        in_hub_cache = path.is_symlink() and target.parent.name == "blobs"
        if in_hub_cache and len(name) == 64 and set(name) <= set("0123456789abcdef"):
            return name
        return sha256_file_once(target)
    except OSError as error:
        raise ModelError(f"{path} cannot be read: {error.strerror or error}") from error


def base_fingerprint(folder: Path) -> str:
    """Return a SHA-256 over the weights of a base, wherever its folder lies: 64 hexadecimal digits.

    It is computed from the sorted lines ``PATH SHA256`` of the weight files of U-Net and autoencoder and, where they
    exist, of the learned null condition and the upscaler.

    Raises:
        ModelError: a weight file is missing or cannot be read.
    """
    paths = [*weight_files(folder / "unet").paths, *weight_files(folder / "vae").paths]
    paths += [folder / name for name in (NULL_WEIGHTS, UPSCALER_WEIGHTS) if (folder / name).is_file()]
    return _fingerprint(folder, paths)


def refiner_fingerprint(folder: Path) -> str:
    """Return a SHA-256 over the weights of a refiner, as :func:`base_fingerprint`: U-Net, autoencoder, text encoders.

    Raises:
        ModelError: a weight file is missing or cannot be read.
    """
    parts = [*weight_files(folder / "unet").paths, *weight_files(folder / "vae").paths]
    return _fingerprint(folder, [*parts, *text_encoder_files(folder)])


def text_fingerprint(folder: Path) -> str:
    """Return a SHA-256 over the weights of a model's text encoders, as :func:`base_fingerprint`.

    Raises:
        ModelError: a weight file is missing or cannot be read.
    """
    return _fingerprint(folder, text_encoder_files(folder))


def _fingerprint(folder: Path, paths: list[Path]) -> str:
    lines = sorted(f"{path.relative_to(folder).as_posix()} {content_hash(path)}" for path in paths)
    return sha256_bytes("\n".join(lines).encode())


def text_parts(folder: Path) -> list[tuple[str, str]]:
    """Return the names of the text encoders that a model has, each with its tokenizer; XL has two, the starter none."""
    names = [(f"text_encoder{suffix}", f"tokenizer{suffix}") for suffix in ("", "_2")]
    return [pair for pair in names if all((folder / name).is_dir() for name in pair)]


def has_text_encoder(folder: Path) -> bool:
    """Return whether a model has a text encoder with its tokenizer."""
    return bool(text_parts(folder))


def text_encoder_files(folder: Path) -> list[Path]:
    """Return the weight files of a model's text encoders.

    Raises:
        ModelError: a text encoder has none.
    """
    return [path for part, _ in text_parts(folder) for path in weight_files(folder / part, "model").paths]


def text_cache_file(name: str) -> Path:
    """Return the file in the user's cache for the tokens of a text."""
    return Path(platformdirs.user_cache_dir("covergen", appauthor=False)) / "null" / f"{name}.safetensors"


def adapter_folder(folder: Path) -> Path:
    """Return the folder that holds the adapter: ``folder`` itself, or ``folder/adapter`` in a run folder or a bundle.

    Raises:
        ModelError: neither holds an adapter.
    """
    for candidate in (folder, folder / "adapter"):
        if (candidate / ADAPTER_JSON).is_file():
            return candidate
    raise ModelError(f"{folder} holds no adapter", hint="Use the folder that covergen train wrote.")


def read_adapter_json(folder: Path) -> dict[str, Any]:
    """Return the content of ``adapter.json`` (schema 1), with all keys of :mod:`covergen_cli.models.checkpoint`.

    Raises:
        ModelError: it is missing, damaged, or of an unknown schema.
    """
    path = folder / ADAPTER_JSON
    metadata = read_model_json(path)
    if metadata.get("schema") != SCHEMA:
        raise ModelError(
            f"{path} has schema {metadata.get('schema')!r}; this version reads {SCHEMA}",
            hint="Upgrade covergen-cli if the adapter was made by a newer version.",
        )
    for key in ("architecture", "encoder", "base", "training", "weights"):
        if not isinstance(metadata.get(key), dict):
            raise ModelError(f"{path} is damaged: no {key!r} in it")
    return metadata


def adapter_fingerprint(metadata: dict[str, Any]) -> str:
    """Return a SHA-256 over an adapter's weights hash, architecture, encoder and base: 64 hexadecimal digits.

    Args:
        metadata: from :func:`read_adapter_json`.
    """
    kept = {key: metadata[key] for key in ("architecture", "encoder", "base", "weights")}
    return sha256_bytes(json.dumps(kept, sort_keys=True).encode())
