"""Denoising with any diffusers scheduler and guidance, from noise or from a picture (§3.4.3, §3.4.4).

The noise of every item comes from its own generator on the CPU, so a picture depends neither on the other items of
its batch nor on the device's random numbers.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Protocol, TypeAlias

import torch

from covergen_cli.diffusion import dpm_solver
from covergen_cli.diffusion.guidance import predict
from covergen_cli.diffusion.noise_schedule import is_flow
from covergen_cli.errors import ConfigError, ModelError

if TYPE_CHECKING:
    from torch import Tensor

    from covergen_cli.diffusion.guidance import Term
    from covergen_cli.models.base import Base

Callback: TypeAlias = Callable[[int, int], None]
"""Takes the number of calls of the U-Net that are done, and their total; may raise to stop."""

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
"""Short names of the schedulers of diffusers."""

OWN = "own"
"""Name for the scheduler that the base was published with."""

_FLOW_TWINS = {"euler": "FlowMatchEulerDiscreteScheduler", "heun": "FlowMatchHeunDiscreteScheduler"}
_FLOW_NAMES = ("dpm++", "unipc", "euler", "heun")
_ALSO_FIT = frozenset({*_FLOW_TWINS.values(), "LCMScheduler", "TCDScheduler"})


class HasScheduler(Protocol):
    """The part of a base that is needed to choose a scheduler; the base need not be loaded."""

    @property
    def reference(self) -> str:
        """Name, folder or hub id of the base."""

    @property
    def scheduler_config(self) -> dict[str, Any]:
        """Content of its scheduler_config.json."""


def make_scheduler(base: HasScheduler, name: str = OWN) -> Any:
    """Return a scheduler for a base: of diffusers, or our own of the same interface where that follows its settings.

    Args:
        base: its scheduler configuration says what the U-Net predicts and how noise was added in training.
        name: a short name (:data:`SCHEDULERS`), a diffusers class name, or ``own`` for the base's scheduler.

    Raises:
        ConfigError: there is no such scheduler.
        ModelError: the scheduler cannot work with what this base predicts.
    """
    config = base.scheduler_config
    flow = is_flow(config)
    class_name = _class_name(name, config, flow=flow)
    plain = {**config, "_class_name": class_name}
    if dpm_solver.is_supported(plain):
        return dpm_solver.FlowDPMSolver(plain)
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
    """Return a scheduler class of diffusers for Stable Diffusion; those for other models work differently."""
    import diffusers
    from diffusers.schedulers.scheduling_utils import KarrasDiffusionSchedulers

    if name not in KarrasDiffusionSchedulers.__members__ and name not in _ALSO_FIT:
        raise ConfigError(
            f"there is no scheduler {name} for this kind of model",
            hint=f"Use {', '.join(SCHEDULERS)}, or a diffusers class for Stable Diffusion.",
        )
    return getattr(diffusers, name)


def _flow_settings(config: dict[str, Any], known: Any) -> dict[str, Any]:
    """Return the settings of flow schedulers, whose two families name the same settings differently."""
    shift = config.get("flow_shift", config.get("shift", 1.0))
    wanted = {"use_flow_sigmas": True, "prediction_type": "flow_prediction", "flow_shift": shift, "shift": shift}
    return {key: value for key, value in wanted.items() if key in known}


@dataclass(frozen=True)
class Start:
    """Pictures to start from in place of pure noise (image to image).

    Args:
        latents: ``(B, C, h, w)``, from :meth:`Base.encode`.
        strength: how much noise is added, 0 to 1: this share of the steps is run, at least one.
    """

    latents: Tensor
    strength: float


@torch.inference_mode()
def denoise(
    base: Base,
    terms: Sequence[Term],
    seeds: Sequence[int],
    steps: int,
    scheduler_name: str = OWN,
    start: Start | None = None,
    callback: Callback | None = None,
) -> Tensor:
    """Return denoised latents ``(B, C, h, w)``, scaled as :meth:`Base.decode` takes them.

    Args:
        base: the frozen model.
        terms: the conditions and their weights, from :func:`covergen_cli.diffusion.guidance.guide`.
        seeds: one per item, 0 to 2^63 − 1.
        steps: denoising steps, at least 1.
        scheduler_name: see :func:`make_scheduler`.
        start: the pictures to start from; ``None`` for pure noise.
        callback: called with ``(done, total)`` after each call of the U-Net; some schedulers need more calls than
            steps. What it raises ends the loop.

    Raises:
        ConfigError: there is no such scheduler.
        ModelError: scheduler or tokens do not fit the base.
    """
    terms = [_fitted(term, base, len(seeds)) for term in terms]
    scheduler = make_scheduler(base, scheduler_name)
    scheduler.set_timesteps(steps, device=base.device)
    generators = [torch.Generator("cpu").manual_seed(seed) for seed in seeds]
    random = {"generator": generators} if "generator" in inspect.signature(scheduler.step).parameters else {}
    latents, timesteps = _begin(base, scheduler, generators, start, steps)
    for done, timestep in enumerate(timesteps, start=1):
        scaled = scheduler.scale_model_input(latents, timestep) if hasattr(scheduler, "scale_model_input") else latents
        prediction = predict(base, scaled.to(base.dtype), timestep, terms)
        latents = scheduler.step(prediction, timestep, latents, return_dict=False, **random)[0]
        if callback is not None:
            callback(done, len(timesteps))
    return latents


def _fitted(term: Term, base: Base, count: int) -> Term:
    """Return a term on the base's device, in its dtype.

    Raises:
        ModelError: its tokens do not fit.
    """
    tokens = term.condition.tokens
    if tokens.ndim != 3 or tokens.shape[0] not in {1, count} or tokens.shape[2] != base.cross_attention_dim:
        expected = (count, "K", base.cross_attention_dim)
        raise ModelError(f"conditioning tokens of shape {tuple(tokens.shape)} do not fit: expected {expected}")
    return replace(term, condition=term.condition.to(base.device, base.dtype))


def _begin(
    base: Base, scheduler: Any, generators: Sequence[torch.Generator], start: Start | None, steps: int
) -> tuple[Tensor, Tensor]:
    """Return the latents to start from, ``(B, C, h, w)``, and the timesteps to take."""
    noise = torch.stack([torch.randn(base.latent_shape, generator=generator) for generator in generators])
    noise = noise.to(base.device)
    if start is None:
        return noise * float(getattr(scheduler, "init_noise_sigma", 1.0)), scheduler.timesteps
    left_out = (steps - max(1, min(steps, int(steps * start.strength)))) * scheduler.order
    timesteps = scheduler.timesteps[left_out:]
    if hasattr(scheduler, "set_begin_index"):
        scheduler.set_begin_index(left_out)
    return scheduler.add_noise(start.latents.float(), noise, timesteps[:1].repeat(len(generators))), timesteps
