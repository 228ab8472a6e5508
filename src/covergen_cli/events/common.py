"""Events of any long job."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path  # noqa: TC003 — so that the types of the records can be asked for at run time

__all__ = ["ModelLoaded", "ModelLoading", "Progress", "Warned"]


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
