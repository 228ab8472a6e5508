"""Settings of judging an adapter."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from covergen_cli.config.fields import Between, Matches


@dataclass(frozen=True)
class EvalConfig:
    """How an adapter is judged (§3.3.2, §4).

    Args:
        budget: minutes that the measuring may take; from it follow the numbers below that are not given. The report
            tells them, so that the same line with them gives the same figures.
        pairs: test pairs whose loss is measured; without it, as many as the budget allows.
        draws: draws of noise and time for each of them, a multiple of 5; without it, what the budget allows.
        songs: songs that each cover's own is looked for among; without it, what the budget allows.
        song_draws: draws of noise and time for each combination of cover and song; without it, what the budget allows.
        covers: test songs whose covers are drawn and measured; without it, as many as the budget allows.
        by: column of the manifest, such as genre; every figure is also given for each of its values.
        controls: songs of a survey that are shown with another song's cover.
        seed: of everything that is drawn at random.
        batch_size: draws that the image model computes at once; without it, what suits its size and the device.
        device: where to compute; ``auto`` takes a GPU where there is one.
    """

    budget: Annotated[float, Between(0.01, 100_000)] = 5.0
    pairs: Annotated[int | None, Between(2)] = None
    draws: Annotated[int | None, Between(5, 10_000)] = None
    songs: Annotated[int | None, Between(2, 10_000)] = None
    song_draws: Annotated[int | None, Between(1, 10_000)] = None
    covers: Annotated[int | None, Between(2)] = None
    by: str | None = None
    controls: Annotated[int, Between(2, 1000)] = 5
    seed: Annotated[int, Between(0, 2**32 - 1)] = 0
    batch_size: Annotated[int | None, Between(1, 4096)] = None
    device: Annotated[str, Matches(r"auto|cpu|mps|cuda(:\d+)?", "auto, cpu, cuda, cuda:N or mps")] = "auto"
