"""Settings of splitting a dataset."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Literal

from covergen_cli.config.fields import Matches, Seed

_NUMBER = r"\d+(\.\d+)?"


@dataclass(frozen=True)
class SplitConfig:
    """Settings of the split of a dataset into training, validation and test (§3.1).

    Args:
        ratios: Proportions of train, val and test, in any unit: ``80,10,10`` is the same as ``8,1,1``. A proportion of
            0 leaves that part empty.
        group: Pairs to keep in the same part: ``cover`` keeps all songs of a cover together, ``artist`` all songs of
            an artist. ``none`` assigns every pair independently, as the paper does.
        seed: Random seed of the split.
        balance: Manifest column, such as genre, whose values should have the same total weight in training. By
            default, no weights are written.
    """

    ratios: Annotated[
        str, Matches(rf"{_NUMBER}\s*,\s*{_NUMBER}\s*,\s*{_NUMBER}", "three numbers with commas, such as 80,10,10")
    ] = "80,10,10"
    group: Literal["cover", "artist", "none"] = "cover"
    seed: Seed = 0
    balance: str | None = None
