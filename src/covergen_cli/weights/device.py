"""Choose the device and the precision that models run in."""

from __future__ import annotations

import torch

from covergen_cli.errors import ConfigError

_DTYPES = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}


def choose_device(name: str) -> torch.device:
    """Return the device called ``name``; ``auto`` prefers CUDA, then Apple's MPS, then the CPU.

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


def choose_dtype(name: str, device: torch.device) -> torch.dtype:
    """Return the precision called ``name``; ``auto`` is ``fp16`` on CUDA and ``fp32`` elsewhere.

    Raises:
        ConfigError: the device does not support it.
    """
    if name == "auto":
        name = "fp16" if device.type == "cuda" else "fp32"
    if name == "bf16" and not _computes_bf16(device):
        raise ConfigError("this GPU does not support bf16", hint="Use --dtype fp16.")
    return _DTYPES[name]


def choose_training_dtype(name: str, device: torch.device) -> torch.dtype:
    """Return the precision of training called ``name``.

    ``auto`` is ``bf16`` on CUDA cards that compute it (Ampere and newer), ``fp16`` on older ones, and ``fp32``
    elsewhere.

    Raises:
        ConfigError: the device does not support it.
    """
    if name == "auto":
        name = "fp32" if device.type != "cuda" else "bf16" if _computes_bf16(device) else "fp16"
    if name == "bf16" and not _computes_bf16(device):
        raise ConfigError("this GPU does not support bf16", hint="Use --precision fp16.")
    return _DTYPES[name]


def use_repeatable_algorithms() -> None:
    """Let cuDNN choose its algorithms by the shapes alone, with fixed order of addition, and compute fp32 in full.

    By default it may choose by timing, and from one run to the next the last bits may differ. Holds for the process.
    """
    torch.backends.cudnn.benchmark = False
    torch.backends.cudnn.deterministic = True
    torch.backends.cudnn.allow_tf32 = False


def _computes_bf16(device: torch.device) -> bool:
    return device.type != "cuda" or torch.cuda.is_bf16_supported(including_emulation=False)
