"""The source FOLDER: tagged music with embedded covers, or images beside it."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from urllib.parse import quote, unquote_to_bytes

from covergen_cli.audio.embedded_images import read_pictures
from covergen_cli.audio.excerpt import load_excerpt
from covergen_cli.audio.io import AUDIO_SUFFIXES, probe, save_mp3
from covergen_cli.dataset.csv_records import WINDOWS_1252
from covergen_cli.dataset.sources.base import Item, Obtained, Source, UnwantedError, safe_id
from covergen_cli.dataset.tables import clean
from covergen_cli.errors import InputError
from covergen_cli.provenance import read_provenance

METADATA = ("title", "artist", "album", "genre", "year")
"""Metadata of a song in the manifest."""

IMAGE_NAMES = ("cover", "folder", "front")
"""Stems of the image beside music that is its cover; the first that exists is used."""

_IMAGE_SUFFIXES = (".jpg", ".jpeg", ".png", ".webp")
_IMAGE_STARTS = (b"\xff\xd8\xff", b"\x89PNG\r\n", b"RIFF")
_COPY_RATE_HZ = 44_100
_DATASET = "dataset.json"
_ENCODED = "file:"


@dataclass(frozen=True)
class FolderSource(Source):
    """The music below a folder, in the order of its names.

    Links to files are followed, links to folders are not, since they can form cycles. Hidden names and dataset folders
    are skipped.

    Args:
        folder: the folder.
        copy: save the embedded part as mp3 instead of referring to the file.
    """

    folder: Path
    copy: bool = False

    def describe(self) -> dict[str, object]:
        """Return kind, path, and whether music is copied."""
        return {"kind": "folder", "name": str(self.folder.absolute()), "copy": self.copy}

    def items(self) -> Iterator[Item]:
        """List the music; its tags are read with the files.

        Raises:
            InputError: there is no such folder, or no music in it.
        """
        if not os.path.isdir(self.folder):  # noqa: PTH112 — Path.is_dir raises for a name that is too long
            raise InputError(f"{self.folder} is not a folder", hint="Name a folder of music.")
        row = 0
        for row, path in enumerate(self._songs(), 1):
            name = path.relative_to(self.folder).as_posix()
            yield Item(row, safe_id(name), _locator(name), "", dict.fromkeys(METADATA, ""))
        if not row:
            raise InputError(f"no music in {self.folder}", hint=f"Known are {', '.join(sorted(AUDIO_SUFFIXES))}.")

    def _songs(self) -> Iterator[Path]:
        for folder, subfolders, names in os.walk(self.folder):
            if _DATASET in names and Path(folder) != self.folder:
                subfolders.clear()
                continue
            subfolders[:] = sorted(name for name in subfolders if not name.startswith("."))
            for name in sorted(names):
                if not name.startswith(".") and Path(name).suffix.lower() in AUDIO_SUFFIXES:
                    yield Path(folder, name)

    def obtain(self, item: Item, workspace: Path) -> Obtained:
        """Read tags and cover; with ``copy``, save the excerpt.

        Raises:
            UnwantedError: there is no cover.
            InputError: the file cannot be used.
        """
        path = self.folder.absolute() / _name(item.audio)
        info = probe(path)
        inside = (data for data in read_pictures(path) if data.startswith(_IMAGE_STARTS))
        image = next((data for data in inside if read_provenance(BytesIO(data)) is None), None) or _beside(path)
        if image is None:
            names = ", ".join(f"{name}.*" for name in IMAGE_NAMES)
            raise UnwantedError(
                f"{item.audio} has no cover inside, and there is no {names} beside it "
                "(those made by covergen are ignored)",
                cause="no cover",
            )
        metadata = {name: getattr(info.tags, name) or "" for name in METADATA}
        stem = os.fsencode(path.stem).decode("utf-8", WINDOWS_1252)
        metadata |= {"title": info.title or stem, "artist": info.artist or ""}
        if self.copy:
            path = _cut(path, workspace / f"{item.id}.segment.mp3")
        elif not _is_text(str(path)):
            path = Path(shutil.copyfile(path, workspace / f"{item.id}.copy{path.suffix}"))
        return Obtained(path, image, metadata)


def _is_text(path: str) -> bool:
    """Return whether a table can hold a path: file names may not be UTF-8, or hold what tables do not keep."""
    return clean(path) == path


def _locator(name: str) -> str:
    """Return a name as text: as it is if possible, otherwise its bytes, percent-encoded."""
    return name if _is_text(name) and not name.startswith(_ENCODED) else _ENCODED + quote(os.fsencode(name))


def _name(locator: str) -> str:
    """Return the name that :func:`_locator` made a text of."""
    return os.fsdecode(unquote_to_bytes(locator[len(_ENCODED) :])) if locator.startswith(_ENCODED) else locator


def _beside(path: Path) -> Path | None:
    """Return the cover beside a song, whatever the case of its name, unless CoverGen made it."""
    found: dict[tuple[int, int, str], Path] = {}
    with os.scandir(path.parent) as entries:
        for entry in entries:
            name = Path(entry.name.lower())
            stem, suffix = name.stem, name.suffix
            if stem in IMAGE_NAMES and suffix in _IMAGE_SUFFIXES and entry.is_file():
                found[IMAGE_NAMES.index(stem), _IMAGE_SUFFIXES.index(suffix), entry.name] = Path(entry.path)
    return next((found[key] for key in sorted(found) if read_provenance(found[key]) is None), None)


def _cut(path: Path, copied: Path) -> Path:
    """Save the embedded part: all of a preview, the salient 30 s of a song."""
    excerpt = load_excerpt(path, _COPY_RATE_HZ)
    save_mp3(copied, excerpt.samples, excerpt.sample_rate_hz)
    return copied
