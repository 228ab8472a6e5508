"""What motion is made for: size, duration and text of each target; the rules are data (``targets.yaml``)."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from pathlib import Path

import yaml

from covergen_cli.covers.stores import RuleSource

FPS, PREVIEW_FPS = 24, 12
"""Frames per second of a video, and of an animated WebP or GIF, which are smaller in every way."""
PREVIEW_SCALE = 0.5
"""Size of an animated WebP or GIF as a share of that of the video."""


@dataclass(frozen=True)
class Target:
    """The rules of one target."""

    name: str  # the value of ``--motion-for``
    width: int  # pixels of a frame
    height: int
    text: bool  # whether title and artist are shown
    sources: tuple[RuleSource, ...]  # where the rules were read
    seconds: tuple[float, float] | None = None  # shortest and longest loop; ``None`` for the whole song with its sound

    def scaled(self, factor: float) -> tuple[int, int]:
        """Return width and height times a factor, as even numbers."""
        return 2 * round(self.width * factor / 2), 2 * round(self.height * factor / 2)


@cache
def load_targets() -> dict[str, Target]:
    """Return the targets by name, in the order of the file."""
    content = yaml.safe_load(Path(__file__).with_name("targets.yaml").read_text(encoding="utf-8"))
    targets = {}
    for name, rules in content.items():
        sources = tuple(RuleSource(entry["text"], str(entry["date"]), entry.get("url")) for entry in rules["sources"])
        seconds = tuple(rules["seconds"]) if "seconds" in rules else None
        targets[name] = Target(**{**rules, "name": name, "sources": sources, "seconds": seconds})
    return targets
