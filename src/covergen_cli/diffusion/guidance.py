"""Classifier-free guidance (Ho and Salimans, 2022) along several conditions, each with a scale of its own.

The U-Net predicts the noise without a condition and under a chain of conditions that each contain the one before, such
as a prompt, the prompt with words, and both with the song's tokens. As in InstructPix2Pix (Brooks et al., 2023) each
difference has a weight::

    unconditional + guidance · (s₁ · (c₁ − unconditional) + s₂ · (c₂ − c₁) + s₃ · (c₃ − c₂))

Terms of weight zero are not computed. With scales of 1 only the first and the last remain, and that is plain guidance:
``unconditional + guidance · (c₃ − unconditional)``.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, Any, cast

import torch

from covergen_cli.models.condition import Condition, join
from covergen_cli.models.unet import UNet

if TYPE_CHECKING:
    from torch import Tensor

    from covergen_cli.models.base import Base


@dataclass(frozen=True)
class Term:
    """One condition of the U-Net, and the weight of its prediction; the weights of all terms sum to 1."""

    weight: float
    condition: Condition


def guide(unconditional: Condition, chain: Sequence[tuple[Condition, float]], guidance: float) -> list[Term]:
    """Return the terms of guidance, at least one.

    Args:
        unconditional: the base's null condition, or that of a negative prompt.
        chain: conditions, each containing the one before, with the scales of their differences.
        guidance: guidance scale; 1 switches guidance off.
    """
    scales = [scale for _, scale in chain] + [0.0]
    weights = [guidance * (scale - following) for scale, following in pairwise(scales)]
    terms = [Term(1 - guidance * scales[0], unconditional)]
    terms += [Term(weight, condition) for weight, (condition, _) in zip(weights, chain, strict=True)]
    return [term for term in terms if term.weight]


def predict(base: Base, latents: Tensor, timestep: Tensor, terms: Sequence[Term]) -> Tensor:
    """Return the weighted sum of the U-Net's predictions, float32 ``(B, C, h, w)``.

    All terms are computed in one call: shorter conditions are padded with tokens that the U-Net does not attend to. Our
    own U-Net takes no mask, and is called for each term where the numbers of tokens differ.

    Args:
        base: the model.
        latents: ``(B, C, h, w)``, scaled by the scheduler.
        timestep: of the scheduler.
        terms: from :func:`guide`.
    """
    conditions = [term.condition.expand(len(latents)) for term in terms]
    counts = [condition.tokens.shape[1] for condition in conditions]
    if len(set(counts)) > 1 and isinstance(base.unet, UNet):
        predictions: Sequence[Tensor] = [_predict(base, latents, timestep, condition) for condition in conditions]
    else:
        mask = None
        if len(set(counts)) > 1:
            conditions = [condition.pad(max(counts)) for condition in conditions]
            real = torch.arange(max(counts))[None] < torch.tensor(counts).repeat_interleave(len(latents))[:, None]
            mask = real.to(latents.device, latents.dtype)
        together = _predict(base, torch.cat([latents] * len(terms)), timestep, join(conditions), mask)
        predictions = together.chunk(len(terms))
    weighted = [term.weight * prediction.float() for term, prediction in zip(terms, predictions, strict=True)]
    return sum(weighted[1:], weighted[0])


def _predict(base: Base, latents: Tensor, timestep: Tensor, condition: Condition, mask: Tensor | None = None) -> Tensor:
    """Return the U-Net's prediction; ``mask`` ``(B, K)`` is 1 for the tokens to attend to, and 0 for padding."""
    further: dict[str, Any] = {"added_cond_kwargs": condition.added} if condition.added else {}
    if mask is not None:
        further["encoder_attention_mask"] = mask
    if condition.audio is not None:
        further["audio"] = condition.audio
    tokens = condition.tokens
    prediction = base.unet(latents, timestep, encoder_hidden_states=tokens, return_dict=False, **further)
    return cast("Tensor", prediction[0])
