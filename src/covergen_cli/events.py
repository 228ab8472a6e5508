"""Events that long-running functions yield instead of printing: frozen records of what happened."""

from dataclasses import dataclass, field
from pathlib import Path


class Event:
    """Base class of all events."""


@dataclass(frozen=True)
class Warned(Event):
    """Something went wrong that does not stop the work."""

    message: str
    path: Path | None = None


@dataclass(frozen=True)
class ModelDownloading(Event):
    """A model is about to be downloaded: its page, its licence, and about how many bytes (0 if unknown)."""

    name: str
    source: str
    licence: str
    about_bytes: int


@dataclass(frozen=True)
class ModelLoading(Event):
    """A model is about to be loaded."""

    name: str


@dataclass(frozen=True)
class ModelLoaded(Event):
    """A model was loaded."""

    name: str
    seconds: float


@dataclass(frozen=True)
class Progress(Event):
    """Progress of one task, e.g. ``"draw"``: units done and in total (``None`` if unknown), and what is worked on."""

    task: str
    done: int
    total: int | None = None
    detail: str = ""


@dataclass(frozen=True)
class CoverFinished(Event):
    """A cover was written."""

    input: Path  # the music file; of an album, its first
    output: Path
    seed: int
    segment: tuple[float, float] | None  # start and end, in seconds, of the embedded segment; ``None`` for an album
    seconds: float  # wall-clock time of this cover, decoding included
    native_size: int  # pixels per side that the model drew; the file may be larger
    songs: tuple[Path, ...] = ()  # the album's songs that were embedded; empty for a single song
    look: str | None = None  # the look and its parameters; ``None`` for the picture as the model drew it
    base: str | None = None  # the image model; ``painter`` when none was used
    prompt: str | None = None  # the words of the song that it was drawn by
    replaced: bool = False  # whether there was an earlier cover in its place


@dataclass(frozen=True)
class CoverSkipped(Event):
    """A cover exists already."""

    input: Path
    output: Path
    seed: int
    reason: str
    songs: tuple[Path, ...] = ()


@dataclass(frozen=True)
class ArtPresent(Event):
    """A song or album is left alone, as it has art (``--only-missing``): ``output``, or in its tags if ``None``."""

    input: Path
    output: Path | None
    seed: int
    songs: tuple[Path, ...] = ()


@dataclass(frozen=True)
class CoverPlanned(Event):
    """A cover would be drawn (dry run)."""

    input: Path
    output: Path
    seed: int
    songs: tuple[Path, ...] = ()


@dataclass(frozen=True)
class CoverFailed(Event):
    """A cover could not be made."""

    input: Path
    output: Path | None
    seed: int | None
    error: str
    hint: str | None = None
    songs: tuple[Path, ...] = ()


@dataclass(frozen=True)
class ArtWritten(Event):
    """A cover of ``bytes`` bytes was embedded in its music file; ``backup`` is the original file, if kept."""

    input: Path
    backup: Path | None
    bytes: int


@dataclass(frozen=True)
class FileSaved(Event):
    """A file beside the covers was written; ``what`` is, for example, ``the explanation``."""

    output: Path
    what: str


@dataclass(frozen=True)
class EmbedPlanned(Event):
    """Embedding begins: ``total`` rows of the manifest, ``present`` of which have an embedding."""

    total: int
    present: int


@dataclass(frozen=True)
class ClipEmbedded(Event):
    """An embedding of ``frames`` rows was written; ``segment`` is the embedded part, start and end in seconds."""

    id: str
    input: Path
    output: Path
    frames: int
    segment: tuple[float, float]


@dataclass(frozen=True)
class ClipFailed(Event):
    """A row could not be embedded."""

    id: str
    input: Path | None
    error: str
    hint: str | None = None


@dataclass(frozen=True)
class EmbedFinished(Event):
    """All rows are processed; the files ``pairs`` and ``status`` are written."""

    pairs: Path  # ``pairs.csv``
    status: Path  # the table with one row per row of the manifest: id, status, reason
    embedded: int  # rows embedded in this run
    present: int  # rows that had an embedding before
    failed: int  # rows without an embedding


@dataclass(frozen=True)
class FetchPlanned(Event):
    """Fetching begins: the source has ``total`` rows, ``pending`` of which are not finished."""

    total: int
    pending: int


@dataclass(frozen=True)
class PairFetched(Event):
    """A pair is complete; ``bytes`` were downloaded or copied."""

    id: str
    bytes: int


@dataclass(frozen=True)
class PairMissed(Event):
    """A row (from 1) gave no pair: it failed, or its files were rejected (``unwanted``, status ``filtered``)."""

    id: str
    row: int
    reason: str
    unwanted: bool = False


@dataclass(frozen=True)
class FetchFinished(Event):
    """The tables of the dataset folder are written."""

    manifest: Path  # the table of complete pairs
    status: Path  # the table with one row per row of the source
    counts: dict[str, int]  # ``rows`` in all, and by status: ``ok``, ``failed``, ``duplicate``, ``filtered``
    causes: dict[str, int] = field(default_factory=dict)  # rows that are not ok, by reason, most first
    hosts: dict[str, tuple[int, int]] = field(default_factory=dict)  # rows ok and not ok, of 20 hosts
    bytes: int = 0  # total size of music and images
    dead: int = 0  # links whose hosts answer 404 or 410


@dataclass(frozen=True)
class SplitFinished(Event):
    """A dataset was split into train, val and test."""

    path: Path  # ``splits/split.json``
    rows: tuple[int, int, int]  # pairs in train, val and test
    groups: tuple[int, int, int]  # groups in train, val and test
    kept: int  # pairs that are in the same part as in an earlier run
    moved: int  # pairs that changed their part because their group was merged with a group there


@dataclass(frozen=True)
class TrainPlanned(Event):
    """Training begins."""

    train_pairs: int  # pairs of the training part
    validation_pairs: int  # pairs of the validation part
    parameters: int
    epochs: int  # maximum number of epochs
    steps: int  # maximum number of optimiser steps
    step: int  # steps done in earlier runs
    resumed: Path | None  # the checkpoint that training resumes from; ``None`` for a fresh start
    start: str | None = None  # the adapter whose weights a fresh start takes; ``None`` for random ones


@dataclass(frozen=True)
class StepDone(Event):
    """Some optimiser steps were done since the last such event."""

    epoch: int  # from 1
    step: int
    loss: float  # mean loss of these steps
    learning_rate: float  # learning rate of the last step
    gradient_norm: float  # gradient norm of the last step, before clipping
    pairs_per_second: float  # speed of these steps, all processes together
    seconds_left: float  # estimated time until the last step, without validation and early stopping
    memory_bytes: int | None  # peak memory that torch allocated on the GPU; ``None`` without GPU


@dataclass(frozen=True)
class EpochDone(Event):
    """An epoch was validated."""

    epoch: int  # from 1
    epochs: int  # maximum number of epochs
    step: int
    train_loss: float  # mean loss of the epoch's steps
    validation_loss: float  # loss on the same noise and timesteps every time
    best: bool  # whether it is the lowest validation loss so far
    samples: Path | None  # sheet of covers drawn after the epoch; ``None`` without samples


@dataclass(frozen=True)
class CheckpointSaved(Event):
    """A checkpoint with the complete state of the training was written."""

    path: Path
    step: int


class TrainStopped(CheckpointSaved):
    """Training was stopped by the user; the same command resumes from the checkpoint."""


@dataclass(frozen=True)
class TrainFinished(Event):
    """Training has ended."""

    run: Path
    adapter: Path  # folder of the best adapter
    early: bool  # whether it ended because the validation loss no longer fell
    epochs: int  # epochs done
    steps: int  # optimiser steps done
    best_epoch: int
    validation_loss: float  # that of the best epoch
    seconds: float  # wall-clock time of this call


@dataclass(frozen=True)
class EvalPlanned(Event):
    """Evaluation begins."""

    pairs: int  # test pairs whose loss is measured
    draws: int  # draws of noise and time per pair
    songs: int  # songs among which each cover's own song is searched
    song_draws: int  # draws per combination of cover and song
    covers: int
    seconds: float  # estimated duration


@dataclass(frozen=True)
class EvalFinished(Event):
    """The report was written: ``page`` in HTML, ``figures`` in JSON, and a summary in words."""

    page: Path
    figures: Path | None
    summary: str


class SurveyFinished(EvalFinished):
    """A survey page without ``figures``, or the report of its answers, was written."""
