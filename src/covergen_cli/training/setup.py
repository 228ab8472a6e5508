"""The first phase of a training: load the models, prepare the data and restore the state."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Generator
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from accelerate import Accelerator
from accelerate.utils import InitProcessGroupKwargs

from covergen_cli.errors import ModelError
from covergen_cli.events import ModelLoaded, ModelLoading, Warned
from covergen_cli.files import require_space
from covergen_cli.models.base import load_base
from covergen_cli.models.checkpoint import save_adapter
from covergen_cli.models.decoupled import PROJECTIONS, decouple, own_projections, projection_widths, widths_of
from covergen_cli.models.unet import use_plain_attention
from covergen_cli.training.checkpoints import (
    CHECKPOINTS,
    checkpoint_folder,
    load_checkpoint,
    prune_checkpoints,
    save_checkpoint,
)
from covergen_cli.training.embedding_cache import Embeddings, prepare_embeddings
from covergen_cli.training.run_folder import ADAPTER, begin_run
from covergen_cli.training.state import TrainingState
from covergen_cli.training.tasks import Objective, make_task, prepare_targets
from covergen_cli.weights.device import choose_device, choose_training_dtype
from covergen_cli.weights.hub_cache import folder_bytes

if TYPE_CHECKING:
    from covergen_cli.config import TrainConfig
    from covergen_cli.events import Event
    from covergen_cli.models.base import Base
    from covergen_cli.training.batches import Batches
    from covergen_cli.training.plan import Plan

_NOT_RECORDED = {"device", "checkpoint_minutes", "samples", "accumulate", "checkpointing"}
_CHECKPOINTS_AT_ONCE = 4
_GROWTH = 4
"""A later state is larger than the first one, which has neither the optimiser's moments nor the best weights."""


@dataclass(frozen=True)
class TrainingSetup:
    """Everything that the training loop works with, and how it is saved.

    ``wrapped_adapter`` is the state's adapter, wrapped so that the processes average their gradients. ``batches`` are
    those of the training pairs. ``resumed`` is the checkpoint that was restored.
    """

    plan: Plan
    accelerator: Accelerator
    device: torch.device
    base: Base
    state: TrainingState
    wrapped_adapter: torch.nn.Module
    batches: Batches[Any, Any]
    objective: Objective
    validation_embeddings: Embeddings
    resumed: Path | None

    def any_process(self, *flags: bool) -> list[bool]:
        """Return for each flag whether it is true in any process."""
        if self.accelerator.num_processes == 1:
            return list(flags)
        numbers = torch.tensor([float(flag) for flag in flags], device=self.device)
        return [count > 0 for count in self.accelerator.reduce(numbers, reduction="sum").tolist()]

    def save_checkpoint(self) -> Path:
        """Save the complete state, delete checkpoints that are no longer needed, and return the new one."""
        run, state, counters = self.plan.run, self.state, self.state.counters
        state.collect_losses(self.accelerator)
        if self.accelerator.is_main_process:
            save_checkpoint(run, counters.step, state.tensors(), state.scalars())
            prune_checkpoints(run, counters.best_step)
        return checkpoint_folder(run, counters.step)

    def save_best(self) -> None:
        """Save the adapter with the lowest validation loss so far."""
        plan, counters, settings = self.plan, self.state.counters, dataclasses.asdict(self.plan.config)
        training = {
            "epoch": counters.best_epoch,
            "step": counters.best_step,
            "validation_loss": counters.best_loss,
            "train_pairs": len(plan.train),
            "validation_pairs": len(plan.validation),
            "init": plan.record["init"],
            "settings": {name: value for name, value in settings.items() if name not in _NOT_RECORDED},
        }
        save_adapter(plan.run / ADAPTER, self.state.best_adapter(), plan.encoder, self.base.metadata(), training)


def make_accelerator(config: TrainConfig) -> tuple[Accelerator, torch.device]:
    """Return accelerate's view of the processes, and the device of this one."""
    device = choose_device(config.device)
    # The other processes wait while the first one encodes the covers, which takes hours on a CPU.
    timeout = InitProcessGroupKwargs(timeout=timedelta(days=2))
    accelerator = Accelerator(cpu=device.type == "cpu", kwargs_handlers=[timeout])
    return accelerator, device if accelerator.num_processes == 1 else accelerator.device


def set_up(plan: Plan, accelerator: Accelerator, device: torch.device) -> Generator[Event, None, TrainingSetup]:
    """Load the base, prepare embeddings and what is learned from, and restore the state of an earlier run.

    Covers are encoded in full precision, whatever the training computes in, so that all runs can share the cache; until
    then, only the autoencoder is on the device.

    Raises:
        ConfigError: the device does not support the precision.
        ModelError: the base cannot be used, or the requested checkpoint cannot.
        InputError: a cover or an embedding cannot be read.
        OutputError: the disk is full or cannot be written to.
    """
    # Longer than other functions, as it is one list of steps that share most of their values.
    config = plan.config
    yield ModelLoading(config.base)
    started = time.monotonic()
    dtype = choose_training_dtype(config.precision, device)
    base = load_base(config.base)
    base = replace(base, vae=base.vae.to(device), null=base.null.to(device))  # the U-Net follows in its own precision
    yield ModelLoaded(config.base, time.monotonic() - started)
    with accelerator.main_process_first():
        targets = yield from prepare_targets(plan, base)
        embeddings = yield from prepare_embeddings([*plan.train, *plan.validation])
    base = base.in_precision(dtype)
    if config.objective == "covers":
        base.unet.to(device, memory_format=torch.channels_last)
    if device.type == "cpu":  # the backward pass of fused attention is several times slower there
        use_plain_attention(base.unet)
    state = _first_state(plan, base, device)
    size = _CHECKPOINTS_AT_ONCE * _GROWTH * sum(tensor.nbytes for tensor in state.tensors().values())
    existing = folder_bytes(plan.run / CHECKPOINTS)  # they are replaced as the training goes on
    require_space(plan.run, max(0, size - existing), f"checkpoints in {plan.run}")
    resumed = yield from _restore(plan, state)
    if accelerator.is_main_process:
        counters = state.counters
        begin_run(plan.run, plan.record, fresh=plan.fresh, step=counters.step, epoch=counters.epoch)
    if config.checkpointing:
        base.unet.enable_gradient_checkpointing()
    if config.compile:
        base.unet.compile()
    batches, objective = make_task(plan, base, embeddings, targets, accelerator, state.counters.loss_scale)
    return TrainingSetup(
        plan=plan,
        accelerator=accelerator,
        device=device,
        base=base,
        state=state,
        wrapped_adapter=accelerator.prepare_model(state.adapter, device_placement=False),
        batches=batches,
        objective=objective,
        validation_embeddings=embeddings[len(plan.train) :],
        resumed=resumed,
    )


def _first_state(plan: Plan, base: Base, device: torch.device) -> TrainingState:
    """Return the state before the first step; for a decoupled adapter, prepare the base for it."""
    initial: dict[str, torch.Tensor] = {}
    widths = None
    if plan.adapter_config.cross_attention == "decoupled":
        widths, initial = projection_widths(base.unet), own_projections(base)
        decouple(base)
    if plan.start is not None and not plan.checkpoints:
        weights = plan.start.weights()
        fitting = widths_of(weights) == widths
        initial |= {name: value for name, value in weights.items() if fitting or not name.startswith(PROJECTIONS)}
    return TrainingState(plan.adapter_config, plan.config, device, initial, widths)


def _restore(plan: Plan, state: TrainingState) -> Generator[Event, None, Path | None]:
    """Restore the newest checkpoint that is intact and return its path; warn about each damaged one.

    Raises:
        ModelError: there are checkpoints, and all are damaged.
    """
    for path, older in zip(plan.checkpoints, [*plan.checkpoints, None][1:], strict=True):
        try:
            state.restore(*load_checkpoint(path))
        except ModelError as error:
            if older is None:
                hint = error.hint or "No older one is intact; start over with --resume never."
                raise ModelError(error.message, hint=hint) from error
            message = f"{error.message}; trying {older}"
        else:
            return path
        yield Warned(message)
    return None
