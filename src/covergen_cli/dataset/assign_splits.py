"""Decide which group of pairs goes to which part of a dataset.

Groups are taken in the order of a hash of their key and the seed. Each goes to test if it fits into what test may still
take, else to val if it fits there, else to train. The result depends on the keys, not on the order of the rows, and the
shares are exact, or as close as the sizes of the groups allow.

A threshold on the hash would not need to know the other groups, but misses the shares by chance: with 1,000 groups, one
of the three by more than 1 % in six of ten cases. Here the part of a group near a border depends on how many other
groups there are. Therefore groups that an earlier run assigned keep their part, and only new groups are assigned.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from covergen_cli.errors import ConfigError, InputError
from covergen_cli.files import sha256_bytes

TRAIN, VAL, TEST = range(3)

Ratios = tuple[float, float, float]
Counts = tuple[int, int, int]


@dataclass
class Groups:
    """Groups of pairs.

    Args:
        sizes: key → number of its pairs.
        placed: key → part to which an earlier run assigned it. A group that has merged from several parts gets the one
            that leaks nothing into the test: train before val before test.
    """

    sizes: dict[str, int] = field(default_factory=dict)
    placed: dict[str, int] = field(default_factory=dict)

    def add(self, key: str, earlier: int | None) -> None:
        """Count one pair of a group, and the part in which an earlier run put it, if any."""
        self.sizes[key] = self.sizes.get(key, 0) + 1
        if earlier is not None:
            self.placed[key] = min(earlier, self.placed.get(key, earlier))


def parse_ratios(text: str) -> Ratios:
    """Parse ``80,10,10`` into shares that sum to 1.

    Raises:
        ConfigError: the share of train is 0.
    """
    train, val, test = (float(part) for part in text.split(","))
    total = train + val + test
    if train <= 0:
        raise ConfigError(f"--ratios {text} leaves nothing to train on", hint="The first number is the share of train.")
    return train / total, val / total, test / total


def quotas(rows: int, ratios: Ratios) -> Counts:
    """Return the rows of each part: train is rounded, the rest divided between val and test.

    No part ever gets smaller when a row is added, so that assigned groups can stay. 19,019 rows at 80,10,10 are
    15,215 / 1,902 / 1,902 (§3.1). A part with a share gets at least one row if there are enough.
    """
    train = min(int(rows * ratios[TRAIN] + 0.5), rows - sum(ratio > 0 for ratio in ratios[1:]))
    rest = rows - train
    if not ratios[VAL] or not ratios[TEST]:
        return (train, rest, 0) if ratios[VAL] else (train, 0, rest)
    val = min(max(int(rest * ratios[VAL] / (ratios[VAL] + ratios[TEST]) + 0.5), 1), rest - 1)
    return train, val, rest - val


def assign_splits(groups: Groups, ratios: Ratios, seed: int) -> dict[str, int]:
    """Assign a part to every group (key → part); groups in ``groups.placed`` keep theirs.

    Raises:
        InputError: there are fewer groups than parts with a share.
    """
    wanted = [part for part in (TEST, VAL, TRAIN) if ratios[part] > 0]
    if (count := len(groups.sizes)) < len(wanted):
        raise InputError(
            f"the pairs form {count} group{'' if count == 1 else 's'}, but {len(wanted)} parts need one each",
            hint="Add pairs, or use another --group.",
        )
    room = list(quotas(sum(groups.sizes.values()), ratios))
    parts = dict(groups.placed)
    for key, part in parts.items():
        room[part] -= groups.sizes[key]
    for key in sorted(groups.sizes.keys() - parts.keys(), key=lambda key: _rank(key, seed)):
        part = next((part for part in (TEST, VAL) if groups.sizes[key] <= room[part]), TRAIN)
        parts[key] = part
        room[part] -= groups.sizes[key]
    for part in wanted:
        if part not in parts.values():
            parts[_spare(groups, parts, seed)] = part
    return parts


def _spare(groups: Groups, parts: Mapping[str, int], seed: int) -> str:
    """Choose a group for a part into which none fits: the smallest that does not leave another part empty."""
    taken = list(parts.values())
    free = [key for key, part in parts.items() if taken.count(part) > 1]
    return min(free, key=lambda key: (key in groups.placed, groups.sizes[key], _rank(key, seed)))


def _rank(key: str, seed: int) -> str:
    return sha256_bytes(f"{seed}\0{key}".encode("utf-8", "surrogatepass"))
