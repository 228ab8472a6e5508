"""What can be known about models without loading them: which files count, and what names their content.

Nothing here imports torch, so that covers that are already there are recognised at once.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import platformdirs

from covergen_cli.errors import ModelError
from covergen_cli.files import SCHEMA, read_json, sha256_bytes, sha256_file

ADAPTER_WEIGHTS = "adapter.safetensors"
ADAPTER_JSON = "adapter.json"
NULL_WEIGHTS = "null_condition/null.safetensors"
UPSCALER_CONFIG = "upscaler/config.json"
UPSCALER_WEIGHTS = "upscaler/upscaler.safetensors"


def read_model_json(path: Path) -> dict[str, Any]:
    """Read a JSON object that belongs to a model.

    Raises:
        ModelError: it is missing, unreadable, or not a JSON object.
    """
    try:
        data = read_json(path)
    except FileNotFoundError as error:
        raise ModelError(f"{path} is missing", hint="The model folder is not complete; fetch it again.") from error
    except (OSError, ValueError) as error:
        raise ModelError(f"{path} cannot be read: {error}") from error
    if not isinstance(data, dict):
        raise ModelError(f"{path} does not hold a JSON object")
    return data


@dataclass(frozen=True)
class WeightFiles:
    """The safetensors files of one part of a model.

    Args:
        paths: one file, or the shards in the order of their names.
        variant: ``"fp16"`` when the folder holds only that variant.
    """

    paths: tuple[Path, ...]
    variant: str | None = None


def weight_files(folder: Path, stem: str = "diffusion_pytorch_model") -> WeightFiles:
    """Find the safetensors files of a part (``unet``, ``vae``, ``text_encoder``): full precision first, then fp16.

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


def content_hash(path: Path) -> str:
    """Return the SHA-256 of a file's content.

    In the hub's cache a large file is a link to a blob that is named by this very hash, so gigabytes need not be read.

    Raises:
        ModelError: the file cannot be read.
    """
    try:
        target = path.resolve(strict=True)
        name = target.name
        in_hub_cache = path.is_symlink() and target.parent.name == "blobs"
        if in_hub_cache and len(name) == 64 and set(name) <= set("0123456789abcdef"):
            return name
        return sha256_file(target)
    except OSError as error:
        raise ModelError(f"{path} cannot be read: {error.strerror or error}") from error


def base_fingerprint(folder: Path) -> str:
    """Name the weights of a base, wherever the folder lies and however it came there.

    Returns:
        64 hexadecimal digits: SHA-256 over the sorted lines ``PATH SHA256`` of the U-Net's and the autoencoder's weight
        files and, where there are such, the learned null condition and the upscaler.

    Raises:
        ModelError: a weight file is missing or cannot be read.
    """
    paths = [*weight_files(folder / "unet").paths, *weight_files(folder / "vae").paths]
    paths += [folder / name for name in (NULL_WEIGHTS, UPSCALER_WEIGHTS) if (folder / name).is_file()]
    return _names_of(folder, paths)


def refiner_fingerprint(folder: Path) -> str:
    """Name the weights of a refiner, as :func:`base_fingerprint`: U-Net, autoencoder and text encoder.

    Raises:
        ModelError: a weight file is missing or cannot be read.
    """
    parts = {"unet": "diffusion_pytorch_model", "vae": "diffusion_pytorch_model", "text_encoder_2": "model"}
    return _names_of(folder, [path for part, stem in parts.items() for path in weight_files(folder / part, stem).paths])


def _names_of(folder: Path, paths: list[Path]) -> str:
    lines = sorted(f"{path.relative_to(folder).as_posix()} {content_hash(path)}" for path in paths)
    return sha256_bytes("\n".join(lines).encode())


def has_words(folder: Path) -> bool:
    """Tell whether a base understands words: it has a text encoder with its tokenizer."""
    return (folder / "text_encoder").is_dir() and (folder / "tokenizer").is_dir()


def null_cache(name: str) -> Path:
    """Return where the tokens of a text that many runs need are kept, in the user's cache."""
    return Path(platformdirs.user_cache_dir("covergen", appauthor=False)) / "null" / f"{name}.safetensors"


def adapter_folder(folder: Path) -> Path:
    """Return the folder that holds the adapter: ``folder`` itself, or ``folder/adapter`` for a run folder or a bundle.

    Raises:
        ModelError: neither holds an adapter.
    """
    for candidate in (folder, folder / "adapter"):
        if (candidate / ADAPTER_JSON).is_file():
            return candidate
    raise ModelError(f"{folder} holds no adapter", hint="Give the folder that covergen train wrote.")


def read_adapter_facts(folder: Path) -> dict[str, Any]:
    """Read and check ``adapter.json`` (schema 1).

    Returns:
        the keys ``schema``, ``architecture``, ``encoder``, ``base``, ``training`` and ``weights``.

    Raises:
        ModelError: it is missing, damaged, or of a schema that this version does not know.
    """
    path = folder / ADAPTER_JSON
    facts = read_model_json(path)
    if facts.get("schema") != SCHEMA:
        raise ModelError(
            f"{path} has schema {facts.get('schema')!r}; this version reads {SCHEMA}",
            hint="Upgrade covergen-cli if the adapter was made by a newer version.",
        )
    for key in ("architecture", "encoder", "base", "training", "weights"):
        if not isinstance(facts.get(key), dict):
            raise ModelError(f"{path} is damaged: no {key!r} in it")
    return facts


def adapter_fingerprint(facts: dict[str, Any]) -> str:
    """Name an adapter by its weights' hash, its architecture, its encoder and its base: 64 hexadecimal digits."""
    kept = {key: facts[key] for key in ("architecture", "encoder", "base", "weights")}
    return sha256_bytes(json.dumps(kept, sort_keys=True).encode())
