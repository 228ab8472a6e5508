"""What a training learns from, covers or words: the data, the batches and the objective of each."""

from __future__ import annotations

from collections.abc import Generator
from functools import partial
from typing import TYPE_CHECKING, Any, Protocol, TypeAlias

import torch

from covergen_cli.diffusion.objective import fixed_draws, times_at
from covergen_cli.training.batches import Batches, CoverBatches
from covergen_cli.training.gradients import CoverObjective
from covergen_cli.training.latent_cache import Latents, prepare_latents
from covergen_cli.training.texts import Texts, prepare_texts
from covergen_cli.training.words import WordBatches, WordObjective

if TYPE_CHECKING:
    from collections.abc import Sequence

    from accelerate import Accelerator
    from torch import Tensor

    from covergen_cli.events import Event
    from covergen_cli.models.base import Base
    from covergen_cli.training.embedding_cache import Embeddings
    from covergen_cli.training.plan import Plan

VALIDATION_SEED = 0
"""Seed of the noise and times of validation, the same in all runs, so that runs with other seeds can be compared."""

Targets: TypeAlias = "Latents | Texts"
"""What the adapter learns from: the covers' latents, or the words' hidden states."""


class Objective(Protocol):
    """Computes losses and gradients.

    Attributes:
        at_once: pairs that are computed at once.
        scale: factor of the loss in float16.
    """

    at_once: int
    scale: float

    @property
    def draws(self) -> int:
        """Losses of each validation pair."""
        ...

    def compute(self, tokens: Tensor, batch: Any) -> tuple[Tensor, Tensor]:
        """Return the mean loss of a batch, and its gradient in the shape of ``tokens``."""
        ...

    def grow(self, step: int) -> None:
        """Adjust the scale after a step."""
        ...

    def validation_losses(self, items: Sequence[int], tokens: Tensor, batch_size: int, /) -> Tensor:
        """Return the losses of some validation pairs, float32 ``(n, draws)`` on the CPU."""
        ...


def prepare_targets(plan: Plan, base: Base) -> Generator[Event, None, Targets]:
    """Prepare what the adapter learns from, of the training pairs and then of the validation pairs."""
    pairs = [*plan.train, *plan.validation]
    if plan.config.objective == "words":
        return (yield from prepare_texts(plan.data, base, pairs))
    return (yield from prepare_latents(plan.data, base, pairs))


def make_task(
    plan: Plan, base: Base, embeddings: Embeddings, targets: Targets, accelerator: Accelerator, scale: float
) -> tuple[Batches[Any, Any], Objective]:
    """Return the batches and the objective of a training.

    Args:
        plan: the plan.
        base: on the device.
        embeddings: of the training pairs and the validation pairs.
        targets: of the same pairs, from :func:`prepare_targets`.
        accelerator: the processes.
        scale: factor of the loss in float16 to begin with.
    """
    config, count = plan.config, len(plan.train)
    weights = torch.tensor([pair.weight for pair in plan.train])
    shared: dict[str, Any] = {
        "embeddings": embeddings[:count],
        "weights": weights,
        "size": config.batch_size,
        "seed": config.seed,
        "rank": accelerator.process_index,
        "processes": accelerator.num_processes,
    }
    if isinstance(targets, Texts):
        return WordBatches(data=targets[:count], **shared), WordObjective(targets[count:], config.batch_size)
    weighted = config.timesteps == "weighted"
    times_of = partial(times_at, base.scheduler_config, weighted=weighted)
    batches = CoverBatches(data=targets[:count], times_of=times_of, stratified=weighted, **shared)
    at_once = -(-config.batch_size // (config.accumulate or 1))
    ids = [pair.id for pair in plan.validation]
    draws = fixed_draws(ids, targets.shape, config.validation_draws, VALIDATION_SEED)
    return batches, CoverObjective(base, weighted, at_once, scale, targets[count:], draws)
