"""The dataset folder: where its files are, and which paths of its tables are followed.

::

    DATA/manifest.csv                 id,audio_path,image_path,…   one row per pair
    DATA/embeddings/NAME/ID.npy       float32 (T, 512)
    DATA/embeddings/NAME/encoder.json name, settings and weights of the encoder
    DATA/embeddings/NAME/status.csv   id,status,reason             one row per row of the manifest
    DATA/pairs.csv                    id,image_path,embedding_path paths relative to DATA

A manifest may come from anywhere, so nothing in it chooses where files are written: the name of an output is made of
the id, which has only letters, digits, ``-`` and ``_``. A relative path must stay inside the folder after links are
resolved. An absolute path is read where it is, because music and pictures may stay in the user's library; network
shares are refused.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path, PureWindowsPath

from covergen_cli.dataset.tables import read_rows
from covergen_cli.errors import ConfigError, InputError

ID_PATTERN = re.compile(r"[A-Za-z0-9_-]{1,64}")
"""Form of an id, and of the name of a folder of embeddings."""

MANIFEST = "manifest.csv"
PAIRS = "pairs.csv"
_COLUMNS = ("id", "audio_path", "image_path")


@dataclass(frozen=True)
class Row:
    """One row of the manifest.

    Args:
        id: as written; use it only if ``fault`` is ``None``.
        audio: the music file, or ``None`` if the row names none that may be read.
        image_path: the path of the cover, as written.
        fault: why the row cannot be used, or ``None``.
    """

    id: str
    audio: Path | None
    image_path: str
    fault: str | None


@dataclass(frozen=True)
class Dataset:
    """A dataset folder."""

    folder: Path

    @property
    def manifest(self) -> Path:
        """The table of complete pairs."""
        return self.folder / MANIFEST

    @property
    def pairs(self) -> Path:
        """The table that training reads."""
        return self.folder / PAIRS

    def embeddings(self, name: str) -> Path:
        """Return the folder of the embeddings called ``name``.

        Raises:
            ConfigError: the name does not have the form of an id.
        """
        if not ID_PATTERN.fullmatch(name):
            raise ConfigError(
                f"{name!r} cannot name a folder of embeddings", hint="Use 1 to 64 letters, digits, - and _."
            )
        return self.folder / "embeddings" / name

    def rows(self) -> Iterator[Row]:
        """Read the manifest row by row; a row that cannot be used says why.

        An id that an earlier row has is a fault too; that takes about 100 bytes of memory per row.

        Raises:
            InputError: there is no manifest, it lacks a column, or it cannot be read.
        """
        if not self.folder.is_dir():
            raise InputError(f"{self.folder} is not a folder", hint="Name a dataset folder.")
        if not self.manifest.is_file():
            raise InputError(f"{self.folder} has no {MANIFEST}", hint="Name a folder that covergen fetch has filled.")
        root = self.folder.resolve()
        seen: set[str] = set()
        for line in read_rows(self.manifest, _COLUMNS):
            row = _row(line, self.folder, root, seen)
            seen.add(row.id)
            yield row


def _row(line: Mapping[str, str], folder: Path, root: Path, seen: set[str]) -> Row:
    id_, audio, image = (line[column] for column in _COLUMNS)
    audio_file, fault = locate(audio, "audio_path", folder, root)
    image_file, image_fault = locate(image, "image_path", folder, root)
    fault = fault or image_fault
    if image_file is not None and not image_file.is_file():
        fault = fault or f"there is no image {image}"
    if not ID_PATTERN.fullmatch(id_):
        fault = "the id is not 1 to 64 letters, digits, - and _"
    elif id_ in seen:
        fault = "an earlier row has the same id"
    return Row(id_, audio_file, image, fault)


def locate(written: str, column: str, folder: Path, root: Path) -> tuple[Path | None, str | None]:
    """Return the file that a path of a table names, or why it may not be read.

    Args:
        written: the path, as written in the table.
        column: its column, for the reason.
        folder: the dataset folder.
        root: the same folder, resolved.

    Returns:
        the file, which need not exist, and ``None``; or ``None`` and the reason.
    """
    if not written:
        return None, f"there is no {column}"
    if "\0" in written:
        return None, f"the {column} is not a path"
    if os.name == "nt" and PureWindowsPath(written).drive.startswith("\\\\"):
        return None, f"the {column} is on a network share: {written}"
    path = folder / written
    try:
        path.exists()  # raises where this cannot be a path, as for a name that is too long
        allowed = Path(written).is_absolute() or path.resolve().is_relative_to(root)
    except (OSError, RuntimeError, ValueError):
        return None, f"the {column} is not a path"
    return (path, None) if allowed else (None, f"the {column} leads out of the dataset folder: {written}")
