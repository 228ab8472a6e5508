"""Chooses the sample sizes of an evaluation so that it takes about as long as the user allows."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

import torch

from covergen_cli.errors import ConfigError
from covergen_cli.evaluation.alignment import BANDS, CONDITIONS
from covergen_cli.events import EvalPlanned

if TYPE_CHECKING:
    from covergen_cli.config import EvalConfig
    from covergen_cli.evaluation.test_data import LoadedRun

_MIN_COUNT, _MAX_SONGS = 8, 500
_MIN_DRAWS, _SONG_DRAWS, _MAX_DRAWS = BANDS, 10, 40
_SMALL_LATENT = 32 * 32
_SHARES = {"use": 0.35, "retrieval": 0.35, "covers": 0.3}


@dataclass(frozen=True)
class ModelSpeed:
    """How fast the models compute, summed over all runs.

    Args:
        draw_seconds: seconds for the loss of one draw.
        cover_seconds: seconds for one cover.
    """

    draw_seconds: float
    cover_seconds: float


def choose_batch_size(config: EvalConfig, runs: Sequence[LoadedRun]) -> int:
    """Return the batch size of the settings, or one that suits the device and the size of the latents."""
    if config.batch_size is not None:
        return config.batch_size
    bases = [run.pipeline.base for run in runs]
    if all(base.device.type == "cuda" for base in bases):
        return 64
    return 32 if all(base.latent_shape[1] * base.latent_shape[2] <= _SMALL_LATENT for base in bases) else 4


def time_models(runs: Sequence[LoadedRun], batch_size: int) -> ModelSpeed:
    """Measure the time of one batch of losses and of one cover for each run, and return the sums."""
    draw = cover = 0.0
    for run in runs:
        base, drawing = run.pipeline.base, run.drawing
        latents = torch.zeros(batch_size, *base.latent_shape, device=base.device, dtype=base.dtype)
        tokens = torch.zeros(batch_size, *base.null_tokens.shape[1:], device=base.device, dtype=base.dtype)
        both = min(2, batch_size)  # guidance predicts with and without audio
        with torch.inference_mode():
            one = _timed(partial(base.unet, latents, 500.0, tokens))
            draw += one if base.text is None else 2 * one  # losses by words are measured as well
            step = _timed(partial(base.unet, latents[:both], 500.0, tokens[:both]))
            cover += drawing.steps * step + _timed(partial(base.decode, latents[:1]))
    return ModelSpeed(draw / batch_size, cover)


def _timed(compute: Callable[[], object]) -> float:
    """Return the seconds of a second call; the first one is a warm-up."""
    seconds = 0.0
    for _ in range(2):
        started = time.perf_counter()
        compute()
        if torch.cuda.is_available():
            torch.cuda.synchronize()
        seconds = time.perf_counter() - started
    return seconds


def make_plan(config: EvalConfig, available: int, speed: ModelSpeed) -> EvalPlanned:
    """Choose the sample sizes that the settings leave open, so that the evaluation takes about the budget.

    A tenth of the budget is kept for what is not counted here. Sizes that the settings give are used as they are, and
    the smallest useful sizes are measured even if they take longer than the budget.

    Args:
        config: the settings.
        available: number of test pairs.
        speed: from :func:`time_models`.

    Raises:
        ConfigError: ``draws`` is not a multiple of 5.
    """
    draw, cover = speed.draw_seconds, speed.cover_seconds
    seconds = {part: 0.9 * 60 * config.budget * share for part, share in _SHARES.items()}
    pairs = min(available, config.pairs or _clamp(seconds["use"] / (len(CONDITIONS) * draw * _MIN_DRAWS), available))
    draws = config.draws or _round_draws(seconds["use"] / (len(CONDITIONS) * draw * pairs))
    if draws % BANDS:
        raise ConfigError(
            f"--draws is {draws}, which is not a multiple of {BANDS}",
            hint="Every band of timesteps gets the same number of draws.",
        )
    affordable = (seconds["retrieval"] / (draw * (config.song_draws or _SONG_DRAWS))) ** 0.5
    songs = min(available, config.songs or _clamp(affordable, min(available, _MAX_SONGS)))
    song_draws = config.song_draws or _round_draws(seconds["retrieval"] / (draw * songs**2))
    covers = min(available, config.covers or _clamp(seconds["covers"] / cover, available))
    total = draw * (len(CONDITIONS) * pairs * draws + songs**2 * song_draws) + cover * covers
    return EvalPlanned(pairs, draws, songs, song_draws, covers, total)


def _clamp(wanted: float, available: int) -> int:
    return min(available, max(_MIN_COUNT, int(wanted)))


def _round_draws(wanted: float) -> int:
    """Return the next lower multiple of :data:`BANDS`, within bounds."""
    return min(_MAX_DRAWS, max(_MIN_DRAWS, int(wanted) // BANDS * BANDS))
