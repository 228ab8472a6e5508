"""What long jobs tell whoever runs them: frozen records, yielded as things happen.

The library never prints; the command line renders these, and a program that embeds CoverGen can log or ignore them.
"""

from __future__ import annotations

from covergen_cli.events.common import ModelLoaded, ModelLoading, Progress, Warned
from covergen_cli.events.covers import CoverFailed, CoverFinished, CoverPlanned, CoverSkipped
from covergen_cli.events.embed import ClipEmbedded, ClipFailed, EmbedFinished, EmbedPlanned
from covergen_cli.events.fetch import FetchFinished, FetchPlanned, PairFetched, PairMissed, RowsListed
from covergen_cli.events.split import SplitFinished

__all__ = [
    "ClipEmbedded",
    "ClipFailed",
    "CoverFailed",
    "CoverFinished",
    "CoverPlanned",
    "CoverSkipped",
    "EmbedFinished",
    "EmbedPlanned",
    "Event",
    "FetchFinished",
    "FetchPlanned",
    "ModelLoaded",
    "ModelLoading",
    "PairFetched",
    "PairMissed",
    "Progress",
    "RowsListed",
    "SplitFinished",
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
)
