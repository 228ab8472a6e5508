"""The audio encoder ``musicnn``: the features from which a network tags genre, mood and era, over time.

The network runs once over the clip. A row is the mean of its 753 features over 3 s, the window of the tags: 408 of
timbre, 153 of rhythm, and three layers of 64 that combine them.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import numpy as np

from covergen_cli.audio.musicnn import BUNDLE, FEATURES, HOP, PATCH_FRAMES, RATE_HZ, Musicnn
from covergen_cli.files import sha256_bytes, sha256_file

if TYPE_CHECKING:
    import numpy.typing as npt

VERSION = 1
"""Raise this whenever any number that reaches an embedding changes."""

_NETWORK = "msd"
_HOP_FRAMES = 47
_BOUND = 5.0


class MusicnnEncoder:
    """Encoder with the bundled network; an :class:`~covergen_cli.audio.encoders.Encoder`.

    Raises:
        ModelError: the bundled weights are missing or damaged.
    """

    name = "musicnn"
    sample_rate_hz = RATE_HZ
    embedding_dim = FEATURES
    resample = None

    def __init__(self) -> None:
        self._network = Musicnn.load(_NETWORK)

    def spec(self) -> dict[str, object]:
        """Return what identifies the embeddings of this encoder; JSON-able."""
        spec: dict[str, object] = {
            "name": self.name,
            "version": VERSION,
            "sample_rate_hz": RATE_HZ,
            "embedding_dim": self.embedding_dim,
            "window_seconds": PATCH_FRAMES * HOP / RATE_HZ,
            "hop_seconds": _HOP_FRAMES * HOP / RATE_HZ,
            "weights": sha256_file(BUNDLE / f"{_NETWORK}.safetensors"),
        }
        return spec | {"hash": sha256_bytes(json.dumps([spec, _BOUND], sort_keys=True).encode())[:16]}

    def embed(self, samples: npt.NDArray[np.float32], sample_rate_hz: int) -> npt.NDArray[np.float32]:
        """Embed mono samples ``(n,)``.

        Returns:
            float32 ``(T, 753)`` in [−5, 5], each column about standard normal over ordinary music; a row per 0.752 s,
            36 rows for 30 s, at least one.

        Raises:
            InputError: there are no samples.
        """
        embedding: npt.NDArray[np.float32] = np.clip(
            self._network.features(samples, sample_rate_hz, _HOP_FRAMES), -_BOUND, _BOUND
        )
        return embedding
