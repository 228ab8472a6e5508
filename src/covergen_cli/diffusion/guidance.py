"""Classifier-free guidance (Ho and Salimans, 2022), with a scale for the song and one for prompt and song together.

A prompt's tokens are appended to the song's, and the U-Net predicts the noise under three conditions: nothing, the
prompt alone, and prompt and song together. As in InstructPix2Pix (Brooks et al., 2023) each difference has a weight::

    nothing + guidance · ((prompt − nothing) + audio_scale · (prompt and song − prompt))

Terms of weight zero are not computed. With an audio scale of 1 the prompt alone has weight zero, and plain guidance
remains: ``nothing + guidance · (prompt and song − nothing)``.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, cast

import torch

if TYPE_CHECKING:
    from torch import Tensor

    from covergen_cli.models.base import Base


@dataclass(frozen=True)
class Term:
    """One condition of the U-Net, and the weight of its prediction.

    Args:
        weight: the weights of all terms sum to 1.
        tokens: ``(B, K, D)``, or ``(1, K, D)`` for all items alike.
        added: further conditions of the same first dimension, as the SDXL refiner takes them.
    """

    weight: float
    tokens: Tensor
    added: dict[str, Tensor] | None = None


def guide(
    song: Tensor,
    null: Tensor,
    guidance: float,
    *,
    prompt: Tensor | None = None,
    negative: Tensor | None = None,
    audio_scale: float = 1.0,
) -> list[Term]:
    """Return the terms of guidance, at least one.

    Args:
        song: conditioning tokens of the songs, ``(B, K, D)``.
        null: the base's null condition ``(1, K0, D)``, that of an empty prompt.
        guidance: guidance scale; 1 switches guidance off.
        prompt: tokens of the prompt, ``(1, K1, D)``.
        negative: tokens of the negative prompt, ``(1, K2, D)``, in place of ``null``.
        audio_scale: weight of the songs over the prompt alone; 0 leaves the songs out.
    """
    nothing, text = null if negative is None else negative, null if prompt is None else prompt
    both = song if prompt is None else torch.cat([song, prompt.expand(len(song), -1, -1)], dim=1)
    if nothing is text:
        terms = [Term(1 - guidance * audio_scale, nothing)]
    else:
        terms = [Term(1 - guidance, nothing), Term(guidance * (1 - audio_scale), text)]
    terms.append(Term(guidance * audio_scale, both))
    return [term for term in terms if term.weight]


def predict(base: Base, latents: Tensor, timestep: Tensor, terms: Sequence[Term]) -> Tensor:
    """Return the weighted sum of the U-Net's predictions, float32 ``(B, C, h, w)``.

    Terms with the same number of tokens are computed in one call.

    Args:
        base: the model.
        latents: ``(B, C, h, w)``, scaled by the scheduler.
        timestep: of the scheduler.
        terms: from :func:`guide`.
    """
    count = len(latents)
    if len({term.tokens.shape[1] for term in terms}) == 1:
        together = Term(
            1.0,
            torch.cat([term.tokens.expand(count, -1, -1) for term in terms]),
            _joined([term.added for term in terms], count),
        )
        predictions = _predict(base, torch.cat([latents] * len(terms)), timestep, together).chunk(len(terms))
    else:
        predictions = tuple(_predict(base, latents, timestep, term) for term in terms)
    weighted = [term.weight * prediction.float() for term, prediction in zip(terms, predictions, strict=True)]
    return sum(weighted[1:], weighted[0])


def _joined(added: Sequence[dict[str, Tensor] | None], count: int) -> dict[str, Tensor] | None:
    sides = [side for side in added if side is not None]
    if not sides:
        return None
    return {name: torch.cat([side[name].expand(count, -1) for side in sides]) for name in sides[0]}


def _predict(base: Base, latents: Tensor, timestep: Tensor, term: Term) -> Tensor:
    count = len(latents)
    added = _joined([term.added], count)
    further = {} if added is None else {"added_cond_kwargs": added}
    tokens = term.tokens.expand(count, -1, -1)
    prediction = base.unet(latents, timestep, encoder_hidden_states=tokens, return_dict=False, **further)
    return cast("Tensor", prediction[0])
