"""Correlate pitch classes with musical keys; used by the descriptors and the ``mel`` encoder."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import numpy.typing as npt

    Array = npt.NDArray[np.float32]

_MAJOR = (6.35, 2.23, 3.48, 2.33, 4.38, 4.09, 2.52, 5.19, 2.39, 3.66, 2.29, 2.88)
_MINOR = (6.33, 2.68, 3.52, 5.38, 2.60, 3.53, 2.54, 4.75, 3.98, 2.69, 3.34, 3.17)
"""Ratings of how well each pitch class fits a key whose tonic is the first (Krumhansl and Kessler 1982)."""


def _standardised(rows: npt.NDArray[np.floating]) -> npt.NDArray[np.floating]:
    centred = rows - rows.mean(axis=-1, keepdims=True)
    scaled: npt.NDArray[np.floating] = centred / np.maximum(np.linalg.norm(centred, axis=-1, keepdims=True), 1e-6)
    return scaled


def key_correlations(chroma: Array) -> Array:
    """Correlate pitch-class energies ``(..., 12)`` with 24 key profiles.

    Returns:
        float32 ``(..., 24)`` in [−1, 1]: C major … B major, C minor … B minor; 0 where all pitch classes are equal.
    """
    profiles = np.array([np.roll(profile, tonic) for profile in (_MAJOR, _MINOR) for tonic in range(12)])
    # Not a matrix product: its rounding depends on the number of threads of BLAS.
    products = _standardised(chroma)[..., None, :] * _standardised(profiles)
    correlations: Array = products.sum(axis=-1).astype(np.float32)
    return correlations


def majorness(correlations: Array) -> Array:
    """Return the best major minus the best minor correlation ``(...)`` of ``(..., 24)``; positive means major."""
    difference: Array = correlations[..., :12].max(axis=-1) - correlations[..., 12:].max(axis=-1)
    return difference
