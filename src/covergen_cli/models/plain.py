"""Loads models of our own, in plain torch, from the files that diffusers writes."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import Any, ClassVar, TypeVar

import safetensors
import torch
from safetensors.torch import load_file
from torch import Tensor, nn

from covergen_cli.errors import ModelError
from covergen_cli.models.fingerprint import loading_error, weight_files


class PlainModel(nn.Module):
    """A model that is built from the ``config.json`` of a diffusers class and takes its weights.

    Args:
        config: content of a ``config.json`` for which :meth:`supports` holds.
    """

    class_name: ClassVar[str]
    """The class of diffusers."""
    settings: ClassVar[dict[str, Any]]
    """The settings that are followed, with the defaults of diffusers."""
    fixed: ClassVar[dict[str, Any]]
    """Settings of diffusers that have one value only here."""
    without_effect: ClassVar[frozenset[str]]
    """Settings that change nothing."""

    def __init__(self, config: Mapping[str, Any]) -> None:
        super().__init__()
        self.config: Any = SimpleNamespace(**{**self.settings, **self.fixed, **config})

    @classmethod
    def supports(cls, config: Mapping[str, Any]) -> bool:
        """Return whether the model can be built from the ``config.json`` of a diffusers model."""
        given = {key: value for key, value in config.items() if key[0] != "_" and key not in cls.without_effect}
        return (
            config.get("_class_name") == cls.class_name
            and given.keys() <= cls.settings.keys() | cls.fixed.keys()
            and all(given.get(key, value) == value for key, value in cls.fixed.items())
        )

    @property
    def dtype(self) -> torch.dtype:
        """The type of the weights."""
        return next(self.parameters()).dtype


_Model = TypeVar("_Model", bound=PlainModel)


def load_plain(kind: type[_Model], folder: Path, config: Mapping[str, Any], dtype: torch.dtype) -> _Model:
    """Load a model on the CPU, frozen and in evaluation mode.

    Args:
        kind: its class.
        folder: holds the weights.
        config: content of its ``config.json``, which the class supports.
        dtype: of the weights.

    Raises:
        ModelError: weights are missing, damaged, or do not fit the configuration.
    """
    try:
        weights: dict[str, Tensor] = {}
        for path in weight_files(folder).paths:
            weights |= _converted(load_file(path), dtype)
        with torch.device("meta"):  # the weights are replaced, so drawing them at random would waste time
            model = kind(config)
        missing = model.load_state_dict(weights, strict=False, assign=True).missing_keys
    except (OSError, ValueError, RuntimeError, TypeError, KeyError, safetensors.SafetensorError) as error:
        raise loading_error(folder, error) from error
    if missing:
        raise ModelError(f"{folder} lacks {len(missing)} weights, e.g. {missing[0]}")
    return model.requires_grad_(requires_grad=False).eval()


def _converted(weights: dict[str, Tensor], dtype: torch.dtype) -> dict[str, Tensor]:
    """Return weights in another dtype, converted all at once: each of a thousand calls could wait for other threads."""
    if len({tensor.dtype for tensor in weights.values()}) != 1:
        return {name: tensor.to(dtype) for name, tensor in weights.items()}
    parts = torch.cat([tensor.flatten() for tensor in weights.values()]).to(dtype)
    sizes = [tensor.numel() for tensor in weights.values()]
    shaped = zip(weights.items(), torch.split(parts, sizes), strict=True)
    return {name: part.view(tensor.shape) for (name, tensor), part in shaped}
