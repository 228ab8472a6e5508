"""Steering: moving a cover's tokens as if the music were, say, more energetic, or in a minor key.

The base's own condition encoder computes the tokens of the music as it was measured and as it should be; their
difference is added to the tokens that the adapter made.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import numpy as np

from covergen_cli.audio.descriptors import ENDS, NAMES
from covergen_cli.errors import ConfigError, ModelError
from covergen_cli.synthetic.conditions import Conditions

if TYPE_CHECKING:
    import numpy.typing as npt
    from torch import Tensor

    from covergen_cli.config import GenerateConfig
    from covergen_cli.models.base import Base

_LOW, _HIGH = 0.05, 0.95  # values of descriptors at their ends


def steered(descriptors: npt.NDArray[np.floating], steer: str) -> npt.NDArray[np.float32]:
    """Return descriptors ``(7,)``, moved as asked.

    Args:
        descriptors: in [0, 1].
        steer: such as ``energy=+1,mode=minor``: a number is added to the descriptor, whose range is 0 to 1; a word sets
            it to one of its ends.

    Raises:
        ConfigError: a descriptor or a value is unknown.
    """
    moved = np.array(descriptors, np.float32)
    for part in filter(None, (part.strip() for part in steer.split(","))):
        name, _, value = (piece.strip() for piece in part.partition("="))
        if name not in ENDS:
            raise ConfigError(f"--steer knows no {name!r}", hint=f"Use {', '.join(ENDS)}.")
        place = NAMES.index(name)
        if value in ENDS[name]:
            moved[place] = (_LOW, _HIGH)[ENDS[name].index(value)]
        elif re.fullmatch(r"[+-]?(\d+\.?\d*|\.\d+)", value) and abs(float(value)) <= 1:
            moved[place] += float(value)
        else:
            low, high = ENDS[name]
            hint = f"Give a number from -1 to 1, {low} or {high}."
            raise ConfigError(f"--steer cannot set {name} to {value!r}", hint=hint)
    return np.clip(moved, 0, 1)


def check_steering(config: GenerateConfig) -> None:
    """Check the setting ``steer``.

    Raises:
        ConfigError: it is invalid, or nothing is drawn from the audio.
    """
    if config.steer is None:
        return
    steered(np.zeros(len(NAMES)), config.steer)
    if config.picture is not None or config.no_audio:
        raise ConfigError("only a picture that is drawn from the audio can be steered", hint="Leave out --steer.")


def condition_tokens(base: Base, descriptors: npt.NDArray[np.floating]) -> Tensor:
    """Return the tokens ``(1, K, D)`` that a base's condition encoder makes of descriptors ``(7,)``.

    Raises:
        ModelError: the base has no condition encoder.
    """
    import torch

    encoder = base.condition_encoder
    if encoder is None:
        raise ModelError(
            f"the base {base.reference} cannot be steered: it has no condition encoder", hint="Leave out --steer."
        )
    conditions = torch.from_numpy(Conditions.of(descriptors).as_array()[None, : encoder.inputs])
    with torch.inference_mode():
        tokens: Tensor = encoder(conditions).to(base.device, base.dtype)
    return tokens


def steering(base: Base, descriptors: npt.NDArray[np.floating], steer: str) -> Tensor:
    """Return what steering adds to the tokens of music with these descriptors ``(7,)``: ``(1, K, D)``.

    Raises:
        ConfigError: ``steer`` is invalid.
        ModelError: the base has no condition encoder.
    """
    return condition_tokens(base, steered(descriptors, steer)) - condition_tokens(base, descriptors)
