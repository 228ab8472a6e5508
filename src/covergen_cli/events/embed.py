"""Events of embedding a dataset folder."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path  # noqa: TC003 — so that the types of the records can be asked for at run time

__all__ = ["ClipEmbedded", "ClipFailed", "EmbedFinished", "EmbedPlanned"]


@dataclass(frozen=True)
class EmbedPlanned:
    """A dataset folder was looked through; the embedding begins.

    Args:
        folder: where the embeddings go.
        total: rows of the manifest.
        present: rows whose embedding is there already.
    """

    folder: Path
    total: int
    present: int


@dataclass(frozen=True)
class ClipEmbedded:
    """An embedding was written.

    Args:
        id: the row's id.
        input: the music file.
        output: the embedding.
        frames: its number of rows, T.
        segment: start and end, in seconds, of the part that was embedded.
    """

    id: str
    input: Path
    output: Path
    frames: int
    segment: tuple[float, float]


@dataclass(frozen=True)
class ClipFailed:
    """A row could not be embedded; the others go on."""

    id: str
    input: Path | None
    error: str
    hint: str | None = None


@dataclass(frozen=True)
class EmbedFinished:
    """Every row of a dataset folder is settled, ``pairs.csv`` and the status are written.

    Args:
        pairs: the file of pairs.
        status: the file with one line per row: id, status, reason.
        embedded: rows embedded in this run.
        present: rows that were there already.
        failed: rows without an embedding.
    """

    pairs: Path
    status: Path
    embedded: int
    present: int
    failed: int
