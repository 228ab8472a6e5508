"""What long jobs tell whoever runs them: frozen records, yielded as things happen.

The library never prints; the command line renders these, and a program that embeds CoverGen can log or ignore them.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path  # noqa: TC003 — so that the types of the records can be asked for at run time

__all__ = [
    "ClipEmbedded",
    "ClipFailed",
    "CoverFailed",
    "CoverFinished",
    "CoverSkipped",
    "EmbedFinished",
    "EmbedPlanned",
    "Event",
    "ModelLoaded",
    "ModelLoading",
    "Progress",
    "Warned",
]


@dataclass(frozen=True)
class Warned:
    """Something the user should know; the work goes on."""

    message: str
    path: Path | None = None


@dataclass(frozen=True)
class ModelLoading:
    """A model is about to be loaded."""

    name: str


@dataclass(frozen=True)
class ModelLoaded:
    """A model is ready."""

    name: str
    seconds: float


@dataclass(frozen=True)
class Progress:
    """How far one named piece of work has come.

    Args:
        task: what is being done, e.g. ``"draw"``.
        done: units finished so far.
        total: units in all; ``None`` when unknown.
        detail: a short text for the display, e.g. the song's name.
    """

    task: str
    done: int
    total: int | None = None
    detail: str = ""


@dataclass(frozen=True)
class CoverFinished:
    """A cover was written.

    Args:
        input: the music file.
        output: the cover.
        seed: the seed that drew it.
        segment: start and end, in seconds, of the part that was listened to.
        seconds: wall-clock time that this cover took, decoding included.
        native_size: pixels per side that the model drew; the file may be larger.
    """

    input: Path
    output: Path
    seed: int
    segment: tuple[float, float]
    seconds: float
    native_size: int


@dataclass(frozen=True)
class CoverSkipped:
    """A cover was already there."""

    input: Path
    output: Path
    seed: int
    reason: str


@dataclass(frozen=True)
class CoverFailed:
    """A cover could not be made; the other inputs go on."""

    input: Path
    output: Path | None
    seed: int | None
    error: str
    hint: str | None = None


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


Event = (
    Warned
    | ModelLoading
    | ModelLoaded
    | Progress
    | CoverFinished
    | CoverSkipped
    | CoverFailed
    | EmbedPlanned
    | ClipEmbedded
    | ClipFailed
    | EmbedFinished
)
