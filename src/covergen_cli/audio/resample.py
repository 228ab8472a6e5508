"""Resample with the filter that OpenL3 was trained with, so that the top octave has the same level.

The filter is a sinc under a Kaiser window (Smith, "Digital Audio Resampling", 2002) with 64 zero crossings: resampy's
``kaiser_best``.
"""

from __future__ import annotations

from functools import lru_cache
from math import ceil, gcd
from typing import TYPE_CHECKING

import numpy as np
from scipy.signal import upfirdn

if TYPE_CHECKING:
    import numpy.typing as npt

ZERO_CROSSINGS = 64
ROLLOFF = 0.9475937167399596
BETA = 14.769656459379492


def resample(samples: npt.NDArray[np.float32], from_hz: int, to_hz: int) -> npt.NDArray[np.float32]:
    """Resample mono float32 ``(n,)`` to ``(floor(n · to_hz / from_hz),)``; the first sample keeps its position."""
    shared = gcd(from_hz, to_hz)
    taps, delay = _filter(to_hz // shared, from_hz // shared)
    filtered = upfirdn(taps, samples.astype(np.float64), to_hz // shared, from_hz // shared)
    resampled: npt.NDArray[np.float32] = filtered[delay : delay + samples.size * to_hz // from_hz].astype(np.float32)
    return resampled


@lru_cache(maxsize=4)
def _filter(up: int, down: int) -> tuple[npt.NDArray[np.float64], int]:
    """Return taps at ``up`` times the input's rate, and the delay in output samples that they cause."""
    scale = min(1.0, up / down)
    reach = ceil(ZERO_CROSSINGS * up / scale)
    times = np.arange(-reach, reach + 1) / up * scale
    taps = scale * ROLLOFF * np.sinc(ROLLOFF * times) * np.kaiser(times.size, BETA)
    # Zeros in front make the delay a whole number of output samples.
    return np.concatenate([np.zeros(-reach % down), taps]), ceil(reach / down)
