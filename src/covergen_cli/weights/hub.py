"""Find the files of a model: in the package, in a folder, or on the Hugging Face Hub.

A reference is ``starter`` (part of the package), the short name of a known model (``sd15``), a path, or a hub id
``OWNER/NAME``, optionally ``OWNER/NAME@REVISION``. Known models are pinned to a commit. Only safetensors, JSON and
tokenizer files are downloaded; code from the hub is never run. Offline, only files on this machine are used.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path

from covergen_cli.errors import ModelError
from covergen_cli.files import read_json, sha256_file_once
from covergen_cli.weights.hub_cache import HubModel, download_model, find_model, has_adapter, missing_files, offline
from covergen_cli.weights.layout import Kind, check_pipeline

STARTER, TAESD = "starter", "taesd"

_HUB_ID = re.compile(r"[\w.-]+/[\w.-]+(@[\w./-]+)?")

KNOWN: dict[str, HubModel] = {
    model.name: model
    for model in (
        HubModel(
            "sd15",
            "stable-diffusion-v1-5/stable-diffusion-v1-5",
            "451f4fe16113bff5a5d2269ed5ad43b0592e9a14",
            parts=("unet", "vae", "text_encoder"),
        ),
        HubModel(
            "sd-turbo",
            "stabilityai/sd-turbo",
            "b261bac6fd2cf515557d5d0707481eafa0485ec2",
            parts=("unet", "vae", "text_encoder"),
        ),
        HubModel(
            "sdxl-refiner",
            "stabilityai/stable-diffusion-xl-refiner-1.0",
            "5d4cfe854c9a9a87939ff3653551c2b3c99a4356",
            parts=("unet", "vae", "text_encoder_2"),
        ),
        HubModel("taesd", "madebyollin/taesd", "614f76814bbe30edbe2e627ace1c2234c81a2c0e", parts=("",)),
    )
}
"""Short names of hub models, each pinned to a commit."""


class NotFetchedError(ModelError):
    """A model is on the hub but not on this machine, and downloading was not allowed.

    Args:
        reference: the model.
        kind: what it is to be used as.
    """

    def __init__(self, reference: str, kind: Kind) -> None:
        super().__init__(f"{reference} is not on this machine yet")
        self.reference, self.kind = reference, kind


def starter_folder() -> Path:
    """Return the folder of the starter inside the package."""
    return Path(__file__).parents[1] / "starter" / "bundle"


def resolve(reference: str, kind: Kind = "base", *, fetch: bool = True) -> Path:
    """Return the folder of a model, downloading it from the hub when it is not on this machine.

    Args:
        reference: see the module's docstring. An existing folder takes precedence over a hub id of the same name.
        kind: what it is to be used as; decides which files are downloaded.
        fetch: download what is missing; ``False`` makes that an error.

    Returns:
        The folder. A run folder or the starter's bundle holds its adapter in ``adapter/``.

    Raises:
        ModelError: it does not exist, is damaged (starter), has a layout that is not drawn with, or cannot be
            downloaded; :class:`NotFetchedError` when ``fetch`` is false and it would have to be downloaded.
    """
    if reference == STARTER:
        folder = starter_folder()
        verify_hashes(folder)
        return folder
    path = Path(reference).expanduser()
    if path.is_dir():
        return _checked(path, reference, kind)
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
    if cached and (offline() or (has_adapter(cached) if kind == "adapter" else not missing_files(cached, model, kind))):
        return _checked(cached, reference, kind)
    if offline():
        raise ModelError(
            f"{reference} is not on this machine, and the network is off",
            hint=f"Once online, run: covergen models pull {reference}",
        )
    if not fetch:
        raise NotFetchedError(reference, kind)
    return download_model(model, kind)


def _checked(folder: Path, reference: str, kind: Kind) -> Path:
    """Return a folder whose ``model_index.json``, if it has one, is that of a model that can be used."""
    if kind != "adapter" and (folder / "model_index.json").is_file():
        try:
            check_pipeline(read_json(folder / "model_index.json"), reference, kind)
        except (OSError, ValueError, AttributeError, TypeError) as error:
            raise ModelError(f"{folder / 'model_index.json'} cannot be read: {error}") from error
    return folder


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
        return sha256_file_once(path) == digest
    except OSError:
        return False


def _listed(names: Iterable[str]) -> str:
    shown = sorted(names)
    return ", ".join(shown[:3]) + (f" and {len(shown) - 3} more" if len(shown) > 3 else "")
