"""Find the files of a model: in the package, in a folder, or on the Hugging Face Hub.

A reference is ``starter`` (part of the package), the short name of a known model (``sd15``), a path, or a hub id
``OWNER/NAME``, optionally ``OWNER/NAME@REVISION``. Known models are pinned to a commit. Only safetensors, JSON and
tokenizer files are downloaded; code from the hub is never run. Offline, only files on this machine are used.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path
from typing import Literal

from covergen_cli.errors import ModelError
from covergen_cli.files import read_json, sha256_file
from covergen_cli.weights.hub_cache import HubModel, download_model, find_model, has_adapter, missing_files, offline

STARTER = "starter"

BASE_PATTERNS = (
    "model_index.json",
    "*/config.json",
    "*/*.safetensors.index.json",
    "scheduler/scheduler_config.json",
    "tokenizer/*.json",
    "tokenizer/*.txt",
    "unet/diffusion_pytorch_model.safetensors",
    "unet/diffusion_pytorch_model-*-of-*.safetensors",
    "vae/diffusion_pytorch_model.safetensors",
    "text_encoder/model.safetensors",
    "null_condition/null.safetensors",
    "upscaler/upscaler.safetensors",
)
REFINER_PATTERNS = (
    "model_index.json",
    "scheduler/scheduler_config.json",
    "tokenizer_2/*.json",
    "tokenizer_2/*.txt",
    "text_encoder_2/config.json",
    "text_encoder_2/model.fp16.safetensors",
    "unet/config.json",
    "unet/diffusion_pytorch_model.fp16.safetensors",
    "vae/config.json",
    "vae/diffusion_pytorch_model.fp16.safetensors",
)
ADAPTER_PATTERNS = ("adapter.json", "adapter.safetensors", "adapter/adapter.json", "adapter/adapter.safetensors")
_PATTERNS = {"base": BASE_PATTERNS, "adapter": ADAPTER_PATTERNS, "refiner": REFINER_PATTERNS}
_HUB_ID = re.compile(r"[\w.-]+/[\w.-]+(@[\w./-]+)?")

KNOWN: dict[str, HubModel] = {
    "sd15": HubModel(
        "sd15",
        "stable-diffusion-v1-5/stable-diffusion-v1-5",
        "451f4fe16113bff5a5d2269ed5ad43b0592e9a14",
        parts=("unet", "vae", "text_encoder"),
    ),
    "sdxl-refiner": HubModel(
        "sdxl-refiner",
        "stabilityai/stable-diffusion-xl-refiner-1.0",
        "5d4cfe854c9a9a87939ff3653551c2b3c99a4356",
        REFINER_PATTERNS,
        parts=("unet", "vae", "text_encoder_2"),
    ),
}
"""Short names of hub models, each pinned to a commit."""


class NotFetchedError(ModelError):
    """A model is on the hub but not on this machine, and downloading was not allowed."""


def starter_folder() -> Path:
    """Return the folder of the starter inside the package."""
    return Path(__file__).parents[1] / "starter" / "bundle"


def resolve(reference: str, kind: Literal["base", "adapter", "refiner"] = "base", *, fetch: bool = True) -> Path:
    """Return the folder of a model, downloading it from the hub when it is not on this machine.

    Args:
        reference: see the module's docstring. An existing folder takes precedence over a hub id of the same name.
        kind: decides which files are downloaded (for a refiner, those in half precision).
        fetch: download what is missing; ``False`` makes that an error.

    Returns:
        The folder. A run folder or the starter's bundle holds its adapter in ``adapter/``.

    Raises:
        ModelError: it does not exist, is damaged (starter), or cannot be downloaded; :class:`NotFetchedError` when
            ``fetch`` is false and it would have to be downloaded.
    """
    if reference == STARTER:
        folder = starter_folder()
        verify_hashes(folder)
        return folder
    path = Path(reference).expanduser()
    if path.is_dir():
        return path
    model = hub_model(reference)
    if model is None or path.exists():
        known = STARTER if kind == "adapter" else ", ".join([STARTER, *KNOWN])
        raise ModelError(
            f"there is no {kind} {reference}", hint=f"Give {known}, a folder, or a hub id such as OWNER/NAME."
        )
    if reference not in KNOWN and "@" not in reference and path.parent.is_dir():
        raise ModelError(
            f"there is no folder {reference}",
            hint=f"Check the name. For a model on the hub, not in the folder {path.parent}, write {reference}@main.",
        )
    cached = find_model(model)
    if cached and (offline() or (has_adapter(cached) if kind == "adapter" else not missing_files(cached, model))):
        return cached
    if offline():
        raise ModelError(
            f"{reference} is not on this machine, and the network is off",
            hint=f"Once online, run: covergen models pull {reference}",
        )
    if not fetch:
        raise NotFetchedError(f"{reference} is not on this machine yet")
    return download_model(model, model.patterns or _PATTERNS[kind])


def hub_model(reference: str) -> HubModel | None:
    """Return the hub model of a reference: a short name, or ``OWNER/NAME`` with or without ``@REVISION``."""
    if reference in KNOWN:
        return KNOWN[reference]
    if not _HUB_ID.fullmatch(reference) or reference.startswith("."):
        return None
    repo_id, _, revision = reference.partition("@")
    return HubModel(reference, repo_id, revision or None)


def revision_of(folder: Path) -> str | None:
    """Return the commit of a folder in the hub's cache (``…/snapshots/COMMIT``); ``None`` for other folders."""
    return folder.name if folder.parent.name == "snapshots" and re.fullmatch("[0-9a-f]{40}", folder.name) else None


def verify_hashes(folder: Path) -> None:
    """Compare a bundle with its ``sha256.json`` (relative path → SHA-256).

    Raises:
        ModelError: a file is missing or differs.
    """
    hint = "Reinstall covergen-cli."
    try:
        expected = read_json(folder / "sha256.json")
    except (OSError, ValueError) as error:
        raise ModelError(f"the starter in {folder} is missing or damaged: {error}", hint=hint) from error
    bad = [name for name, digest in expected.items() if not _matches(folder / name, digest)]
    if bad:
        raise ModelError(f"the starter in {folder} is damaged: {_listed(bad)}", hint=hint)


def _matches(path: Path, digest: str) -> bool:
    try:
        return sha256_file(path) == digest
    except OSError:
        return False


def _listed(names: Iterable[str]) -> str:
    shown = sorted(names)
    return ", ".join(shown[:3]) + (f" and {len(shown) - 3} more" if len(shown) > 3 else "")
