"""Where models compute."""

from __future__ import annotations

import torch

from covergen_cli.errors import ConfigError

__all__ = ["choose_device"]


def choose_device(name: str) -> torch.device:
    """Return the device called ``name``; ``auto`` takes CUDA, then Apple's MPS, then the CPU.

    Raises:
        ConfigError: this machine has no such device.
    """
    if name == "auto":
        if torch.cuda.is_available():
            return torch.device("cuda")
        return torch.device("mps" if torch.backends.mps.is_available() else "cpu")
    try:
        device = torch.device(name)
    except RuntimeError as error:
        raise ConfigError(f"there is no device {name}", hint="Use auto, cpu, cuda, cuda:N or mps.") from error
    missing = (device.type == "cuda" and (device.index or 0) >= torch.cuda.device_count()) or (
        device.type == "mps" and not torch.backends.mps.is_available()
    )
    if missing:
        raise ConfigError(f"this machine has no {name}", hint="Use --device cpu, or auto.")
    return device
