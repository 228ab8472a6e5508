"""Checkpoints: the complete state of a training with hashes; the newest two and the best are kept.

::

    RUN/checkpoints/step-NNNNNN/state.safetensors   every tensor
    RUN/checkpoints/step-NNNNNN/state.json          everything else
    RUN/checkpoints/step-NNNNNN/manifest.json       {"schema": 1, "files": {NAME: SHA-256}}; written last

A folder without a manifest was left by a killed run and is ignored.
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
_TENSORS, _SCALARS, _MANIFEST = "state.safetensors", "state.json", "manifest.json"
_KEPT = 2


def checkpoint_folder(run: Path, step: int) -> Path:
    """Return the folder of the checkpoint after a step."""
    return run / CHECKPOINTS / f"step-{step:06d}"


def save_checkpoint(run: Path, step: int, tensors: Mapping[str, Tensor], scalars: Mapping[str, Any]) -> Path:
    """Write a checkpoint, replacing one of the same step, and return its folder.

    Args:
        run: the run folder.
        step: optimiser steps done.
        tensors: on any device.
        scalars: everything else, JSON-able.

    Raises:
        OutputError: the folder cannot be written to.
    """
    folder = checkpoint_folder(run, step)
    (folder / _MANIFEST).unlink(missing_ok=True)
    with atomic_path(folder / _TENSORS) as temporary:
        try:
            flat = {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}
            safetensors.torch.save_file(flat, temporary)
        except (OSError, safetensors.SafetensorError) as error:
            raise OutputError(f"cannot write {folder / _TENSORS}: {error}", hint="Is the disk full?") from error
    write_json(folder / _SCALARS, scalars)
    hashes = {name: sha256_file(folder / name) for name in (_TENSORS, _SCALARS)}
    write_json(folder / _MANIFEST, {"schema": SCHEMA, "files": hashes})
    return folder


def list_checkpoints(run: Path) -> list[Path]:
    """Return the complete checkpoints of a run, the newest first."""
    found = [path for path in (run / CHECKPOINTS).glob("step-*") if re.fullmatch(r"step-\d{6,}", path.name)]
    return sorted((path for path in found if (path / _MANIFEST).is_file()), key=_step, reverse=True)


def load_checkpoint(folder: Path) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Return the tensors, on the CPU, and the scalars that :func:`save_checkpoint` wrote.

    Raises:
        ModelError: the folder is not a complete checkpoint, or a file differs from what was written.
    """
    try:
        manifest = read_json(folder / _MANIFEST)
        for name, digest in manifest["files"].items():
            if sha256_file(folder / name) != digest:
                raise ModelError(f"the checkpoint {folder} is damaged: {name} does not match its hash")
        scalars: dict[str, Any] = read_json(folder / _SCALARS)
        return safetensors.torch.load_file(folder / _TENSORS), scalars
    except FileNotFoundError as error:
        hint = f"Name a folder below RUN/{CHECKPOINTS}."
        raise ModelError(f"{folder} is not a complete checkpoint", hint=hint) from error
    except (OSError, ValueError, KeyError, TypeError, AttributeError, safetensors.SafetensorError) as error:
        raise ModelError(f"the checkpoint {folder} is damaged: {error}") from error


def prune_checkpoints(run: Path, best_step: int) -> None:
    """Delete all checkpoints but the newest two and that of ``best_step``, incomplete ones included."""
    complete = list_checkpoints(run)
    kept = {*complete[:_KEPT], *(path for path in complete if _step(path) == best_step)}
    for path in (run / CHECKPOINTS).glob("step-*"):
        if path not in kept:
            _delete(path)


def drop_later(run: Path, step: int) -> None:
    """Delete the checkpoints of steps after ``step``, from which the training continues."""
    for path in list_checkpoints(run):
        if _step(path) > step:
            _delete(path)


def _delete(path: Path) -> None:
    # The manifest goes first, so that a partly deleted folder does not pass for complete.
    (path / _MANIFEST).unlink(missing_ok=True)
    shutil.rmtree(path, ignore_errors=True)


def _step(path: Path) -> int:
    return int(path.name.partition("-")[2])
