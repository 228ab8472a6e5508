"""Events of filling a dataset folder."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path  # noqa: TC003 — so that the types of the records can be asked for at run time

__all__ = ["FetchFinished", "FetchPlanned", "PairFetched", "PairMissed", "RowsListed"]


@dataclass(frozen=True)
class RowsListed:
    """The source is being read.

    Args:
        rows: rows read so far.
    """

    rows: int


@dataclass(frozen=True)
class FetchPlanned:
    """Every row of the source is known; the fetching begins.

    Args:
        folder: the dataset folder.
        total: rows in all.
        pending: those that something is to be done for.
    """

    folder: Path
    total: int
    pending: int


@dataclass(frozen=True)
class PairFetched:
    """A pair is complete and in its place.

    Args:
        id: its id.
        bytes: size of the files that came.
    """

    id: str
    bytes: int


@dataclass(frozen=True)
class PairMissed:
    """A row gave no pair; the others go on.

    Args:
        id: its id.
        row: its number, from 1.
        reason: why.
        unwanted: whether its files came, and were no good (``filtered``), rather than failed.
    """

    id: str
    row: int
    reason: str
    unwanted: bool = False


@dataclass(frozen=True)
class FetchFinished:
    """The tables of the dataset folder are written.

    Args:
        manifest: the table of complete pairs.
        status: the table with one line per row.
        counts: ``rows``, and what they came to: ``ok``, ``failed``, ``duplicate``, ``filtered``.
        causes: why rows are not ok, in a word or two, with how many; the most frequent first.
        hosts: host → rows that are ok and not ok, of the 20 with the most rows.
        bytes: size of music and images in all.
        dead: links that the hosts say are gone (404, 410).
    """

    manifest: Path
    status: Path
    counts: dict[str, int]
    causes: dict[str, int] = field(default_factory=dict)
    hosts: dict[str, tuple[int, int]] = field(default_factory=dict)
    bytes: int = 0
    dead: int = 0
