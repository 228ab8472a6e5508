"""The batches of a training: pairs, noise and times, which follow from the seed and the number of the step alone.

No state passes from one batch to the next, so a run that continues from step ``n`` sees what it would have seen without
the interruption. The noise of an item belongs to its place in the batch of all processes together, so two processes
with half the batch each see what one with the full batch sees.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING, Generic, Protocol, TypeVar

import torch

from covergen_cli.diffusion.objective import generator_of
from covergen_cli.training.latent_cache import Latents

if TYPE_CHECKING:
    from torch import Tensor
    from typing_extensions import Self

    from covergen_cli.training.array_cache import CachedArrays
    from covergen_cli.training.embedding_cache import Embeddings


@dataclass(frozen=True)
class Batch:
    """One process's share of a step.

    Args:
        embeddings: float32 ``(B, T, E)``, padded with zeros.
        lengths: int64 ``(B,)``, real frames.
        latents: float32 ``(B, C, h, w)``.
        noise: float32 ``(B, C, h, w)``.
        times: float32 ``(B,)`` in [0, 1].
        weights: float32 ``(B,)``, the weight of each pair's loss.
    """

    embeddings: Tensor
    lengths: Tensor
    latents: Tensor
    noise: Tensor
    times: Tensor
    weights: Tensor

    def to(self, device: torch.device) -> Batch:
        """Return the batch on a device, latents and noise in channels-last memory format."""
        if device.type == "cuda":
            parts = {name: value.pin_memory().to(device, non_blocking=True) for name, value in vars(self).items()}
        else:
            parts = {name: value.to(device) for name, value in vars(self).items()}
        for name in ("latents", "noise"):
            parts[name] = parts[name].contiguous(memory_format=torch.channels_last)
        return Batch(**parts)


_Data = TypeVar("_Data", bound="CachedArrays")


class OnDevice(Protocol):
    """A batch that can be moved to a device."""

    def to(self, device: torch.device) -> Self:
        """Return the batch on a device."""
        ...


_Batch = TypeVar("_Batch", bound=OnDevice)


@dataclass(frozen=True)
class Batches(Generic[_Data, _Batch]):
    """The batches of a run, whatever is learned from.

    Args:
        embeddings: of the training pairs.
        data: what the adapter learns from, of the same pairs.
        weights: float32 ``(N,)``, above 0; only their ratios matter.
        size: pairs per step and process.
        seed: of everything that is random.
        rank: number of this process.
        processes: number of processes.
    """

    embeddings: Embeddings
    data: _Data
    weights: Tensor
    size: int
    seed: int
    rank: int = 0
    processes: int = 1

    @property
    def pairs_per_step(self) -> int:
        """Pairs per step of all processes together."""
        return self.size * self.processes

    @property
    def steps_per_epoch(self) -> int:
        """Steps in which every pair is seen at least once."""
        return -(-len(self.data) // self.pairs_per_step)

    def pairs_of(self, step: int) -> list[int]:
        """Return the indices of the pairs that this process sees in a step, counted from 0.

        Every epoch has its own order. The last batch of an epoch is filled up with the epoch's first pairs.
        """
        count = len(self.data)
        epoch, within = divmod(step, self.steps_per_epoch)
        order = torch.randperm(count, generator=generator_of(self.seed, "order", epoch)).tolist()
        first = within * self.pairs_per_step + self.rank * self.size
        return [order[place % count] for place in range(first, first + self.size)]

    def at(self, step: int) -> _Batch:
        """Return the batch of a step, on the CPU."""
        raise NotImplementedError

    def load(self, steps: range, device: torch.device) -> Iterator[_Batch]:
        """Yield the batches of some steps on a device; a thread prepares the next one in the meantime."""
        with ThreadPoolExecutor(1) as thread:
            loading = (thread.submit(lambda step: self.at(step).to(device), step) for step in steps)
            ahead = next(loading, None)
            while ahead is not None:
                batch, ahead = ahead.result(), next(loading, None)
                yield batch


@dataclass(frozen=True)
class CoverBatches(Batches[Latents, Batch]):
    """The batches of a training with covers.

    Args:
        times_of: maps uniform numbers ``(B,)`` in [0, 1) to times; see :func:`.objective.times_at`.
        stratified: draw one time in each of as many equal parts of [0, 1) as the batch has pairs, rather than all
            independently.
    """

    times_of: Callable[[Tensor], Tensor] = lambda uniform: uniform
    stratified: bool = False

    def at(self, step: int) -> Batch:
        """Return the batch of a step, on the CPU."""
        pairs = self.pairs_of(step)
        noise, latent_noise, uniform = [], [], []
        for place in range(self.rank * self.size, (self.rank + 1) * self.size):
            generator = generator_of(self.seed, "item", step, place)
            noise.append(torch.randn(self.data.shape, generator=generator))
            offset = torch.rand((), generator=generator)
            uniform.append((place + offset) / self.pairs_per_step if self.stratified else offset)
            if self.data.random:
                latent_noise.append(torch.randn(self.data.shape, generator=generator))
        embeddings, lengths = self.embeddings.batch(pairs)
        latents = self.data.sample(pairs, torch.stack(latent_noise)) if latent_noise else self.data.mean(pairs)
        times = self.times_of(torch.stack(uniform))
        weights = (self.weights / self.weights.mean())[pairs]
        return Batch(embeddings, lengths, latents, torch.stack(noise), times, weights)
