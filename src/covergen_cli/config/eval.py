"""Settings of the evaluation of an adapter."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from covergen_cli.config.fields import Between, Device, Seed


@dataclass(frozen=True)
class EvalConfig:
    """Settings of the evaluation of an adapter (§3.3.2, §4).

    Args:
        budget: Time budget in minutes. Sample sizes that are not given are chosen to fit it, and listed in the report.
        pairs: Number of test pairs whose loss is measured. By default, as many as fit the budget.
        draws: Number of noise samples per test pair, each at its own timestep. A multiple of 5, as each of five equal
            bands of timesteps gets the same number. By default, as many as fit the budget.
        songs: Number of songs in the retrieval test, which looks for each cover's song among all of them. By default,
            as many as fit the budget.
        song_draws: Number of noise samples per combination of cover and song in the retrieval test. By default, as many
            as fit the budget.
        covers: Number of test songs for which covers are generated and measured. By default, as many as fit the
            budget.
        by: Manifest column, such as genre, by whose values the pairs are grouped; the report then also lists every
            figure for each group.
        controls: Number of survey songs that are shown with another song's cover, as a control.
        seed: Random seed of the evaluation.
        base: Image model to evaluate with, in place of the one that the adapter was trained for.
        force_base: Evaluate with a base that the adapter was not trained for, if its tokens have the same width.
        batch_size: Number of noise samples that the image model processes at once. By default it suits the model and
            device.
        device: Device to run on; ``auto`` uses a GPU if there is one.
    """

    budget: Annotated[float, Between(0.01, 100_000)] = 5.0
    pairs: Annotated[int | None, Between(2)] = None
    draws: Annotated[int | None, Between(5, 10_000)] = None
    songs: Annotated[int | None, Between(2, 10_000)] = None
    song_draws: Annotated[int | None, Between(1, 10_000)] = None
    covers: Annotated[int | None, Between(2)] = None
    by: str | None = None
    controls: Annotated[int, Between(2, 1000)] = 5
    seed: Seed = 0
    base: str | None = None
    force_base: bool = False
    batch_size: Annotated[int | None, Between(1, 4096)] = None
    device: Device = "auto"
