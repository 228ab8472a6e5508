"""Adapter files: ``adapter.safetensors`` (weights) and ``adapter.json`` (everything else, schema 1).

::

    {"schema": 1,
     "architecture": {…every field of AdapterConfig…},
     "encoder":  {…the audio encoder's spec…},
     "base":     {"reference": …, "revision": …, "fingerprint": …, "cross_attention_dim": …},
     "training": {…epoch, losses, settings…},
     "weights":  {"file": "adapter.safetensors", "sha256": …}}
"""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import safetensors
import safetensors.torch
import torch

from covergen_cli.config import AdapterConfig
from covergen_cli.errors import ConfigError, ModelError, OutputError
from covergen_cli.files import SCHEMA, atomic_path, sha256_file, sha256_file_once, write_json
from covergen_cli.models.adapter import Adapter
from covergen_cli.models.decoupled import widths_of
from covergen_cli.models.fingerprint import (
    ADAPTER_JSON,
    ADAPTER_WEIGHTS,
    adapter_fingerprint,
    adapter_folder,
    read_adapter_json,
)


@dataclass(frozen=True)
class LoadedAdapter:
    """An adapter with its metadata.

    Args:
        adapter: in evaluation mode, float32, on the CPU.
        config: its shape.
        encoder_spec: the audio encoder that it was trained with.
        base: the base that it was trained for: ``reference``, ``revision``, ``fingerprint``, ``cross_attention_dim``.
        fingerprint: see :func:`covergen_cli.models.fingerprint.adapter_fingerprint`.
    """

    adapter: Adapter
    config: AdapterConfig
    encoder_spec: dict[str, Any]
    base: dict[str, Any]
    fingerprint: str


def save_adapter(
    folder: str | os.PathLike[str],
    adapter: Adapter,
    encoder_spec: Mapping[str, object],
    base: Mapping[str, object],
    training: Mapping[str, object],
    *,
    dtype: torch.dtype | None = None,
) -> None:
    """Save an adapter, replacing an older one in the folder.

    Args:
        folder: created if missing.
        adapter: on any device.
        encoder_spec: from ``Encoder.spec()``.
        base: from :meth:`Base.metadata`.
        training: JSON-able: epoch, losses, settings …
        dtype: of the saved weights, e.g. ``torch.float16`` for a small file; ``None`` keeps theirs.

    Raises:
        OutputError: the folder cannot be written to.
    """
    folder = Path(folder)
    tensors = {
        name: tensor.detach().to("cpu", dtype or tensor.dtype).contiguous()
        for name, tensor in adapter.state_dict().items()
    }
    with atomic_path(folder / ADAPTER_WEIGHTS) as temporary:
        try:
            safetensors.torch.save_file(tensors, temporary, metadata={"format": "pt"})
        except (OSError, safetensors.SafetensorError) as error:
            raise OutputError(f"cannot write {folder / ADAPTER_WEIGHTS}: {error}") from error
        digest = sha256_file(temporary)
    metadata = {
        "schema": SCHEMA,
        "architecture": dataclasses.asdict(adapter.config),
        "encoder": dict(encoder_spec),
        "base": dict(base),
        "training": dict(training),
        "weights": {"file": ADAPTER_WEIGHTS, "sha256": digest},
    }
    write_json(folder / ADAPTER_JSON, metadata)


def load_adapter(folder: str | os.PathLike[str]) -> LoadedAdapter:
    """Load an adapter from an adapter folder, a run folder or the starter's bundle.

    Raises:
        ModelError: it is missing, damaged, or of an unknown schema.
    """
    folder = adapter_folder(Path(folder))
    metadata = read_adapter_json(folder)
    weights = folder / ADAPTER_WEIGHTS
    tensors = _read_weights(weights, metadata["weights"].get("sha256"))
    adapter = _build(metadata["architecture"], tensors, folder)
    try:
        adapter.load_state_dict(tensors, strict=True)
    except RuntimeError as error:
        raise ModelError(f"{weights} does not fit the shape that {ADAPTER_JSON} gives: {error}") from error
    fingerprint = adapter_fingerprint(metadata)
    return LoadedAdapter(adapter.eval(), adapter.config, metadata["encoder"], metadata["base"], fingerprint)


def _read_weights(path: Path, expected: object) -> dict[str, torch.Tensor]:
    try:
        if sha256_file_once(path) != expected:
            raise ModelError(
                f"{path} is damaged, or not the file that {ADAPTER_JSON} describes", hint="Copy or download both again."
            )
        return safetensors.torch.load_file(path)
    except FileNotFoundError as error:
        raise ModelError(f"{path} is missing", hint="An adapter is two files: copy both.") from error
    except (OSError, safetensors.SafetensorError) as error:
        raise ModelError(f"{path} cannot be read: {error}") from error


def _build(architecture: dict[str, Any], tensors: Mapping[str, torch.Tensor], folder: Path) -> Adapter:
    try:
        config = AdapterConfig(**architecture)
    except TypeError as error:
        raise ModelError(f"{folder / ADAPTER_JSON} describes an unknown architecture: {error}") from error
    try:
        # Building draws random weights, which must not change the caller's random numbers.
        with torch.random.fork_rng(devices=[]):
            return Adapter(config, widths_of(tensors))
    except (ConfigError, TypeError) as error:
        raise ModelError(f"{folder / ADAPTER_JSON} describes an invalid architecture: {error}") from error
