"""Checkpoints: whole states of a training, hashed, the newest two and the best kept.

::

    RUN/checkpoints/step-NNNNNN/state.safetensors   every tensor
    RUN/checkpoints/step-NNNNNN/state.json          everything else
    RUN/checkpoints/step-NNNNNN/manifest.json       {"schema": 1, "files": {NAME: SHA-256}}; written last

A folder without a manifest is what a killed run left in the middle of writing, and counts for nothing.
"""

from __future__ import annotations

import re
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import safetensors
import safetensors.torch

from covergen_cli.errors import ModelError, OutputError
from covergen_cli.files import SCHEMA, atomic_path, read_json, sha256_file, write_json

if TYPE_CHECKING:
    from torch import Tensor

CHECKPOINTS = "checkpoints"
_TENSORS, _FACTS, _MANIFEST = "state.safetensors", "state.json", "manifest.json"
_KEPT = 2


def save_checkpoint(run: Path, step: int, tensors: Mapping[str, Tensor], facts: Mapping[str, Any]) -> Path:
    """Write a checkpoint; one of the same step is replaced.

    Args:
        run: the run folder.
        step: names it.
        tensors: on any device.
        facts: JSON-able.

    Returns:
        Its folder.

    Raises:
        OutputError: the folder cannot be written to.
    """
    folder = run / CHECKPOINTS / f"step-{step:06d}"
    (folder / _MANIFEST).unlink(missing_ok=True)
    with atomic_path(folder / _TENSORS) as temporary:
        try:
            flat = {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}
            safetensors.torch.save_file(flat, temporary)
        except (OSError, safetensors.SafetensorError) as error:
            raise OutputError(f"cannot write {folder / _TENSORS}: {error}", hint="Is the disk full?") from error
    write_json(folder / _FACTS, facts)
    hashes = {name: sha256_file(folder / name) for name in (_TENSORS, _FACTS)}
    write_json(folder / _MANIFEST, {"schema": SCHEMA, "files": hashes})
    return folder


def list_checkpoints(run: Path) -> list[Path]:
    """List the checkpoints of a run that were written to the end, the newest first."""
    found = [path for path in (run / CHECKPOINTS).glob("step-*") if re.fullmatch(r"step-\d{6,}", path.name)]
    return sorted((path for path in found if (path / _MANIFEST).is_file()), key=_step, reverse=True)


def load_checkpoint(folder: Path) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Read a checkpoint.

    Returns:
        what :func:`save_checkpoint` was given: tensors, on the CPU, and facts.

    Raises:
        ModelError: it is no checkpoint, or a file of it is missing or is not what was written.
    """
    try:
        manifest = read_json(folder / _MANIFEST)
        for name, digest in manifest["files"].items():
            if sha256_file(folder / name) != digest:
                raise ModelError(f"the checkpoint {folder} is damaged: {name} is not what was written")
        facts: dict[str, Any] = read_json(folder / _FACTS)
        return safetensors.torch.load_file(folder / _TENSORS), facts
    except FileNotFoundError as error:
        raise ModelError(f"{folder} is no whole checkpoint", hint=f"Name a folder below RUN/{CHECKPOINTS}.") from error
    except (OSError, ValueError, KeyError, TypeError, AttributeError, safetensors.SafetensorError) as error:
        raise ModelError(f"the checkpoint {folder} is damaged: {error}") from error


def prune_checkpoints(run: Path, best_step: int) -> None:
    """Remove all but the newest two and that of ``best_step``, and what killed runs left half written."""
    whole = list_checkpoints(run)
    kept = {*whole[:_KEPT], *(path for path in whole if _step(path) == best_step)}
    for path in (run / CHECKPOINTS).glob("step-*"):
        if path not in kept:
            _remove(path)


def drop_later(run: Path, step: int) -> None:
    """Remove checkpoints of steps after ``step``, from which the training will not go on: damaged ones, or given up."""
    for path in list_checkpoints(run):
        if _step(path) > step:
            _remove(path)


def _remove(path: Path) -> None:
    # The manifest goes first: what is half removed must not look whole.
    (path / _MANIFEST).unlink(missing_ok=True)
    shutil.rmtree(path, ignore_errors=True)


def _step(path: Path) -> int:
    return int(path.name.partition("-")[2])
