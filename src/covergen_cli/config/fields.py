"""Bounds and formats of settings, and their help texts, which are read from docstrings."""

from __future__ import annotations

import inspect
import re
from dataclasses import dataclass
from functools import cache
from typing import Annotated


@dataclass(frozen=True)
class Between:
    """Bounds of a number, both included; ``high=None`` for no upper bound."""

    low: float
    high: float | None = None

    def __str__(self) -> str:
        return f"{self.low} or more" if self.high is None else f"{self.low} to {self.high}"

    def __contains__(self, value: float) -> bool:
        return self.low <= value and (self.high is None or value <= self.high)


@dataclass(frozen=True)
class Matches:
    """Format of a string.

    Args:
        pattern: regular expression that the full string has to match.
        words: the format as error messages name it, e.g. ``"auto, cpu or cuda"``.
    """

    pattern: str
    words: str

    def __str__(self) -> str:
        return self.words

    def __contains__(self, value: str) -> bool:
        return re.fullmatch(self.pattern, value) is not None


Device = Annotated[str, Matches(r"auto|cpu|mps|cuda(:\d+)?", "auto, cpu, cuda, cuda:N or mps")]
Seed = Annotated[int, Between(0, 2**32 - 1)]


def stage_of(kind: type) -> str:
    """Return the name of a stage in presets, config file and environment: ``GenerateConfig`` → ``generate``."""
    return kind.__name__.removesuffix("Config").lower()


@cache
def field_docs(kind: type) -> dict[str, str]:
    """Return the help text of every field of a dataclass, read from the ``Args`` section of its docstring.

    Each text is on one line, without the double backticks of the docstring.
    """
    docs: dict[str, str] = {}
    name = ""
    for line in (inspect.getdoc(kind) or "").partition("Args:\n")[2].splitlines():
        if start := re.match(r" {4}(\w+): (.+)", line):
            name = start[1]
            docs[name] = start[2]
        else:
            docs[name] += " " + line.strip()
    return {name: text.replace("``", "") for name, text in docs.items()}
