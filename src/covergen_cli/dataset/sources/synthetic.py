"""The source ``synthetic:N``: pairs of synthesised music and painted covers."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from covergen_cli.dataset.sources.base import Item, Obtained, Source
from covergen_cli.errors import ConfigError


@dataclass(frozen=True)
class SyntheticSource(Source):
    """Pairs made from a seed; a larger ``count`` only adds pairs."""

    count: int
    seed: int

    @classmethod
    def parse(cls, text: str, seed: int) -> SyntheticSource | None:
        """Parse ``synthetic:N``; return ``None`` for another source.

        Raises:
            ConfigError: N is not a number above 0.
        """
        kind, colon, count = text.partition(":")
        if (kind, colon) != ("synthetic", ":"):
            return None
        if not re.fullmatch(r"0*[1-9]\d{0,8}", count):
            raise ConfigError(f"{text} has no number of pairs", hint="Write a number, as in synthetic:100.")
        return cls(int(count), seed)

    def describe(self) -> dict[str, object]:
        """Return kind, seed and count; a folder may get more pairs of its seed, but not of another."""
        return {"kind": "synthetic", "name": f"seed {self.seed}", "count": self.count}

    def items(self) -> Iterator[Item]:
        """List the pairs; their metadata comes with their files."""
        from covergen_cli.synthetic.pairs import METADATA  # noqa: PLC0415 — slow to import, and other sources do without

        for index in range(self.count):
            name = f"synthetic:{self.seed}/{index}"
            yield Item(index + 1, f"synthetic-{index:06d}", name, name, dict.fromkeys(METADATA, ""))

    def obtain(self, item: Item, workspace: Path) -> Obtained:
        """Synthesise the music and paint the cover: about 0.3 s."""
        from covergen_cli.synthetic.pairs import make_pair  # noqa: PLC0415

        pair = make_pair(self.seed, item.row - 1)
        audio, image = workspace / f"{item.id}.mp3", workspace / f"{item.id}.jpg"
        pair.save(audio, image)
        return Obtained(audio, image, pair.metadata)
