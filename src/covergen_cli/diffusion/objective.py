"""The training objective: the mean squared error of a frozen base's prediction (§3.3.1, steps 4 and 5).

Stable Diffusion predicts the noise ε; the starter predicts the velocity of a straight path from image to noise
(rectified flow). :func:`add_noise` and :func:`target_of` contain the difference, so one loss fits every base.

Losses are compared on equal noise: :func:`fixed_draws` assigns noise and times to every item, :func:`item_losses`
computes losses with them, and :func:`paired_gap` compares two such measurements.
"""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from covergen_cli.diffusion.noise_schedule import is_flow, signal_and_noise, timesteps_at
from covergen_cli.errors import ModelError
from covergen_cli.files import seed_from
from covergen_cli.weights.memory import in_batches

TIME_SHIFT = 3.0
"""Shift s of the times of weighted training on a flow towards noise: their median is ``s / (1 + s)`` = 0.75.

Music determines colour and mood, which the first denoising steps decide: with an adapter of the paper's kind, nearly
half of the difference that audio makes to the loss was in the noisiest eighth of the times.
"""

MIN_SNR_GAMMA = 5.0
"""γ of min-SNR weighting; the value of its authors."""


def _broadcast(values: Tensor, like: Tensor) -> Tensor:
    return values.to(like.dtype).view(-1, *([1] * (like.ndim - 1)))


def add_noise(scheduler_config: Mapping[str, Any], latents: Tensor, noise: Tensor, times: Tensor) -> Tensor:
    """Return latents ``(B, C, H, W)`` mixed with noise of the same shape at times ``(B,)`` in [0, 1]."""
    signal, sigma = signal_and_noise(scheduler_config, times)
    return _broadcast(signal, latents) * latents + _broadcast(sigma, latents) * noise


def target_of(scheduler_config: Mapping[str, Any], latents: Tensor, noise: Tensor, times: Tensor) -> Tensor:
    """Return the target of the U-Net: ε, v of Salimans and Ho (2022), or the straight path's velocity."""
    if is_flow(scheduler_config):
        return noise - latents
    kind = scheduler_config.get("prediction_type", "epsilon")
    if kind == "epsilon":
        return noise
    if kind == "v_prediction":
        signal, sigma = signal_and_noise(scheduler_config, times)
        return _broadcast(signal, latents) * noise - _broadcast(sigma, latents) * latents
    raise ModelError(f"the base predicts '{kind}'; known are epsilon, v_prediction and flow_prediction")


def draw_timesteps(count: int, generator: torch.Generator, *, logit_normal: bool = False, shift: float = 0.0) -> Tensor:
    """Return random times ``(count,)`` in [0, 1].

    Args:
        count: number of times.
        generator: on the CPU.
        logit_normal: sample around ``sigmoid(shift)`` (Esser et al., 2024) rather than uniformly, as in the paper.
        shift: above 0 for noisier times.
    """
    if logit_normal:
        return torch.sigmoid(torch.randn(count, generator=generator) + shift)
    return torch.rand(count, generator=generator)


def times_at(scheduler_config: Mapping[str, Any], uniform: Tensor, *, weighted: bool) -> Tensor:
    """Return the training times for uniform random numbers, both ``(B,)`` in [0, 1).

    Args:
        scheduler_config: the base's scheduler configuration.
        uniform: uniform random numbers.
        weighted: for a base that predicts a flow, prefer noisy times: ``t = s u / (1 + (s − 1) u)`` with ``s`` =
            :data:`TIME_SHIFT` (Esser et al., 2024). Other bases keep uniform times (§3.3.1), and their losses are
            weighted instead (:func:`time_weights`).
    """
    if weighted and is_flow(scheduler_config):
        return TIME_SHIFT * uniform / (1 + (TIME_SHIFT - 1) * uniform)
    return uniform


def time_weights(scheduler_config: Mapping[str, Any], times: Tensor) -> Tensor:
    """Return weights of the losses at times ``(B,)``, ``(B,)``: min-SNR-γ (Hang et al., 2023).

    With the signal-to-noise ratio SNR: ``min(SNR, γ) / SNR`` for a base that predicts noise, ``min(SNR, γ) / (SNR +
    1)`` for one that predicts v, and 1 for one that predicts a flow (see :func:`times_at`).
    """
    if is_flow(scheduler_config):
        return torch.ones_like(times)
    signal, sigma = signal_and_noise(scheduler_config, times)
    ratio = (signal / sigma) ** 2
    if scheduler_config.get("prediction_type") == "v_prediction":
        return ratio.clamp(max=MIN_SNR_GAMMA) / (ratio + 1)
    return (MIN_SNR_GAMMA / ratio).clamp(max=1)  # also where the ratio is 0


def denoising_loss(
    unet: torch.nn.Module,
    scheduler_config: Mapping[str, Any],
    latents: Tensor,
    tokens: Tensor,
    noise: Tensor,
    times: Tensor,
) -> Tensor:
    """Return the mean squared error of the U-Net's prediction per item, float32 ``(B,)`` (§3.3.1 step 5).

    Args:
        unet: a diffusers ``UNet2DConditionModel``.
        scheduler_config: the base's scheduler configuration.
        latents: clean latents ``(B, C, H, W)``, scaled to about unit variance.
        tokens: conditioning tokens ``(B, K, D)``.
        noise: standard normal, shaped like ``latents``.
        times: ``(B,)`` in [0, 1].
    """
    # Latents and noise are mixed in the precision of the latents; the U-Net computes in its own.
    dtype = getattr(unet, "dtype", latents.dtype)
    noisy, tokens = add_noise(scheduler_config, latents, noise, times).to(dtype), tokens.to(dtype)
    timesteps = timesteps_at(scheduler_config, times)
    predicted = unet(noisy, timesteps, encoder_hidden_states=tokens, return_dict=False)[0]
    target = target_of(scheduler_config, latents, noise, times)
    return functional.mse_loss(predicted.float(), target.float(), reduction="none").flatten(1).mean(1)


def seed_of(*key: object) -> int:
    """Return a seed made from strings and integers, e.g. ``seed_of(seed, "noise", step)``."""
    return seed_from("\0".join(map(str, key)))


def generator_of(*key: object) -> torch.Generator:
    """Return a CPU generator with the seed that :func:`seed_of` makes from strings and integers."""
    return torch.Generator().manual_seed(seed_of(*key))


@dataclass(frozen=True)
class Draws:
    """Noise and times for ``N`` items, ``count`` of each per item; see :func:`fixed_draws`.

    Args:
        ids: ids of the items.
        latent_shape: ``(C, h, w)``.
        seed: seed of all noise.
        times: float32 ``(N, count)`` in [0, 1).
    """

    ids: tuple[str, ...]
    latent_shape: tuple[int, ...]
    seed: int
    times: Tensor

    @property
    def count(self) -> int:
        """Draws per item."""
        return self.times.shape[1]

    def select(self, items: Sequence[int]) -> Draws:
        """Return the draws of some of the items."""
        ids = tuple(self.ids[item] for item in items)
        return Draws(ids, self.latent_shape, self.seed, self.times[list(items)])

    def noise(self, item: int, draw: int) -> Tensor:
        """Return the noise of one item, float32 ``(C, h, w)``; it is not stored, as all of it would take gigabytes."""
        return torch.randn(self.latent_shape, generator=generator_of(self.seed, self.ids[item], draw))


def fixed_draws(ids: Sequence[str], latent_shape: Sequence[int], count: int, seed: int) -> Draws:
    """Return noise and times with which the losses of adapters, epochs or conditions can be compared.

    Noise and times of an item depend on the seed, its id and the number of the draw, not on the other items or on the
    batches. The times of an item are stratified: one in each of ``count`` equal parts of [0, 1).

    Args:
        ids: ids of the items.
        latent_shape: ``(C, h, w)``.
        count: draws per item, at least 1.
        seed: seed of noise and times.
    """
    offsets = torch.tensor([torch.rand((), generator=generator_of(seed, id_, "time")).item() for id_ in ids])
    times = (torch.arange(count)[None, :] + offsets[:, None]) / count
    # Rounding may lift the last time to 1, for which there is no timestep.
    return Draws(tuple(ids), tuple(latent_shape), seed, times.clamp(max=1 - 1e-6))


def item_losses(
    unet: torch.nn.Module,
    scheduler_config: Mapping[str, Any],
    latents: Tensor,
    tokens: Tensor,
    draws: Draws,
    batch_size: int,
) -> Tensor:
    """Return the loss of every item at every draw, float32 ``(N, draws.count)`` on the CPU.

    Args:
        unet: a diffusers ``UNet2DConditionModel``.
        scheduler_config: the base's scheduler configuration.
        latents: clean latents ``(N, C, h, w)``, on any device.
        tokens: conditioning tokens ``(N, K, D)``, or ``(1, K, D)`` for all items alike, on any device.
        draws: draws of the same ``N`` items.
        batch_size: draws per call of the U-Net.
    """
    device = next(unet.parameters()).device
    tokens = tokens.expand(len(latents), -1, -1)
    places = [(item, draw) for item in range(len(latents)) for draw in range(draws.count)]

    def losses_of(chunk: Sequence[tuple[int, int]]) -> Tensor:
        items = torch.tensor([item for item, _ in chunk])
        noise = torch.stack([draws.noise(item, draw) for item, draw in chunk])
        times = draws.times[items, torch.tensor([draw for _, draw in chunk])]
        with torch.inference_mode():
            loss = denoising_loss(
                unet,
                scheduler_config,
                latents[items.to(latents.device)].to(device, torch.float32),
                tokens[items.to(tokens.device)].to(device),
                noise.to(device),
                times.to(device),
            )
        return loss.cpu()

    losses = in_batches(losses_of, places, batch_size, hint="Use --device cpu.")
    return torch.cat(list(losses)).view(len(latents), draws.count)


@dataclass(frozen=True)
class Gap:
    """Difference between two measurements of the same ``n`` items.

    Args:
        mean: mean over items of second minus first.
        standard_error: standard error of that mean.
        n: number of items.
    """

    mean: float
    standard_error: float
    n: int


def paired_gap(losses: Tensor, other_losses: Tensor) -> Gap:
    """Return the mean of ``other_losses − losses`` with its standard error.

    The differences are averaged over the draws of each item, then over items; the standard error is that over items.
    With ``losses`` under true audio and ``other_losses`` under another song's, a mean well above 0 means that the
    audio is used.

    Args:
        losses: ``(N, draws)`` from :func:`item_losses`, N at least 2.
        other_losses: ``(N, draws)``, from the same draws.

    Raises:
        ValueError: the shapes differ, or there are fewer than two items.
    """
    if losses.shape != other_losses.shape or len(losses) < 2:
        raise ValueError(f"cannot pair {tuple(losses.shape)} with {tuple(other_losses.shape)}")
    differences = (other_losses.double() - losses.double()).mean(dim=1).tolist()
    error = statistics.stdev(differences) / len(differences) ** 0.5
    return Gap(statistics.fmean(differences), error, len(differences))


def derangement(count: int, seed: int) -> list[int]:
    """Return a permutation of ``range(count)`` with ``result[i] != i``: one cycle, by Sattolo's algorithm (1986).

    Raises:
        ValueError: ``count`` is less than 2.
    """
    if count < 2:
        raise ValueError(f"there is no derangement of {count} items")
    generator = generator_of(seed, "derangement", count)
    order = list(range(count))
    for last in range(count - 1, 0, -1):
        other = int(torch.randint(last, (), generator=generator))
        order[last], order[other] = order[other], order[last]
    return order
