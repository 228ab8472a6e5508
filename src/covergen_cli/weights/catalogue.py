"""The models that CoverGen knows: role, licence, source, and whether they are complete on this machine."""

from __future__ import annotations

from collections.abc import Generator, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from covergen_cli.errors import ModelError, OutputError
from covergen_cli.events import ModelDownloading
from covergen_cli.weights.hub import STARTER, NotFetchedError, hub_model, resolve, starter_folder, verify_hashes
from covergen_cli.weights.hub_cache import (
    HubModel,
    damaged_files,
    download_model,
    find_model,
    folder_bytes,
    has_adapter,
    has_cuda,
    missing_files,
    remove_model,
)
from covergen_cli.weights.openl3 import OPENL3, URL, download_openl3, find_openl3, openl3_path

if TYPE_CHECKING:
    from covergen_cli.weights.download import OnProgress
    from covergen_cli.weights.layout import Kind

_MB, _GB = 10**6, 10**9


@dataclass(frozen=True)
class Model:
    """A model that is part of the package or can be downloaded.

    Args:
        name: a short name or a hub id.
        role: what it is used for.
        about_bytes: about how much is downloaded on a machine without CUDA; 0 when unknown.
        about_half_bytes: about how much with CUDA, where weights are fetched in half precision.
    """

    name: str
    role: str
    licence: str
    source: str
    about_bytes: int
    about_half_bytes: int = 0

    @property
    def download_bytes(self) -> int:
        """About how many bytes are downloaded on this machine."""
        return self.about_half_bytes if self.about_half_bytes and has_cuda() else self.about_bytes


@dataclass(frozen=True)
class ModelState:
    """The state of a model on this machine.

    Args:
        status: ``damaged`` also when a part is missing.
        path: its file or folder; ``None`` when missing.
        problem: what is wrong, as a sentence; empty when nothing is.
    """

    model: Model
    status: Literal["complete", "damaged", "missing"]
    path: Path | None = None
    size_bytes: int = 0
    problem: str = ""


def _catalogue() -> dict[str, Model]:
    models = [Model(STARTER, "image model and adapter", "MIT", "part of the package", 0)]
    for name, file in OPENL3.items():
        role = f"audio encoder ({file.content}, {file.input_repr})"
        models.append(Model(name, role, "CC-BY-4.0", URL + file.file_name, 19 * _MB))
    for name, role, licence, size, half in (
        ("sd15", "image model", "CreativeML-OpenRAIL-M", 4.27, 2.13),
        ("sd-turbo", "image model, few steps", "Stability AI's own, not free for every use", 5.16, 2.58),
        ("sdxl-refiner", "refiner", "CreativeML-OpenRAIL++-M", 6.08, 6.08),
        ("taesd", "decoder for --fast-decode", "MIT", 0.01, 0.01),
    ):
        models.append(Model(name, role, licence, _page(name), round(size * _GB), round(half * _GB)))
    return {model.name: model for model in models}


def _page(name: str) -> str:
    model = hub_model(name)
    return f"https://huggingface.co/{model.repo_id if model else name}"


CATALOGUE = _catalogue()
"""Name → model, for all models with a short name; any other hub id can be downloaded too."""


def describe(name: str) -> Model:
    """Return role, licence, source and size of a model, as far as they are known."""
    return CATALOGUE.get(name) or Model(name, "from the hub", "see its page", _page(name), 0)


def download_missing(models: Iterable[tuple[str, Kind]]) -> Generator[ModelDownloading, None, None]:
    """Download the models that are not on this machine; report page, size and licence of each before.

    Args:
        models: references, as :func:`covergen_cli.weights.hub.resolve` takes them, with what each is to be used as.

    Raises:
        ModelError: a model does not exist, is damaged, or cannot be downloaded.
    """
    for reference, kind in models:
        if _is_missing(reference, kind):
            model = describe(reference)
            yield ModelDownloading(model.name, model.source, model.licence, model.download_bytes)
            resolve(reference, kind)


def _is_missing(reference: str, kind: Kind) -> bool:
    try:
        resolve(reference, kind, fetch=False)
    except NotFetchedError:
        return True
    return False


def inspect(name: str, *, verify: bool = False) -> ModelState:
    """Return the state of a model on this machine.

    Args:
        name: a key of :data:`CATALOGUE`, or a hub id.
        verify: also read every file of a hub model and compare its hash; otherwise only check that no part is missing.

    Raises:
        ModelError: there is no such model.
    """
    if name == STARTER:
        return _inspect_starter(CATALOGUE[name])
    if name in OPENL3:
        return _inspect_openl3(CATALOGUE[name])
    return _inspect_hub(_on_hub(name), verify=verify)


def pull(name: str, on_progress: OnProgress = lambda _: None) -> None:
    """Download a model unless it is complete on this machine; damaged files are downloaded again.

    Args:
        name: a key of :data:`CATALOGUE`, or a hub id.
        on_progress: called with the bytes so far, possibly from other threads.

    Raises:
        ModelError: there is no such model, it cannot be downloaded, or what was downloaded is not complete.
        OutputError: the cache cannot be written.
    """
    state = inspect(name, verify=True)
    if state.status == "complete":
        return
    if name == STARTER:
        raise ModelError(state.problem, hint="Reinstall covergen-cli.")
    if name in OPENL3:
        download_openl3(name, on_progress)
        return
    if state.path is not None:
        # huggingface_hub does not read the files that exist, so it would keep the damaged ones.
        for damaged in damaged_files(state.path):
            _unlink((state.path / damaged).resolve())
            _unlink(state.path / damaged)
    download_model(_on_hub(name), on_progress=on_progress)
    state = inspect(name)
    if state.status != "complete":
        raise ModelError(
            f"{name} was downloaded but is not complete: {state.problem}", hint="Is it a base or an adapter?"
        )


def remove(name: str) -> int:
    """Remove a model from this machine and return the bytes freed.

    Raises:
        ModelError: there is no such model, or it is part of the package.
        OutputError: it cannot be removed.
    """
    if name == STARTER:
        raise ModelError("the starter is part of the package", hint="Remove it with the package: pip uninstall.")
    if name not in OPENL3:
        return remove_model(_on_hub(name))
    path = openl3_path(name)
    freed = path.stat().st_size if path.exists() else 0
    _unlink(path)
    return freed


def _on_hub(name: str) -> HubModel:
    model = hub_model(name)
    if model is None:
        known = ", ".join(CATALOGUE)
        raise ModelError(f"there is no model {name}", hint=f"Known: {known}; or give a hub id such as OWNER/NAME.")
    return model


def _inspect_starter(model: Model) -> ModelState:
    folder = starter_folder()
    if not folder.is_dir():
        return ModelState(model, "missing", folder, 0, f"the starter in {folder} is missing")
    try:
        verify_hashes(folder)
    except ModelError as error:
        return ModelState(model, "damaged", folder, folder_bytes(folder), error.message)
    return ModelState(model, "complete", folder, folder_bytes(folder))


def _inspect_openl3(model: Model) -> ModelState:
    path = openl3_path(model.name)
    try:
        found = find_openl3(model.name)
    except ModelError as error:
        return ModelState(model, "damaged", path, path.stat().st_size, error.message)
    return ModelState(model, "complete", path, path.stat().st_size) if found else ModelState(model, "missing")


def _inspect_hub(hub: HubModel, *, verify: bool) -> ModelState:
    model = describe(hub.name)
    folder = find_model(hub)
    if folder is None:
        return ModelState(model, "missing")
    missing = [] if has_adapter(folder) else missing_files(folder, hub)
    damaged = damaged_files(folder) if verify else []
    problems = [f"{name} is missing" for name in missing] + [f"{name} is damaged" for name in damaged]
    if problems:
        return ModelState(model, "damaged", folder, folder_bytes(folder), f"{hub.name}: {', '.join(problems[:3])}")
    return ModelState(model, "complete", folder, folder_bytes(folder))


def _unlink(path: Path) -> None:
    try:
        path.unlink(missing_ok=True)
    except OSError as error:
        raise OutputError(f"cannot remove {path}: {error.strerror or error}") from error
