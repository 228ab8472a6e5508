"""Everything that the tool can need: what it is, under which licence, where it is, and whether it is whole."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from covergen_cli.errors import ModelError, OutputError
from covergen_cli.weights.hub import KNOWN, STARTER, HubModel, hub_model, missing_parts, starter_folder, verify_hashes
from covergen_cli.weights.hub_cache import (
    damaged_files,
    find_model,
    folder_bytes,
    pull_model,
    remove_model,
)
from covergen_cli.weights.openl3 import OPENL3, URL, fetch_openl3, find_openl3, openl3_path

if TYPE_CHECKING:
    from covergen_cli.events import Progress

_MB, _GB = 10**6, 10**9


@dataclass(frozen=True)
class Model:
    """Something that can be fetched, or is there from the start.

    Args:
        name: what users call it.
        role: what it is for.
        licence: under which its authors publish it.
        source: where it comes from.
        about_bytes: how much it takes, roughly; 0 when that is not known.
    """

    name: str
    role: str
    licence: str
    source: str
    about_bytes: int


@dataclass(frozen=True)
class State:
    """What is on this machine of a model.

    Args:
        model: which.
        status: ``whole``; ``damaged``, also when a part is missing; or ``missing``.
        path: where it is, or ``None``.
        size_bytes: how much it takes here.
        problem: what is wrong with it, a sentence; empty when nothing is.
    """

    model: Model
    status: Literal["whole", "damaged", "missing"]
    path: Path | None = None
    size_bytes: int = 0
    problem: str = ""


def _catalogue() -> dict[str, Model]:
    models = [Model(STARTER, "image model and adapter", "MIT", "part of the package", 0)]
    for name, file in OPENL3.items():
        role = f"audio encoder ({file.content}, {file.input_repr})"
        models.append(Model(name, role, "CC-BY-4.0", URL + file.file_name, 19 * _MB))
    for name, role, licence, size in (
        ("sd15", "image model", "CreativeML-OpenRAIL-M", round(4.27 * _GB)),
        ("sdxl-refiner", "refiner", "CreativeML-OpenRAIL++-M", round(6.08 * _GB)),
    ):
        source = f"https://huggingface.co/{KNOWN[name].repo_id}"
        models.append(Model(name, role, licence, source, size))
    return {model.name: model for model in models}


CATALOGUE = _catalogue()
"""Name → model, of all that have a name of their own; any other hub id can be fetched too."""


def inspect(name: str, *, thoroughly: bool = False) -> State:
    """Look at what is here of a model.

    Args:
        name: a name out of :data:`CATALOGUE`, or a hub id.
        thoroughly: read every byte of hub models too and compare hashes; else see only that no part is missing.

    Raises:
        ModelError: there is no such model.
    """
    model = _model(name)
    if name == STARTER:
        return _inspect_starter(model)
    if name in OPENL3:
        return _inspect_openl3(model)
    return _inspect_hub(model, _on_hub(name), thoroughly=thoroughly)


def pull(name: str) -> Iterator[Progress]:
    """Fetch a model unless it is whole here already; what is damaged is fetched anew.

    Yields:
        bytes so far.

    Raises:
        ModelError: there is no such model, it cannot be fetched, or what came is not whole.
        OutputError: the cache cannot be written to.
    """
    state = inspect(name, thoroughly=True)
    if state.status == "whole":
        return
    if name == STARTER:
        raise ModelError(state.problem, hint="Reinstall covergen-cli.")
    if name in OPENL3:
        yield from fetch_openl3(name)
        return
    if state.status == "damaged" and state.path is not None:
        # The hub's library takes a file that is there for whole, so damaged ones have to go first.
        for damaged in damaged_files(state.path):
            _unlink(state.path / damaged)
    yield from pull_model(_on_hub(name), name)
    state = inspect(name)
    if state.status != "whole":
        raise ModelError(f"{name} was fetched, but is not whole: {state.problem}", hint="Is it a base or an adapter?")


def remove(name: str) -> int:
    """Remove a model from this machine.

    Returns:
        bytes that are free again.

    Raises:
        ModelError: there is no such model, or it is part of the package.
        OutputError: it cannot be removed.
    """
    _model(name)
    if name == STARTER:
        raise ModelError("the starter is part of the package", hint="Remove it with the package: pip uninstall.")
    if name in OPENL3:
        path = openl3_path(name)
        freed = path.stat().st_size if path.exists() else 0
        try:
            path.unlink(missing_ok=True)
        except OSError as error:
            raise OutputError(f"cannot remove {path}: {error.strerror or error}") from error
        return freed
    return remove_model(_on_hub(name))


def _model(name: str) -> Model:
    if name in CATALOGUE:
        return CATALOGUE[name]
    model = _on_hub(name)
    return Model(name, "from the hub", "see its page", f"https://huggingface.co/{model.repo_id}", 0)


def _on_hub(name: str) -> HubModel:
    model = hub_model(name)
    if model is None:
        known = ", ".join(CATALOGUE)
        raise ModelError(f"there is no model {name}", hint=f"Known: {known}; or give a hub id such as OWNER/NAME.")
    return model


def _inspect_starter(model: Model) -> State:
    folder = starter_folder()
    try:
        verify_hashes(folder)
    except ModelError as error:
        return State(model, "damaged" if folder.is_dir() else "missing", folder, _size(folder), error.message)
    return State(model, "whole", folder, _size(folder))


def _inspect_openl3(model: Model) -> State:
    path = openl3_path(model.name)
    try:
        found = find_openl3(model.name)
    except ModelError as error:
        return State(model, "damaged", path, path.stat().st_size, error.message)
    return State(model, "whole", path, path.stat().st_size) if found else State(model, "missing")


def _inspect_hub(model: Model, hub: HubModel, *, thoroughly: bool) -> State:
    folder = find_model(hub)
    if folder is None:
        return State(model, "missing")
    is_adapter = any((folder / part / "adapter.safetensors").is_file() for part in ("", "adapter"))
    missing = [] if is_adapter else missing_parts(folder, hub)
    damaged = damaged_files(folder) if thoroughly else []
    problems = [f"no weights in {part}/" for part in missing] + [f"{name} is damaged" for name in damaged]
    if problems:
        return State(model, "damaged", folder, folder_bytes(folder), f"{model.name}: {', '.join(problems[:3])}")
    return State(model, "whole", folder, folder_bytes(folder))


def _size(folder: Path) -> int:
    return folder_bytes(folder) if folder.is_dir() else 0


def _unlink(link: Path) -> None:
    try:
        link.resolve().unlink(missing_ok=True)
        link.unlink(missing_ok=True)
    except OSError as error:
        raise OutputError(f"cannot remove {link}: {error.strerror or error}") from error
