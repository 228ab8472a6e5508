"""Settings of dividing a dataset."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Literal

from covergen_cli.config.fields import Between, Matches

_NUMBER = r"\d+(\.\d+)?"


@dataclass(frozen=True)
class SplitConfig:
    """How a dataset is divided into training, validation and test (§3.1).

    Args:
        ratios: shares of train, val and test, in any unit: ``80,10,10`` and ``8,1,1`` say the same. A share of 0
            leaves its part empty.
        group: what never stands on two sides: ``cover``, all songs of one cover, ``artist``, all of one artist, or
            ``none``, the paper's way, each pair for itself.
        seed: decides which groups go where.
        balance: column of the manifest, such as genre, whose values shall count alike in training; without it,
            no weights are written.
    """

    ratios: Annotated[
        str, Matches(rf"{_NUMBER}\s*,\s*{_NUMBER}\s*,\s*{_NUMBER}", "three numbers with commas, such as 80,10,10")
    ] = "80,10,10"
    group: Literal["cover", "artist", "none"] = "cover"
    seed: Annotated[int, Between(0, 2**32 - 1)] = 0
    balance: str | None = None
