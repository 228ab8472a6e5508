"""musicnn (Pons and Serra, ISMIR late-breaking 2019) in PyTorch: a small network that names what it hears, in 50 tags.

Input: mono at 16 kHz as a mel power spectrogram (window 512, hop 256, 96 bands), in patches of 187 frames (3 s).
The bundled weights are upstream's (ISC licence, see ``musicnn_bundle/LICENSE.txt``), stored as float16.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import numpy as np
import torch
from torch.nn import functional

from covergen_cli.audio.openl3_frontend import mel_filters
from covergen_cli.errors import InputError, ModelError

if TYPE_CHECKING:
    import numpy.typing as npt
    from torch import Tensor

RATE_HZ = 16_000
PATCH_FRAMES = 187
"""Frames in one patch, 3 s."""
FEATURES = 753
"""Width of the features that the tags are pooled from."""

_FFT = 512
_HOP = 256
_BANDS = 96
_EPSILON = 1e-3  # of upstream's batch normalisation
_BUNDLE = Path(__file__).with_name("musicnn_bundle")
_LEAST_PROBABILITY = 0.05
_RAISED = 0.03
_TIMBRAL, _TEMPORAL = ("conv2d", "conv2d_1"), ("conv2d_2", "conv2d_3", "conv2d_4")


def log_mel(samples_16k: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """Return upstream's input: log10(10000 · mel power + 1), float32 ``(T, 96)``, one frame per 256 samples.

    Frames are centred and padded with zeros, as librosa's ``melspectrogram``; the power passes through float16, as
    upstream stored it.
    """
    padded = np.pad(samples_16k.astype(np.float32), _FFT // 2)
    frames = np.lib.stride_tricks.sliding_window_view(padded, _FFT)[::_HOP]
    window = np.hanning(_FFT + 1)[:-1].astype(np.float32)
    power = np.abs(np.fft.rfft(frames * window, axis=1)).astype(np.float32) ** 2
    filters = mel_filters(_BANDS, _FFT, RATE_HZ).astype(np.float32)
    with np.errstate(over="ignore"):
        mel = np.minimum(power @ filters.T, np.finfo(np.float16).max).astype(np.float16).astype(np.float32)
    log_mel: npt.NDArray[np.float32] = np.log10(10_000 * mel + 1)
    return log_mel


def patches(log_mel: npt.NDArray[np.float32], hop_frames: int = PATCH_FRAMES) -> npt.NDArray[np.float32]:
    """Cut a spectrogram ``(T, 96)`` into patches ``(N, 187, 96)``; an incomplete last patch is dropped.

    A clip shorter than one patch is repeated until it fills one, so that short clips can be tagged, too.
    """
    if len(log_mel) < PATCH_FRAMES:
        log_mel = np.tile(log_mel, (-(-PATCH_FRAMES // len(log_mel)), 1))[:PATCH_FRAMES]
    starts = range(0, len(log_mel) - PATCH_FRAMES + 1, hop_frames)
    return np.stack([log_mel[start : start + PATCH_FRAMES] for start in starts])


class Musicnn:
    """The network with its weights, on the CPU.

    Args:
        weights: float arrays under their TensorFlow names; convolution kernels are (time, mel, in, out).
        labels: names of the 50 tags, in upstream's order.
    """

    def __init__(self, weights: Mapping[str, npt.NDArray[np.floating]], labels: tuple[str, ...]) -> None:
        try:
            self._weights = {name: torch.from_numpy(array.astype(np.float32)) for name, array in weights.items()}
            self._kernels = {
                name: self._weights[f"{name}.kernel"].permute(3, 2, 0, 1).contiguous()
                for name in (*_TIMBRAL, *_TEMPORAL, "conv2d_5", "conv2d_6", "conv2d_7")
            }
        except (KeyError, RuntimeError) as error:
            raise ModelError(f"these are not the weights of musicnn: {error}") from error
        self.labels = labels

    @classmethod
    def load(cls, name: Literal["msd", "mtt"]) -> Musicnn:
        """Load bundled weights: ``msd`` names genre, mood, era and voice, ``mtt`` instruments and character.

        Raises:
            ModelError: the file of the package is missing or damaged.
        """
        from safetensors import SafetensorError, safe_open  # noqa: PLC0415 — only when weights are read

        path = _BUNDLE / f"{name}.safetensors"
        try:
            with safe_open(path, framework="np") as file:
                labels = tuple(json.loads(file.metadata()["labels"]))
                return cls({key: file.get_tensor(key) for key in file.keys()}, labels)  # noqa: SIM118
        except (OSError, KeyError, ValueError, SafetensorError) as error:
            raise ModelError(f"{path} cannot be read: {error}", hint="Install covergen-cli again.") from error

    def tags(self, audio: npt.NDArray[np.float32], sample_rate_hz: int) -> npt.NDArray[np.float32]:
        """Return the probability of each tag per patch of 3 s: float32 ``(patches, 50)`` in [0, 1].

        Args:
            audio: mono ``(n,)``, full scale 1.
            sample_rate_hz: its rate; other rates than 16 kHz are resampled.

        Raises:
            InputError: there are no samples.
        """
        with torch.inference_mode():
            return _numpy(self._classify(self._features(self._patches(audio, sample_rate_hz, PATCH_FRAMES))))

    def features(
        self, audio: npt.NDArray[np.float32], sample_rate_hz: int, hop_frames: int = PATCH_FRAMES
    ) -> npt.NDArray[np.float32]:
        """Return the features that the tags are computed from, averaged over each patch: float32 ``(patches, 753)``."""
        with torch.inference_mode():
            return _numpy(self._features(self._patches(audio, sample_rate_hz, hop_frames)).mean(dim=1))

    def _patches(self, audio: npt.NDArray[np.float32], sample_rate_hz: int, hop_frames: int) -> Tensor:
        if audio.size == 0:
            raise InputError("there is no sound to tag: not one sample")
        if sample_rate_hz != RATE_HZ:
            import soxr  # noqa: PLC0415 — seldom needed

            audio = soxr.resample(audio, sample_rate_hz, RATE_HZ)
        return torch.from_numpy(patches(log_mel(audio), hop_frames))

    def _features(self, spectrograms: Tensor) -> Tensor:
        """Map patches ``(N, 187, 96)`` to features ``(N, 187, 753)``: front end, then three residual convolutions."""
        x = self._norm(spectrograms[..., None], 0)[..., 0][:, None]
        front = [self._front(functional.pad(x, (0, 0, 3, 3)), name, i) for i, name in enumerate(_TIMBRAL, start=1)]
        for i, name in enumerate(_TEMPORAL, start=3):
            before = (self._kernels[name].shape[2] - 1) // 2
            after = self._kernels[name].shape[2] - 1 - before
            front.append(self._front(functional.pad(x, (0, 0, before, after)), name, i))
        dense = torch.cat(front, dim=2)
        first = self._middle(dense, "conv2d_5", 6)
        second = self._middle(first, "conv2d_6", 7) + first
        third = self._middle(second, "conv2d_7", 8) + second
        return torch.cat([dense, first, second, third], dim=2)

    def _front(self, x: Tensor, name: str, norm: int) -> Tensor:
        """Convolve, apply ReLU and batch normalisation, and keep each filter's maximum over mel: ``(N, T, filters)``.

        Normalisation is monotonic, falling where its scale is negative, so the maximum is taken before it: of the
        convolution, or of its negative. That saves a pass over all bands.
        """
        sign = torch.where(self._weights[f"batch_normalization_{norm}.gamma"] < 0, -1.0, 1.0)
        largest = functional.conv2d(x, self._kernels[name] * sign[:, None, None, None]).amax(dim=3).transpose(1, 2)
        return self._norm(functional.relu(largest * sign + self._weights[f"{name}.bias"]), norm)

    def _middle(self, x: Tensor, name: str, norm: int) -> Tensor:
        """Convolve over seven frames and all features: ``(N, T, F)`` → ``(N, T, 64)``."""
        padded = functional.pad(x, (0, 0, 3, 3))[:, None]
        convolved = functional.conv2d(padded, self._kernels[name])[..., 0].transpose(1, 2)
        return self._norm(functional.relu(convolved + self._weights[f"{name}.bias"]), norm)

    def _classify(self, features: Tensor) -> Tensor:
        """Pool features ``(N, T, 753)`` over time and return the probabilities of the tags ``(N, 50)``."""
        pooled = torch.stack([features.amax(dim=1), features.mean(dim=1)], dim=2).flatten(1)
        hidden = self._norm(pooled, 9) @ self._weights["dense.kernel"] + self._weights["dense.bias"]
        logits = (
            self._norm(functional.relu(hidden), 10) @ self._weights["dense_1.kernel"] + self._weights["dense_1.bias"]
        )
        return torch.sigmoid(logits)

    def _norm(self, x: Tensor, index: int) -> Tensor:
        prefix = f"batch_normalization_{index}." if index else "batch_normalization."
        gamma, beta, mean, variance = (
            self._weights[prefix + part] for part in ("gamma", "beta", "moving_mean", "moving_variance")
        )
        scale = gamma / torch.sqrt(variance + _EPSILON)
        return x * scale + (beta - mean * scale)


@lru_cache(maxsize=2)
def load_tagger(name: Literal["msd", "mtt"]) -> Musicnn:
    """Load bundled weights once per process; see :meth:`Musicnn.load`."""
    return Musicnn.load(name)


def _numpy(tensor: Tensor) -> npt.NDArray[np.float32]:
    array: npt.NDArray[np.float32] = tensor.numpy()
    return array


def ranked_tags(audio: npt.NDArray[np.float32], sample_rate_hz: int) -> tuple[tuple[str, float], ...]:
    """Return the labels of both taggers that stand out in a clip, with their scores, highest first.

    The score of a label is its mean probability divided by what is usual for it, so that frequent labels are not first
    everywhere; 1 is usual. Both are raised by a small constant, and improbable labels are left out, so that rare labels
    do not win by noise.

    Args:
        audio: mono ``(n,)``, full scale 1; 30 s are usual.
        sample_rate_hz: its rate.
    """
    usual: dict[str, dict[str, float]] = json.loads((_BUNDLE / "usual.json").read_text(encoding="utf-8"))
    scores: dict[str, float] = {}
    for name in ("msd", "mtt"):
        tagger = load_tagger(name)
        for label, probability in zip(tagger.labels, tagger.tags(audio, sample_rate_hz).mean(axis=0), strict=True):
            if probability >= _LEAST_PROBABILITY:
                score = (float(probability) + _RAISED) / (usual[name][label] + _RAISED)
                scores[label] = max(scores.get(label, 0.0), round(score, 2))
    return tuple(sorted(scores.items(), key=lambda pair: (-pair[1], pair[0])))
