"""OpenL3's audio network (Cramer et al., ICASSP 2019) in PyTorch: the paper's audio encoder (§3.2).

The network embeds windows of one second: mel spectrogram → batch norm → eight 3×3 convolutions with batch norm and
ReLU, three of them followed by 2×2 max pooling → max pooling → embedding. For inference every batch norm is folded into
its convolution, tensors are channels-last, and the spectrogram is computed on the device. 4.69 M parameters, 10.2 GMAC
per window.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Literal

import numpy as np
import torch
import torch.nn.functional as F  # noqa: N812 — as everyone writes it

from covergen_cli.audio.batches import NO_MEMORY
from covergen_cli.audio.openl3_frontend import LogMel, frame, to_mono
from covergen_cli.errors import ConfigError
from covergen_cli.weights.keras_file import CHANNELS, read_keras
from covergen_cli.weights.memory import in_batches
from covergen_cli.weights.openl3 import content_sha256, load_openl3

if TYPE_CHECKING:
    import numpy.typing as npt
    from torch import Tensor

    from covergen_cli.weights.keras_file import Arrays

Precision = Literal["fp32", "tf32", "bf16", "fp16"]
"""Precision of the convolutions; the spectrogram is always float32. ``tf32`` differs from ``fp32`` on CUDA only."""

_TYPES: dict[Precision, torch.dtype] = {
    "fp32": torch.float32,
    "tf32": torch.float32,
    "bf16": torch.bfloat16,
    "fp16": torch.float16,
}
_NORM_EPSILON = 1e-3
_POOLED_AFTER = (2, 4, 6)
_POOLS = {("mel256", 512): (32, 24), ("mel128", 512): (16, 24), ("mel256", 6144): (8, 8), ("mel128", 6144): (4, 8)}
_BANDS = {"mel256": 256, "mel128": 128}
_CPU_BATCH = 8
_GPU_BATCH = 256


class OpenL3:
    """OpenL3's audio network for inference.

    Args:
        arrays: weights by name (:func:`covergen_cli.weights.keras_file.array_shapes`).
        input_repr: ``"mel256"`` or ``"mel128"``: the spectrogram that the weights were trained on.
        embedding_size: 512 or 6144, from the same weights.
        device: where to compute.
        dtype: precision of the convolutions.

    Attributes:
        weights_sha256: hash of the weights' values.

    Raises:
        ConfigError: there is no such input, size or precision.
    """

    def __init__(
        self,
        arrays: Arrays,
        input_repr: str = "mel256",
        embedding_size: int = 512,
        device: str | torch.device = "cpu",
        dtype: Precision | torch.dtype = "fp32",
    ) -> None:
        if (input_repr, embedding_size) not in _POOLS:
            raise ConfigError(
                f"OpenL3 has no embedding of {input_repr}, {embedding_size}",
                hint="Inputs are mel256 and mel128, sizes 512 and 6144.",
            )
        self.input_repr, self.embedding_size = input_repr, embedding_size
        self.device, self.dtype = torch.device(device), _precision(dtype)
        self.weights_sha256 = content_sha256(arrays)
        self._arrays = arrays
        self._pool = _POOLS[input_repr, embedding_size]
        self._log_mel = LogMel(_BANDS[input_repr], self.device)
        self._norm = _scale_and_shift(arrays, 0)
        self._layers = [self._place(*_folded(arrays, index)) for index in range(1, len(CHANNELS))]

    @classmethod
    def from_keras_h5(
        cls, path: str | os.PathLike[str], input_repr: str = "mel256", embedding_size: int = 512
    ) -> OpenL3:
        """Load a published ``.h5`` or ``.h5.gz`` file.

        Raises:
            ModelError: it is missing, damaged, or holds another network.
            ConfigError: there is no such input or size.
        """
        return cls(read_keras(path), input_repr, embedding_size)

    @classmethod
    def from_safetensors(cls, path: str | os.PathLike[str], embedding_size: int = 512) -> OpenL3:
        """Load weights that :func:`covergen_cli.weights.openl3_weights` converted.

        Raises:
            ModelError: the file is missing, damaged, or holds something else.
            ConfigError: there is no such size.
        """
        stored = load_openl3(path)
        return cls(stored.arrays, stored.input_repr, embedding_size)

    def to(self, device: str | torch.device, dtype: Precision | torch.dtype = "fp32") -> OpenL3:
        """Return a copy of the network on another device or at another precision."""
        return OpenL3(self._arrays, self.input_repr, self.embedding_size, device, dtype)

    @property
    def batch_size(self) -> int:
        """Windows per batch that keep this device busy without much memory; 8 need 0.3 GB on a CPU."""
        return _CPU_BATCH if self.device.type == "cpu" else _GPU_BATCH

    def embed(
        self,
        audio: npt.NDArray[np.floating],
        sample_rate_hz: int,
        hop_seconds: float = 0.1,
        center: bool = True,
        batch_size: int | None = None,
    ) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.float64]]:
        """Embed a clip.

        Args:
            audio: ``(n,)`` or ``(n, channels)``; a clip shorter than a second is padded with silence.
            sample_rate_hz: its rate; other rates than 48 kHz are resampled.
            hop_seconds: distance between two windows.
            center: see :func:`~covergen_cli.audio.openl3_frontend.frame`.
            batch_size: windows per batch; ``None`` for :attr:`batch_size`.

        Returns:
            the embedding, float32 ``(T, embedding_size)``, and T times in seconds: the middle of each window with
            ``center``, otherwise its start.

        Raises:
            InputError: there are no samples, or some are not finite.
            ConfigError: the hop or batch size is invalid.
            ModelError: the GPU has too little memory for a single window.
        """
        size = self.batch_size if batch_size is None else batch_size
        if size < 1:
            raise ConfigError(f"a batch of {size} windows makes no sense")
        windows = frame(to_mono(audio, sample_rate_hz), hop_seconds, center)

        def embed_some(some: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
            # Copied because the windows overlap in a read-only view, which torch cannot take.
            rows: npt.NDArray[np.float32] = self.forward_windows(torch.from_numpy(some.copy())).cpu().numpy()
            return rows

        parts = list(in_batches(embed_some, windows, size, hint=NO_MEMORY))
        times: npt.NDArray[np.float64] = np.arange(len(windows), dtype=np.float64) * hop_seconds
        return np.concatenate(parts), times

    @torch.inference_mode()
    def forward_windows(self, windows: Tensor) -> Tensor:
        """Embed windows of any clips.

        Args:
            windows: float32 ``(B, 48000)`` at 48 kHz, on any device.

        Returns:
            float32 ``(B, embedding_size)`` on this network's device, in the order frequency, time, channel.
        """
        scale, shift = self._norm
        level = self._log_mel(windows.to(self.device, torch.float32, non_blocking=True))
        x = level.mul_(scale).add_(shift).unsqueeze(1)
        x = x.to(_TYPES[self.dtype], memory_format=torch.channels_last)
        last = len(self._layers)
        with _convolving(self.device, self.dtype):
            for index, (kernel, bias) in enumerate(self._layers, start=1):
                x = F.conv2d(x, kernel, bias, padding=1)
                if index in _POOLED_AFTER:
                    x = F.max_pool2d(x, 2)
                if index < last:
                    x = x.relu_()  # after the pooling, with the same result: a quarter of the work
        x = F.max_pool2d(x, self._pool)
        return x.permute(0, 2, 3, 1).flatten(1).float()

    def _place(self, kernel: Tensor, bias: Tensor) -> tuple[Tensor, Tensor]:
        dtype = _TYPES[self.dtype]
        return kernel.to(self.device, dtype, memory_format=torch.channels_last), bias.to(self.device, dtype)


def _precision(dtype: Precision | torch.dtype) -> Precision:
    for name, kind in _TYPES.items():
        if dtype in (name, kind):
            return name
    raise ConfigError(f"OpenL3 does not compute in {dtype}", hint=f"Give {', '.join(_TYPES)}.")


def _scale_and_shift(arrays: Mapping[str, npt.NDArray[np.float32]], index: int) -> tuple[float, float]:
    """Return the first batch norm as scale and shift; the zero padding after it keeps it from being folded."""
    scale, shift = _affine(arrays, index)
    return float(scale[0]), float(shift[0])


def _affine(
    arrays: Mapping[str, npt.NDArray[np.float32]], index: int
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    gamma, beta, mean, variance = (
        arrays[f"norm{index}.{part}"].astype(np.float64) for part in ("gamma", "beta", "mean", "variance")
    )
    scale = gamma / np.sqrt(variance + _NORM_EPSILON)
    return scale, beta - mean * scale


def _folded(arrays: Mapping[str, npt.NDArray[np.float32]], index: int) -> tuple[Tensor, Tensor]:
    """Return kernel ``(out, in, 3, 3)`` and bias ``(out,)`` of a convolution with its batch norm folded in."""
    kernel = arrays[f"conv{index}.kernel"].astype(np.float64)
    bias = arrays[f"conv{index}.bias"].astype(np.float64)
    if f"norm{index}.gamma" in arrays:
        scale, shift = _affine(arrays, index)
        kernel, bias = kernel * scale[:, None, None, None], bias * scale + shift
    return torch.from_numpy(kernel).float(), torch.from_numpy(bias).float()


@contextmanager
def _convolving(device: torch.device, dtype: Precision) -> Iterator[None]:
    """On CUDA let cuDNN choose the fastest algorithm, and allow TF32 only for ``tf32``.

    After :func:`covergen_cli.weights.device.use_repeatable_algorithms` nothing is changed: the settings hold for all
    threads, and others are drawing.
    """
    if device.type != "cuda" or torch.backends.cudnn.deterministic:
        yield
        return
    with torch.backends.cudnn.flags(enabled=True, benchmark=True, allow_tf32=dtype == "tf32"):
        yield
