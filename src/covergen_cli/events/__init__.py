"""What long jobs tell whoever runs them: frozen records, yielded as things happen.

The library never prints; the command line renders these, and a program that embeds CoverGen can log or ignore them.
"""

from __future__ import annotations

from covergen_cli.events.common import ModelLoaded, ModelLoading, Progress, Warned
from covergen_cli.events.covers import CoverFailed, CoverFinished, CoverPlanned, CoverSkipped
from covergen_cli.events.embed import ClipEmbedded, ClipFailed, EmbedFinished, EmbedPlanned
from covergen_cli.events.eval import EvalFinished, EvalPlanned, SurveyFinished
from covergen_cli.events.fetch import FetchFinished, FetchPlanned, PairFetched, PairMissed, RowsListed
from covergen_cli.events.files import ArtWritten, ContactSheetWritten, Explained
from covergen_cli.events.split import SplitFinished
from covergen_cli.events.train import (
    CheckpointSaved,
    EpochDone,
    StepDone,
    TrainFinished,
    TrainPlanned,
    TrainStopped,
)

__all__ = [
    "ArtWritten",
    "CheckpointSaved",
    "ClipEmbedded",
    "ClipFailed",
    "ContactSheetWritten",
    "CoverFailed",
    "CoverFinished",
    "CoverPlanned",
    "CoverSkipped",
    "EmbedFinished",
    "EmbedPlanned",
    "EpochDone",
    "EvalFinished",
    "EvalPlanned",
    "Event",
    "Explained",
    "FetchFinished",
    "FetchPlanned",
    "ModelLoaded",
    "ModelLoading",
    "PairFetched",
    "PairMissed",
    "Progress",
    "RowsListed",
    "SplitFinished",
    "StepDone",
    "SurveyFinished",
    "TrainFinished",
    "TrainPlanned",
    "TrainStopped",
    "Warned",
]

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
