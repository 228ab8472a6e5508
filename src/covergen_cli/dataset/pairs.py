"""What training reads: pairs of cover and embedding, and what the embeddings were made with.

::

    DATA/pairs.csv                    id,image_path,embedding_path             every pair
    DATA/splits/{train,val,test}.csv  the same columns, and perhaps weight     what belongs to one part

Paths are relative to DATA and are held to the rules of :mod:`covergen_cli.dataset.layout`. A table that breaks them is
refused as a whole: here, unlike in a manifest, every line was written by a command that had checked it.
"""

from __future__ import annotations

import csv
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, get_args

from covergen_cli.audio.embedding_file import embedding_fault
from covergen_cli.dataset.embed import EMBEDDING_DIM
from covergen_cli.dataset.layout import ID_PATTERN, PAIRS, locate
from covergen_cli.errors import InputError
from covergen_cli.files import read_json

Split = Literal["train", "val", "test"]
SPLITS: tuple[Split, ...] = get_args(Split)
"""The parts of a dataset."""

ENCODER_JSON = "encoder.json"
_COLUMNS = ("id", "image_path", "embedding_path")


@dataclass(frozen=True)
class Pair:
    """One piece of music and its cover.

    Args:
        id: names the pair.
        image: the cover.
        embedding: the music's embedding, a ``.npy`` file.
        weight: how much it counts in training; 1 where nothing else is said.
    """

    id: str
    image: Path
    embedding: Path
    weight: float = 1.0


def read_pairs(folder: Path, split: Split | None = None) -> list[Pair]:
    """Read the pairs of one part of a dataset folder.

    Args:
        folder: the dataset folder.
        split: which part; ``None`` for all pairs, from ``pairs.csv``.

    Returns:
        the pairs in the order of the table, at least one. Whether their files are there is not looked at; see
        :func:`check_files`.

    Raises:
        InputError: there is no such table, it is empty, lacks a column, or a line of it cannot be believed.
    """
    if not folder.is_dir():
        raise InputError(f"{folder} is not a folder", hint="Name a dataset folder.")
    path = folder / PAIRS if split is None else folder / "splits" / f"{split}.csv"
    if not path.is_file():
        command = "embed" if split is None else "split"
        raise InputError(f"{path} is missing", hint=f"Run covergen {command} {folder} first.")
    pairs: dict[str, Pair] = {}
    root = folder.resolve()
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            table = csv.DictReader(file)
            if lacking := [column for column in _COLUMNS if column not in (table.fieldnames or ())]:
                raise InputError(f"{path} has no column {', '.join(lacking)}", hint=f"It needs {', '.join(_COLUMNS)}.")
            for line in table:
                pair = _pair(line, folder, root, f"{path}, line {table.line_num}")
                if pair.id in pairs:
                    raise InputError(f"{path} names {pair.id} twice", hint="Write it anew with covergen split.")
                pairs[pair.id] = pair
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise InputError(f"{path} cannot be read: {error}", hint="It has to be CSV in UTF-8.") from error
    if not pairs:
        raise InputError(f"{path} is empty", hint="More pairs, or other --ratios of covergen split, are needed.")
    return list(pairs.values())


def _pair(line: Mapping[str, str | None], folder: Path, root: Path, where: str) -> Pair:
    id_, image, embedding = ((line[column] or "").strip() for column in _COLUMNS)
    image_file, image_fault = locate(image, "image_path", folder, root)
    embedding_file, embedding_fault_ = locate(embedding, "embedding_path", folder, root)
    fault = image_fault or embedding_fault_
    if not ID_PATTERN.fullmatch(id_):
        fault = f"the id {id_!r} is not 1 to 64 letters, digits, - and _"
    weight = _weight(line.get("weight"))
    if weight is None:
        fault = fault or f"the weight {line.get('weight')!r} is not a number above 0"
    if fault or image_file is None or embedding_file is None or weight is None:
        raise InputError(f"{where}: {fault}", hint="Write it anew with covergen embed and covergen split.")
    return Pair(id_, image_file, embedding_file, weight)


def _weight(written: str | None) -> float | None:
    if not (written or "").strip():
        return 1.0
    try:
        weight = float(written or "")
    except ValueError:
        return None
    return weight if math.isfinite(weight) and weight > 0 else None


def check_files(pairs: Sequence[Pair]) -> None:
    """See that every cover is there and every embedding is whole, by names, headers and sizes.

    Raises:
        InputError: some are not; the first is named, and how many there are.
    """
    faults = [fault for pair in pairs if (fault := _fault(pair))]
    if faults:
        more = f" (and {len(faults) - 1} more like it)" if len(faults) > 1 else ""
        raise InputError(faults[0] + more, hint="Run covergen embed and covergen split again.")


def _fault(pair: Pair) -> str | None:
    if not pair.image.is_file():
        return f"the cover {pair.image} is missing"
    fault = embedding_fault(pair.embedding, EMBEDDING_DIM)
    return f"the embedding {pair.embedding} is {fault}" if fault else None


def encoder_spec_of(pairs: Sequence[Pair]) -> dict[str, Any]:
    """Say what the embeddings of some pairs were made with: ``encoder.json`` of the folder that they lie in.

    Args:
        pairs: at least one.

    Raises:
        InputError: they lie in several folders, or nothing says what made them.
    """
    folders = sorted({pair.embedding.parent for pair in pairs})
    if len(folders) > 1:
        raise InputError(
            f"the embeddings were not all made alike: some lie in {folders[0]}, some in {folders[1]}",
            hint="Run covergen embed with one encoder, then covergen split.",
        )
    path = folders[0] / ENCODER_JSON
    try:
        spec = read_json(path)
    except (OSError, ValueError) as error:
        raise InputError(
            f"nothing says what the embeddings in {folders[0]} were made with: {path.name} cannot be read ({error})",
            hint="Make them with covergen embed.",
        ) from error
    if not isinstance(spec, dict) or not isinstance(spec.get("name"), str):
        raise InputError(f"{path} is damaged", hint="Delete its folder and run covergen embed again.")
    return spec
