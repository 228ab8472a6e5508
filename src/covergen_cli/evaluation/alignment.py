"""Is the audio used? The loss of training on test pairs, under the right audio and under others, on the same noise.

Four conditions see the same covers, noise and times:

- ``true``: the tokens of the cover's own song;
- ``shuffled``: those of another song of the test part; no song stays with its cover;
- ``null``: the base's null condition, which says nothing;
- ``mean``: the mean tokens of training songs, the best that an adapter could say without listening.

What shuffled audio costs beyond true audio can come from nothing but the audio, so the verdict rests on it.
"""

from __future__ import annotations

import math
from collections.abc import Generator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from covergen_cli.diffusion.objective import TRAIN_TIMESTEPS, derangement, fixed_draws, item_losses
from covergen_cli.evaluation.metrics import Difference, mean_of, paired_difference
from covergen_cli.events import Progress

if TYPE_CHECKING:
    import numpy.typing as npt
    from torch import Tensor

    from covergen_cli.models.base import Base

    Array = npt.NDArray[np.float64]
    Losses = Mapping[str, Array]

CONDITIONS = ("true", "shuffled", "null", "mean")

BANDS = 5
"""Bands of time, equal parts of [0, 1); draws come in multiples of it."""

_FEWEST = 8


def measure_conditions(
    base: Base,
    ids: Sequence[str],
    latents: Tensor,
    tokens: Tensor,
    mean_tokens: Tensor,
    *,
    draws: int,
    seed: int,
    batch_size: int,
) -> Generator[Progress, None, dict[str, Array]]:
    """Measure the loss of test pairs under every condition.

    Args:
        base: the frozen model.
        ids: of the pairs, N; they decide noise and times.
        latents: ``(N, C, h, w)``.
        tokens: of the songs, ``(N, K, D)``.
        mean_tokens: ``(1, K, D)``.
        draws: of noise and time per pair, a multiple of :data:`BANDS`.
        seed: of noise, times and shuffle.
        batch_size: draws that the U-Net computes at once.

    Yields:
        ``Progress`` of the task ``measuring losses``.

    Returns:
        condition → float64 ``(N, draws)``, times rising along each row.
    """
    count = len(ids)
    spoken = {
        "true": tokens,
        "shuffled": tokens[derangement(count, seed)],
        "null": base.null_tokens.expand(count, -1, -1),
        "mean": mean_tokens.expand(count, -1, -1),
    }
    at_once = max(1, batch_size // draws)
    found: dict[str, list[Tensor]] = {name: [] for name in CONDITIONS}
    for start in range(0, count, at_once):
        chunk = slice(start, start + at_once)
        drawn = fixed_draws(ids[chunk], latents.shape[1:], draws, seed)
        for name, said in spoken.items():
            losses = item_losses(base.unet, base.scheduler_config, latents[chunk], said[chunk], drawn, batch_size)
            found[name].append(losses)
        yield Progress("measuring losses", min(start + at_once, count), count)
    return {name: torch.cat(losses).double().numpy() for name, losses in found.items()}


def loss_matrix(
    base: Base, ids: Sequence[str], latents: Tensor, tokens: Tensor, *, draws: int, seed: int, batch_size: int
) -> Generator[Progress, None, Array]:
    """Measure the loss of every cover under every song; all songs of a cover meet the same noise and times.

    Args:
        base: the frozen model.
        ids: of the pairs, N.
        latents: ``(N, C, h, w)``.
        tokens: ``(N, K, D)``.
        draws: of noise and time per combination.
        seed: of noise and times.
        batch_size: draws that the U-Net computes at once.

    Yields:
        ``Progress`` of the task ``comparing songs``.

    Returns:
        float64 ``(N, N)``, covers × songs; the true combinations lie on the diagonal.
    """
    drawn = fixed_draws(ids, latents.shape[1:], draws, seed)
    columns = []
    for song in range(len(ids)):
        said = tokens[song : song + 1]
        losses = item_losses(base.unet, base.scheduler_config, latents, said, drawn, batch_size)
        columns.append(losses.double().mean(dim=1))
        yield Progress("comparing songs", song + 1, len(ids))
    return torch.stack(columns, dim=1).numpy()


def audio_use(losses: Losses, *, seed: int) -> dict[str, Any]:
    """Say how large the losses are, how far the conditions lie apart, and in which bands of time.

    Args:
        losses: from :func:`measure_conditions`, or some rows of it.
        seed: of the tests.

    Returns:
        ``loss``: condition → estimate; ``gap``: condition → difference to ``true``, above 0 where true audio is
        better; ``bands``: a list with ``from`` and ``to`` (timesteps), ``loss`` and ``gap`` (shuffled), from little
        noise to much.
    """
    per_pair = {name: values.mean(axis=1) for name, values in losses.items()}
    true = per_pair["true"]
    bands = []
    for number in range(BANDS):
        own, other = (_band(losses[name], number) for name in ("true", "shuffled"))
        bounds = {"from": TRAIN_TIMESTEPS * number // BANDS, "to": TRAIN_TIMESTEPS * (number + 1) // BANDS}
        bands.append(bounds | {"loss": mean_of(own), "gap": paired_difference(other - own, seed=seed)})
    return {
        "loss": {name: mean_of(values) for name, values in per_pair.items()},
        "gap": {
            name: paired_difference(values - true, seed=seed) for name, values in per_pair.items() if name != "true"
        },
        "bands": bands,
    }


def _band(values: Array, number: int) -> Array:
    """Mean of each pair over its draws in one band, ``(N,)``: draws are stratified, so bands hold equally many."""
    width = values.shape[1] // BANDS
    return np.asarray(values[:, number * width : (number + 1) * width].mean(axis=1))


def verdict(gap: Difference) -> tuple[bool, str]:
    """Say in words whether the audio is used.

    Args:
        gap: loss under shuffled audio minus loss under true audio.

    Returns:
        whether it is, and a sentence.
    """
    size = f"{_with_error(gap.mean, gap.half_width)}, p = {gap.p_value:.2g}, {gap.count} pairs"
    if gap.count < _FEWEST:
        return False, f"too few test pairs to tell whether the audio is used (gap {size})"
    if gap.clear:
        return True, f"the audio is used (gap {size})"
    if gap.p_value <= 0.05 and gap.high < 0:
        return False, f"the audio misleads: another song's fits better (gap {size})"
    return False, f"no evidence that the audio is used (gap {size})"


def _with_error(value: float, error: float) -> str:
    """``0.0021 ± 0.0002``: both with the decimals that the error's first digit needs."""
    decimals = 6 if error <= 0 else max(0, -math.floor(math.log10(error)))
    return f"{value:.{decimals}f} ± {error:.{decimals}f}".replace("-", "−")
