"""From noise to a picture's latent: any diffusers scheduler, with classifier-free guidance (§3.4.3).

Ho and Salimans (2022): the prediction is ``null + guidance · (conditional − null)``. The null condition belongs to the
base. Every item draws its noise from a generator of its own on the CPU, so a picture depends neither on what it was
batched with nor on the device's random numbers.
"""

from __future__ import annotations

import inspect
from typing import TYPE_CHECKING, Any, Protocol, cast

import torch

from covergen_cli.errors import ConfigError, ModelError

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Sequence

    from torch import Tensor

    from covergen_cli.models.base import Base

__all__ = ["SCHEDULERS", "denoise", "make_scheduler", "sample"]

SCHEDULERS = {
    "dpm++": "DPMSolverMultistepScheduler",
    "unipc": "UniPCMultistepScheduler",
    "euler": "EulerDiscreteScheduler",
    "euler-a": "EulerAncestralDiscreteScheduler",
    "heun": "HeunDiscreteScheduler",
    "ddim": "DDIMScheduler",
    "ddpm": "DDPMScheduler",
    "pndm": "PNDMScheduler",
}
"""Short names of diffusers' schedulers."""

OWN = "own"
"""Stands for the scheduler that the base names."""

_FLOW_TWINS = {"euler": "FlowMatchEulerDiscreteScheduler", "heun": "FlowMatchHeunDiscreteScheduler"}
_FLOW_NAMES = ("dpm++", "unipc", "euler", "heun")
_ALSO_FIT = frozenset({*_FLOW_TWINS.values(), "LCMScheduler", "TCDScheduler"})


def is_flow(scheduler_config: dict[str, Any]) -> bool:
    """Tell whether the base predicts the velocity of a straight path from picture to noise (rectified flow)."""
    name = str(scheduler_config.get("_class_name", ""))
    return scheduler_config.get("prediction_type") == "flow_prediction" or name.startswith("FlowMatch")


class Scheduled(Protocol):
    """What has to be known of a base to choose a scheduler: it need not be loaded."""

    @property
    def reference(self) -> str:
        """What the base is called."""

    @property
    def scheduler_config(self) -> dict[str, Any]:
        """Its scheduler_config.json."""


def make_scheduler(base: Scheduled, name: str = OWN) -> Any:
    """Make a scheduler for a base.

    Args:
        base: its scheduler configuration says what the U-Net predicts and how noise was added in training.
        name: a short name (:data:`SCHEDULERS`), a diffusers class name, or ``own`` for the one that the base names.

    Raises:
        ConfigError: there is no such scheduler.
        ModelError: the scheduler cannot work with what this base predicts.
    """
    config = base.scheduler_config
    flow = is_flow(config)
    class_name = _class_name(name, config, flow=flow)
    kind = _scheduler_class(class_name)
    known = inspect.signature(kind.__init__).parameters
    handles_flow = class_name.startswith("FlowMatch") or "use_flow_sigmas" in known
    if flow and not handles_flow:
        raise ModelError(
            f"{class_name} cannot draw with {base.reference}, which predicts a flow",
            hint=f"These can: {', '.join(_FLOW_NAMES)}.",
        )
    if not flow and class_name.startswith("FlowMatch"):
        fit = ", ".join(SCHEDULERS)
        raise ModelError(f"{class_name} draws only with flow models; {base.reference} is none", hint=f"Use {fit}.")
    settings = {key: value for key, value in config.items() if key in known}
    if flow:
        settings |= _flow_settings(config, known)
    return kind(**settings)


def _class_name(name: str, config: dict[str, Any], *, flow: bool) -> str:
    if name == OWN:
        own = config.get("_class_name")
        if not isinstance(own, str):
            raise ModelError("the base's scheduler_config.json has no _class_name", hint="Name a scheduler.")
        return own
    short = name.lower()
    if flow and short in _FLOW_TWINS:
        return _FLOW_TWINS[short]
    return SCHEDULERS.get(short, name)


def _scheduler_class(name: str) -> Any:
    """Return a scheduler that diffusers gives for Stable Diffusion; those of other models work differently."""
    import diffusers
    from diffusers.schedulers.scheduling_utils import KarrasDiffusionSchedulers

    if name not in KarrasDiffusionSchedulers.__members__ and name not in _ALSO_FIT:
        raise ConfigError(
            f"there is no scheduler {name} for this kind of model",
            hint=f"Use {', '.join(SCHEDULERS)}, or a diffusers class for Stable Diffusion.",
        )
    return getattr(diffusers, name)


def _flow_settings(config: dict[str, Any], known: Any) -> dict[str, Any]:
    """Translate between the two families of flow schedulers, which name the same things differently."""
    shift = config.get("flow_shift", config.get("shift", 1.0))
    wanted = {"use_flow_sigmas": True, "prediction_type": "flow_prediction", "flow_shift": shift, "shift": shift}
    return {key: value for key, value in wanted.items() if key in known}


def denoise(
    base: Base,
    tokens: Tensor,
    seeds: Sequence[int],
    steps: int,
    guidance: float,
    scheduler_name: str = OWN,
) -> Generator[tuple[int, int], None, Tensor]:
    """Denoise step by step; between two steps the caller may look at the clock, show progress, or stop.

    Args:
        base: the frozen model.
        tokens: conditioning tokens ``(B, K, D)``.
        seeds: one per item, 0 to 2^63 − 1.
        steps: denoising steps, at least 1.
        guidance: weight of the conditional prediction; 1 leaves the null condition out.
        scheduler_name: see :func:`make_scheduler`.

    Yields:
        ``(done, total)`` calls of the U-Net after each; some schedulers need more calls than steps.

    Returns:
        float ``(B, C, h, w)``: scaled latents, as :meth:`Base.decode` takes them.

    Raises:
        ConfigError: there is no such scheduler.
        ModelError: scheduler or tokens do not fit the base.
    """
    if tokens.ndim != 3 or tokens.shape[0] != len(seeds) or tokens.shape[2] != base.cross_attention_dim:
        expected = (len(seeds), "K", base.cross_attention_dim)
        raise ModelError(f"conditioning tokens of shape {tuple(tokens.shape)} do not fit: expected {expected}")
    scheduler = make_scheduler(base, scheduler_name)
    scheduler.set_timesteps(steps, device=base.device)
    generators = [torch.Generator("cpu").manual_seed(seed) for seed in seeds]
    tokens = tokens.to(base.device, base.dtype)
    extra = _step_extras(scheduler, generators)
    sigma = float(getattr(scheduler, "init_noise_sigma", 1.0))
    latents = _noise(base, generators) * sigma
    total = len(scheduler.timesteps)
    for index, timestep in enumerate(scheduler.timesteps):
        # Entered anew for every step: held across a yield it would leak into the caller.
        with torch.inference_mode():
            scaled = _scaled(scheduler, latents, timestep).to(base.dtype)
            prediction = _predict(base, scaled, timestep, tokens, guidance).float()
            latents = scheduler.step(prediction, timestep, latents, return_dict=False, **extra)[0]
        yield index + 1, total
    return latents


def sample(
    base: Base,
    tokens: Tensor,
    seeds: Sequence[int],
    steps: int,
    guidance: float,
    scheduler_name: str = OWN,
    on_step: Callable[[int, int], None] | None = None,
) -> Tensor:
    """Denoise to the end; see :func:`denoise`.

    Args:
        base: see :func:`denoise`, also for the other arguments.
        tokens: ``(B, K, D)``.
        seeds: one per item.
        steps: denoising steps.
        guidance: weight of guidance.
        scheduler_name: a scheduler.
        on_step: called with ``(done, total)`` after every call of the U-Net; may raise to stop.

    Returns:
        float ``(B, C, h, w)``: scaled latents.
    """
    steps_left = denoise(base, tokens, seeds, steps, guidance, scheduler_name)
    while True:
        try:
            done, total = next(steps_left)
        except StopIteration as end:
            return cast("Tensor", end.value)
        if on_step is not None:
            on_step(done, total)


def _noise(base: Base, generators: Sequence[torch.Generator]) -> Tensor:
    drawn = [torch.randn(base.latent_shape, generator=generator, dtype=torch.float32) for generator in generators]
    return torch.stack(drawn).to(base.device)


def _scaled(scheduler: Any, latents: Tensor, timestep: Tensor) -> Tensor:
    if hasattr(scheduler, "scale_model_input"):
        return cast("Tensor", scheduler.scale_model_input(latents, timestep))
    return latents


def _step_extras(scheduler: Any, generators: list[torch.Generator]) -> dict[str, Any]:
    takes = inspect.signature(scheduler.step).parameters
    return {"generator": generators} if "generator" in takes else {}


def _predict(base: Base, latents: Tensor, timestep: Tensor, tokens: Tensor, guidance: float) -> Tensor:
    """Return the guided prediction, ``(B, C, h, w)``."""
    if guidance == 1:
        return _unet(base, latents, timestep, tokens)
    null = base.null_tokens.expand(latents.shape[0], -1, -1)
    if null.shape == tokens.shape:
        both = _unet(base, torch.cat([latents, latents]), timestep, torch.cat([null, tokens]))
        unconditional, conditional = both.chunk(2)
    else:
        unconditional = _unet(base, latents, timestep, null)
        conditional = _unet(base, latents, timestep, tokens)
    return unconditional + guidance * (conditional - unconditional)


def _unet(base: Base, latents: Tensor, timestep: Tensor, tokens: Tensor) -> Tensor:
    return cast("Tensor", base.unet(latents, timestep, encoder_hidden_states=tokens, return_dict=False)[0])
