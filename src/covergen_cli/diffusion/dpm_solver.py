"""DPM-Solver++ of second order (Lu et al., 2022) for rectified flows, in plain torch.

It has the part of the interface of ``DPMSolverMultistepScheduler`` of diffusers that drawing needs, and gives the same
results; importing diffusers takes seconds. With ``σ`` from 1 (noise) to 0 (picture) and ``α = 1 − σ``, the U-Net
predicts the velocity ``v`` of ``x = α x₀ + σ ε``, so that ``x₀ = x − σ v``.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

if TYPE_CHECKING:
    from torch import Tensor

_FIXED: dict[str, Any] = {
    "_class_name": "DPMSolverMultistepScheduler",
    "prediction_type": "flow_prediction",
    "use_flow_sigmas": True,
    "algorithm_type": "dpmsolver++",
    "solver_order": 2,
    "solver_type": "midpoint",
    "final_sigmas_type": "zero",
}
_NEEDED = ("_class_name", "prediction_type", "use_flow_sigmas")  # their defaults in diffusers are others
_READ = {"num_train_timesteps", "flow_shift"}


def is_supported(config: Mapping[str, Any]) -> bool:
    """Return whether :class:`FlowDPMSolver` follows this ``scheduler_config.json``; diffusers serves for others."""
    known = {key for key in config if not key.startswith("_") or key == "_class_name"}
    return (
        known <= _FIXED.keys() | _READ
        and all(key in config for key in _NEEDED)
        and all(config.get(key, value) == value for key, value in _FIXED.items())
    )


def flow_sigmas(steps: int, train_timesteps: int, shift: float) -> Tensor:
    """Return the noise levels of a flow, float64 ``(steps + 1,)``, falling from about 1 to 0.

    ``σ = shift · u / (1 + (shift − 1) u)`` for evenly spaced ``u`` (Esser et al., 2024).
    """
    evenly = 1 - np.linspace(1, 1 / train_timesteps, steps + 1)
    return torch.from_numpy(np.flip(shift * evenly / (1 + (shift - 1) * evenly)).copy())


def dpm_solver_step(latents: Tensor, clean: Sequence[Tensor], sigmas: Tensor, *, second_order: bool) -> Tensor:
    """Return the latents at the next noise level.

    Args:
        latents: float32 ``(B, C, h, w)`` at ``sigmas[-2]``.
        clean: the predicted ``x₀`` of the last step and of this one.
        sigmas: the noise levels of the last step, of this one and of the next, the last of which may be 0.
        second_order: use the last step too.
    """
    alphas = 1 - sigmas
    log_snr = torch.log(alphas) - torch.log(sigmas)
    width = log_snr[-1] - log_snr[-2]
    decay = alphas[-1] * (torch.exp(-width) - 1.0)
    following = (sigmas[-1] / sigmas[-2]) * latents - decay * clean[-1]
    if second_order:
        ratio = (log_snr[-2] - log_snr[-3]) / width
        following = following - 0.5 * decay * ((1.0 / ratio) * (clean[-1] - clean[-2]))
    return following


class FlowDPMSolver:
    """A scheduler that takes the steps of :func:`dpm_solver_step`.

    Args:
        config: content of a ``scheduler_config.json`` for which :func:`is_supported` holds.
    """

    order = 1  # calls of the U-Net for each step
    init_noise_sigma = 1.0

    def __init__(self, config: Mapping[str, Any]) -> None:
        self._train_timesteps = int(config.get("num_train_timesteps", 1000))
        self._shift = float(config.get("flow_shift", 1.0))
        self._index = 0
        self._clean: list[Tensor] = []

    def set_timesteps(self, steps: int, device: torch.device) -> None:
        """Set the number of steps."""
        sigmas = flow_sigmas(steps, self._train_timesteps, self._shift)
        self._sigmas = sigmas.float()
        self.timesteps = (sigmas[:-1] * self._train_timesteps).to(device, torch.int64)  # whole, as in diffusers

    def set_begin_index(self, index: int) -> None:
        """Set the first step to take, from 0."""
        self._index = index

    def add_noise(self, clean: Tensor, noise: Tensor, _timesteps: Tensor) -> Tensor:
        """Return clean latents ``(B, C, h, w)`` with the noise of the first step to take."""
        sigma = self._sigmas[self._index].to(clean.device)
        return (1 - sigma) * clean + sigma * noise

    def step(self, prediction: Tensor, _timestep: Tensor, latents: Tensor, *, return_dict: bool) -> tuple[Tensor]:
        """Return the latents of the next step as the only item of a tuple, which ``return_dict=False`` stands for.

        Args:
            prediction: velocity ``(B, C, h, w)``.
            latents: of this step.
            return_dict: takes only false.
        """
        if return_dict:
            raise ValueError("this scheduler returns a tuple; pass return_dict=False")
        levels = self._sigmas[max(0, self._index - 1) : self._index + 2].to(latents.device)
        self._clean = [*self._clean[-1:], latents - levels[-2] * prediction]
        last = self._index == len(self._sigmas) - 2
        following = dpm_solver_step(
            latents.float(), self._clean, levels, second_order=len(self._clean) > 1 and not last
        )
        self._index += 1
        return (following.to(prediction.dtype),)
