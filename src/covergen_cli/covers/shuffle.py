"""Assigns the songs of a run the audio of other songs (``--shuffle``), to see whether covers follow their audio."""

from __future__ import annotations

import random
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from covergen_cli.errors import ConfigError

if TYPE_CHECKING:
    from covergen_cli.config import GenerateConfig
    from covergen_cli.covers.plan import Job


def donors(jobs: Sequence[Job], config: GenerateConfig) -> dict[Path, Job]:
    """Return, by the ``input`` of a job, the job whose audio is used instead; empty without ``config.shuffle``.

    The songs or albums form one cycle, by Sattolo's algorithm (1986).

    Args:
        jobs: all jobs of the run, so that the result does not depend on which covers exist.
        config: ``shuffle`` and ``seed`` are used here.

    Raises:
        ConfigError: there is only one song.
    """
    if not config.shuffle:
        return {}
    order = {job.input: job for job in jobs}
    if len(order) < 2:
        raise ConfigError("the audio of a single song cannot be shuffled", hint="Give several songs.")
    generator = random.Random(config.seed)  # noqa: S311 — not for cryptography
    shuffled = list(order.values())
    for last in range(len(shuffled) - 1, 0, -1):
        other = generator.randrange(last)
        shuffled[last], shuffled[other] = shuffled[other], shuffled[last]
    return dict(zip(order, shuffled, strict=True))
