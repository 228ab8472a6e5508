"""Events of drawing covers.

``input`` is the song; of an album it is the first, and ``songs`` holds them all.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path  # noqa: TC003 — so that the types of the records can be asked for at run time

__all__ = ["CoverFailed", "CoverFinished", "CoverPlanned", "CoverSkipped"]


@dataclass(frozen=True)
class CoverFinished:
    """A cover was written.

    Args:
        input: the music file.
        output: the cover.
        seed: the seed that drew it.
        segment: start and end, in seconds, of the part that was listened to; ``None`` for an album, whose cover
            names the part of each song.
        seconds: wall-clock time that this cover took, decoding included.
        native_size: pixels per side that the model drew; the file may be larger.
        songs: those of the album that were heard; empty for a single song.
    """

    input: Path
    output: Path
    seed: int
    segment: tuple[float, float] | None
    seconds: float
    native_size: int
    songs: tuple[Path, ...] = ()


@dataclass(frozen=True)
class CoverSkipped:
    """A cover was already there."""

    input: Path
    output: Path
    seed: int
    reason: str
    songs: tuple[Path, ...] = ()


@dataclass(frozen=True)
class CoverPlanned:
    """A cover would be drawn; nothing was."""

    input: Path
    output: Path
    seed: int
    songs: tuple[Path, ...] = ()


@dataclass(frozen=True)
class CoverFailed:
    """A cover could not be made; the other inputs go on."""

    input: Path
    output: Path | None
    seed: int | None
    error: str
    hint: str | None = None
    songs: tuple[Path, ...] = ()
