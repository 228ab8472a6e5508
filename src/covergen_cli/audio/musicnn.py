"""musicnn (Pons and Serra, ISMIR late-breaking 2019) in PyTorch: a small network that names what it hears, in 50 tags.

Input: mono at 16 kHz as a mel power spectrogram (window 512, hop 256, 96 bands), in patches of 187 frames (3 s).
The bundled weights are upstream's (ISC licence, see ``musicnn_bundle/LICENSE.txt``), stored as float16.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import numpy as np
import soxr
import torch
from safetensors import SafetensorError, safe_open
from torch.nn import functional

from covergen_cli.audio.features import sum_bands
from covergen_cli.audio.max_convolution import MaxConvolution
from covergen_cli.audio.openl3_frontend import mel_filters
from covergen_cli.errors import InputError, ModelError

if TYPE_CHECKING:
    import numpy.typing as npt
    from torch import Tensor

    Array = npt.NDArray[np.float32]

RATE_HZ = 16_000
HOP = 256
"""Samples from one frame of the spectrogram to the next."""

PATCH_FRAMES = 187
"""Frames in one patch, 3 s."""

FEATURES = 753
"""Width of the features that the tags are computed from."""

BUNDLE = Path(__file__).with_name("musicnn_bundle")
NAMES: tuple[Literal["msd", "mtt"], ...] = ("msd", "mtt")
"""The bundled networks: ``msd`` names genre, mood, era and voice, ``mtt`` instruments and character."""

_FFT = 512
_BANDS = 96
_EPSILON = 1e-3  # of upstream's batch normalisation
_TIMBRAL, _TEMPORAL = ("conv2d", "conv2d_1"), ("conv2d_2", "conv2d_3", "conv2d_4")
_MIDDLE = ("conv2d_5", "conv2d_6", "conv2d_7")
_LEAST_PROBABILITY = 0.05
_RAISED = 0.03


@lru_cache(maxsize=1)
def _filters() -> Array:
    return mel_filters(_BANDS, _FFT, RATE_HZ).astype(np.float32)


def log_mel(samples_16k: Array) -> Array:
    """Return upstream's input: log10(10000 · mel power + 1), float32 ``(T, 96)``, one frame per 256 samples.

    Frames are centred and padded with zeros, as librosa's ``melspectrogram``; the power passes through float16, as
    upstream stored it.
    """
    padded = np.pad(samples_16k.astype(np.float32), _FFT // 2)
    frames = np.lib.stride_tricks.sliding_window_view(padded, _FFT)[::HOP]
    window = np.hanning(_FFT + 1)[:-1].astype(np.float32)
    mel = sum_bands(np.abs(np.fft.rfft(frames * window, axis=1)).astype(np.float32) ** 2, _filters())
    stored = np.minimum(mel, np.finfo(np.float16).max).astype(np.float16).astype(np.float32)
    log_mel: Array = np.log10(10_000 * stored + 1)
    return log_mel


class Musicnn:
    """The network with its weights, on the CPU. Its results do not depend on the number of threads.

    Args:
        weights: float arrays under their TensorFlow names; convolution kernels are (time, mel, in, out).
        labels: names of the 50 tags, in upstream's order.

    Raises:
        ModelError: these are not the weights of musicnn.
    """

    def __init__(self, weights: Mapping[str, npt.NDArray[np.floating]], labels: tuple[str, ...]) -> None:
        self.labels = labels
        try:
            arrays = {name: torch.from_numpy(array.astype(np.float32)) for name, array in weights.items()}
            self._norms = [_Norm.of(arrays, index) for index in range(11)]
            self._convolutions = {
                name: (arrays[f"{name}.kernel"].permute(3, 2, 0, 1).contiguous(), arrays[f"{name}.bias"])
                for name in (*_TIMBRAL, *_TEMPORAL, *_MIDDLE)
            }
            self._signs = [torch.where(norm.scale < 0, -1.0, 1.0) for norm in self._norms[:6]]
            self._largest = {
                name: _maximum(self._convolutions[name][0] * self._signs[norm][:, None, None, None])
                for norm, name in enumerate((*_TIMBRAL, *_TEMPORAL), 1)
            }
            self._dense = [(arrays[f"{name}.kernel"], arrays[f"{name}.bias"]) for name in ("dense", "dense_1")]
        except (KeyError, RuntimeError) as error:
            raise ModelError(f"these are not the weights of musicnn: {error}") from error

    @classmethod
    @lru_cache(maxsize=2)
    def load(cls, name: Literal["msd", "mtt"]) -> Musicnn:
        """Load one of the bundled networks, once per process.

        Raises:
            ModelError: the file of the package is missing or damaged.
        """
        path = BUNDLE / f"{name}.safetensors"
        try:
            with safe_open(path, framework="np") as file:
                labels = tuple(json.loads(file.metadata()["labels"]))
                return cls({key: file.get_tensor(key) for key in file.keys()}, labels)  # noqa: SIM118
        except (OSError, KeyError, ValueError, SafetensorError) as error:
            raise ModelError(f"{path} cannot be read: {error}", hint="Install covergen-cli again.") from error

    def tags(self, audio: Array, sample_rate_hz: int) -> Array:
        """Return the probability of each tag per patch of 3 s: float32 ``(patches, 50)`` in [0, 1].

        An incomplete last patch is dropped; a clip that is shorter than a patch is repeated until it fills one.

        Args:
            audio: mono ``(n,)``, full scale 1.
            sample_rate_hz: its rate; other rates than 16 kHz are resampled.

        Raises:
            InputError: there are no samples.
        """
        spectrogram = _spectrogram(audio, sample_rate_hz)
        whole = len(spectrogram) // PATCH_FRAMES * PATCH_FRAMES
        features = self._features(spectrogram[:whole].reshape(-1, PATCH_FRAMES, _BANDS))
        hidden = self._norms[10](self._hidden(features.transpose(1, 2)))
        probabilities: Array = torch.sigmoid(_multiply(hidden, *self._dense[1])).numpy()
        return probabilities

    def features(self, audio: Array, sample_rate_hz: int, hop_frames: int) -> Array:
        """Return the features that the tags are computed from, means over windows of 3 s: float32 ``(N, 753)``.

        The convolutions run once over the clip, so windows may overlap at no cost. Each column is standardised by its
        mean and deviation over the songs that the network was trained on, as its batch normalisation recorded them.

        Args:
            audio: mono ``(n,)``, full scale 1.
            sample_rate_hz: its rate; other rates than 16 kHz are resampled.
            hop_frames: distance of the windows, in frames of 16 ms.

        Raises:
            InputError: there are no samples.
        """
        features = self._features(_spectrogram(audio, sample_rate_hz)[None])[0]
        means = features.unfold(0, PATCH_FRAMES, hop_frames).mean(dim=2)
        usual = self._norms[9]  # of maximum and mean in turn
        standardised: Array = ((means - usual.mean[1::2]) / usual.deviation[1::2]).numpy()
        return standardised

    @torch.inference_mode()
    def _features(self, spectrograms: Array) -> Tensor:
        """Map spectrograms ``(N, T, 96)`` to features ``(N, T, 753)``: front end, then three residual convolutions."""
        x = self._norms[0](torch.from_numpy(spectrograms)[:, None])
        front = [self._front(functional.pad(x, (0, 0, 3, 3)), name, norm) for norm, name in enumerate(_TIMBRAL, 1)]
        for norm, name in enumerate(_TEMPORAL, 3):
            frames = self._convolutions[name][0].shape[2] - 1
            front.append(self._front(functional.pad(x, (0, 0, frames // 2, frames - frames // 2)), name, norm))
        dense = torch.cat(front, dim=2)
        first = self._middle(dense, "conv2d_5", 6)
        second = self._middle(first, "conv2d_6", 7) + first
        third = self._middle(second, "conv2d_7", 8) + second
        return torch.cat([dense, first, second, third], dim=2)

    def _front(self, x: Tensor, name: str, norm: int) -> Tensor:
        """Convolve, apply ReLU and batch normalisation, and keep each filter's maximum over mel: ``(N, T, filters)``.

        Normalisation is monotonic, falling where its scale is negative, so the maximum is taken before it: of the
        convolution, or of its negative, whose kernel has the other sign.
        """
        largest = self._largest[name](x) * self._signs[norm]
        return self._norms[norm](functional.relu(largest + self._convolutions[name][1]))

    def _middle(self, x: Tensor, name: str, norm: int) -> Tensor:
        """Convolve over seven frames and all features: ``(N, T, F)`` → ``(N, T, 64)``."""
        kernel, bias = self._convolutions[name]
        convolved = functional.conv2d(functional.pad(x, (0, 0, 3, 3))[:, None], kernel)[..., 0].transpose(1, 2)
        return self._norms[norm](functional.relu(convolved + bias))

    def _hidden(self, features: Tensor) -> Tensor:
        """Return the last hidden layer ``(N, 200)`` of features ``(N, 753, frames)``, pooled over the frames."""
        pooled = torch.stack([features.amax(dim=2), features.mean(dim=2)], dim=2).flatten(1)
        return functional.relu(_multiply(self._norms[9](pooled), *self._dense[0]))


@dataclass(frozen=True)
class _Norm:
    """Batch normalisation, ``scale · x + shift``, and the mean and deviation of x that training recorded."""

    scale: Tensor
    shift: Tensor
    mean: Tensor
    deviation: Tensor

    @classmethod
    def of(cls, arrays: Mapping[str, Tensor], index: int) -> _Norm:
        name = f"batch_normalization_{index}" if index else "batch_normalization"
        gamma, beta, mean, variance = (
            arrays[f"{name}.{part}"] for part in ("gamma", "beta", "moving_mean", "moving_variance")
        )
        deviation = torch.sqrt(variance + _EPSILON)
        return cls(gamma / deviation, beta - mean * gamma / deviation, mean, deviation)

    def __call__(self, x: Tensor) -> Tensor:
        return x * self.scale + self.shift


def _maximum(kernel: Tensor) -> Callable[[Tensor], Tensor]:
    """Return a function: convolution with ``(F, 1, frames, width)``, without padding, then the maximum over bands."""
    if kernel.shape[3] > 1:
        return MaxConvolution(kernel, _BANDS)
    return lambda x: functional.conv2d(x, kernel).amax(dim=3).transpose(1, 2)


def _multiply(x: Tensor, kernel: Tensor, bias: Tensor) -> Tensor:
    # Not a matrix product: its rounding depends on the number of threads.
    return torch.from_numpy(np.einsum("np,ph->nh", x.numpy(), kernel.numpy())) + bias


def _spectrogram(audio: Array, sample_rate_hz: int) -> Array:
    """Return the spectrogram ``(T, 96)`` of a clip, repeated until it has the frames of a patch."""
    if audio.size == 0:
        raise InputError("there is no sound to analyse: not one sample")
    if sample_rate_hz != RATE_HZ:
        audio = soxr.resample(audio, sample_rate_hz, RATE_HZ)
    frames = log_mel(audio)
    if len(frames) < PATCH_FRAMES:
        frames = np.tile(frames, (-(-PATCH_FRAMES // len(frames)), 1))[:PATCH_FRAMES]
    return frames


def ranked_tags(audio: Array, sample_rate_hz: int) -> tuple[tuple[str, float], ...]:
    """Return the labels of both networks that stand out in a clip, with their scores, highest first.

    The score of a label is its mean probability divided by what is usual for it, so that frequent labels are not first
    everywhere; 1 is usual. Both are raised by a small constant, and improbable labels are left out, so that rare labels
    do not win by noise.

    Args:
        audio: mono ``(n,)``, full scale 1; 30 s are usual.
        sample_rate_hz: its rate.
    """
    usual: dict[str, dict[str, float]] = json.loads((BUNDLE / "usual.json").read_text(encoding="utf-8"))
    scores: dict[str, float] = {}
    for name in NAMES:
        network = Musicnn.load(name)
        for label, probability in zip(network.labels, network.tags(audio, sample_rate_hz).mean(axis=0), strict=True):
            if probability >= _LEAST_PROBABILITY:
                score = (float(probability) + _RAISED) / (usual[name][label] + _RAISED)
                scores[label] = max(scores.get(label, 0.0), round(score, 2))
    return tuple(sorted(scores.items(), key=lambda pair: (-pair[1], pair[0])))
