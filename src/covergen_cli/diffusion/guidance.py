"""What the U-Net is told, and how several answers become one: classifier-free guidance (Ho and Salimans, 2022).

With a prompt beside the song, the tokens of both stand in one row, and guidance has three sides: nothing, the words
alone, and words and song together. As in InstructPix2Pix (Brooks et al., 2023) each step from one to the next has a
weight::

    nothing + guidance · ((words − nothing) + audio_scale · (words and song − words))

Every side of weight zero is left out. With an audio scale of 1 the words alone are never asked for, and what is left is
plain guidance, ``nothing + guidance · (words and song − nothing)``.
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
    """One question to the U-Net, and the weight of its answer.

    Args:
        weight: the weights of all terms sum to 1.
        tokens: ``(B, K, D)``, or ``(1, K, D)`` for all items alike.
        added: further conditions of the same first dimension, as the SDXL refiner takes them; ``None`` for none.
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
    """Return the terms of guidance.

    Args:
        song: conditioning tokens of the songs, ``(B, K, D)``.
        null: the base's null condition ``(1, K0, D)``: no words.
        guidance: weight of what is asked for over nothing; 1 leaves nothing out.
        prompt: tokens of words beside the songs, ``(1, K1, D)``.
        negative: tokens of words that stand for nothing, in place of ``null``: what shall not be seen.
        audio_scale: weight of the songs over the words alone; 0 leaves the songs out.

    Returns:
        at least one term.
    """
    nothing, words = null if negative is None else negative, null if prompt is None else prompt
    both = song if prompt is None else torch.cat([song, prompt.expand(len(song), -1, -1)], dim=1)
    if nothing is words:
        terms = [Term(1 - guidance * audio_scale, nothing)]
    else:
        terms = [Term(1 - guidance, nothing), Term(guidance * (1 - audio_scale), words)]
    terms.append(Term(guidance * audio_scale, both))
    return [term for term in terms if term.weight]


def predict(base: Base, latents: Tensor, timestep: Tensor, terms: Sequence[Term]) -> Tensor:
    """Return the weighted sum of the U-Net's answers, float32 ``(B, C, h, w)``.

    Terms whose tokens have one length are asked for in one call.

    Args:
        base: the model.
        latents: ``(B, C, h, w)``, scaled as the scheduler wants.
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
        answers = _ask(base, torch.cat([latents] * len(terms)), timestep, together).chunk(len(terms))
    else:
        answers = tuple(_ask(base, latents, timestep, term) for term in terms)
    prediction = terms[0].weight * answers[0].float()
    for term, answer in zip(terms[1:], answers[1:], strict=True):
        prediction = prediction + term.weight * answer.float()
    return prediction


def _joined(added: Sequence[dict[str, Tensor] | None], count: int) -> dict[str, Tensor] | None:
    sides = [side for side in added if side is not None]
    if not sides:
        return None
    return {name: torch.cat([side[name].expand(count, -1) for side in sides]) for name in sides[0]}


def _ask(base: Base, latents: Tensor, timestep: Tensor, term: Term) -> Tensor:
    count = len(latents)
    added = _joined([term.added], count)
    further = {} if added is None else {"added_cond_kwargs": added}
    tokens = term.tokens.expand(count, -1, -1)
    answer = base.unet(latents, timestep, encoder_hidden_states=tokens, return_dict=False, **further)
    return cast("Tensor", answer[0])
