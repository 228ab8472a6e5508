"""Events of judging an adapter."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path  # noqa: TC003 — so that the types of the records can be asked for at run time

__all__ = ["EvalFinished", "EvalPlanned", "SurveyFinished"]


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
