"""Convolve spectrograms over time and many bands, and keep each filter's maximum over the bands, by Fourier transform.

A kernel of musicnn covers 38 or 67 of 96 bands. In the frequency domain, a filter takes a multiplication per bin and
frame of the kernel; what remains is the inverse transform. Its valid outputs lie symmetrically around a centre ``c``,
where ``y(c ± d) = C(d) ± S(d)`` with a cosine part ``C`` and a sine part ``S``, so the larger of each two is
``C(d) + |S(d)|``, and half the transform is enough.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import torch

if TYPE_CHECKING:
    from torch import Tensor

_CHUNK_FRAMES = 192  # at a time: the spectra of 204 filters stay in the cache of the processor


class MaxConvolution:
    """Convolution without padding, and the maximum over its bands.

    Args:
        kernel: ``(F, 1, frames, width)``.
        bands: bands of the spectrograms, even.
    """

    def __init__(self, kernel: Tensor, bands: int) -> None:
        count = bands - kernel.shape[3] + 1
        bins = torch.arange(bands // 2 + 1, dtype=torch.float64)
        to_centre = torch.exp(1j * math.pi * (count - 1) / bands * bins)
        spectrum = (torch.fft.rfft(kernel[:, 0].double(), n=bands, dim=2).conj() * to_centre).permute(2, 1, 0)
        # Complex products as real matrices: of the real parts, then the imaginary parts, of all frames of the kernel.
        self._to_real = torch.cat([spectrum.real, -spectrum.imag], dim=1).float().contiguous()
        self._to_imaginary = torch.cat([spectrum.imag, spectrum.real], dim=1).float().contiguous()
        distances = torch.arange((count + 1) // 2) + (count + 1) % 2 / 2
        angles = 2 * math.pi / bands * distances[:, None] * bins
        weights = torch.full_like(bins, 2 / bands)
        weights[[0, -1]] = 1 / bands
        self._cosine, self._sine = (angles.cos() * weights).float(), (angles.sin() * weights).float()
        self._frames, self._bands = kernel.shape[2], bands

    def __call__(self, x: Tensor) -> Tensor:
        """Return the maxima ``(N, T, F)`` of spectrograms ``(N, 1, T + frames − 1, bands)``."""
        spectra = torch.view_as_real(torch.fft.rfft(x[:, 0], dim=2))
        windows = spectra.unfold(1, self._frames, 1).permute(0, 2, 1, 3, 4).flatten(3)
        return torch.stack([torch.cat([self._maxima(part) for part in one.split(_CHUNK_FRAMES, 1)]) for one in windows])

    def _maxima(self, windows: Tensor) -> Tensor:
        """Return the maxima ``(T, F)`` of windows ``(bins, T, 2 · frames)``."""
        real, imaginary = (torch.bmm(windows, mixing).flatten(1) for mixing in (self._to_real, self._to_imaginary))
        largest = (self._sine @ imaginary).abs_().add_(self._cosine @ real).amax(dim=0)
        return largest.view(windows.shape[1], -1)
