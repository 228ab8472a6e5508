"""Band-limited interpolation with the filter of OpenL3's authors, so that the top octave sounds as it did to them.

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
    """Resample mono samples.

    Args:
        samples: float32 ``(n,)``.
        from_hz: their rate.
        to_hz: the rate that is wanted.

    Returns:
        float32 ``(floor(n · to_hz / from_hz),)``; the first sample stays where it was.
    """
    shared = gcd(from_hz, to_hz)
    taps, delay = _filter(to_hz // shared, from_hz // shared)
    filtered = upfirdn(taps, samples.astype(np.float64), to_hz // shared, from_hz // shared)
    resampled: npt.NDArray[np.float32] = filtered[delay : delay + samples.size * to_hz // from_hz].astype(np.float32)
    return resampled


@lru_cache(maxsize=4)
def _filter(up: int, down: int) -> tuple[npt.NDArray[np.float64], int]:
    """Taps at ``up`` times the input's rate, and by how many samples of the output they delay it."""
    scale = min(1.0, up / down)
    reach = ceil(ZERO_CROSSINGS * up / scale)
    times = np.arange(-reach, reach + 1) / up * scale
    taps = scale * ROLLOFF * np.sinc(ROLLOFF * times) * np.kaiser(times.size, BETA)
    # Zeros in front make the delay a whole number of output samples.
    return np.concatenate([np.zeros(-reach % down), taps]), ceil(reach / down)
