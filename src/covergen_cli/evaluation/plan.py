"""How much can be measured in the time that there is."""

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
    from covergen_cli.evaluation.test_data import Subject

_FEWEST, _LEAST_DRAWS, _SONG_DRAWS, _MOST_DRAWS, _MOST_SONGS = 8, BANDS, 10, 40, 500
_SMALL_LATENT = 32 * 32
_SHARES = {"use": 0.35, "retrieval": 0.35, "covers": 0.3}


@dataclass(frozen=True)
class Pace:
    """How fast the models are, all runs together.

    Args:
        draw_seconds: for the loss at one draw.
        cover_seconds: for one cover.
    """

    draw_seconds: float
    cover_seconds: float


def choose_batch_size(config: EvalConfig, subjects: Sequence[Subject]) -> int:
    """Return the batch size that is given, or one that keeps the device busy and the memory bounded."""
    if config.batch_size is not None:
        return config.batch_size
    bases = [subject.pipeline.base for subject in subjects]
    if all(base.device.type == "cuda" for base in bases):
        return 64
    return 32 if all(base.latent_shape[1] * base.latent_shape[2] <= _SMALL_LATENT for base in bases) else 4


def time_models(subjects: Sequence[Subject], batch_size: int) -> Pace:
    """Time one batch of losses and one cover of each run, and add up."""
    draw = cover = 0.0
    for subject in subjects:
        base, drawing = subject.pipeline.base, subject.drawing
        width = base.null_tokens.shape[1:]
        latents = torch.zeros(batch_size, *base.latent_shape, device=base.device, dtype=base.dtype)
        tokens = torch.zeros(batch_size, *width, device=base.device, dtype=base.dtype)
        both = min(2, batch_size)
        with torch.inference_mode():
            draw += _timed(partial(base.unet, latents, 500.0, tokens))
            step = _timed(partial(base.unet, latents[:both], 500.0, tokens[:both]))
            cover += drawing.steps * step + _timed(partial(base.decode, latents[:1]))
    return Pace(draw / batch_size, cover)


def _timed(compute: Callable[[], object]) -> float:
    """Seconds of a second call: the first also warms up."""
    spent = 0.0
    for _ in range(2):
        started = time.perf_counter()
        compute()
        if torch.cuda.is_available():
            torch.cuda.synchronize()
        spent = time.perf_counter() - started
    return spent


def make_plan(config: EvalConfig, available: int, pace: Pace) -> EvalPlanned:
    """Choose what the settings leave open, so that the whole takes about the budget.

    A tenth of the budget is left for what is not counted here. Numbers that are given are taken as they are, and the
    least that makes sense is measured even if it takes longer.

    Args:
        config: settings.
        available: test pairs.
        pace: of all runs together.

    Raises:
        ConfigError: ``draws`` is no multiple of 5.
    """
    draw, cover = pace.draw_seconds, pace.cover_seconds
    seconds = {part: 0.9 * 60 * config.budget * share for part, share in _SHARES.items()}
    pairs = min(available, config.pairs or _fit(seconds["use"] / (len(CONDITIONS) * draw * _LEAST_DRAWS), available))
    draws = config.draws or _bands(seconds["use"] / (len(CONDITIONS) * draw * pairs))
    if draws % BANDS:
        raise ConfigError(f"--draws is {draws}, no multiple of {BANDS}", hint="Every band of time gets equally many.")
    most = min(available, _MOST_SONGS)
    fitting = (seconds["retrieval"] / (draw * (config.song_draws or _SONG_DRAWS))) ** 0.5
    songs = min(available, config.songs or _fit(fitting, most))
    song_draws = config.song_draws or _bands(seconds["retrieval"] / (draw * songs**2))
    covers = min(available, config.covers or _fit(seconds["covers"] / cover, available))
    total = draw * (len(CONDITIONS) * pairs * draws + songs**2 * song_draws) + cover * covers
    return EvalPlanned(pairs, draws, songs, song_draws, covers, total)


def _fit(wanted: float, available: int) -> int:
    return min(available, max(_FEWEST, int(wanted)))


def _bands(wanted: float) -> int:
    """The multiple of :data:`BANDS` below, within bounds."""
    return min(_MOST_DRAWS, max(_LEAST_DRAWS, int(wanted) // BANDS * BANDS))
