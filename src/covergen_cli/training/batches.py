"""What every step learns from: pairs, noise and times, all settled by the seed and the number of the step.

Nothing is carried from one batch to the next, so a run that goes on from step ``n`` sees what it would have seen. An
item's noise belongs to its place in the batch of all processes together, so two processes with half a batch each see
what one with a whole batch sees.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch

from covergen_cli.diffusion.objective import generator_of

if TYPE_CHECKING:
    from torch import Tensor

    from covergen_cli.training.embedding_cache import Embeddings
    from covergen_cli.training.latent_cache import Latents


@dataclass(frozen=True)
class Batch:
    """One process's share of a step.

    Args:
        embeddings: float32 ``(B, T, E)``, padded with zeros.
        lengths: int64 ``(B,)``, real frames.
        latents: float32 ``(B, C, h, w)``.
        noise: float32 ``(B, C, h, w)``.
        times: float32 ``(B,)`` in [0, 1].
        weights: float32 ``(B,)``, how much each pair counts.
    """

    embeddings: Tensor
    lengths: Tensor
    latents: Tensor
    noise: Tensor
    times: Tensor
    weights: Tensor

    def to(self, device: torch.device) -> Batch:
        """Move it; pictures in the memory layout that convolutions like."""
        if device.type == "cuda":
            parts = {name: value.pin_memory().to(device, non_blocking=True) for name, value in vars(self).items()}
        else:
            parts = {name: value.to(device) for name, value in vars(self).items()}
        for name in ("latents", "noise"):
            parts[name] = parts[name].contiguous(memory_format=torch.channels_last)
        return Batch(**parts)


@dataclass(frozen=True)
class Batches:
    """The batches of a run.

    Args:
        embeddings: of the pairs to learn from.
        latents: of the same pairs.
        weights: float32 ``(N,)``, above 0; their mean does not matter.
        size: pairs per step and process.
        seed: of order, noise and times.
        times_of: maps uniform numbers ``(B,)`` in [0, 1) to times; see :func:`.objective.times_at`.
        stratified: a batch's times fall one in each of as many equal parts as it has pairs, rather than anywhere.
        rank: which process this is.
        processes: how many there are.
    """

    embeddings: Embeddings
    latents: Latents
    weights: Tensor
    size: int
    seed: int
    times_of: Callable[[Tensor], Tensor]
    stratified: bool
    rank: int = 0
    processes: int = 1

    @property
    def per_step(self) -> int:
        """Pairs per step of all processes together."""
        return self.size * self.processes

    @property
    def per_epoch(self) -> int:
        """Steps in which every pair is seen at least once."""
        return -(-len(self.latents) // self.per_step)

    def pairs_of(self, step: int) -> list[int]:
        """Say which pairs this process sees in a step, counted from 0.

        Every epoch has its own order. Where the last batch of an epoch has room left, it begins again with the epoch's
        first pairs.
        """
        count = len(self.latents)
        epoch, within = divmod(step, self.per_epoch)
        order = torch.randperm(count, generator=generator_of(self.seed, "order", epoch)).tolist()
        first = within * self.per_step + self.rank * self.size
        return [order[place % count] for place in range(first, first + self.size)]

    def at(self, step: int) -> Batch:
        """Put the batch of a step together, on the CPU."""
        pairs = self.pairs_of(step)
        noise, latent_noise, uniform = [], [], []
        for place in range(self.rank * self.size, (self.rank + 1) * self.size):
            generator = generator_of(self.seed, "item", step, place)
            noise.append(torch.randn(self.latents.shape, generator=generator))
            offset = torch.rand((), generator=generator)
            uniform.append((place + offset) / self.per_step if self.stratified else offset)
            if self.latents.spread:
                latent_noise.append(torch.randn(self.latents.shape, generator=generator))
        embeddings, lengths = self.embeddings.batch(pairs)
        latents = self.latents.sample(pairs, torch.stack(latent_noise)) if latent_noise else self.latents.mean(pairs)
        times = self.times_of(torch.stack(uniform))
        weights = (self.weights / self.weights.mean())[pairs]
        return Batch(embeddings, lengths, latents, torch.stack(noise), times, weights)
