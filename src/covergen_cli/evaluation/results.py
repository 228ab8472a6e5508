"""What came of one run: the raw numbers behind the figures, and its pictures."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    from covergen_cli.dataset.pairs import Pair
    from covergen_cli.evaluation.covers import Seen
    from covergen_cli.evaluation.near_copies import Nearest
    from covergen_cli.evaluation.test_data import Subject


@dataclass(frozen=True)
class Judged:
    """Everything that was measured on one run.

    Args:
        subject: the run.
        losses: condition → ``(pairs, draws)``; see :func:`covergen_cli.evaluation.alignment.measure_conditions`.
        matrix: ``(songs, songs)``; see :func:`covergen_cli.evaluation.alignment.loss_matrix`.
        pairs: whose losses.
        songs: of the matrix.
        shown: whose covers were drawn.
        drawn: the covers' files.
        seen: what was measured on them.
        near: the nearest training cover of each; ``None`` without training pairs.
        control: the same for the true covers.
        train: the training pairs that were compared.
    """

    subject: Subject
    losses: dict[str, npt.NDArray[np.float64]]
    matrix: npt.NDArray[np.float64]
    pairs: list[Pair]
    songs: list[Pair]
    shown: list[Pair]
    drawn: list[Path]
    seen: Seen
    near: Nearest | None
    control: Nearest | None
    train: list[Pair]

    def rows(self, wanted: set[str]) -> dict[str, list[int]]:
        """Places of some ids: ``pairs``, ``songs`` and ``shown``."""
        lists: dict[str, Any] = {"pairs": self.pairs, "songs": self.songs, "shown": self.shown}
        return {key: [i for i, pair in enumerate(pairs) if pair.id in wanted] for key, pairs in lists.items()}
