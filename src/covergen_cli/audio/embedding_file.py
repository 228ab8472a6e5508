"""Write and check embedding files: float32 ``(T, E)`` in NumPy's format (``.npy``)."""

from __future__ import annotations

import io
import os
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from covergen_cli.files import write_bytes

if TYPE_CHECKING:
    import numpy.typing as npt


def write_embedding(path: str | os.PathLike[str], embedding: npt.NDArray[np.float32]) -> None:
    """Write an embedding atomically.

    Args:
        path: the final file, ending in ``.npy``; an existing one is replaced.
        embedding: ``(T, E)``; stored as little-endian float32 in C order.

    Raises:
        OutputError: the file cannot be written.
    """
    buffer = io.BytesIO()
    np.save(buffer, np.ascontiguousarray(embedding, dtype="<f4"), allow_pickle=False)
    write_bytes(Path(path), buffer.getvalue())


def embedding_fault(path: str | os.PathLike[str], embedding_dim: int) -> str | None:
    """Return what is wrong with an embedding file, by its header and size, without reading the numbers.

    Returns:
        a few words, e.g. ``"missing"``, or ``None`` for a complete float32 ``(T, embedding_dim)``, T ≥ 1.
    """
    path = Path(path)
    try:
        with path.open("rb") as file:
            version = np.lib.format.read_magic(file)
            if version != (1, 0):
                return "not written by this program"
            shape, by_columns, dtype = np.lib.format.read_array_header_1_0(file)
            size = path.stat().st_size - file.tell()
    except FileNotFoundError:
        return "missing"
    except (OSError, ValueError, EOFError):
        return "damaged"
    if dtype != np.dtype("<f4") or len(shape) != 2 or shape[0] < 1 or shape[1] != embedding_dim or by_columns:
        return "of another kind"
    return None if size == 4 * shape[0] * shape[1] else "incomplete"
