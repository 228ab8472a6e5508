"""Events of dividing a dataset."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path  # noqa: TC003 — so that the types of the records can be asked for at run time

__all__ = ["SplitFinished"]


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
