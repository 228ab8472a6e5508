"""The embeddings of a list of pairs, packed into a few files beside their own, so that a batch opens none.

``DATA/embeddings/NAME/packed/`` holds float32 rows, see :mod:`covergen_cli.training.array_cache`. The key of an
embedding is its name with the size and modification time of its file, so a file that was written again is packed again.
"""

from __future__ import annotations

from collections.abc import Generator, Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch

from covergen_cli.errors import InputError
from covergen_cli.events import Progress
from covergen_cli.files import require_space
from covergen_cli.training.array_cache import ArrayCache, CachedArrays

if TYPE_CHECKING:
    import numpy.typing as npt
    from torch import Tensor

    from covergen_cli.dataset.pairs import Pair
    from covergen_cli.events import Event

_PART = 2000


class Embeddings(CachedArrays):
    """The embeddings of pairs, each float32 ``(T, E)``."""

    def batch(self, indices: Sequence[int]) -> tuple[Tensor, Tensor]:
        """Return the embeddings of the pairs at ``indices``, padded at the end with zeros.

        Returns:
            float32 ``(B, T, E)`` with the ``T`` of the longest, and int64 ``(B,)``, the real frames of each.
        """
        found = [self.arrays[self.keys[index]] for index in indices]
        padded = np.zeros((len(found), max(map(len, found)), found[0].shape[1]), dtype=np.float32)
        for row, embedding in zip(padded, found, strict=True):
            row[: len(embedding)] = embedding
        return torch.from_numpy(padded), torch.tensor([len(embedding) for embedding in found])


def prepare_embeddings(pairs: Sequence[Pair]) -> Generator[Event, None, Embeddings]:
    """Pack the embeddings that are not packed yet, and return all of them.

    Args:
        pairs: their embeddings lie in one folder; see :func:`covergen_cli.dataset.pairs.encoder_spec_of`.

    Yields:
        ``Progress`` of the task ``packing embeddings``.

    Raises:
        InputError: an embedding cannot be read, or holds numbers that are not finite.
        OutputError: the folder cannot be written to.
    """
    keys = [_key(pair.embedding) for pair in pairs]
    width = _map(pairs[0].embedding).shape[1]
    cache = ArrayCache(pairs[0].embedding.parent / "packed", {"dtype": "float32", "width": width})
    missing = {key: pair.embedding for key, pair in zip(keys, pairs, strict=True) if key not in cache}
    if missing:
        size = sum(path.stat().st_size for path in missing.values())
        require_space(cache.folder, size, f"{len(missing)} packed embeddings")
        yield Progress("packing embeddings", 0, len(missing))
    for start in range(0, len(missing), _PART):
        part = dict(list(missing.items())[start : start + _PART])
        rows = {key: len(_map(path)) for key, path in part.items()}
        cache.add("embeddings", rows, _read(part.values()), (width,), "<f4")
        yield Progress("packing embeddings", start + len(part), len(missing))
    return Embeddings(cache, keys)


def _key(path: Path) -> str:
    try:
        state = path.stat()
    except OSError as error:
        raise _unreadable(path, error.strerror or str(error)) from error
    return f"{path.stem} {state.st_size} {state.st_mtime_ns}"


def _map(path: Path) -> npt.NDArray[np.float32]:
    try:
        array: npt.NDArray[np.float32] = np.load(path, mmap_mode="r", allow_pickle=False)
    except (OSError, ValueError, EOFError) as error:
        raise _unreadable(path, str(error)) from error
    return array


def _read(paths: Iterable[Path]) -> Iterator[npt.NDArray[np.float32]]:
    for path in paths:
        embedding = np.asarray(_map(path))
        if not np.isfinite(embedding).all():
            raise _unreadable(path, "it holds numbers that are not finite")
        yield embedding


def _unreadable(path: Path, reason: str) -> InputError:
    return InputError(f"{path} cannot be used: {reason}", hint="Delete it and run covergen embed again.")
