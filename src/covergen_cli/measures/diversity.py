"""Measure how different images are, as distances between small OKLab versions of them."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from covergen_cli.measures.colour import Array, srgb_to_oklab

THUMBNAIL_SIDE = 32

NEAR_COPY = 0.04
"""Images closer than this count as near copies: twice the just noticeable difference of two colours (0.02 in OKLab,
CSS Color 4), in the mean over the image."""


def thumbnail(image: npt.NDArray[np.uint8]) -> Array:
    """Reduce a square sRGB image ``(H, H, 3)``, H at least 32, to OKLab float32 ``(32, 32, 3)``."""
    edges = np.linspace(0, image.shape[0], THUMBNAIL_SIDE + 1).round().astype(int)
    lab = srgb_to_oklab(image)
    rows = np.add.reduceat(lab, edges[:-1], axis=0) / np.diff(edges)[:, None, None]
    small: Array = (np.add.reduceat(rows, edges[:-1], axis=1) / np.diff(edges)[None, :, None]).astype(np.float32)
    return small


def distance(a: Array, b: Array) -> float:
    """Return the mean colour difference (Euclidean, OKLab) of two thumbnails."""
    return float(np.linalg.norm(a - b, axis=-1).mean())


def distances_between(thumbnails: Array) -> npt.NDArray[np.float64]:
    """Return the distances ``(N · (N − 1) / 2,)`` of all pairs of thumbnails ``(N, 32, 32, 3)``."""
    found = [np.linalg.norm(thumbnails[i + 1 :] - one, axis=-1).mean(axis=(1, 2)) for i, one in enumerate(thumbnails)]
    return np.concatenate(found).astype(np.float64) if found else np.zeros(0)


def spread_of(thumbnails: Array) -> dict[str, float]:
    """Summarise the distances of thumbnails ``(N, 32, 32, 3)`` of different songs.

    Returns:
        ``between_songs`` (mean distance), ``smallest`` (distance), ``pairs`` and ``near_copies`` (numbers of pairs).
    """
    between = distances_between(thumbnails)
    return {
        "between_songs": float(between.mean()) if len(between) else 0.0,
        "smallest": float(between.min()) if len(between) else 0.0,
        "pairs": len(between),
        "near_copies": int((between < NEAR_COPY).sum()),
    }
