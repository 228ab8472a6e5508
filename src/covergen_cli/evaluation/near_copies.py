"""Finds the training cover nearest to each drawn cover, by perceptual hash and by latent, and counts near-copies.

The same is done for the true covers of the test songs, which the model was not trained on. They show how similar
covers are by chance.
"""

from __future__ import annotations

from collections.abc import Generator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from covergen_cli.evaluation.covers import load_picture, perceptual_hash
from covergen_cli.events import Progress
from covergen_cli.training.latent_cache import load_cover

if TYPE_CHECKING:
    import numpy.typing as npt
    from torch import Tensor

    from covergen_cli.models.base import Base
    from covergen_cli.training.latent_cache import Latents

    Hashes = npt.NDArray[np.bool_]

HASH_COPY = 10
"""Maximum number of differing bits, of 64, between the perceptual hashes of near-copies."""

LATENT_COPY = 0.5
"""Root mean square difference below which the latents are those of near-copies; unrelated ones are about 1.3 apart.

A near-copy meets both bounds with the same training cover. The starter's autoencoder alone changes up to 8 bits of a
cover's hash and its latent by 0.23; two soft gradients of one colour have similar latents, but their hashes differ in
12 bits or more."""

_ENCODE_BATCH = 8
_CHUNK = 256


@dataclass(frozen=True)
class NearestCovers:
    """The training covers nearest to each of ``N`` pictures.

    All arrays are ``(N,)``: ``by_hash`` and ``by_latent`` are indices of the nearest training covers, ``bits`` the
    differing bits of their hashes, 0 to 64, and ``distances`` the root mean square differences of their latents.
    ``copies`` says whether the picture is a near-copy of any training cover.
    """

    by_hash: npt.NDArray[np.int64]
    bits: npt.NDArray[np.int64]
    by_latent: npt.NDArray[np.int64]
    distances: npt.NDArray[np.float64]
    copies: npt.NDArray[np.bool_]

    def select(self, rows: Sequence[int]) -> NearestCovers:
        """Return the entries of some of the pictures."""
        return NearestCovers(*(getattr(self, field.name)[rows] for field in fields(self)))


def encode_covers(base: Base, paths: Sequence[Path]) -> Tensor:
    """Return the latents of pictures, encoded as for training: float32 ``(N, C, h, w)`` on the CPU."""
    encoded = []
    for start in range(0, len(paths), _ENCODE_BATCH):
        batch = torch.stack([load_cover(path, base.native_size) for path in paths[start : start + _ENCODE_BATCH]])
        with torch.inference_mode():
            encoded.append(base.encode(batch).float().cpu())
    return torch.cat(encoded)


def hash_covers(paths: Sequence[Path]) -> Generator[Progress, None, Hashes]:
    """Return the hashes of pictures, bool ``(N, 64)``; see :func:`~covergen_cli.evaluation.covers.perceptual_hash`.

    Raises:
        InputError: a picture cannot be read.
    """
    hashes = []
    with ThreadPoolExecutor() as threads:
        for done, found in enumerate(threads.map(_hash, paths), start=1):
            hashes.append(found)
            if done % 50 == 0 or done == len(paths):
                yield Progress("hashing training covers", done, len(paths))
    return np.stack(hashes)


def _hash(path: Path) -> Hashes:
    return perceptual_hash(load_picture(path))


def find_nearest(hashes: Hashes, latents: Tensor, train_hashes: Hashes, train_latents: Latents) -> NearestCovers:
    """Find the training covers nearest to each picture.

    Args:
        hashes: hashes of the pictures, ``(N, 64)``.
        latents: latents of the pictures, ``(N, C, h, w)``.
        train_hashes: hashes of the training covers, ``(M, 64)``.
        train_latents: their latents, in the same order; only a part of them is in memory at a time.
    """
    signs, train_signs = (np.where(part, np.float32(1), np.float32(-1)) for part in (hashes, train_hashes))
    bits = np.rint((signs.shape[1] - signs @ train_signs.T) / 2).astype(np.int64)
    flat = latents.flatten(1)
    distances = []
    for start in range(0, len(train_latents), _CHUNK):
        part = train_latents.mean(range(start, min(start + _CHUNK, len(train_latents)))).flatten(1)
        distances.append(torch.cdist(flat, part) / flat.shape[1] ** 0.5)
    apart = torch.cat(distances, dim=1).double().numpy()
    copies = ((bits <= HASH_COPY) & (apart < LATENT_COPY)).any(axis=1)
    return NearestCovers(bits.argmin(axis=1), bits.min(axis=1), apart.argmin(axis=1), apart.min(axis=1), copies)


def summarise_near_copies(
    drawn: NearestCovers, control: NearestCovers, compared: int, train_covers: int
) -> dict[str, Any]:
    """Return the figures for ``metrics.json``.

    Args:
        drawn: of the drawn covers.
        control: of the true covers of the same songs.
        compared: number of training covers that were compared.
        train_covers: number of training covers in the dataset.
    """

    def summary(near: NearestCovers) -> dict[str, float]:
        return {
            "near_copies": int(near.copies.sum()),
            "median_bits": float(np.median(near.bits)),
            "least_bits": int(near.bits.min()),
            "median_latent": float(np.median(near.distances)),
            "least_latent": float(near.distances.min()),
        }

    return {"compared": compared, "train_covers": train_covers, "covers": summary(drawn), "true": summary(control)}
