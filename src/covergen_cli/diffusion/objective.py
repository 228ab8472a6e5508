"""What training minimises: the error of the noise that a frozen base predicts (§3.3.1, steps 4 and 5).

Stable Diffusion predicts the noise ε itself; the starter predicts the velocity of a straight path from noise to image
(rectified flow). :func:`add_noise` and :func:`target_of` hold the difference, so that one loss serves every base.

Losses are compared on the same noise: :func:`fixed_draws` gives every item noise and times of its own that nothing else
changes, :func:`item_losses` measures with them, and :func:`paired_gap` says how far two measurements lie apart.
"""

from __future__ import annotations

import hashlib
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from covergen_cli.diffusion.sampler import is_flow
from covergen_cli.errors import ModelError

TRAIN_TIMESTEPS = 1000
"""Timesteps of the forward process, as in every Stable Diffusion scheduler; time t in [0, 1] is timestep 1000·t."""

TIME_SHIFT = 3.0
"""How far weighted training on a flow leans towards noise: half of its times lie above ``s / (1 + s)`` = 0.75.

What music can tell is colour and mood, and they are settled early on the way from noise to picture: with an adapter of
the paper's kind, nearly half of the difference that audio makes to the loss lay in the noisiest eighth of the times.
"""

MIN_SNR_GAMMA = 5.0
"""γ of min-SNR weighting; the value of its authors."""


def _alphas_cumprod(scheduler_config: Mapping[str, Any]) -> Tensor:
    """ᾱ of the scheduler's betas, float32 ``(1000,)``; ``linear`` and ``scaled_linear`` as diffusers defines them."""
    start, end = float(scheduler_config.get("beta_start", 0.00085)), float(scheduler_config.get("beta_end", 0.012))
    kind = scheduler_config.get("beta_schedule", "scaled_linear")
    if kind == "scaled_linear":
        betas = torch.linspace(start**0.5, end**0.5, TRAIN_TIMESTEPS) ** 2
    elif kind == "linear":
        betas = torch.linspace(start, end, TRAIN_TIMESTEPS)
    else:
        raise ModelError(f"the base's scheduler has the beta schedule '{kind}', which training does not know")
    return torch.cumprod(1 - betas, dim=0)


def signal_and_noise(scheduler_config: Mapping[str, Any], times: Tensor) -> tuple[Tensor, Tensor]:
    """Return the shares of image and noise in ``x_t = signal·x_0 + noise·ε``, each ``(B,)``.

    Args:
        scheduler_config: the base's scheduler configuration.
        times: ``(B,)`` in [0, 1].
    """
    if is_flow(dict(scheduler_config)):
        return 1 - times, times
    index = (times * TRAIN_TIMESTEPS).long().clamp(0, TRAIN_TIMESTEPS - 1)
    alpha = _alphas_cumprod(scheduler_config).to(times.device)[index]
    return alpha.sqrt(), (1 - alpha).sqrt()


def _spread(values: Tensor, like: Tensor) -> Tensor:
    return values.to(like.dtype).view(-1, *([1] * (like.ndim - 1)))


def add_noise(scheduler_config: Mapping[str, Any], latents: Tensor, noise: Tensor, times: Tensor) -> Tensor:
    """Mix latents ``(B, C, H, W)`` with noise of the same shape at times ``(B,)`` in [0, 1]."""
    signal, sigma = signal_and_noise(scheduler_config, times)
    return _spread(signal, latents) * latents + _spread(sigma, latents) * noise


def target_of(scheduler_config: Mapping[str, Any], latents: Tensor, noise: Tensor, times: Tensor) -> Tensor:
    """Return what the U-Net should predict: ε, v of Salimans and Ho (2022), or the straight path's velocity."""
    if is_flow(dict(scheduler_config)):
        return noise - latents
    kind = scheduler_config.get("prediction_type", "epsilon")
    if kind == "epsilon":
        return noise
    if kind == "v_prediction":
        signal, sigma = signal_and_noise(scheduler_config, times)
        return _spread(signal, latents) * noise - _spread(sigma, latents) * latents
    raise ModelError(f"the base predicts '{kind}'; known are epsilon, v_prediction and flow_prediction")


def draw_timesteps(count: int, generator: torch.Generator, *, logit_normal: bool = False, shift: float = 0.0) -> Tensor:
    """Draw times ``(count,)`` in [0, 1].

    Args:
        count: how many.
        generator: on the CPU.
        logit_normal: around ``sigmoid(shift)`` (Esser et al., 2024); else uniform, as in the paper.
        shift: above 0 for more times with much noise.
    """
    if logit_normal:
        return torch.sigmoid(torch.randn(count, generator=generator) + shift)
    return torch.rand(count, generator=generator)


def times_at(scheduler_config: Mapping[str, Any], uniform: Tensor, *, weighted: bool) -> Tensor:
    """Map uniform numbers ``(B,)`` in [0, 1) to the times that training looks at, ``(B,)`` in [0, 1].

    Args:
        scheduler_config: the base's scheduler configuration.
        uniform: where in the distribution.
        weighted: for a base that predicts a flow, more times with much noise, ``t = s u / (1 + (s − 1) u)`` with ``s``
            = :data:`TIME_SHIFT` (Esser et al., 2024); for the others the losses are weighed instead, see
            :func:`time_weights`. Else uniform (§3.3.1).
    """
    if weighted and is_flow(dict(scheduler_config)):
        return TIME_SHIFT * uniform / (1 + (TIME_SHIFT - 1) * uniform)
    return uniform


def time_weights(scheduler_config: Mapping[str, Any], times: Tensor) -> Tensor:
    """Return how much the loss at times ``(B,)`` counts, ``(B,)``: min-SNR-γ (Hang et al., 2023).

    With the signal-to-noise ratio SNR: ``min(SNR, γ) / SNR`` for a base that predicts noise, ``min(SNR, γ) / (SNR +
    1)`` for one that predicts v, and 1 for one that predicts a flow, whose times are chosen instead.
    """
    if is_flow(dict(scheduler_config)):
        return torch.ones_like(times)
    signal, sigma = signal_and_noise(scheduler_config, times)
    ratio = (signal / sigma) ** 2
    velocity = scheduler_config.get("prediction_type") == "v_prediction"
    return ratio.clamp(max=MIN_SNR_GAMMA) / (ratio + 1 if velocity else ratio)


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
        scheduler_config: the base's scheduler configuration; decides what is predicted.
        latents: clean latents ``(B, C, H, W)``, scaled to about unit variance.
        tokens: conditioning tokens ``(B, K, D)``.
        noise: standard normal, shaped like ``latents``.
        times: ``(B,)`` in [0, 1].
    """
    # Mixed in the precision of the latents; only the U-Net computes in its own.
    dtype = getattr(unet, "dtype", latents.dtype)
    noisy, tokens = add_noise(scheduler_config, latents, noise, times).to(dtype), tokens.to(dtype)
    predicted = unet(noisy, times * TRAIN_TIMESTEPS, encoder_hidden_states=tokens, return_dict=False)[0]
    target = target_of(scheduler_config, latents, noise, times)
    return functional.mse_loss(predicted.float(), target.float(), reduction="none").flatten(1).mean(1)


def generator_of(*key: object) -> torch.Generator:
    """Return a generator on the CPU that depends on the key alone, e.g. ``generator_of(seed, "noise", step)``.

    Args:
        key: texts and whole numbers.
    """
    digest = hashlib.sha256("\0".join(map(str, key)).encode()).digest()
    return torch.Generator().manual_seed(int.from_bytes(digest[:8], "big") >> 1)


@dataclass(frozen=True)
class Draws:
    """Noise and times for a list of items, ``count`` of each per item; see :func:`fixed_draws`.

    Args:
        ids: the items.
        latent_shape: ``(C, h, w)``.
        seed: of everything.
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
        """Draw the noise of one item, float32 ``(C, h, w)``; it is not kept, as it would take gigabytes."""
        return torch.randn(self.latent_shape, generator=generator_of(self.seed, self.ids[item], draw))


def fixed_draws(ids: Sequence[str], latent_shape: Sequence[int], count: int, seed: int) -> Draws:
    """Settle noise and times for measuring losses that can be compared.

    What an item gets depends on the seed, its id and the number of the draw, not on the other items nor on how they are
    batched; so two adapters, two epochs or two conditions are measured with the same numbers. The times of an item are
    stratified: one in each of ``count`` equal parts of [0, 1).

    Args:
        ids: of the items.
        latent_shape: ``(C, h, w)``.
        count: draws per item, at least 1.
        seed: of everything.
    """
    offsets = torch.tensor([torch.rand((), generator=generator_of(seed, id_, "time")).item() for id_ in ids])
    times = (torch.arange(count)[None, :] + offsets[:, None]) / count
    # Rounding may lift the last offset to 1, which no timestep stands for.
    return Draws(tuple(ids), tuple(latent_shape), seed, times.clamp(max=1 - 1e-6))


def item_losses(
    unet: torch.nn.Module,
    scheduler_config: Mapping[str, Any],
    latents: Tensor,
    tokens: Tensor,
    draws: Draws,
    batch_size: int,
) -> Tensor:
    """Measure the loss of every item at every draw.

    Args:
        unet: a diffusers ``UNet2DConditionModel``; computes on its own device, in its own precision.
        scheduler_config: the base's scheduler configuration.
        latents: clean latents ``(N, C, h, w)``, on any device.
        tokens: conditioning tokens ``(N, K, D)``, on any device; ``(1, K, D)`` gives every item the same.
        draws: of the same ``N`` items.
        batch_size: calls of the U-Net hold so many draws.

    Returns:
        float32 ``(N, draws.count)`` on the CPU.
    """
    device = next(unet.parameters()).device
    tokens = tokens.expand(len(latents), -1, -1)
    places = [(item, draw) for item in range(len(latents)) for draw in range(draws.count)]
    losses = torch.empty(len(places))
    for start in range(0, len(places), batch_size):
        chunk = places[start : start + batch_size]
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
        losses[start : start + len(chunk)] = loss.cpu()
    return losses.view(len(latents), draws.count)


@dataclass(frozen=True)
class Gap:
    """How far two measurements of the same items lie apart.

    Args:
        mean: second minus first, over items.
        standard_error: of that mean.
        n: items.
    """

    mean: float
    standard_error: float
    n: int


def paired_gap(losses: Tensor, other_losses: Tensor) -> Gap:
    """Compare two measurements made with the same draws.

    The difference ``other − losses`` is averaged over the draws of an item first, because they share the item; the
    standard error is that over items. With ``losses`` under true audio and ``other_losses`` under another song's, a
    mean well above 0 says that the audio is used.

    Args:
        losses: ``(N, draws)`` from :func:`item_losses`, N at least 2.
        other_losses: shaped like ``losses``.

    Raises:
        ValueError: the shapes differ, or there are fewer than two items.
    """
    if losses.shape != other_losses.shape or len(losses) < 2:
        raise ValueError(f"cannot pair {tuple(losses.shape)} with {tuple(other_losses.shape)}")
    differences = (other_losses.double() - losses.double()).mean(dim=1).tolist()
    error = statistics.stdev(differences) / len(differences) ** 0.5
    return Gap(statistics.fmean(differences), error, len(differences))


def derangement(count: int, seed: int) -> list[int]:
    """Shuffle so that nothing stays in its place: one cycle through all, by Sattolo's algorithm.

    Args:
        count: how many, at least 2.
        seed: decides the order.

    Returns:
        a permutation of ``range(count)`` with ``result[i] != i`` for every ``i``.

    Raises:
        ValueError: fewer than two things cannot change places.
    """
    if count < 2:
        raise ValueError(f"{count} things cannot change places")
    generator = generator_of(seed, "derangement", count)
    order = list(range(count))
    for last in range(count - 1, 0, -1):
        other = int(torch.randint(last, (), generator=generator))
        order[last], order[other] = order[other], order[last]
    return order
