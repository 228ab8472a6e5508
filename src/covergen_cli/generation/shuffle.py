"""Whose sound a song gets when the sounds of a run are shuffled, to see whether covers follow their own."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING

from covergen_cli.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

__all__ = ["donors"]


def donors(songs: Sequence[Path], seed: int) -> dict[Path, Path]:
    """Give every song another one, each to exactly one (a derangement; Sattolo, 1986: one cycle through all).

    Args:
        songs: of the run; which of them are drawn anew changes nothing.
        seed: decides who gets whose.

    Returns:
        song → the song whose sound it gets.

    Raises:
        ConfigError: there is only one song.
    """
    order = list(dict.fromkeys(songs))
    if len(order) < 2:
        raise ConfigError("the sound of one song cannot be shuffled", hint="Give several songs.")
    chance = random.Random(seed)  # noqa: S311 — nothing secret
    given = list(order)
    for last in range(len(given) - 1, 0, -1):
        other = chance.randrange(last)
        given[last], given[other] = given[other], given[last]
    return dict(zip(order, given, strict=True))
