"""From noise, or from a picture, to a picture's latent: any diffusers scheduler, with guidance (§3.4.3, §3.4.4).

Every item draws its noise from a generator of its own on the CPU, so a picture depends neither on what it was
batched with nor on the device's random numbers.
"""

from __future__ import annotations

import inspect
from collections.abc import Generator, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Protocol, cast

import torch

from covergen_cli.diffusion.guidance import predict
from covergen_cli.errors import ConfigError, ModelError

if TYPE_CHECKING:
    from torch import Tensor

    from covergen_cli.diffusion.guidance import Term
    from covergen_cli.models.base import Base

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


@dataclass(frozen=True)
class Start:
    """A picture to begin with, in place of pure noise (image to image).

    Args:
        latents: ``(B, C, h, w)``, from :meth:`Base.encode`.
        strength: how far to go back into the noise, 0 to 1: this share of the steps is taken, at least one.
    """

    latents: Tensor
    strength: float


def denoise(
    base: Base,
    terms: Sequence[Term],
    seeds: Sequence[int],
    steps: int,
    scheduler_name: str = OWN,
    start: Start | None = None,
) -> Generator[tuple[int, int], None, Tensor]:
    """Denoise step by step; between two steps the caller may look at the clock, show progress, or stop.

    Args:
        base: the frozen model.
        terms: what the U-Net is told, from :func:`covergen_cli.diffusion.guidance.guide`.
        seeds: one per item, 0 to 2^63 − 1.
        steps: denoising steps, at least 1.
        scheduler_name: see :func:`make_scheduler`.
        start: the pictures to begin with; ``None`` for pure noise.

    Yields:
        ``(done, total)`` calls of the U-Net after each; some schedulers need more calls than steps.

    Returns:
        float ``(B, C, h, w)``: scaled latents, as :meth:`Base.decode` takes them.

    Raises:
        ConfigError: there is no such scheduler.
        ModelError: scheduler or tokens do not fit the base.
    """
    terms = [_fitted(term, base, len(seeds)) for term in terms]
    scheduler = make_scheduler(base, scheduler_name)
    scheduler.set_timesteps(steps, device=base.device)
    generators = [torch.Generator("cpu").manual_seed(seed) for seed in seeds]
    extra = _step_extras(scheduler, generators)
    latents, timesteps = _begin(base, scheduler, generators, start, steps)
    for index, timestep in enumerate(timesteps):
        # Entered anew for every step: held across a yield it would leak into the caller.
        with torch.inference_mode():
            scaled = _scaled(scheduler, latents, timestep).to(base.dtype)
            prediction = predict(base, scaled, timestep, terms)
            latents = scheduler.step(prediction, timestep, latents, return_dict=False, **extra)[0]
        yield index + 1, len(timesteps)
    return latents


def _fitted(term: Term, base: Base, count: int) -> Term:
    """Bring a term to the base's device and type.

    Raises:
        ModelError: its tokens do not fit.
    """
    tokens = term.tokens
    if tokens.ndim != 3 or tokens.shape[0] not in {1, count} or tokens.shape[2] != base.cross_attention_dim:
        expected = (count, "K", base.cross_attention_dim)
        raise ModelError(f"conditioning tokens of shape {tuple(tokens.shape)} do not fit: expected {expected}")
    return replace(term, tokens=tokens.to(base.device, base.dtype))


def _begin(
    base: Base, scheduler: Any, generators: Sequence[torch.Generator], start: Start | None, steps: int
) -> tuple[Tensor, Tensor]:
    """Return the latents to begin with, ``(B, C, h, w)``, and the timesteps to take."""
    noise = _noise(base, generators)
    if start is None:
        return noise * float(getattr(scheduler, "init_noise_sigma", 1.0)), scheduler.timesteps
    left_out = (steps - max(1, min(steps, int(steps * start.strength)))) * scheduler.order
    timesteps = scheduler.timesteps[left_out:]
    if hasattr(scheduler, "set_begin_index"):
        scheduler.set_begin_index(left_out)
    return scheduler.add_noise(start.latents.float(), noise, timesteps[:1].repeat(len(generators))), timesteps


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
