"""What training minimises: the error of the noise that a frozen base predicts (§3.3.1, steps 4 and 5).

Stable Diffusion predicts the noise ε itself; the starter predicts the velocity of a straight path from noise to image
(rectified flow). :func:`add_noise` and :func:`target_of` hold the difference, so that one loss serves every base.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor
from torch.nn import functional

from covergen_cli.errors import ModelError

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["TRAIN_TIMESTEPS", "add_noise", "denoising_loss", "draw_timesteps", "signal_and_noise", "target_of"]

TRAIN_TIMESTEPS = 1000
"""Timesteps of the forward process, as in every Stable Diffusion scheduler; time t in [0, 1] is timestep 1000·t."""


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
    """Return the share of image and of noise in ``x_t = signal·x_0 + noise·ε`` at times ``(B,)`` in [0.

    1], each ``(B,)``.
    """
    if scheduler_config.get("prediction_type") == "flow_prediction":
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
    """Return what the U-Net should predict.

    Ε, the velocity v of Salimans and Ho (2022), or the velocity of the straight path.
    """
    kind = scheduler_config.get("prediction_type", "epsilon")
    if kind == "epsilon":
        return noise
    if kind == "flow_prediction":
        return noise - latents
    if kind == "v_prediction":
        signal, sigma = signal_and_noise(scheduler_config, times)
        return _spread(signal, latents) * noise - _spread(sigma, latents) * latents
    raise ModelError(f"the base predicts '{kind}'; known are epsilon, v_prediction and flow_prediction")


def draw_timesteps(count: int, generator: torch.Generator, *, logit_normal: bool = False, shift: float = 0.0) -> Tensor:
    """Draw times ``(count,)`` in (0, 1).

    Uniform as in the paper, or logit-normal around ``sigmoid(shift)`` (Esser et al., 2024).
    """
    if logit_normal:
        return torch.sigmoid(torch.randn(count, generator=generator) + shift)
    return torch.rand(count, generator=generator)


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
    noisy = add_noise(scheduler_config, latents, noise, times)
    predicted = unet(noisy, times * TRAIN_TIMESTEPS, encoder_hidden_states=tokens, return_dict=False)[0]
    target = target_of(scheduler_config, latents, noise, times)
    return functional.mse_loss(predicted.float(), target.float(), reduction="none").flatten(1).mean(1)
