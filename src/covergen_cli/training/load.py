"""The first phase of a training: from a plan to models, data and state on a device."""

from __future__ import annotations

import time
from collections.abc import Generator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from covergen_cli.diffusion.objective import times_at
from covergen_cli.errors import ModelError
from covergen_cli.events import ModelLoaded, ModelLoading, Warned
from covergen_cli.files import require_space
from covergen_cli.models.base import load_base
from covergen_cli.training.batches import Batches
from covergen_cli.training.checkpoints import drop_later, load_checkpoint
from covergen_cli.training.embedding_cache import Embeddings, prepare_embeddings
from covergen_cli.training.latent_cache import Latents, prepare_latents
from covergen_cli.training.plan import begin_run
from covergen_cli.training.run_folder import keep_records
from covergen_cli.training.state import State

if TYPE_CHECKING:
    from covergen_cli.events import Event
    from covergen_cli.models.base import Base
    from covergen_cli.training.plan import Plan

_CHECKPOINTS_AT_ONCE = 4


@dataclass
class Session:
    """All that the phases work with.

    Args:
        plan: what to do.
        accelerator: of accelerate; knows the processes.
        device: where this process computes.
        base: frozen, in the precision of the training.
        state: what is trained.
        learner: the state's adapter, wrapped so that processes share their gradients.
        batches: what every step learns from.
        embeddings: of the validation pairs.
        latents: of the validation pairs.
        resumed: the checkpoint that the state comes from.
    """

    plan: Plan
    accelerator: Any
    device: torch.device
    base: Base
    state: State
    learner: torch.nn.Module
    batches: Batches
    embeddings: Embeddings
    latents: Latents
    resumed: Path | None


def load(plan: Plan, accelerator: Any, device: torch.device) -> Generator[Event, None, Session]:
    """Load the base, prepare latents and embeddings, and take up the state of an earlier run.

    Covers are encoded in full precision whatever the training computes in, so that the cache serves every run.

    Raises:
        ModelError: the base cannot be used, or the checkpoint that was asked for cannot.
        InputError: a cover or an embedding cannot be read.
        OutputError: the disk is full or cannot be written to.
    """
    config = plan.config
    yield ModelLoading(config.base)
    started = time.monotonic()
    base = load_base(config.base, device)
    yield ModelLoaded(config.base, time.monotonic() - started)
    pairs = [*plan.train, *plan.validation]
    with accelerator.main_process_first():
        latents = yield from prepare_latents(plan.data, base, pairs)
        embeddings = yield from prepare_embeddings(pairs)
    base = _suited(base, device, config.precision)
    state = State(plan.shape, config, device)
    size = sum(tensor.nbytes for tensor in state.tensors().values())
    require_space(plan.run, _CHECKPOINTS_AT_ONCE * 4 * size, f"checkpoints in {plan.run}")
    if accelerator.is_main_process:
        begin_run(plan)
    resumed = yield from _take_up(plan, state)
    if accelerator.is_main_process:
        keep_records(plan.run, state.counters.step, state.counters.epoch)
        drop_later(plan.run, state.counters.step)
    if config.compile:
        base.unet.compile()
    count = len(plan.train)
    batches = Batches(
        Embeddings(embeddings.packed, embeddings.keys[:count]),
        Latents(latents.packed, latents.keys[:count]),
        torch.tensor([pair.weight for pair in plan.train]),
        config.batch_size,
        config.seed,
        lambda uniform: times_at(base.scheduler_config, uniform, weighted=config.timesteps == "weighted"),
        stratified=config.timesteps == "weighted",
        rank=accelerator.process_index,
        processes=accelerator.num_processes,
    )
    return Session(
        plan=plan,
        accelerator=accelerator,
        device=device,
        base=base,
        state=state,
        learner=accelerator.prepare_model(state.adapter, device_placement=False),
        batches=batches,
        embeddings=Embeddings(embeddings.packed, embeddings.keys[count:]),
        latents=Latents(latents.packed, latents.keys[count:]),
        resumed=resumed,
    )


def _suited(base: Base, device: torch.device, precision: str) -> Base:
    """Bring the base into the form in which training is fastest."""
    half = precision == "bf16" or (precision == "auto" and device.type == "cuda")
    base = base.in_precision(torch.bfloat16) if half else base
    base.unet.to(memory_format=torch.channels_last)
    if device.type == "cpu":
        from diffusers.models.attention_processor import AttnProcessor

        # On a CPU the backward pass of fused attention is several times slower than that of plain products.
        base.unet.set_attn_processor(AttnProcessor())
    return base


def _take_up(plan: Plan, state: State) -> Generator[Event, None, Path | None]:
    """Restore the newest checkpoint that is whole; damaged ones are named."""
    for path, before in zip(plan.checkpoints, [*plan.checkpoints, None][1:], strict=True):
        fault = _restore(state, path)
        if fault is None:
            return path
        if before is None:
            raise ModelError(fault.message, hint=fault.hint or "No older one is whole; begin anew with --resume never.")
        yield Warned(f"{fault.message}; trying {before}")
    return None


def _restore(state: State, path: Path) -> ModelError | None:
    try:
        state.restore(*load_checkpoint(path))
    except ModelError as error:
        return error
    return None
