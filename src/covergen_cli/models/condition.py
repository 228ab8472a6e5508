"""Conditions: the tokens that a U-Net attends to and, for Stable Diffusion XL, what it takes besides them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import torch

from covergen_cli.errors import ModelError

if TYPE_CHECKING:
    from torch import Tensor

    from covergen_cli.models.text import TextTokens

_AESTHETIC_SCORES = {True: 2.5, False: 6.0}
"""Score of 10 of the unconditional (true) and the conditional side, as in StableDiffusionXLImg2ImgPipeline."""
_SIZES, _SIZES_AND_SCORE = 6, 5


@dataclass(frozen=True)
class Condition:
    """What a U-Net draws by.

    Args:
        tokens: ``(B, K, D)``, or ``(1, K, D)`` for all items alike.
        added: further conditions of the same first dimension: ``text_embeds`` and ``time_ids`` for Stable Diffusion XL,
            none for other models.
        audio: audio projections ``(B, K', S)`` of a decoupled adapter, which the U-Net attends to besides; ``None`` for
            none.
    """

    tokens: Tensor
    added: dict[str, Tensor] = field(default_factory=dict)
    audio: Tensor | None = None

    def to(self, device: torch.device | str | None = None, dtype: torch.dtype | None = None) -> Condition:
        """Return this condition on a device, in a dtype."""
        return Condition(
            self.tokens.to(device, dtype),
            {name: tensor.to(device, dtype) for name, tensor in self.added.items()},
            None if self.audio is None else self.audio.to(device, dtype),
        )

    def expand(self, count: int) -> Condition:
        """Return this condition for so many items."""
        return Condition(
            self.tokens.expand(count, -1, -1),
            {name: tensor.expand(count, -1) for name, tensor in self.added.items()},
            None if self.audio is None else self.audio.expand(count, -1, -1),
        )

    def with_prefix(self, tokens: Tensor) -> Condition:
        """Return this condition with ``tokens`` ``(B, K, D)`` before its own."""
        expanded = self.expand(len(tokens))
        return replace(expanded, tokens=torch.cat([tokens, expanded.tokens], dim=1))

    def pad(self, count: int) -> Condition:
        """Return this condition with zeros after its tokens, so that there are ``count``."""
        missing = count - self.tokens.shape[1]
        return replace(self, tokens=torch.nn.functional.pad(self.tokens, (0, 0, 0, missing)))


def join(conditions: Sequence[Condition]) -> Condition:
    """Return one condition of the items of several, which have the same number of tokens."""
    names = conditions[0].added
    return Condition(
        torch.cat([condition.tokens for condition in conditions]),
        {name: torch.cat([condition.added[name] for condition in conditions]) for name in names},
        _join_audio(conditions),
    )


def _join_audio(conditions: Sequence[Condition]) -> Tensor | None:
    """Return the audio projections of several conditions; zeros, which add nothing, for those without."""
    given = [condition.audio for condition in conditions if condition.audio is not None]
    if not given:
        return None
    shape = given[0].shape[1:]
    return torch.cat(
        [
            condition.tokens.new_zeros(len(condition.tokens), *shape) if condition.audio is None else condition.audio
            for condition in conditions
        ]
    )


def is_xl(unet_config: Any) -> bool:
    """Return whether a U-Net takes a pooled text and sizes, as those of Stable Diffusion XL and its refiner do.

    Raises:
        ModelError: it takes conditions of another kind.
    """
    kind = unet_config.addition_embed_type
    if kind not in {None, "text_time"}:
        raise ModelError(f"the U-Net needs conditions that CoverGen does not know ({kind})")
    return kind is not None


def is_refiner(unet_config: Any, pooled_width: int) -> bool:
    """Return whether the U-Net of a Stable Diffusion XL is the refiner's, which takes a score in place of a size.

    Raises:
        ModelError: it takes conditions of another width.
    """
    width = unet_config.projection_class_embeddings_input_dim - pooled_width
    count, rest = divmod(width, unet_config.addition_time_embed_dim)
    if rest or count not in {_SIZES, _SIZES_AND_SCORE}:
        raise ModelError(f"the U-Net takes {width} numbers beside the pooled text, which no Stable Diffusion XL does")
    return bool(count == _SIZES_AND_SCORE)


def condition_of(text: TextTokens, unet_config: Any, size: int, *, negative: bool = False) -> Condition:
    """Return the condition of a text.

    The time ids are original height and width, two crop offsets (none), then target height and width or, for the
    refiner, an aesthetic score.

    Args:
        text: the embedded text.
        unet_config: configuration of the U-Net.
        size: pixels per side of the images.
        negative: the text is that of the unconditional side.

    Raises:
        ModelError: the text does not fit the U-Net.
    """
    if text.tokens.shape[2] != unet_config.cross_attention_dim:
        raise ModelError(
            f"the text encoder gives tokens {text.tokens.shape[2]} wide, the U-Net takes "
            f"{unet_config.cross_attention_dim}"
        )
    if not is_xl(unet_config):
        return Condition(text.tokens)
    if text.pooled is None:
        raise ModelError("the U-Net needs a pooled text, but there is no text_encoder_2")
    score = is_refiner(unet_config, text.pooled.shape[1])
    last = [_AESTHETIC_SCORES[negative]] if score else [float(size)] * 2
    ids = torch.tensor([[float(size), float(size), 0.0, 0.0, *last]])
    return Condition(text.tokens, {"text_embeds": text.pooled, "time_ids": ids})
