"""The raw results of one run, from which the figures of the report are computed."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    from covergen_cli.dataset.pairs import Pair
    from covergen_cli.evaluation.covers import Measurements
    from covergen_cli.evaluation.near_copies import NearestCovers
    from covergen_cli.evaluation.test_data import LoadedRun
    from covergen_cli.evaluation.words import WordsBaseline


@dataclass(frozen=True)
class Results:
    """Everything that was measured on one run.

    Args:
        run: the run.
        losses: condition → ``(pairs, draws)``, from :func:`covergen_cli.evaluation.alignment.measure_conditions`.
        matrix: ``(songs, songs)``, from :func:`covergen_cli.evaluation.alignment.loss_matrix`.
        pairs: pairs of the losses.
        songs: pairs of the matrix.
        shown: pairs for whose songs covers were drawn.
        drawn: files of the drawn covers.
        measured: measurements of the drawn covers.
        near: the nearest training cover of each drawn cover; ``None`` without training pairs.
        control: the nearest training cover of each true cover; ``None`` without training pairs.
        train: the training pairs that were compared.
        words: the baseline of words; ``None`` for a base without text encoder.
    """

    run: LoadedRun
    losses: dict[str, npt.NDArray[np.float64]]
    matrix: npt.NDArray[np.float64]
    pairs: list[Pair]
    songs: list[Pair]
    shown: list[Pair]
    drawn: list[Path]
    measured: Measurements
    near: NearestCovers | None
    control: NearestCovers | None
    train: list[Pair]
    words: WordsBaseline | None = None
