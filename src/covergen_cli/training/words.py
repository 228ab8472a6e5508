"""Training without covers: the adapter learns to predict the text encoder's output for prompts made from the music.

No U-Net takes part. The targets are the text encoder's hidden states for several wordings of each song
(:mod:`covergen_cli.training.texts`), one per position. Positions differ in their norm (about 28 in CLIP, and 44 at the
first), so the squared error at each is divided by the squared norm of its target (compare GlueGen, Qin et al., 2023).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch

from covergen_cli.diffusion.objective import generator_of
from covergen_cli.training.batches import Batches
from covergen_cli.training.texts import WORDINGS, Texts

if TYPE_CHECKING:
    from collections.abc import Sequence

    from torch import Tensor


@dataclass(frozen=True)
class WordBatch:
    """One process's share of a step.

    Args:
        embeddings: float32 ``(B, T, E)``, padded with zeros.
        lengths: int64 ``(B,)``, real frames.
        targets: float32 ``(B, N, D)``, hidden states of the text encoder.
        weights: float32 ``(B,)``, the weight of each pair's loss.
    """

    embeddings: Tensor
    lengths: Tensor
    targets: Tensor
    weights: Tensor

    def to(self, device: torch.device) -> WordBatch:
        """Return the batch on a device."""
        return WordBatch(**{name: value.to(device) for name, value in vars(self).items()})


@dataclass(frozen=True)
class WordBatches(Batches[Texts, WordBatch]):
    """The batches of a training with words, one wording per song, drawn anew in every step."""

    def at(self, step: int) -> WordBatch:
        """Return the batch of a step, on the CPU."""
        pairs = self.pairs_of(step)
        places = range(self.rank * self.size, (self.rank + 1) * self.size)
        wordings = [
            int(torch.randint(WORDINGS, (), generator=generator_of(self.seed, "wording", step, place)))
            for place in places
        ]
        embeddings, lengths = self.embeddings.batch(pairs)
        weights = (self.weights / self.weights.mean())[pairs]
        return WordBatch(embeddings, lengths, self.data.targets(pairs, wordings), weights)


def word_losses(tokens: Tensor, targets: Tensor) -> Tensor:
    """Return the mean over positions of the squared error relative to the target's squared norm, float32 ``(B,)``.

    Args:
        tokens: ``(B, N, D)``.
        targets: of the same shape.
    """
    targets = targets.float()
    errors = (tokens.float() - targets).square().sum(dim=-1)
    return (errors / targets.square().sum(dim=-1)).mean(dim=-1)


@dataclass
class WordObjective:
    """Losses and gradients of a training with words; the counterpart of ``CoverObjective``.

    Args:
        validation: the texts of the validation pairs.
        at_once: pairs of a step.
    """

    validation: Texts
    at_once: int
    scale: float = 1.0

    draws = WORDINGS

    def compute(self, tokens: Tensor, batch: WordBatch) -> tuple[Tensor, Tensor]:
        """Return the mean loss of a batch, with the weights of pairs, and its gradient, shaped like ``tokens``."""
        leaf = tokens.detach().requires_grad_()
        loss = (word_losses(leaf, batch.targets) * batch.weights).mean()
        (gradient,) = torch.autograd.grad(loss, leaf)
        return loss.detach(), gradient

    def grow(self, step: int) -> None:
        """Do nothing: the loss is not scaled."""

    def validation_losses(self, items: Sequence[int], tokens: Tensor, _batch_size: int) -> Tensor:
        """Return the loss of some validation pairs for every wording, float32 ``(n, WORDINGS)``.

        Args:
            items: indices of the pairs.
            tokens: the adapter's, ``(n, N, D)``.
        """
        losses = []
        for wording in range(WORDINGS):
            targets = self.validation.targets(items, [wording] * len(items))
            losses.append(word_losses(tokens, targets.to(tokens.device)))
        return torch.stack(losses, dim=1).cpu()
