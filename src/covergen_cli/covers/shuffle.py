"""Whose sound a song gets when the sounds of a run are shuffled, to see whether covers follow their own."""

from __future__ import annotations

import random
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from covergen_cli.errors import ConfigError

if TYPE_CHECKING:
    from covergen_cli.config import GenerateConfig
    from covergen_cli.covers.jobs import Job


def donors(jobs: Sequence[Job], config: GenerateConfig) -> dict[Path, Job]:
    """Give every song, or album, another one, each to exactly one.

    It is a derangement made by Sattolo's algorithm (1986): one cycle through all.

    Args:
        jobs: of the run; which of them are drawn anew changes nothing.
        config: whether sounds are shuffled, and the seed that decides who gets whose.

    Returns:
        ``input`` of a job → the job whose sound it gets; empty when sounds are not shuffled.

    Raises:
        ConfigError: there is only one song.
    """
    if not config.shuffle:
        return {}
    order = {job.input: job for job in jobs}
    if len(order) < 2:
        raise ConfigError("the sound of one song cannot be shuffled", hint="Give several songs.")
    chance = random.Random(config.seed)  # noqa: S311 — nothing secret
    given = list(order.values())
    for last in range(len(given) - 1, 0, -1):
        other = chance.randrange(last)
        given[last], given[other] = given[other], given[last]
    return dict(zip(order, given, strict=True))
