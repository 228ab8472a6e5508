"""Events of files that stand beside covers, or take them in."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path  # noqa: TC003 — so that the types of the records can be asked for at run time

__all__ = ["ArtWritten", "ContactSheetWritten", "Explained"]


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
