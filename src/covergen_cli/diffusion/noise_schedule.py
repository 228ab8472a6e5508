"""How much noise a base was trained with at each timestep, as its ``scheduler_config.json`` says.

A time t in [0, 1] stands for timestep ``N t`` of the scheduler's ``num_train_timesteps`` N.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from covergen_cli.errors import ModelError

if TYPE_CHECKING:
    from torch import Tensor

_BETA_SETTINGS = (
    "num_train_timesteps",
    "beta_start",
    "beta_end",
    "beta_schedule",
    "trained_betas",
    "rescale_betas_zero_snr",
)


def is_flow(scheduler_config: Mapping[str, Any]) -> bool:
    """Return whether the base predicts the velocity of a straight path from picture to noise (rectified flow)."""
    name = str(scheduler_config.get("_class_name", ""))
    return scheduler_config.get("prediction_type") == "flow_prediction" or name.startswith("FlowMatch")


def _alphas_cumprod(scheduler_config: Mapping[str, Any]) -> Tensor:
    """Return ᾱ of the scheduler's betas, float32 ``(N,)``, as diffusers computes it."""
    given = {key: scheduler_config[key] for key in _BETA_SETTINGS if key in scheduler_config}
    return _cached_alphas_cumprod(json.dumps(given, sort_keys=True))


@lru_cache(maxsize=4)
def _cached_alphas_cumprod(settings: str) -> Tensor:
    from diffusers import DDPMScheduler

    scheduler: Any = DDPMScheduler  # its types are unknown
    try:
        alphas: Tensor = scheduler(**json.loads(settings)).alphas_cumprod
    except (NotImplementedError, TypeError, ValueError) as error:
        raise ModelError(f"training cannot follow the base's scheduler: {error}") from error
    return alphas


def train_timesteps(scheduler_config: Mapping[str, Any]) -> int:
    """Return the number of timesteps of the forward process, 1000 for every published Stable Diffusion."""
    return int(scheduler_config.get("num_train_timesteps", 1000))


def timesteps_at(scheduler_config: Mapping[str, Any], times: Tensor) -> Tensor:
    """Return the scheduler's timesteps at times ``(B,)`` in [0, 1]: whole for noise (§3.3.1), ``N t`` for a flow."""
    count = train_timesteps(scheduler_config)
    if is_flow(scheduler_config):
        return times * count
    return (times * count).long().clamp(0, count - 1)


def signal_and_noise(scheduler_config: Mapping[str, Any], times: Tensor) -> tuple[Tensor, Tensor]:
    """Return the factors of image and noise in ``x_t = signal·x_0 + noise·ε``, each ``(B,)``, at times in [0, 1]."""
    if is_flow(scheduler_config):
        return 1 - times, times
    alpha = _alphas_cumprod(scheduler_config).to(times.device)[timesteps_at(scheduler_config, times)]
    return alpha.sqrt(), (1 - alpha).sqrt()
