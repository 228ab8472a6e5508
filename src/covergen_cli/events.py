"""Events that long jobs report to whoever runs them: frozen records of what happened.

The library never prints; the command line renders these, and a program that embeds CoverGen can log or ignore them.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path


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
        segment: start and end, in seconds, of the part that was listened to; ``None`` for an album, whose cover
            names the part of each song.
        seconds: wall-clock time that this cover took, decoding included.
        native_size: pixels per side that the model drew; the file may be larger.
        songs: those of the album that were heard; empty for a single song.
    """

    input: Path
    output: Path
    seed: int
    segment: tuple[float, float] | None
    seconds: float
    native_size: int
    songs: tuple[Path, ...] = ()


@dataclass(frozen=True)
class CoverSkipped:
    """A cover was already there."""

    input: Path
    output: Path
    seed: int
    reason: str
    songs: tuple[Path, ...] = ()


@dataclass(frozen=True)
class CoverPlanned:
    """A cover would be drawn; nothing was."""

    input: Path
    output: Path
    seed: int
    songs: tuple[Path, ...] = ()


@dataclass(frozen=True)
class CoverFailed:
    """A cover could not be made; the other inputs go on."""

    input: Path
    output: Path | None
    seed: int | None
    error: str
    hint: str | None = None
    songs: tuple[Path, ...] = ()


@dataclass(frozen=True)
class ArtWritten:
    """A cover was put into its music file.

    Args:
        input: the music file.
        backup: the original as it was; ``None`` when none was kept.
        bytes: weight of the picture inside.
    """

    input: Path
    backup: Path | None
    bytes: int


@dataclass(frozen=True)
class Explained:
    """What was heard of a song, and where the model listened, was drawn.

    Args:
        input: the music file.
        output: the picture.
    """

    input: Path
    output: Path


@dataclass(frozen=True)
class ContactSheetWritten:
    """All covers of a run were put into one picture.

    Args:
        output: the picture.
        covers: how many.
    """

    output: Path
    covers: int


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


@dataclass(frozen=True)
class SplitFinished:
    """A dataset is divided; its tables are written.

    Args:
        path: ``splits/split.json``.
        rows: pairs in train, val and test.
        groups: groups in train, val and test.
        kept: pairs that an earlier run had placed, and that stayed where they were.
        moved: pairs that an earlier run had placed on another side; their group has grown together with one there.
    """

    path: Path
    rows: tuple[int, int, int]
    groups: tuple[int, int, int]
    kept: int
    moved: int


@dataclass(frozen=True)
class TrainPlanned:
    """Everything is loaded and checked; the steps begin.

    Args:
        run: the run folder.
        train_pairs: pairs to learn from.
        validation_pairs: pairs to judge by.
        parameters: numbers that are trained.
        epochs: epochs at most.
        steps: optimiser steps at most.
        step: steps that an earlier run has done.
        resumed: the checkpoint that they come from; ``None`` for a fresh start.
    """

    run: Path
    train_pairs: int
    validation_pairs: int
    parameters: int
    epochs: int
    steps: int
    step: int
    resumed: Path | None


@dataclass(frozen=True)
class StepDone:
    """Some steps were done since the last such event.

    Args:
        epoch: from 1.
        epochs: epochs at most.
        step: steps so far.
        steps: steps at most.
        loss: mean of these steps.
        learning_rate: of the last.
        gradient_norm: before clipping, of the last.
        pairs_per_second: of these steps, all processes together.
        seconds_left: until the last step, if it goes on at this pace and does not end early; validations not counted.
        memory_bytes: most memory that torch has held on the GPU; ``None`` where there is none.
    """

    epoch: int
    epochs: int
    step: int
    steps: int
    loss: float
    learning_rate: float
    gradient_norm: float
    pairs_per_second: float
    seconds_left: float
    memory_bytes: int | None


@dataclass(frozen=True)
class EpochDone:
    """An epoch was validated.

    Args:
        epoch: from 1.
        epochs: epochs at most.
        step: steps so far.
        train_loss: mean of the epoch's steps.
        validation_loss: on noise and timesteps that are the same every time.
        best: whether it is the lowest so far.
        samples: picture of covers drawn after the epoch; ``None`` where none were asked for.
    """

    epoch: int
    epochs: int
    step: int
    train_loss: float
    validation_loss: float
    best: bool
    samples: Path | None


@dataclass(frozen=True)
class CheckpointSaved:
    """The whole state of the training is on the disk."""

    path: Path
    step: int


@dataclass(frozen=True)
class TrainStopped:
    """Someone asked to stop; the same command goes on from the checkpoint."""

    run: Path
    checkpoint: Path
    step: int


@dataclass(frozen=True)
class TrainFinished:
    """The adapter is trained.

    Args:
        run: the run folder.
        adapter: the folder of the best adapter.
        early: whether it ended before the last epoch, because the validation loss no longer fell.
        epochs: epochs done.
        steps: steps done.
        best_epoch: the epoch of the best adapter.
        validation_loss: its validation loss.
        seconds: wall-clock time of this call.
    """

    run: Path
    adapter: Path
    early: bool
    epochs: int
    steps: int
    best_epoch: int
    validation_loss: float
    seconds: float


@dataclass(frozen=True)
class EvalPlanned:
    """How much will be measured, from the budget and the settings.

    Args:
        pairs: test pairs whose loss is measured.
        draws: draws of noise and time for each.
        songs: songs that each cover's own is looked for among.
        song_draws: draws for each combination.
        covers: covers that are drawn.
        seconds: how long it will take, about.
    """

    pairs: int
    draws: int
    songs: int
    song_draws: int
    covers: int
    seconds: float


@dataclass(frozen=True)
class EvalFinished:
    """The report is written.

    Args:
        page: the report.
        figures: the same as JSON.
        summary: in words, whether the audio is used.
    """

    page: Path
    figures: Path
    summary: str


@dataclass(frozen=True)
class SurveyFinished:
    """The page of a survey, or the report of its answers, is written.

    Args:
        page: what raters open, or the report.
        figures: of the report, JSON; ``None`` for a survey that nobody has answered yet.
        summary: in words.
    """

    page: Path
    figures: Path | None
    summary: str


Event = (
    Warned
    | ModelLoading
    | ModelLoaded
    | Progress
    | CoverFinished
    | CoverPlanned
    | CoverSkipped
    | CoverFailed
    | ArtWritten
    | Explained
    | ContactSheetWritten
    | EmbedPlanned
    | ClipEmbedded
    | ClipFailed
    | EmbedFinished
    | RowsListed
    | FetchPlanned
    | PairFetched
    | PairMissed
    | FetchFinished
    | SplitFinished
    | EvalPlanned
    | EvalFinished
    | SurveyFinished
    | TrainPlanned
    | StepDone
    | EpochDone
    | CheckpointSaved
    | TrainStopped
    | TrainFinished
)
