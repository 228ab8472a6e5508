"""Chooses the look of a cover by what was heard, and checks looks and palettes before anything is drawn."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from covergen_cli.covers.looks import Look, choose_look, palette_from, parse_look
from covergen_cli.files import seed_from

if TYPE_CHECKING:
    from covergen_cli.audio.descriptors import Descriptors
    from covergen_cli.config import GenerateConfig

AUTO = "auto"
"""Chooses a look by the music and the seed."""


@dataclass(frozen=True)
class Sound:
    """What looks are chosen by.

    Args:
        descriptors: by name, each in [0, 1].
        genres: as the tags of the songs name them.
    """

    descriptors: Mapping[str, float]
    genres: tuple[str, ...] = ()


def mean_sound(descriptors: Sequence[Descriptors], genres: Sequence[str | None]) -> Sound:
    """Return the sound of a song, or the mean of the songs of an album."""
    values = np.mean([one.as_array() for one in descriptors], axis=0)
    names = vars(descriptors[0])
    return Sound(
        {name: round(float(value), 4) for name, value in zip(names, values, strict=True)},
        tuple(dict.fromkeys(genre for genre in genres if genre)),
    )


def settle_look(config: GenerateConfig) -> GenerateConfig:
    """Return the settings with look and palette in their full form, so that covers can record them.

    Raises:
        ConfigError: there is no such look or parameter, or the palette cannot be read.
    """
    look = config.look if config.look == AUTO else str(parse_look(config.look))
    palette = None if config.palette is None else str(palette_from(config.palette))
    return replace(config, look=look, palette=palette)


def needs_sound(config: GenerateConfig) -> bool:
    """Return whether the look depends on what is heard."""
    return config.look == AUTO and not config.raw


def look_of(config: GenerateConfig, seed: int, sound: Sound | None) -> Look | None:
    """Return the look of one cover; ``None`` for the picture as the model drew it.

    With ``auto``, the song puts all looks in an order in which likely ones tend to come first, and the seed counts
    along it: the covers of one song with neighbouring seeds differ in look.

    Args:
        config: the settings.
        seed: of the cover.
        sound: what was heard; used with ``auto`` only.
    """
    if config.raw:
        return None
    if config.look != AUTO:
        look = parse_look(config.look)
    elif sound is None:
        return None
    else:
        order = seed_from(f"look:{sorted((name, round(value, 1)) for name, value in sound.descriptors.items())}")
        look = choose_look(sound.descriptors, order, sound.genres, variation=seed)
    return None if look.name == "paint" else look
