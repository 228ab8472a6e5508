"""The latent cache: every cover goes through the autoencoder once, for all epochs, runs and reports.

``DATA/latents/BASE/`` holds mean and standard deviation of each cover's scaled latent, float16, as
:mod:`covergen_cli.training.array_cache` stores them; ``BASE`` is the base's name and the start of its fingerprint. The key
of a cover is the SHA-256 of its file: a cover that was replaced is encoded anew, one that two songs share once. While a
part is being made, its pieces lie in ``building/``; a run that was stopped goes on from them.
"""

from __future__ import annotations

import contextlib
import itertools
import math
import re
import shutil
from collections.abc import Generator, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
from PIL import Image, ImageOps

from covergen_cli.errors import InputError, OutputError
from covergen_cli.events import Progress
from covergen_cli.files import atomic_path, require_space, sha256_bytes, sha256_file
from covergen_cli.training.array_cache import Packed, add_part, open_packed

if TYPE_CHECKING:
    import numpy.typing as npt
    from torch import Tensor

    from covergen_cli.dataset.pairs import Pair
    from covergen_cli.events import Event
    from covergen_cli.models.base import Base

_PIECE = 64
_ENCODE_BATCH = 8
_FORMATS = ("JPEG", "PNG", "WEBP")


@dataclass(frozen=True)
class Latents:
    """The latents of pairs' covers, in the order of the pairs.

    Args:
        packed: per key one row, float16 ``(2, C, h, w)``: mean and standard deviation, or ``(1, C, h, w)`` for an
            autoencoder whose latent has no spread.
        keys: one per pair.
    """

    packed: Packed
    keys: list[str]

    def __len__(self) -> int:
        return len(self.keys)

    @property
    def shape(self) -> tuple[int, int, int]:
        """``(C, h, w)`` of one latent."""
        channels, height, width = self.packed[self.keys[0]].shape[2:]
        return channels, height, width

    @property
    def spread(self) -> bool:
        """Whether a latent is drawn anew from its distribution every time, or is always the same."""
        return bool(self.packed[self.keys[0]].shape[1] == 2)

    def mean(self, indices: Sequence[int]) -> Tensor:
        """Return the means, float32 ``(B, C, h, w)``."""
        return torch.from_numpy(np.stack([self.packed[self.keys[index]][0, 0] for index in indices])).float()

    def sample(self, indices: Sequence[int], noise: Tensor) -> Tensor:
        """Draw latents: mean plus standard deviation times noise, float32 ``(B, C, h, w)``; the noise is shaped so."""
        if not self.spread:
            return self.mean(indices)
        both = torch.from_numpy(np.stack([self.packed[self.keys[index]][0] for index in indices])).float()
        return both[:, 0] + both[:, 1] * noise


def latent_folder(data: Path, base: Base) -> Path:
    """Return where a dataset folder keeps the latents of a base."""
    name = re.sub(r"[^A-Za-z0-9_-]+", "-", Path(base.reference).name).strip("-")[:40] or "base"
    return data / "latents" / f"{name}-{base.fingerprint[:12]}"


def prepare_latents(data: Path, base: Base, pairs: Sequence[Pair]) -> Generator[Event, None, Latents]:
    """Encode the covers that are not in the cache yet.

    Args:
        data: the dataset folder.
        base: the frozen image model; its autoencoder computes where and in which precision it is.
        pairs: whose covers.

    Yields:
        ``Progress`` of the tasks ``reading covers`` and ``encoding covers``.

    Raises:
        InputError: a cover is missing or is no JPEG, PNG or WebP picture.
        OutputError: the cache cannot be written to.
    """
    folder = latent_folder(data, base)
    facts: dict[str, object] = {"base": base.fingerprint, "size": base.native_size, "shape": list(base.latent_shape)}
    keys = yield from _hash_covers(pairs)
    packed = open_packed(folder, facts)
    missing = {key: pair.image for key, pair in zip(keys, pairs, strict=True) if key not in packed}
    if missing:
        # Mean and spread, two bytes each; once in pieces and once packed.
        require_space(folder, len(missing) * math.prod(base.latent_shape) * 8, f"the latents of {len(missing)} covers")
        pieces = yield from _encode_pieces(folder / "building", base, missing)
        with contextlib.suppress(FileNotFoundError):  # another run had the same to do, and was faster
            arrays = [np.load(piece, mmap_mode="r", allow_pickle=False) for piece in pieces]
            each = (row[None] for array in arrays for row in array)
            add_part(folder, "latents", facts, dict.fromkeys(missing, 1), each, arrays[0].shape[1:], "<f2")
        shutil.rmtree(folder / "building", ignore_errors=True)
        packed = open_packed(folder, facts)
        if any(key not in packed for key in keys):
            raise OutputError(f"{folder} was changed by another run", hint="Run the same line again.")
    return Latents(packed, keys)


def _hash_covers(pairs: Sequence[Pair]) -> Generator[Event, None, list[str]]:
    keys: list[str] = []
    with ThreadPoolExecutor() as threads:
        for done, key in enumerate(threads.map(_hash, (pair.image for pair in pairs)), start=1):
            keys.append(key)
            if done % 500 == 0 or done == len(pairs):
                yield Progress("reading covers", done, len(pairs))
    return keys


def _hash(path: Path) -> str:
    try:
        return sha256_file(path)
    except OSError as error:
        raise InputError(f"the cover {path} cannot be read: {error.strerror or error}") from error


def _encode_pieces(building: Path, base: Base, missing: dict[str, Path]) -> Generator[Event, None, list[Path]]:
    """Encode so many covers at a time; what an earlier run has encoded of the same list is kept."""
    keys = list(missing)
    pieces = []
    yield Progress("encoding covers", 0, len(keys))
    for start in range(0, len(keys), _PIECE):
        chunk = keys[start : start + _PIECE]
        piece = building / f"{sha256_bytes(chr(10).join([base.fingerprint, *chunk]).encode())[:32]}.npy"
        if not piece.is_file():
            encoded = _encode(base, [missing[key] for key in chunk])
            with atomic_path(piece) as temporary:
                _save(temporary, encoded)
        pieces.append(piece)
        yield Progress("encoding covers", start + len(chunk), len(keys))
    return pieces


def _save(path: Path, array: npt.NDArray[np.float16]) -> None:
    try:
        np.save(path, array, allow_pickle=False)
    except OSError as error:
        raise OutputError(f"cannot write {path}: {error.strerror or error}") from error


def _encode(base: Base, covers: Sequence[Path]) -> npt.NDArray[np.float16]:
    """Encode covers to float16 ``(N, 2 or 1, C, h, w)``."""
    encoded = []
    with ThreadPoolExecutor() as threads:
        pictures: Iterator[Tensor] = threads.map(lambda path: load_cover(path, base.native_size), covers)
        while batch := list(itertools.islice(pictures, _ENCODE_BATCH)):
            with torch.inference_mode():
                mean, spread = base.posterior(torch.stack(batch))
            both = [mean] if spread is None else [mean, spread]
            encoded.append(torch.stack(both, dim=1).float().cpu().numpy())
    return np.concatenate(encoded).astype(np.float16)


def load_cover(path: Path, size: int) -> Tensor:
    """Read a cover as the autoencoder takes it: cut square around its middle, scaled to ``size`` pixels per side.

    Returns:
        float32 ``(3, size, size)`` in [-1, 1].

    Raises:
        InputError: the file is missing, damaged, too large, or no JPEG, PNG or WebP picture.
    """
    try:
        with Image.open(path, formats=_FORMATS) as opened:
            if opened.width * opened.height > (Image.MAX_IMAGE_PIXELS or 0):
                raise InputError(f"the cover {path} has {opened.width} × {opened.height} pixels, which is too many")
            picture = ImageOps.exif_transpose(opened).convert("RGB")
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
        raise InputError(f"the cover {path} cannot be read: {error}", hint="JPEG, PNG and WebP are.") from error
    side = min(picture.size)
    left, top = (picture.width - side) // 2, (picture.height - side) // 2
    picture = picture.crop((left, top, left + side, top + side)).resize((size, size), Image.Resampling.LANCZOS)
    return torch.from_numpy(np.array(picture)).permute(2, 0, 1).float() / 127.5 - 1
