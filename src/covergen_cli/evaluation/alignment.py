"""Measures whether the audio is used: losses of test pairs with the right audio and with other conditioning.

Four conditions share covers, noise and timesteps:

- ``true``: the tokens of the cover's own song;
- ``shuffled``: the tokens of another test song; no song keeps its own cover;
- ``null``: the base's null condition, without audio;
- ``mean``: the mean tokens of training songs, the best that an adapter could do without using the audio.

Only the audio can make the loss with shuffled audio higher than that with true audio, so the verdict rests on it.
"""

from __future__ import annotations

import math
from collections.abc import Generator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from covergen_cli.diffusion.objective import derangement, fixed_draws, item_losses
from covergen_cli.evaluation.metrics import Difference, format_p, mean_estimate, paired_difference
from covergen_cli.events import Progress

if TYPE_CHECKING:
    import numpy.typing as npt
    from torch import Tensor

    from covergen_cli.models.base import Base

    Array = npt.NDArray[np.float64]
    Losses = Mapping[str, Array]

CONDITIONS = ("true", "shuffled", "null", "mean")

_TIMESTEPS = 1000
"""Scale on which bands of noise are named, that of Stable Diffusion, whatever the base has."""

BANDS = 5
"""Number of equal bands of timesteps; the number of draws is a multiple of it."""

_MIN_PAIRS = 8


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
    names: Sequence[str] = CONDITIONS,
) -> Generator[Progress, None, dict[str, Array]]:
    """Measure the loss of test pairs under every condition, or under some.

    Args:
        base: the frozen image model.
        ids: ids of the N pairs; they determine noise and timesteps.
        latents: ``(N, C, h, w)``.
        tokens: ``(N, K, D)``.
        mean_tokens: ``(1, K, D)``.
        draws: random noises and timesteps per pair, a multiple of :data:`BANDS`.
        seed: seed of noise, timesteps and shuffle.
        batch_size: draws that the U-Net processes at once.
        names: the conditions to measure.

    Returns:
        condition → float64 ``(N, draws)``, timesteps ascending in each row.
    """
    count = len(ids)
    conditions = {
        "true": tokens,
        "shuffled": tokens[derangement(count, seed)],
        "null": base.null_tokens.expand(count, -1, -1),
        "mean": mean_tokens.expand(count, -1, -1),
    }
    at_once = max(1, batch_size // draws)
    found: dict[str, list[Tensor]] = {name: [] for name in names}
    for start in range(0, count, at_once):
        chunk = slice(start, start + at_once)
        drawn, some = fixed_draws(ids[chunk], latents.shape[1:], draws, seed), latents[chunk]
        for name in names:
            tokens = conditions[name][chunk]
            found[name].append(item_losses(base.unet, base.scheduler_config, some, tokens, drawn, batch_size))
        yield Progress("measuring losses", min(start + at_once, count), count)
    return {name: torch.cat(losses).double().numpy() for name, losses in found.items()}


def loss_matrix(
    base: Base, ids: Sequence[str], latents: Tensor, tokens: Tensor, *, draws: int, seed: int, batch_size: int
) -> Generator[Progress, None, Array]:
    """Measure the loss of every cover with every song, for each cover on the same noise and timesteps.

    The arguments are those of :func:`measure_conditions`; ``draws`` are per combination.

    Returns:
        float64 ``(N, N)``, covers × songs; the true combinations are on the diagonal.
    """
    drawn = fixed_draws(ids, latents.shape[1:], draws, seed)
    columns = []
    for song in range(len(ids)):
        own = tokens[song : song + 1]
        losses = item_losses(base.unet, base.scheduler_config, latents, own, drawn, batch_size)
        columns.append(losses.double().mean(dim=1))
        yield Progress("comparing songs", song + 1, len(ids))
    return torch.stack(columns, dim=1).numpy()


def audio_use(losses: Losses, *, seed: int) -> dict[str, Any]:
    """Return the mean losses and the differences between the conditions, over all timesteps and in each band.

    Args:
        losses: from :func:`measure_conditions`, or some rows of it.
        seed: seed of the tests.

    Returns:
        ``loss``: condition → estimate; ``gap``: condition → difference to ``true``, above 0 if true audio is better;
        ``bands``: a list with ``from`` and ``to`` (timesteps), ``loss`` and ``gap`` (shuffled), least noise first.
    """
    per_pair = {name: values.mean(axis=1) for name, values in losses.items()}
    true = per_pair["true"]
    bands = []
    for number in range(BANDS):
        own, other = (_band(losses[name], number) for name in ("true", "shuffled"))
        bounds = {"from": _TIMESTEPS * number // BANDS, "to": _TIMESTEPS * (number + 1) // BANDS}
        bands.append(bounds | {"loss": mean_estimate(own), "gap": paired_difference(other - own, seed=seed)})
    return {
        "loss": {name: mean_estimate(values) for name, values in per_pair.items()},
        "gap": {
            name: paired_difference(values - true, seed=seed) for name, values in per_pair.items() if name != "true"
        },
        "bands": bands,
    }


def _band(values: Array, number: int) -> Array:
    """Return the mean of each pair over its draws in one band, ``(N,)``; the draws are spread evenly over the bands."""
    width = values.shape[1] // BANDS
    return np.asarray(values[:, number * width : (number + 1) * width].mean(axis=1))


def verdict(gap: Difference) -> tuple[bool, str]:
    """Return whether the audio is used, and a sentence that says so.

    Args:
        gap: loss with shuffled audio minus loss with true audio.
    """
    size = f"{_with_error(gap.mean, gap.half_width)}, p {format_p(gap.p_value)}, {gap.count} pairs"
    if gap.count < _MIN_PAIRS:
        return False, f"too few test pairs to tell whether the audio is used (gap {size})"
    if gap.clear:
        return True, f"the audio is used (gap {size})"
    if gap.p_value <= 0.05 and gap.high < 0:
        return False, f"the audio misleads: that of another song gives a lower loss (gap {size})"
    return False, f"no evidence that the audio is used (gap {size})"


def _with_error(value: float, error: float) -> str:
    """Return a value with its error, both rounded to the first digit of the error, as in ``0.0021 ± 0.0002``."""
    decimals = 6 if error <= 0 else max(0, -math.floor(math.log10(error)))
    return f"{value:.{decimals}f} ± {error:.{decimals}f}".replace("-", "−")
