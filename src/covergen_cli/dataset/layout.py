"""The dataset folder: where everything lies, and what of its tables is believed.

::

    DATA/manifest.csv                 id,audio_path,image_path,…   one line per pair
    DATA/embeddings/NAME/ID.npy       float32 (T, 512)
    DATA/embeddings/NAME/encoder.json what the encoder says of itself
    DATA/embeddings/NAME/status.csv   id,status,reason             one line per line of the manifest
    DATA/pairs.csv                    id,image_path,embedding_path paths relative to DATA

A manifest may come from anywhere, so nothing in it chooses where files are written: an output's name is made of the id,
and an id has nothing but letters, digits, ``-`` and ``_``. A relative path must stay inside the folder, links followed.
An absolute one is read where it is, for music and pictures that stay in the user's own library; network shares are
not.
"""

from __future__ import annotations

import csv
import os
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path, PureWindowsPath

from covergen_cli.errors import ConfigError, InputError

ID_PATTERN = re.compile(r"[A-Za-z0-9_-]{1,64}")
"""Form of an id, and of the name of a folder of embeddings."""

MANIFEST = "manifest.csv"
PAIRS = "pairs.csv"
_COLUMNS = ("id", "audio_path", "image_path")


@dataclass(frozen=True)
class Row:
    """One line of the manifest.

    Args:
        id: as written; only to be used when ``fault`` is ``None``.
        audio: the music file, or ``None`` when the line does not name one that may be read.
        image_path: the cover's path, as written.
        fault: why the line cannot be used, or ``None``.
    """

    id: str
    audio: Path | None
    image_path: str
    fault: str | None


@dataclass(frozen=True)
class Dataset:
    """A dataset folder.

    Args:
        folder: the folder ``DATA``.
    """

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
        """Folder of the embeddings called ``name``.

        Raises:
            ConfigError: the name has not the form of an id.
        """
        if not ID_PATTERN.fullmatch(name):
            raise ConfigError(
                f"{name!r} cannot name a folder of embeddings", hint="Use 1 to 64 letters, digits, - and _."
            )
        return self.folder / "embeddings" / name

    def rows(self) -> Iterator[Row]:
        """Read the manifest line by line; a line that cannot be used says why.

        An id that stood in an earlier line is a fault too. That takes about 100 bytes of memory per line; nothing else
        is kept.

        Raises:
            InputError: there is no manifest, it lacks a column, or it is not a table in UTF-8.
        """
        if not self.folder.is_dir():
            raise InputError(f"{self.folder} is not a folder", hint="Name a dataset folder.")
        if not self.manifest.is_file():
            raise InputError(f"{self.folder} has no {MANIFEST}", hint="Name a folder that covergen fetch has filled.")
        root = self.folder.resolve()
        seen: set[str] = set()
        try:
            with self.manifest.open(encoding="utf-8-sig", newline="") as file:
                table = csv.DictReader(file)
                lacking = [column for column in _COLUMNS if column not in (table.fieldnames or ())]
                if lacking:
                    raise InputError(
                        f"{self.manifest} has no column {', '.join(lacking)}", hint=f"It needs {', '.join(_COLUMNS)}."
                    )
                for line in table:
                    row = _row(line, self.folder, root, seen)
                    seen.add(row.id)
                    yield row
        except (OSError, UnicodeDecodeError, csv.Error) as error:
            raise InputError(f"{self.manifest} cannot be read: {error}", hint="It has to be CSV in UTF-8.") from error


def _row(line: Mapping[str, str | None], folder: Path, root: Path, seen: set[str]) -> Row:
    id_, audio, image = ((line[column] or "").strip() for column in _COLUMNS)
    audio_file, fault = locate(audio, "audio_path", folder, root)
    image_file, image_fault = locate(image, "image_path", folder, root)
    fault = fault or image_fault
    if image_file is not None and not image_file.is_file():
        fault = fault or f"there is no image {image}"
    if not ID_PATTERN.fullmatch(id_):
        fault = "the id is not 1 to 64 letters, digits, - and _"
    elif id_ in seen:
        fault = "the id stands in an earlier line too"
    return Row(id_, audio_file, image, fault)


def locate(written: str, column: str, folder: Path, root: Path) -> tuple[Path | None, str | None]:
    """Return the file that a path of a table means, or why it may not be read.

    Args:
        written: the path as it stands in the table.
        column: what it stands under, for the reason.
        folder: the dataset folder.
        root: the same, resolved.

    Returns:
        the file, which need not be there, and ``None``; or ``None`` and the reason.
    """
    if not written:
        return None, f"there is no {column}"
    if "\0" in written:
        return None, f"the {column} is not a path"
    if os.name == "nt" and PureWindowsPath(written).drive.startswith("\\\\"):
        return None, f"the {column} is on a network share: {written}"
    path = folder / written
    try:
        path.exists()  # raises for what can be no path at all, such as a name that is too long
        allowed = Path(written).is_absolute() or path.resolve().is_relative_to(root)
    except (OSError, RuntimeError, ValueError):
        return None, f"the {column} is not a path"
    return (path, None) if allowed else (None, f"the {column} leads out of the dataset folder: {written}")
