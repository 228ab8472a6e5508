"""The latent cache: each cover is encoded by the autoencoder once, for all epochs, runs and reports.

``DATA/latents/BASE/`` holds mean and standard deviation of each cover's scaled latent as float16, see
:mod:`covergen_cli.training.array_cache`; ``BASE`` is the base's name and the start of its fingerprint, and the
precision of its autoencoder if that is not float32, so that no run reads what another one encoded less exactly. The key
of a cover is the SHA-256 of its file, so a replaced cover is encoded again and a shared one is encoded once. Until all
are encoded, the results lie in ``building/``, from which an interrupted run continues.
"""

from __future__ import annotations

import contextlib
import math
import re
import shutil
from collections.abc import Generator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
from PIL import Image, ImageOps

from covergen_cli.errors import InputError, OutputError
from covergen_cli.events import Progress
from covergen_cli.files import atomic_path, require_space, sha256_bytes, sha256_file
from covergen_cli.training.array_cache import ArrayCache, CachedArrays
from covergen_cli.weights.memory import in_batches

if TYPE_CHECKING:
    import numpy.typing as npt
    from torch import Tensor

    from covergen_cli.dataset.pairs import Pair
    from covergen_cli.events import Event
    from covergen_cli.models.base import Base

_PIECE = 64
_ENCODE_BATCH = 8
_FORMATS = ("JPEG", "PNG", "WEBP")


class Latents(CachedArrays):
    """The latents of pairs' covers.

    Each is float16 ``(1, 2, C, h, w)``, mean and standard deviation; or ``(1, 1, C, h, w)`` where the autoencoder gives
    one latent per image.
    """

    @property
    def shape(self) -> tuple[int, int, int]:
        """``(C, h, w)`` of one latent."""
        channels, height, width = self.arrays[self.keys[0]].shape[2:]
        return channels, height, width

    @property
    def random(self) -> bool:
        """Whether a latent is drawn from a distribution each time rather than being always the same."""
        return bool(self.arrays[self.keys[0]].shape[1] == 2)

    def mean(self, indices: Sequence[int]) -> Tensor:
        """Return the means, float32 ``(B, C, h, w)``."""
        return torch.from_numpy(np.stack([self.arrays[self.keys[index]][0, 0] for index in indices])).float()

    def sample(self, indices: Sequence[int], noise: Tensor) -> Tensor:
        """Return mean + standard deviation · noise, float32 ``(B, C, h, w)``; ``noise`` has the same shape."""
        if not self.random:
            return self.mean(indices)
        both = torch.from_numpy(np.stack([self.arrays[self.keys[index]][0] for index in indices])).float()
        return both[:, 0] + both[:, 1] * noise


def latent_folder(data: Path, base: Base) -> Path:
    """Return the folder in a dataset folder that holds the latents of a base."""
    name = re.sub(r"[^A-Za-z0-9_-]+", "-", Path(base.reference).name).strip("-")[:40] or "base"
    precision = "" if base.vae.dtype == torch.float32 else f"-{str(base.vae.dtype).removeprefix('torch.')}"
    return data / "latents" / f"{name}-{base.fingerprint[:12]}{precision}"


def prepare_latents(data: Path, base: Base, pairs: Sequence[Pair]) -> Generator[Event, None, Latents]:
    """Encode the covers that are not in the cache yet, and return the latents of all.

    Args:
        data: the dataset folder.
        base: the frozen image model; its autoencoder computes on its own device, in its own precision.
        pairs: the pairs whose covers are encoded.

    Yields:
        ``Progress`` of the tasks ``reading covers`` and ``encoding covers``.

    Raises:
        InputError: a cover is missing, or is not a JPEG, PNG or WebP image.
        OutputError: the cache cannot be written to.
    """
    metadata = {"base": base.fingerprint, "size": base.native_size, "shape": list(base.latent_shape)}
    cache = ArrayCache(latent_folder(data, base), metadata)
    keys = yield from _hash_covers(pairs)
    missing = {key: pair.image for key, pair in zip(keys, pairs, strict=True) if key not in cache}
    if missing:
        # Two float16 values per element, and twice on the disk: in pieces and packed.
        size = len(missing) * math.prod(base.latent_shape) * 8
        require_space(cache.folder, size, f"the latents of {len(missing)} covers")
        pieces = yield from _encode_pieces(cache.folder / "building", base, missing)
        with contextlib.suppress(FileNotFoundError):  # another run packed the same pieces first
            arrays = [np.load(piece, mmap_mode="r", allow_pickle=False) for piece in pieces]
            each = (row[None] for array in arrays for row in array)
            cache.add("latents", dict.fromkeys(missing, 1), each, arrays[0].shape[1:], "<f2")
        shutil.rmtree(cache.folder / "building", ignore_errors=True)
        if not all(key in cache for key in keys):
            cache = ArrayCache(cache.folder, metadata)
        if not all(key in cache for key in keys):
            raise OutputError(f"{cache.folder} was changed by another run", hint="Run the same command again.")
    return Latents(cache, keys)


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
    """Encode the covers into files of ``_PIECE`` latents each; those that an earlier run wrote are reused."""
    keys = list(missing)
    pieces = []
    yield Progress("encoding covers", 0, len(keys))
    for start in range(0, len(keys), _PIECE):
        chunk = keys[start : start + _PIECE]
        piece = building / f"{sha256_bytes(chr(10).join([base.fingerprint, *chunk]).encode())[:32]}.npy"
        if not piece.is_file():
            encoded = _encode(base, [missing[key] for key in chunk])
            try:
                with atomic_path(piece) as temporary:
                    np.save(temporary, encoded, allow_pickle=False)
            except OSError as error:
                raise OutputError(f"cannot write {piece}: {error.strerror or error}") from error
        pieces.append(piece)
        yield Progress("encoding covers", start + len(chunk), len(keys))
    return pieces


def _encode(base: Base, covers: Sequence[Path]) -> npt.NDArray[np.float16]:
    """Return the encoded covers, float16 ``(N, 2 or 1, C, h, w)``."""
    with ThreadPoolExecutor() as threads:
        pictures = list(threads.map(lambda path: load_cover(path, base.native_size), covers))

    def encode(batch: Sequence[Tensor]) -> npt.NDArray[np.float32]:
        with torch.inference_mode():
            mean, spread = base.posterior(torch.stack(tuple(batch)))
        both = [mean] if spread is None else [mean, spread]
        return torch.stack(both, dim=1).float().cpu().numpy()

    encoded = in_batches(encode, pictures, _ENCODE_BATCH, hint="Encode the covers with --device cpu.")
    return np.concatenate(list(encoded)).astype(np.float16)


def load_cover(path: Path, size: int) -> Tensor:
    """Return a cover, cropped to a centred square and resized: float32 ``(3, size, size)`` in [-1, 1].

    Raises:
        InputError: the file is missing, damaged, too large, or not a JPEG, PNG or WebP image.
    """
    try:
        with Image.open(path, formats=_FORMATS) as opened:
            if opened.width * opened.height > (Image.MAX_IMAGE_PIXELS or 0):
                raise InputError(f"the cover {path} has {opened.width} × {opened.height} pixels, which is too many")
            picture = ImageOps.exif_transpose(opened).convert("RGB")
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
        hint = "Covers are JPEG, PNG or WebP files."
        raise InputError(f"the cover {path} cannot be read: {error}", hint=hint) from error
    side = min(picture.size)
    left, top = (picture.width - side) // 2, (picture.height - side) // 2
    picture = picture.crop((left, top, left + side, top + side)).resize((size, size), Image.Resampling.LANCZOS)
    return torch.from_numpy(np.array(picture)).permute(2, 0, 1).float() / 127.5 - 1
