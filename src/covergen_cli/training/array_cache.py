"""A cache of many small arrays in a few large files, memory-mapped, so that reading an item opens no file.

::

    FOLDER/index.json         {"schema": 1, "facts": {…}, "parts": [{"file": …, "keys": […], "rows": […]}, …]}
    FOLDER/NAME-DIGEST.npy    one array; each key owns as many of its rows as the index says, in the same order

``facts`` describes what the arrays were made with. A part is written under a temporary name, renamed when it is
complete, and then added to the index. Parts are never changed, so a process that has one open can keep reading it.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from covergen_cli.errors import OutputError
from covergen_cli.files import SCHEMA, atomic_path, read_json, sha256_bytes, write_json

if TYPE_CHECKING:
    import numpy.typing as npt
    from typing_extensions import Self

INDEX = "index.json"


@dataclass(frozen=True)
class CachedArrays:
    """Arrays of a cache in the order of some pairs: ``keys[i]`` is the key of pair ``i`` in ``arrays``."""

    arrays: Mapping[str, npt.NDArray[Any]]
    keys: list[str]

    def __len__(self) -> int:
        return len(self.keys)

    def __getitem__(self, pairs: slice) -> Self:
        return type(self)(self.arrays, self.keys[pairs])


class ArrayCache(dict[str, "npt.NDArray[Any]"]):
    """The arrays of one folder by key, as views into the mapped files.

    Parts that are missing, truncated or made with other metadata are ignored, and so is all of a damaged index.

    Args:
        folder: need not exist.
        metadata: JSON-able; what the arrays are made with.
    """

    def __init__(self, folder: Path, metadata: Mapping[str, object]) -> None:
        super().__init__()
        self.folder, self.metadata = folder, dict(metadata)
        for part in self._parts():
            self._map(part)

    def add(
        self,
        name: str,
        rows: Mapping[str, int],
        arrays: Iterable[npt.NDArray[Any]],
        row_shape: Sequence[int],
        dtype: npt.DTypeLike,
    ) -> None:
        """Write one more part; delete the parts that were made with other metadata.

        Args:
            name: first part of the file name, before the digest of the keys.
            rows: key → number of rows.
            arrays: one per key, in the same order, ``(rows, *row_shape)``.
            row_shape: shape of one row.
            dtype: of the file.

        Raises:
            OutputError: the folder cannot be written to.
        """
        digest = sha256_bytes("\n".join([str(self.metadata), *rows]).encode())[:16]
        path = self.folder / f"{name}-{digest}.npy"
        with atomic_path(path) as temporary:
            try:
                shape = (sum(rows.values()), *row_shape)
                file = np.lib.format.open_memmap(temporary, mode="w+", dtype=np.dtype(dtype), shape=shape)
                start = 0
                for count, array in zip(rows.values(), arrays, strict=True):
                    file[start : start + count] = array
                    start += count
                file.flush()
            except OSError as error:
                raise OutputError(f"cannot write {path}: {error.strerror or error}") from error
            del file
        part = {"file": path.name, "keys": list(rows), "rows": list(rows.values())}
        parts = [*(other for other in self._parts() if other["file"] != path.name), part]
        write_json(self.folder / INDEX, {"schema": SCHEMA, "facts": self.metadata, "parts": parts})
        for stale in {file.name for file in self.folder.glob("*.npy")} - {part["file"] for part in parts}:
            # Temporary files, perhaps of another process, start with a dot.
            if not stale.startswith("."):
                (self.folder / stale).unlink(missing_ok=True)
        self._map(part)

    def _parts(self) -> list[dict[str, Any]]:
        """Return the index's entries for parts made with this metadata."""
        try:
            index = read_json(self.folder / INDEX)
            if index["schema"] != SCHEMA or index["facts"] != self.metadata:
                return []
            return [
                part for part in index["parts"] if "/" not in part["file"] and len(part["keys"]) == len(part["rows"])
            ]
        except (OSError, ValueError, KeyError, TypeError):
            return []

    def _map(self, part: dict[str, Any]) -> None:
        try:
            array = np.load(self.folder / part["file"], mmap_mode="r", allow_pickle=False)
        except (OSError, ValueError, EOFError):
            return
        ends = list(itertools.accumulate(part["rows"]))
        if isinstance(array, np.ndarray) and array.ndim > 1 and len(array) == sum(part["rows"]):
            rows = zip(part["keys"], [0, *ends], ends, strict=False)
            self.update((key, array[start:end]) for key, start, end in rows)
