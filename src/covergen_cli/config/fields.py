"""What the fields of the settings classes are made of: bounds, forms, and help texts read from docstrings."""

from __future__ import annotations

import inspect
import re
from dataclasses import dataclass


@dataclass(frozen=True)
class Between:
    """Bounds of a number, both included.

    Args:
        low: smallest value allowed.
        high: largest value allowed; ``None`` for no upper bound.
    """

    low: float
    high: float | None = None

    def __str__(self) -> str:
        return f"{self.low} or more" if self.high is None else f"{self.low} to {self.high}"

    def __contains__(self, value: float) -> bool:
        return self.low <= value and (self.high is None or value <= self.high)


@dataclass(frozen=True)
class Matches:
    """Form of a text.

    Args:
        pattern: regular expression that the whole text has to match.
        words: the same for people, e.g. ``"auto, cpu or cuda"``.
    """

    pattern: str
    words: str

    def __str__(self) -> str:
        return self.words

    def __contains__(self, value: str) -> bool:
        return re.fullmatch(self.pattern, value) is not None


def stage_of(kind: type) -> str:
    """Name of a stage in presets, config file and environment: ``GenerateConfig`` → ``generate``."""
    return kind.__name__.removesuffix("Config").lower()


def field_docs(kind: type) -> dict[str, str]:
    """Help text of every field, read from the ``Args`` section of the class's docstring.

    Args:
        kind: one of the dataclasses of this module.

    Returns:
        field name → text on one line, without the double backticks of the docstring.
    """
    lines = (inspect.getdoc(kind) or "").partition("Args:\n")[2].splitlines()
    docs: dict[str, str] = {}
    name = ""
    for line in lines:
        if not line.startswith("    "):
            break
        if start := re.match(r" {4}(\w+): (.+)", line):
            name, text = start.groups()
            docs[name] = text
        else:
            docs[name] += " " + line.strip()
    return {name: text.replace("``", "") for name, text in docs.items()}
