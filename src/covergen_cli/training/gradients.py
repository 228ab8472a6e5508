"""The gradient of a step's loss with respect to the adapter's tokens, in parts that fit into the memory of a GPU.

The image model is frozen, so the adapter needs no more of it than this gradient. It is computed for some of the pairs
at a time, and then goes back through the adapter once, for all pairs together. So a step is the same in one part or in
many, dropout included, except for rounding.

In float16 small gradients would vanish. The loss is multiplied by a scale there, and the gradient divided by it; when a
gradient overflows, the scale is halved and the step computed again (Micikevicius et al., 2018).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch

from covergen_cli.diffusion.objective import denoising_loss, item_losses, time_weights
from covergen_cli.weights.memory import in_batches

if TYPE_CHECKING:
    from torch import Tensor

    from covergen_cli.diffusion.objective import Draws
    from covergen_cli.models.base import Base
    from covergen_cli.training.batches import Batch
    from covergen_cli.training.latent_cache import Latents

LARGEST_SCALE = 65536.0
"""Also the first scale."""

_GROWTH_STEPS = 2000
_HINT = "Use --checkpointing, or --device cpu."


@dataclass
class TokenGradients:
    """Computes losses and the gradients of tokens.

    Args:
        base: the frozen image model.
        weighted: weight the losses by their times; see :func:`covergen_cli.diffusion.objective.time_weights`.
        at_once: pairs of a part; less from the step on in which so many do not fit.
        scale: factor of the loss in float16.
    """

    base: Base
    weighted: bool
    at_once: int
    scale: float

    def compute(self, tokens: Tensor, batch: Batch) -> tuple[Tensor, Tensor]:
        """Return the mean loss of a batch, with the weights of pairs and times, and its gradient.

        Args:
            tokens: ``(B, K, D)``, from the adapter.
            batch: on the device.

        Returns:
            the loss, and the gradient in the shape of ``tokens``.

        Raises:
            ModelError: the GPU has too little memory for a single pair.
        """
        if self.base.dtype != torch.float16:
            return self._compute(tokens, batch, 1.0)
        while True:
            loss, gradient = self._compute(tokens, batch, self.scale)
            if self.scale <= 1 or bool(torch.isfinite(gradient).all()):
                return loss, gradient
            self.scale /= 2

    def grow(self, step: int) -> None:
        """Double the scale after every few thousand steps, as gradients become smaller."""
        if step % _GROWTH_STEPS == 0:
            self.scale = min(LARGEST_SCALE, 2 * self.scale)

    def _compute(self, tokens: Tensor, batch: Batch, scale: float) -> tuple[Tensor, Tensor]:
        values = tokens.detach()

        def of_some(items: Sequence[int]) -> tuple[Tensor, Tensor]:
            some = slice(items[0], items[-1] + 1)
            leaf = values[some].clone().requires_grad_()
            loss = self._losses(leaf, batch, some).sum() / len(values)
            (gradient,) = torch.autograd.grad(loss * scale, leaf)
            return loss.detach(), gradient

        parts = list(in_batches(of_some, range(len(values)), self.at_once, hint=_HINT))
        self.at_once = max(len(gradient) for _, gradient in parts)
        return torch.stack([loss for loss, _ in parts]).sum(), torch.cat([part for _, part in parts]) / scale

    def _losses(self, tokens: Tensor, batch: Batch, some: slice) -> Tensor:
        """Return the weighted losses of some pairs, ``(b,)``."""
        base, times, weights = self.base, batch.times[some], batch.weights[some]
        latents, noise = batch.latents[some], batch.noise[some]
        losses = denoising_loss(base.unet, base.scheduler_config, latents, tokens, noise, times)
        if self.weighted:
            weights = weights * time_weights(base.scheduler_config, times)
        return losses * weights


@dataclass
class CoverObjective(TokenGradients):
    """Losses and gradients of a training with covers, and the losses of its validation.

    Args:
        latents: of the validation pairs' covers.
        validation_draws: noise and times of the same pairs.
    """

    latents: Latents
    validation_draws: Draws

    @property
    def draws(self) -> int:
        """Losses of each validation pair."""
        return self.validation_draws.count

    def validation_losses(self, items: Sequence[int], tokens: Tensor, batch_size: int) -> Tensor:
        """Return the losses of some validation pairs, float32 ``(n, draws)``.

        Args:
            items: indices of the pairs.
            tokens: the adapter's, ``(n, K, D)``.
            batch_size: draws per call of the U-Net.
        """
        base, draws = self.base, self.validation_draws.select(items)
        return item_losses(base.unet, base.scheduler_config, self.latents.mean(items), tokens, draws, batch_size)
