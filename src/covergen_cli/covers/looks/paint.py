"""The picture as it is."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from covergen_cli.covers.looks.base import Look


@dataclass(frozen=True)
class Paint(Look):
    """Leave the picture as it is, apart from its size."""

    name: ClassVar[str] = "paint"
