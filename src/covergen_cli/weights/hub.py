"""Where models come from: the package itself, a folder, or the hub.

A reference is ``starter`` (ships inside the package), a short name of a known model (``sd15``), a path, or a hub id
``OWNER/NAME``, optionally ``OWNER/NAME@REVISION``. Known models are pinned to a commit. Only safetensors, JSON and
tokenizer files are fetched; code from the hub is never run. Offline, only what is already there is used.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from covergen_cli.errors import ModelError

STARTER = "starter"

_BASE_PATTERNS = (
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
_REFINER_PATTERNS = (
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
_ADAPTER_PATTERNS = ("adapter.json", "adapter.safetensors", "adapter/adapter.json", "adapter/adapter.safetensors")
_HUB_ID = re.compile(r"[\w.-]+/[\w.-]+(@[\w./-]+)?")


class NotFetchedError(ModelError):
    """A model that is on the hub, but not on this machine, and was not to be fetched."""


@dataclass(frozen=True)
class HubModel:
    """A model on the hub.

    Args:
        repo_id: ``OWNER/NAME``.
        revision: a commit, tag or branch; ``None`` for the default branch.
        patterns: the files that are fetched; empty for those of a base or an adapter, whichever is asked for.
        parts: folders with weights, without which it is not whole.
    """

    repo_id: str
    revision: str | None
    patterns: tuple[str, ...] = ()
    parts: tuple[str, ...] = ("unet", "vae")


KNOWN: dict[str, HubModel] = {
    "sd15": HubModel(
        "stable-diffusion-v1-5/stable-diffusion-v1-5",
        "451f4fe16113bff5a5d2269ed5ad43b0592e9a14",
        parts=("unet", "vae", "text_encoder"),
    ),
    "sdxl-refiner": HubModel(
        "stabilityai/stable-diffusion-xl-refiner-1.0",
        "5d4cfe854c9a9a87939ff3653551c2b3c99a4356",
        _REFINER_PATTERNS,
        parts=("unet", "vae", "text_encoder_2"),
    ),
}
"""Short names of hub models, each pinned to a commit."""


def offline() -> bool:
    """Tell whether the network must not be used (``HF_HUB_OFFLINE``, which ``--offline`` sets)."""
    return os.environ.get("HF_HUB_OFFLINE", "").strip().upper() in {"1", "ON", "YES", "TRUE"}


def starter_folder() -> Path:
    """Return the folder of the starter inside the package."""
    return Path(__file__).parents[1] / "starter" / "bundle"


def resolve(reference: str, kind: Literal["base", "adapter", "refiner"] = "base", *, fetch: bool = True) -> Path:
    """Find a model, fetching it from the hub when it is not here yet.

    Args:
        reference: see the module's docstring. An existing folder wins over a hub id of the same name.
        kind: what is needed of it; decides which files are fetched (of a refiner, those in half precision).
        fetch: fetch what is not here; without, that is an error.

    Returns:
        the folder that holds it. A run folder or the starter's bundle holds its adapter in ``adapter/``.

    Raises:
        ModelError: it does not exist, is damaged (starter), or cannot be fetched; :class:`NotFetchedError` when it
            could be, but ``fetch`` is off.
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
            hint=f"Check the name. For a model of the hub, not of the folder {path.parent}, write {reference}@main.",
        )
    return _from_hub(model, reference, model.patterns or _patterns(kind), fetch=fetch)


def hub_model(reference: str) -> HubModel | None:
    """Return the hub model that a reference names: a short name, or ``OWNER/NAME`` with or without ``@REVISION``."""
    if reference in KNOWN:
        return KNOWN[reference]
    if not _HUB_ID.fullmatch(reference) or reference.startswith("."):
        return None
    repo_id, _, revision = reference.partition("@")
    return HubModel(repo_id, revision or None)


def fetch_model(model: HubModel, reference: str) -> Path:
    """Fetch what a hub model lacks here, be it a base or an adapter, and return its folder.

    Raises:
        ModelError: the network is off, or the hub says no or cannot be reached.
    """
    if offline():
        raise ModelError(f"{reference} cannot be fetched: the network is off", hint="Leave out --offline.")
    patterns = model.patterns or (*_BASE_PATTERNS, *_ADAPTER_PATTERNS)
    if reference in KNOWN and not model.patterns:
        patterns = _BASE_PATTERNS
    folder = snapshot(model, patterns, local_only=False)
    if folder is None:
        raise ModelError(f"{reference} cannot be fetched", hint="Check the name, the revision and the network.")
    return folder


def revision_of(folder: Path) -> str | None:
    """Return the commit that a folder of the hub's cache (``…/snapshots/COMMIT``) holds; ``None`` for other folders."""
    return folder.name if folder.parent.name == "snapshots" and re.fullmatch("[0-9a-f]{40}", folder.name) else None


def _patterns(kind: Literal["base", "adapter", "refiner"]) -> tuple[str, ...]:
    return {"base": _BASE_PATTERNS, "adapter": _ADAPTER_PATTERNS, "refiner": _REFINER_PATTERNS}[kind]


def verify_hashes(folder: Path) -> None:
    """Compare a bundle with its ``sha256.json`` (relative path → SHA-256).

    Raises:
        ModelError: a file is missing or differs.
    """
    hint = "Reinstall covergen-cli."
    try:
        expected = json.loads((folder / "sha256.json").read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ModelError(f"the starter in {folder} is missing or damaged: {error}", hint=hint) from error
    bad = [name for name, digest in expected.items() if _sha256(folder / name) != digest]
    if bad:
        raise ModelError(f"the starter in {folder} is damaged: {_names(bad)}", hint=hint)


def _sha256(path: Path) -> str | None:
    try:
        return hashlib.sha256(path.read_bytes()).hexdigest()
    except OSError:
        return None


def _names(names: Iterable[str]) -> str:
    shown = sorted(names)
    more = f" and {len(shown) - 3} more" if len(shown) > 3 else ""
    return ", ".join(shown[:3]) + more


def _from_hub(model: HubModel, reference: str, patterns: tuple[str, ...], *, fetch: bool) -> Path:
    """Return the snapshot of a hub model: from the cache when it is whole there, else fetched."""
    cached = snapshot(model, patterns, local_only=True)
    if cached is not None and (_is_whole(cached, model, patterns) or offline()):
        return cached
    if offline():
        raise ModelError(
            f"{reference} is not on this machine, and the network is off",
            hint=f"Once online, run: covergen models pull {reference}",
        )
    if not fetch:
        raise NotFetchedError(f"{reference} is not on this machine yet")
    fetched = snapshot(model, patterns, local_only=False)
    if fetched is None:
        raise ModelError(f"{reference} cannot be fetched", hint="Check the name, the revision and the network.")
    return fetched


def _is_whole(folder: Path, model: HubModel, patterns: tuple[str, ...]) -> bool:
    """Tell whether the main files are there: an interrupted download leaves a snapshot with holes."""
    if "adapter.json" in patterns:
        return any((folder / part / "adapter.safetensors").is_file() for part in ("", "adapter"))
    return not missing_parts(folder, model)


def missing_parts(folder: Path, model: HubModel) -> list[str]:
    """Names of the parts of a model that lack weights or their description."""
    return [part for part in model.parts if not _has_weights(folder / part)]


def _has_weights(part: Path) -> bool:
    # In the cache files are links, and a link can be there without what it leads to.
    return (part / "config.json").is_file() and any(file.is_file() for file in part.glob("*.safetensors"))


def snapshot(model: HubModel, patterns: tuple[str, ...], *, local_only: bool) -> Path | None:
    """Ask huggingface_hub for a snapshot; ``None`` when a local one is wanted and there is none.

    Raises:
        ModelError: the hub says no, or cannot be reached.
    """
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HfHubHTTPError, HFValidationError, LocalEntryNotFoundError

    try:
        folder = snapshot_download(
            model.repo_id, revision=model.revision, allow_patterns=list(patterns), local_files_only=local_only
        )
    except LocalEntryNotFoundError as error:
        if local_only:
            return None
        raise ModelError(f"{model.repo_id} cannot be fetched: the hub cannot be reached", hint="Try again.") from error
    except (HfHubHTTPError, HFValidationError, OSError) as error:
        reason = (str(error).strip().splitlines() or [type(error).__name__])[0]
        raise ModelError(
            f"{model.repo_id} cannot be fetched: {reason}", hint="Check the name and the revision."
        ) from error
    return Path(folder)
