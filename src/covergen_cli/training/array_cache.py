"""Many small arrays in a few large files, mapped into memory: read without opening a file per item.

::

    FOLDER/index.json         {"schema": 1, "facts": {…}, "parts": [{"file": …, "keys": […], "rows": […]}, …]}
    FOLDER/NAME-DIGEST.npy    one array; each key owns as many rows of it as the index says, in that order

The index alone says what there is. A part gets its name when it is whole and is named by its keys; then the index is
replaced. Parts are never changed, so whoever has one open keeps reading it.
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

INDEX = "index.json"


@dataclass(frozen=True)
class Packed:
    """What a folder of packed arrays holds.

    Args:
        places: key → the array that holds it, first row, and row after the last.
    """

    places: dict[str, tuple[npt.NDArray[Any], int, int]]

    def __contains__(self, key: str) -> bool:
        return key in self.places

    def __getitem__(self, key: str) -> npt.NDArray[Any]:
        """Return the rows of a key, a view into the mapped file."""
        array, first, end = self.places[key]
        return array[first:end]


def open_packed(folder: Path, facts: Mapping[str, object]) -> Packed:
    """Map a folder's parts into memory.

    Args:
        folder: need not be there.
        facts: JSON-able; what the arrays were made with.

    Returns:
        What is there and was made with these facts; parts that are missing, cut off, or not as the index describes them
        are left out, and so is everything if the index is damaged.
    """
    places: dict[str, tuple[npt.NDArray[Any], int, int]] = {}
    for part in _parts(folder, facts):
        array = _open(folder / part["file"], sum(part["rows"]))
        if array is not None:
            ends = list(itertools.accumulate(part["rows"]))
            starts = [0, *ends[:-1]]
            places |= {key: (array, start, end) for key, start, end in zip(part["keys"], starts, ends, strict=True)}
    return Packed(places)


def _parts(folder: Path, facts: Mapping[str, object]) -> list[dict[str, Any]]:
    try:
        index = read_json(folder / INDEX)
        if index["schema"] != SCHEMA or index["facts"] != facts:
            return []
        return [part for part in index["parts"] if "/" not in part["file"] and len(part["keys"]) == len(part["rows"])]
    except (OSError, ValueError, KeyError, TypeError):
        return []


def _open(path: Path, rows: int) -> npt.NDArray[Any] | None:
    try:
        array = np.load(path, mmap_mode="r", allow_pickle=False)
    except (OSError, ValueError, EOFError):
        return None
    return array if isinstance(array, np.ndarray) and array.ndim > 1 and len(array) == rows else None


def add_part(
    folder: Path,
    name: str,
    facts: Mapping[str, object],
    rows: Mapping[str, int],
    arrays: Iterable[npt.NDArray[Any]],
    row_shape: Sequence[int],
    dtype: npt.DTypeLike,
) -> None:
    """Write one more part and name it in the index; parts made with other facts are given up.

    Args:
        folder: made when missing.
        name: what the part's file is called, before its digest.
        facts: JSON-able; what the arrays were made with.
        rows: key → number of its rows.
        arrays: one per key, in that order, ``(rows, *row_shape)``.
        row_shape: shape of one row.
        dtype: of the file.

    Raises:
        OutputError: the folder cannot be written to.
    """
    digest = sha256_bytes("\n".join([str(dict(facts)), *rows]).encode())[:16]
    path = folder / f"{name}-{digest}.npy"
    with atomic_path(path) as temporary:
        try:
            whole = np.lib.format.open_memmap(
                temporary, mode="w+", dtype=np.dtype(dtype), shape=(sum(rows.values()), *row_shape)
            )
            start = 0
            for count, array in zip(rows.values(), arrays, strict=True):
                whole[start : start + count] = array
                start += count
            whole.flush()
        except OSError as error:
            raise OutputError(f"cannot write {path}: {error.strerror or error}") from error
        del whole
    part = {"file": path.name, "keys": list(rows), "rows": list(rows.values())}
    others = [other for other in _parts(folder, facts) if other["file"] != path.name]
    write_json(folder / INDEX, {"schema": SCHEMA, "facts": dict(facts), "parts": [*others, part]})
    named = {part["file"] for part in [*others, part]}
    for stale in folder.glob("*.npy"):
        # A name that starts with a dot is someone's temporary file.
        if stale.name not in named and not stale.name.startswith("."):
            stale.unlink(missing_ok=True)
