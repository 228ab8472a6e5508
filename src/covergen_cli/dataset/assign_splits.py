"""Which group goes to which part of a dataset; private to this package.

Groups are taken in the order of a hash of their key and the seed. Each goes to test if it fits into what test may still
take, else to val if it fits there, else to train. So the outcome hangs on the keys, not on the order of the rows, and
the shares come out exactly, or as near as the sizes of the groups allow.

A threshold on the hash would need no knowledge of other groups, but misses the shares by chance: at 1,000 groups, one
of the three by more than a hundredth in six of ten cases. Here the place of a group near a border hangs on how many
others there are. That is why an earlier outcome is remembered: what was placed stays, and only new groups are dealt
out.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field

from covergen_cli.errors import ConfigError, InputError

TRAIN, VAL, TEST = range(3)

Ratios = tuple[float, float, float]
Counts = tuple[int, int, int]


@dataclass
class Groups:
    """Groups of pairs.

    Args:
        sizes: key → number of its pairs.
        placed: key → side on which an earlier run left it; of a group that has grown together from several sides, the
            one that teaches least of the test: train before val before test.
    """

    sizes: dict[str, int] = field(default_factory=dict)
    placed: dict[str, int] = field(default_factory=dict)

    def add(self, key: str, earlier: int | None) -> None:
        """Count one pair of a group, and where it was, if it was anywhere."""
        self.sizes[key] = self.sizes.get(key, 0) + 1
        if earlier is not None:
            self.placed[key] = min(earlier, self.placed.get(key, earlier))


def parse_ratios(text: str) -> Ratios:
    """Read ``80,10,10`` as shares that sum to 1.

    Raises:
        ConfigError: nothing is left for training.
    """
    train, val, test = (float(part) for part in text.split(","))
    total = train + val + test
    if train <= 0:
        raise ConfigError(f"--ratios {text} leaves nothing to train on", hint="The first number is the share of train.")
    return train / total, val / total, test / total


def quotas(rows: int, ratios: Ratios) -> Counts:
    """Share out a number of rows: train is rounded, the rest divided between val and test.

    None of the three ever falls when a row is added, so that what has a place can keep it. 19,019 rows at 80,10,10 are
    15,215 / 1,902 / 1,902 (§3.1). A part with a share gets at least one row where there are enough.
    """
    train = min(int(rows * ratios[TRAIN] + 0.5), rows - sum(ratio > 0 for ratio in ratios[1:]))
    rest = rows - train
    if not ratios[VAL] or not ratios[TEST]:
        return (train, rest, 0) if ratios[VAL] else (train, 0, rest)
    val = min(max(int(rest * ratios[VAL] / (ratios[VAL] + ratios[TEST]) + 0.5), 1), rest - 1)
    return train, val, rest - val


def place(groups: Groups, ratios: Ratios, seed: int) -> dict[str, int]:
    """Choose a side for every group; those that have one keep it.

    Args:
        groups: sizes, and earlier places.
        ratios: shares of train, val and test.
        seed: other seeds give other orders.

    Returns:
        key → side.

    Raises:
        InputError: there are fewer groups than parts that want some.
    """
    wanted = [side for side in (TEST, VAL, TRAIN) if ratios[side] > 0]
    if len(groups.sizes) < len(wanted):
        raise InputError(
            f"{len(groups.sizes)} groups cannot fill {len(wanted)} parts", hint="Add pairs, or use --group none."
        )
    room = list(quotas(sum(groups.sizes.values()), ratios))
    sides = dict(groups.placed)
    for key, side in sides.items():
        room[side] -= groups.sizes[key]
    for key in sorted(groups.sizes.keys() - sides.keys(), key=lambda key: _rank(key, seed)):
        side = next((side for side in (TEST, VAL) if groups.sizes[key] <= room[side]), TRAIN)
        sides[key] = side
        room[side] -= groups.sizes[key]
    for side in wanted:
        if side not in sides.values():
            sides[_spare(groups, sides, seed)] = side
    return sides


def _spare(groups: Groups, sides: Mapping[str, int], seed: int) -> str:
    """Choose what a part gets into which no group has fitted: the smallest that no other part would miss."""
    held = list(sides.values())
    free = [key for key, side in sides.items() if held.count(side) > 1]
    return min(free, key=lambda key: (key in groups.placed, groups.sizes[key], _rank(key, seed)))


def _rank(key: str, seed: int) -> bytes:
    return hashlib.sha256(f"{seed}\0{key}".encode("utf-8", "surrogatepass")).digest()
