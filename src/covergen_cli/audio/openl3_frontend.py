"""Cut audio into windows of one second and compute the mel spectrograms that OpenL3 embeds.

The constants are those of the published network (Cramer et al., ICASSP 2019, openl3 0.4, front end "kapre"): 48 kHz,
Hann window of 2048 samples, hop 242, padded at the end to 199 frames, Slaney's mel filters over 0 to 24 kHz, level in
dB below the window's maximum, floored at −80.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch.nn import functional

from covergen_cli.audio.resample import resample
from covergen_cli.errors import ConfigError, InputError

if TYPE_CHECKING:
    import numpy.typing as npt
    from torch import Tensor

RATE_HZ = 48_000
WINDOW = 48_000
"""Samples in a window of one second."""

FFT = 2048
HOP = 242
FRAMES = math.ceil(WINDOW / HOP)
FLOOR_DB = -80.0
SMALLEST = 1e-10

_LINEAR_MEL_HZ = 200 / 3
_LOG_FROM_HZ = 1000.0
_LOG_STEP = math.log(6.4) / 27
_MOST_CHANNELS = 64


def to_mono(audio: npt.NDArray[np.floating], sample_rate_hz: int) -> npt.NDArray[np.float32]:
    """Average the channels and resample to 48 kHz.

    Args:
        audio: ``(n,)`` or ``(n, channels)``, full scale 1.
        sample_rate_hz: its rate.

    Returns:
        float32 ``(m,)`` at 48 kHz, m ≥ 1.

    Raises:
        InputError: there are no samples, some are not finite, or the shape or rate is not that of audio.
    """
    audio = np.asarray(audio)
    if sample_rate_hz <= 0:
        raise InputError(f"a sample rate of {sample_rate_hz} Hz makes no sense")
    if audio.size == 0:
        raise InputError("there is no sound to embed: not one sample")
    if audio.ndim not in {1, 2} or (audio.ndim == 2 and audio.shape[1] > _MOST_CHANNELS):
        raise InputError(
            f"sound of shape {audio.shape} cannot be embedded", hint="Give (samples,) or (samples, channels)."
        )
    samples = (audio if audio.ndim == 1 else audio.mean(axis=1)).astype(np.float32)
    if not np.isfinite(samples).all():
        raise InputError("the sound holds samples that are no numbers")
    if sample_rate_hz != RATE_HZ:
        samples = resample(samples, sample_rate_hz, RATE_HZ)
    return samples if samples.size else np.zeros(1, np.float32)


def frame(samples_48k: npt.NDArray[np.float32], hop_seconds: float, center: bool = True) -> npt.NDArray[np.float32]:
    """Cut samples into windows of one second.

    Args:
        samples_48k: mono ``(n,)`` at 48 kHz, n ≥ 1.
        hop_seconds: distance between two windows.
        center: prepend half a second of silence, so that window ``i`` is centred on ``i · hop_seconds``.

    Returns:
        float32 ``(windows, 48000)``, read-only overlapping views of one copy, padded with silence so that every sample
        is in a window.

    Raises:
        ConfigError: the hop is shorter than a sample.
        InputError: there are no samples.
    """
    hop = int(hop_seconds * RATE_HZ) if math.isfinite(hop_seconds) else 0
    if hop < 1:
        raise ConfigError(f"a hop of {hop_seconds} s makes no sense", hint="Give 0.1 for ten windows per second.")
    if samples_48k.size == 0:
        raise InputError("there is no sound to embed: not one sample")
    front = WINDOW // 2 if center else 0
    length = front + samples_48k.size
    windows = 1 + math.ceil(max(0, length - WINDOW) / hop)
    padded = np.zeros((windows - 1) * hop + WINDOW, np.float32)
    padded[front:length] = samples_48k
    views: npt.NDArray[np.float32] = np.lib.stride_tricks.sliding_window_view(padded, WINDOW)[::hop]
    return views


def mel_filters(bands: int, n_fft: int = FFT, sample_rate_hz: int = RATE_HZ) -> npt.NDArray[np.float64]:
    """Return Slaney's mel filters ``(bands, n_fft / 2 + 1)`` up to half the sample rate: triangles of equal area.

    The scale is linear up to 1 kHz and logarithmic above (Slaney, Auditory Toolbox, 1998).
    """
    top_mel = _LOG_FROM_HZ / _LINEAR_MEL_HZ + math.log(sample_rate_hz / 2 / _LOG_FROM_HZ) / _LOG_STEP
    mels = np.linspace(0, top_mel, bands + 2)
    log_from = _LOG_FROM_HZ / _LINEAR_MEL_HZ
    edges = np.where(
        mels < log_from, mels * _LINEAR_MEL_HZ, _LOG_FROM_HZ * np.exp(_LOG_STEP * np.maximum(mels - log_from, 0))
    )
    hertz = np.linspace(0, sample_rate_hz / 2, n_fft // 2 + 1)
    up = (hertz - edges[:-2, None]) / (edges[1:-1] - edges[:-2])[:, None]
    down = (edges[2:, None] - hertz) / (edges[2:] - edges[1:-1])[:, None]
    area = 2 / (edges[2:] - edges[:-2])
    filters: npt.NDArray[np.float64] = np.maximum(np.minimum(up, down), 0) * area[:, None]
    return filters


class LogMel:
    """Computes log-mel spectrograms of windows, in float32.

    Args:
        bands: mel bands, 256 or 128.
        device: where to compute.
    """

    def __init__(self, bands: int, device: torch.device) -> None:
        self.bands = bands
        self._hann = torch.hann_window(FFT, periodic=True, dtype=torch.float64).float().to(device)
        filters = mel_filters(bands).astype(np.float32)
        rows, bins = np.nonzero(filters)
        first = np.searchsorted(rows, np.arange(bands))
        self._bins, self._first, self._weights = (
            torch.from_numpy(array).to(device) for array in (bins, first, filters[rows, bins])
        )

    def __call__(self, windows: Tensor) -> Tensor:
        """Return spectrograms ``(B, bands, 199)`` of windows ``(B, 48000)``: dB below their maximum, in [−80, 0]."""
        padded = functional.pad(windows, (0, (FRAMES - 1) * HOP + FFT - WINDOW))
        spectrum = torch.fft.rfft(padded.unfold(-1, FFT, HOP) * self._hann)
        magnitude = spectrum.abs().permute(2, 0, 1).flatten(1)
        # The weighted sums of a matrix product depend on the number of threads; those of embedding_bag do not.
        mel = functional.embedding_bag(self._bins, magnitude, self._first, mode="sum", per_sample_weights=self._weights)
        mel = mel.reshape(self.bands, *spectrum.shape[:2]).transpose(0, 1)
        level = mel.clamp_min_(SMALLEST).log10_().mul_(10)
        level -= level.amax(dim=(1, 2), keepdim=True)
        return level.clamp_min_(FLOOR_DB)
