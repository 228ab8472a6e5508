"""The source ``synthetic:N``: pairs from the synthesiser and the painter, without any network."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from covergen_cli.dataset.sources.base import Item, Obtained, Source
from covergen_cli.errors import ConfigError
from covergen_cli.synthetic.pairs import METADATA, make_pair


@dataclass(frozen=True)
class SyntheticSource(Source):
    """Pairs made from a seed; the first of them are the same, however many there are.

    Args:
        count: how many.
        seed: which ones.
    """

    count: int
    seed: int

    @classmethod
    def named(cls, text: str, seed: int) -> SyntheticSource | None:
        """Read ``synthetic:N``; ``None`` for the name of another source.

        Raises:
            ConfigError: N is not a number above 0.
        """
        kind, colon, count = text.partition(":")
        if (kind, colon) != ("synthetic", ":"):
            return None
        if not re.fullmatch(r"0*[1-9]\d{0,8}", count):
            raise ConfigError(f"{text} does not say how many pairs", hint="Write a number, as in synthetic:100.")
        return cls(int(count), seed)

    def describe(self) -> dict[str, object]:
        """Kind, seed and count; a folder may get more pairs of its seed, but not of another."""
        return {"kind": "synthetic", "name": f"seed {self.seed}", "count": self.count}

    def items(self) -> Iterator[Item]:
        """List the pairs; what is known of a song comes when it is composed."""
        for index in range(self.count):
            place = f"synthetic:{self.seed}/{index}"
            yield Item(index + 1, f"synthetic-{index:06d}", place, place, dict.fromkeys(METADATA, ""))

    def obtain(self, item: Item, workspace: Path) -> Obtained:
        """Compose, play, listen and paint: about 0.3 s."""
        pair = make_pair(self.seed, item.row - 1)
        audio, image = workspace / f"{item.id}.mp3", workspace / f"{item.id}.jpg"
        pair.save(audio, image)
        return Obtained(audio, image, pair.metadata)
