"""Finds the songs that have a cover already, in their tags or as a picture beside them (``--only-missing``)."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterable, Sequence
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

from covergen_cli.audio.embedded_images import read_pictures
from covergen_cli.errors import InputError
from covergen_cli.events import ArtPresent, Progress

if TYPE_CHECKING:
    from covergen_cli.covers.plan import Job

ART_NAMES = ("cover", "folder", "front", "album", "albumart", "albumartsmall")
"""Stems, in any case, of the pictures that players show for the songs of a folder, beside the songs' own stems."""

_SUFFIXES = frozenset({".jpg", ".jpeg", ".png", ".webp", ".gif", ".bmp"})
DISC_FOLDER = re.compile(r"(cd|disc|disk|dvd|lp|side|vinyl)[ _.-]*([0-9]{1,2}|[a-h])\b.*", re.IGNORECASE)
"""Names of the folders of an album's discs, whose picture may lie in the folder above."""


def find_art(song: Path) -> Path | None:
    """Return the picture that players show for a song, or ``None``.

    It is a file in the folder of the song, or above the folder of a disc; or the song itself, if there is a picture of
    any kind in its tags. A song that cannot be read has none.
    """
    pictures = _pictures(song.parent)
    if song.stem.lower() in pictures:
        return pictures[song.stem.lower()]
    folders = [song.parent, *([song.parent.parent] if DISC_FOLDER.fullmatch(song.parent.name) else [])]
    for folder in folders:
        beside = _pictures(folder)
        for name in ART_NAMES:
            if name in beside:
                return beside[name]
    try:
        return song if read_pictures(song) else None
    except (InputError, OSError):
        return None


@lru_cache(maxsize=256)
def _pictures(folder: Path) -> dict[str, Path]:
    """Return the pictures of a folder by their stems in lower case; empty ones, which players cannot show, are none."""
    try:
        with os.scandir(folder or ".") as entries:
            files = sorted(entry.name for entry in entries if entry.is_file() and entry.stat().st_size)
    except OSError:
        return {}
    paths = (folder / name for name in files)
    return {path.stem.lower(): path for path in paths if path.suffix.lower() in _SUFFIXES}


def split_missing(
    jobs: Sequence[Job], on_progress: Callable[[Progress], None] | None = None
) -> tuple[list[Job], list[ArtPresent]]:
    """Separate the covers of songs without art from those whose songs all have some.

    Args:
        jobs: from :func:`covergen_cli.covers.plan.plan`.
        on_progress: called for every job.

    Returns:
        The jobs to do, and one event for each of the others.
    """
    _pictures.cache_clear()
    missing: list[Job] = []
    present: list[ArtPresent] = []
    for done, job in enumerate(jobs, start=1):
        art = _art_of_all(job.all_songs)
        if art is None:
            missing.append(job)
        else:
            present.append(ArtPresent(job.input, None if art in job.all_songs else art, job.seed, job.songs))
        if on_progress is not None:
            on_progress(Progress("tags", done, len(jobs), job.label))
    return missing, present


def _art_of_all(songs: Iterable[Path]) -> Path | None:
    """Return the art of the first song if every song has some."""
    first: Path | None = None
    for song in songs:
        art = find_art(song)
        if art is None:
            return None
        first = first or art
    return first
