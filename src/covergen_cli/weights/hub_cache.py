"""The Hugging Face Hub's cache on this machine: find, download, verify and remove models.

The cache names every file by its content, with the SHA-256 of large files and the git blob id of small ones, so that
damage can be detected offline.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from covergen_cli.errors import ModelError
from covergen_cli.events import Progress
from covergen_cli.files import git_blob_id, read_json, sha256_file
from covergen_cli.weights.layout import Kind, check_pipeline, is_xl, wanted_files

if TYPE_CHECKING:
    from covergen_cli.weights.download import OnProgress

_TIMEOUT_SECONDS = 10.0
_COMMIT = re.compile("[0-9a-f]{40}")
_SHA256_DIGITS = 64
_SHARD = re.compile(r"-\d+-of-\d+\.safetensors$")


@dataclass(frozen=True)
class HubModel:
    """A model on the hub.

    Args:
        name: a short name or a hub id.
        repo_id: ``OWNER/NAME``.
        revision: a commit, tag or branch; ``None`` for the default branch.
        parts: folders that must hold a config and all weights for the model to be complete; ``""`` for its own.
    """

    name: str
    repo_id: str
    revision: str | None = None
    parts: tuple[str, ...] = ("unet", "vae")


def offline() -> bool:
    """Return whether the network must not be used (``HF_HUB_OFFLINE``, which ``--offline`` sets)."""
    return os.environ.get("HF_HUB_OFFLINE", "").strip().upper() in {"1", "ON", "YES", "TRUE"}


def find_model(model: HubModel) -> Path | None:
    """Return the cached snapshot of a model, complete or not; ``None`` when there is none."""
    folder = _repository(model)
    revision = model.revision or "main"
    if not _COMMIT.fullmatch(revision):
        try:
            revision = (folder / "refs" / revision).read_text(encoding="ascii").strip()
        except (OSError, UnicodeDecodeError):
            return None
    snapshot = folder / "snapshots" / revision
    return snapshot if snapshot.is_dir() else None


def folder_bytes(folder: Path) -> int:
    """Return the total size of the files in a folder; links count as their targets."""
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


def has_adapter(snapshot: Path) -> bool:
    """Return whether a snapshot holds the weights of an adapter, at the top or in ``adapter/``."""
    return any((snapshot / part / "adapter.safetensors").is_file() for part in ("", "adapter"))


def missing_files(snapshot: Path, model: HubModel, kind: Kind | None = None) -> list[str]:
    """Return the needed files of a model, or of its safety checker, that are missing.

    An interrupted download leaves such gaps.

    Files whose names depend on the model are named as patterns.
    """
    if kind == "safety":
        needed = ["safety_checker/config.json", "feature_extractor/preprocessor_config.json"]
        missing = [name for name in needed if not (snapshot / name).is_file()]
        return missing + [f"safety_checker/{name}" for name in _missing_weights(snapshot / "safety_checker")]
    listed = _listed_parts(snapshot)
    parts = dict.fromkeys([*model.parts, *(part for part in listed if part.startswith("text_encoder"))])
    # The files are links, which may exist without their targets.
    needed = ["scheduler/scheduler_config.json"] if "unet" in model.parts else []
    needed += [_inside(part, "config.json") for part in parts]
    missing = [name for name in needed if not (snapshot / name).is_file()]
    for part in parts:
        missing += [_inside(part, name) for name in _missing_weights(snapshot / part)]
    tokenizers = [part for part in listed if part.startswith("tokenizer")]
    return missing + [f"{part}/*" for part in tokenizers if not any(map(Path.is_file, (snapshot / part).glob("*")))]


def _listed_parts(snapshot: Path) -> list[str]:
    """Return the parts that a snapshot's ``model_index.json`` lists; none if it has no such file."""
    try:
        index = read_json(snapshot / "model_index.json")
        return [name for name, kind in index.items() if isinstance(kind, list) and kind and kind[0] is not None]
    except (OSError, ValueError, AttributeError):
        return []


def _inside(part: str, name: str) -> str:
    return f"{part}/{name}" if part else name


def _missing_weights(part: Path) -> list[str]:
    """Return the shards of an index that are missing, or a pattern if there are no weights at all."""
    if any(file.is_file() and not _SHARD.search(file.name) for file in part.glob("*.safetensors")):
        return []
    for index in part.glob("*.safetensors.index*.json"):
        try:
            shards = sorted(set(read_json(index)["weight_map"].values()))
        except (OSError, ValueError, KeyError, TypeError, AttributeError):
            return [index.name]
        return [shard for shard in shards if not (part / shard).is_file()]
    return ["*.safetensors"]


def damaged_files(snapshot: Path) -> list[str]:
    """Return the files whose content does not match their name in the cache, or that are missing; reads everything."""
    files = (path for path in snapshot.rglob("*") if path.is_file() or path.is_symlink())
    return sorted(path.relative_to(snapshot).as_posix() for path in files if not _is_intact(path))


def _is_intact(path: Path) -> bool:
    try:
        blob = path.resolve(strict=True)
        if blob.parent.name != "blobs":
            return blob.stat().st_size > 0
        return blob.name == (sha256_file(blob) if len(blob.name) == _SHA256_DIGITS else git_blob_id(blob))
    except OSError:
        return False


def download_model(model: HubModel, kind: Kind | None = None, on_progress: OnProgress | None = None) -> Path:
    """Download the missing files of a model into the cache and return its snapshot.

    Its ``model_index.json`` comes first, so that a model that cannot be used is refused before its weights are fetched.
    Weights are fetched in half precision for a CUDA GPU, and for models of Stable Diffusion XL's size, where they are
    published so, in single precision otherwise, and never in both.

    Args:
        model: the model.
        kind: what it is to be used as; ``None`` downloads whatever it is.
        on_progress: called from several threads; without it, the hub shows its own progress bars.

    Raises:
        ModelError: the network is off, the hub refuses or cannot be reached, or the model cannot be used.
    """
    from huggingface_hub import HfApi, hf_hub_download, snapshot_download

    if offline():
        raise ModelError(f"{model.name} cannot be downloaded: the network is off", hint="Leave out --offline.")
    bar = None if on_progress is None else _bar_class(model.name, on_progress)
    try:
        listed = HfApi().model_info(model.repo_id, revision=model.revision, timeout=_TIMEOUT_SECONDS)
        names = [file.rfilename for file in listed.siblings or ()]
        index: dict[str, Any] = {}
        if "model_index.json" in names and kind != "adapter":
            index = read_json(Path(hf_hub_download(model.repo_id, "model_index.json", revision=listed.sha)))
            check_pipeline(index, model.name, kind)
        wanted = wanted_files(names, kind, half=_prefers_half(model, index))
        # Without a connection this would return what is there, but then the listing has failed.
        folder = snapshot_download(model.repo_id, revision=model.revision, allow_patterns=wanted, tqdm_class=bar)
    except ModelError:
        raise
    except Exception as error:  # the hub's HTTP library, and with it the errors, depends on its version
        kinds = {kind.__name__ for kind in type(error).__mro__}
        if kinds & {"LocalEntryNotFoundError", "TransportError", "ConnectionError"}:
            message = f"{model.name} cannot be downloaded: the hub cannot be reached"
            hint = f"Check the connection. covergen models pull {model.name} downloads it for use offline."
            raise ModelError(message, hint=hint) from error
        reason = (str(error).strip().splitlines() or [type(error).__name__])[0]
        hint = "Check the name and the revision."
        raise ModelError(f"{model.name} cannot be downloaded: {reason}", hint=hint) from error
    return Path(folder)


def _prefers_half(model: HubModel, index: Mapping[str, Any]) -> bool:
    """Return whether to fetch half precision: as what an interrupted download has left, or as suits the machine."""
    here = find_model(model)
    weights = [] if here is None else [path.name for path in here.rglob("*.safetensors") if path.is_file()]
    return any(".fp16" in name for name in weights) if weights else is_xl(index) or has_cuda()


def has_cuda() -> bool:
    """Return whether this machine has a CUDA GPU, for which weights are fetched in half precision."""
    import torch

    return torch.cuda.is_available()


def _bar_class(name: str, on_progress: OnProgress) -> Any:
    """Return a silent progress bar class that reports to ``on_progress``."""
    from huggingface_hub.utils.tqdm import tqdm  # in some versions, utils.tqdm is this module, in some the class

    base: Any = tqdm

    class Bar(base):  # type: ignore[misc]
        def __init__(self, *args: Any, **kwargs: Any) -> None:
            # snapshot_download makes three bars: for the files, for the network, and this one for the bytes written.
            self._counts_bytes = kwargs.get("name") == "huggingface_hub.snapshot_download"
            super().__init__(*args, **{**kwargs, "disable": True})

        def update(self, n: float | None = 1) -> None:
            self.n += n or 0
            if self._counts_bytes:
                on_progress(Progress("download", int(self.n), int(self.total or 0) or None, name))

    return Bar


def remove_model(model: HubModel) -> int:
    """Remove the snapshot of a model, and what only it uses, from the cache; return the bytes freed.

    Raises:
        ModelError: the files cannot be removed.
    """
    from huggingface_hub import scan_cache_dir

    snapshot = find_model(model)
    if snapshot is None:
        return 0
    blobs = _repository(model) / "blobs"
    before = folder_bytes(blobs)
    scan_cache_dir(_cache()).delete_revisions(snapshot.name).execute()
    if snapshot.exists():
        raise ModelError(f"{snapshot} cannot be removed", hint="Check the permissions of the folder.")
    return before - folder_bytes(blobs)


def _cache() -> Path:
    from huggingface_hub import constants

    return Path(constants.HF_HUB_CACHE)


def _repository(model: HubModel) -> Path:
    return _cache() / f"models--{model.repo_id.replace('/', '--')}"
