"""Read the pairs of cover and embedding for training, and the encoder that made the embeddings.

::

    DATA/pairs.csv                    id,image_path,embedding_path             every pair
    DATA/splits/{train,val,test}.csv  the same columns, perhaps also weight      the pairs of one part

Paths are relative to DATA and follow the rules of :mod:`covergen_cli.dataset.layout`. A table with a row that breaks
them is refused: unlike a manifest, it was written by a command that had checked every row.
"""

from __future__ import annotations

import math
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, get_args

from covergen_cli.audio.embedding_file import embedding_fault
from covergen_cli.dataset.layout import ID_PATTERN, PAIRS, locate
from covergen_cli.dataset.tables import read_numbered_rows
from covergen_cli.errors import InputError
from covergen_cli.files import read_json, sha256_file

Split = Literal["train", "val", "test"]
SPLITS: tuple[Split, ...] = get_args(Split)
"""The parts of a dataset."""

ENCODER_JSON = "encoder.json"
SPLIT_JSON = "split.json"
_COLUMNS = ("id", "image_path", "embedding_path")


@dataclass(frozen=True)
class Pair:
    """One piece of music and its cover.

    Args:
        id: id of the pair.
        image: the cover.
        embedding: the embedding of the music, a ``.npy`` file.
        weight: relative weight in training.
    """

    id: str
    image: Path
    embedding: Path
    weight: float = 1.0


def read_pairs(folder: str | os.PathLike[str], split: Split | None = None) -> list[Pair]:
    """Read the pairs of one part of a dataset folder.

    Args:
        folder: the dataset folder.
        split: which part; ``None`` for all pairs, from ``pairs.csv``.

    Returns:
        at least one pair, in the order of the table. Their files are not looked at; see :func:`check_files`.

    Raises:
        InputError: the table is missing or empty, lacks a column, or has a row that cannot be used; or the splits were
            made from other pairs.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise InputError(f"{folder} is not a folder", hint="Name a dataset folder.")
    path = folder / PAIRS if split is None else folder / "splits" / f"{split}.csv"
    if not path.is_file():
        command = "embed" if split is None else "split"
        raise InputError(f"{path} is missing", hint=f"Run covergen {command} {folder} first.")
    if split is not None:
        _check_split_is_current(folder)
    pairs: dict[str, Pair] = {}
    root = folder.resolve()
    for number, row in read_numbered_rows(path, _COLUMNS):
        pair = _pair(row, folder, root, f"{path}, line {number}")
        if pair.id in pairs:
            raise InputError(f"{path} has the id {pair.id} twice", hint="Write it again with covergen split.")
        pairs[pair.id] = pair
    if not pairs:
        raise InputError(f"{path} is empty", hint="More pairs, or other --ratios of covergen split, are needed.")
    return list(pairs.values())


def _check_split_is_current(folder: Path) -> None:
    """Raise :class:`InputError` if ``splits/`` was made from another ``pairs.csv`` than the folder has now."""
    try:
        made_from = read_json(folder / "splits" / SPLIT_JSON)["pairs_sha256"]
        now = sha256_file(folder / PAIRS)
    except (OSError, ValueError, KeyError, TypeError):
        return  # splits that other programs wrote do not say
    if made_from != now:
        raise InputError(
            f"{folder / PAIRS} has changed since {folder / 'splits'} was made",
            hint=f"Run covergen split {folder} again.",
        )


def _pair(row: Mapping[str, str], folder: Path, root: Path, where: str) -> Pair:
    id_, image, embedding = (row[column] for column in _COLUMNS)
    image_file, image_fault = locate(image, "image_path", folder, root)
    embedding_file, embedding_fault_ = locate(embedding, "embedding_path", folder, root)
    fault = image_fault or embedding_fault_
    if not ID_PATTERN.fullmatch(id_):
        fault = f"the id {id_!r} is not 1 to 64 letters, digits, - and _"
    weight = _weight(row.get("weight", ""))
    if weight is None:
        fault = fault or f"the weight {row['weight']!r} is not a number above 0"
    if fault or image_file is None or embedding_file is None or weight is None:
        raise InputError(f"{where}: {fault}", hint="Write it again with covergen embed and covergen split.")
    return Pair(id_, image_file, embedding_file, weight)


def _weight(text: str) -> float | None:
    try:
        weight = float(text or 1)
    except ValueError:
        return None
    return weight if math.isfinite(weight) and weight > 0 else None


def check_files(pairs: Sequence[Pair], embedding_dim: int) -> None:
    """Check that every cover exists and every embedding is complete, by names, headers and sizes.

    Args:
        pairs: the pairs.
        embedding_dim: width of their embeddings.

    Raises:
        InputError: some are not; the message names the first and how many there are.
    """
    faults = [fault for pair in pairs if (fault := _fault(pair, embedding_dim))]
    if faults:
        more = f" (and {len(faults) - 1} more like it)" if len(faults) > 1 else ""
        raise InputError(faults[0] + more, hint="Run covergen embed and covergen split again.")


def _fault(pair: Pair, embedding_dim: int) -> str | None:
    if not pair.image.is_file():
        return f"the cover {pair.image} is missing"
    fault = embedding_fault(pair.embedding, embedding_dim)
    return f"the embedding {pair.embedding} is {fault}" if fault else None


def encoder_spec_of(pairs: Sequence[Pair]) -> dict[str, Any]:
    """Return the ``encoder.json`` of the folder that holds the embeddings of ``pairs`` (at least one).

    Its ``embedding_dim`` is the width of the embeddings, at least 1.

    Raises:
        InputError: they are in several folders, or ``encoder.json`` cannot be read.
    """
    folders = sorted({pair.embedding.parent for pair in pairs})
    if len(folders) > 1:
        raise InputError(
            f"the embeddings are from several encoders: some are in {folders[0]}, some in {folders[1]}",
            hint="Run covergen embed with one encoder, then covergen split.",
        )
    path = folders[0] / ENCODER_JSON
    try:
        spec = read_json(path)
    except (OSError, ValueError) as error:
        raise InputError(
            f"the encoder of the embeddings in {folders[0]} is unknown: {path.name} cannot be read ({error})",
            hint="Make them with covergen embed.",
        ) from error
    width = spec.get("embedding_dim") if isinstance(spec, dict) else None
    if not isinstance(spec, dict) or not isinstance(spec.get("name"), str) or not isinstance(width, int) or width < 1:
        raise InputError(f"{path} is damaged", hint="Delete its folder and run covergen embed again.")
    return spec
