"""Does a cover repeat one that was trained on? The nearest training cover of each, by hash and by latent.

The same is done for the true covers of the test songs, which the model never saw: as near as these come to training
covers, likeness is no sign of memory.
"""

from __future__ import annotations

from collections.abc import Generator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from covergen_cli.evaluation.covers import look, perceptual_hash
from covergen_cli.events import Progress
from covergen_cli.training.latent_cache import load_cover

if TYPE_CHECKING:
    import numpy.typing as npt
    from torch import Tensor

    from covergen_cli.models.base import Base
    from covergen_cli.training.latent_cache import Latents

    Hashes = npt.NDArray[np.bool_]

HASH_COPY = 10
"""Most differing bits, of the 64 of a perceptual hash, between copies."""

LATENT_COPY = 0.5
"""Least root mean square difference of latents that are no copies; unrelated ones are about 1.3 apart.

A near-copy keeps both bounds with the same training cover. Going through the starter's autoencoder, a cover comes back
with up to 8 bits and 0.23 changed; two soft gradients of one colour have near latents, but hashes 12 bits and more
apart."""

_ENCODE_BATCH = 8
_CHUNK = 256


@dataclass(frozen=True)
class Nearest:
    """The nearest training cover of each of ``N`` pictures, in two ways.

    Args:
        by_hash: places in the list of training covers, ``(N,)``.
        bits: differing bits, 0 to 64.
        by_latent: places, ``(N,)``.
        distances: root mean square difference of latents.
        copies: bool ``(N,)``, whether the picture is a near-copy of some training cover.
    """

    by_hash: npt.NDArray[np.int64]
    bits: npt.NDArray[np.int64]
    by_latent: npt.NDArray[np.int64]
    distances: npt.NDArray[np.float64]
    copies: npt.NDArray[np.bool_]

    def some(self, rows: Sequence[int]) -> Nearest:
        """Those of the pictures in some places."""
        return Nearest(*(getattr(self, field.name)[rows] for field in fields(self)))


def encode_covers(base: Base, paths: Sequence[Path]) -> Tensor:
    """Encode pictures as training encodes covers: float32 ``(N, C, h, w)`` on the CPU."""
    encoded = []
    for start in range(0, len(paths), _ENCODE_BATCH):
        batch = torch.stack([load_cover(path, base.native_size) for path in paths[start : start + _ENCODE_BATCH]])
        with torch.inference_mode():
            encoded.append(base.encode(batch).float().cpu())
    return torch.cat(encoded)


def hash_covers(paths: Sequence[Path]) -> Generator[Progress, None, Hashes]:
    """Hash pictures: bool ``(N, 64)``; see :func:`perceptual_hash`.

    Raises:
        InputError: one cannot be read.
    """
    hashes = []
    with ThreadPoolExecutor() as threads:
        for done, found in enumerate(threads.map(_hash, paths), start=1):
            hashes.append(found)
            if done % 50 == 0 or done == len(paths):
                yield Progress("hashing training covers", done, len(paths))
    return np.stack(hashes)


def _hash(path: Path) -> Hashes:
    return perceptual_hash(look(path))


def nearest(hashes: Hashes, latents: Tensor, train_hashes: Hashes, train_latents: Latents) -> Nearest:
    """Find the nearest training cover of each picture.

    Args:
        hashes: of the pictures, ``(N, 64)``.
        latents: of the pictures, ``(N, C, h, w)``.
        train_hashes: of the training covers.
        train_latents: of the training covers, in the same order; only a part of them is held in memory at a time.
    """
    signs, train_signs = (np.where(part, np.float32(1), np.float32(-1)) for part in (hashes, train_hashes))
    bits = np.rint((signs.shape[1] - signs @ train_signs.T) / 2).astype(np.int64)
    flat = latents.flatten(1)
    distances = []
    for start in range(0, len(train_latents), _CHUNK):
        part = train_latents.mean(range(start, min(start + _CHUNK, len(train_latents)))).flatten(1)
        distances.append(torch.cdist(flat, part) / flat.shape[1] ** 0.5)
    far = torch.cat(distances, dim=1).double().numpy()
    copies = ((bits <= HASH_COPY) & (far < LATENT_COPY)).any(axis=1)
    return Nearest(bits.argmin(axis=1), bits.min(axis=1), far.argmin(axis=1), far.min(axis=1), copies)


def memory_facts(found: Nearest, control: Nearest, compared: int, trained: int) -> dict[str, Any]:
    """Summarise, JSON-able.

    Args:
        found: of the drawn covers.
        control: of the true covers of the same songs.
        compared: training covers that were looked at.
        trained: training covers that there are.
    """

    def facts(near: Nearest) -> dict[str, float]:
        return {
            "near_copies": int(near.copies.sum()),
            "median_bits": float(np.median(near.bits)),
            "least_bits": int(near.bits.min()),
            "median_latent": float(np.median(near.distances)),
            "least_latent": float(near.distances.min()),
        }

    return {"compared": compared, "train_covers": trained, "covers": facts(found), "true": facts(control)}
