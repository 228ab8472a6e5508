"""Describes a song: what kind of music it is, how it sounds, and a prompt for text-to-image models."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from covergen_cli.audio import io
from covergen_cli.audio.excerpt import load_excerpt
from covergen_cli.audio.features import RATE_HZ
from covergen_cli.covers.heard import Heard, hear
from covergen_cli.covers.words import genre_of, write_prompt

_LABELS_SHOWN = 8


@dataclass(frozen=True)
class Description:
    """What was heard in a song, and the prompt.

    Args:
        segment: start and end, in seconds, of the part that was heard.
        heard: analysis of the song.
        prompt: at most 75 CLIP tokens.
        warnings: about the file.
    """

    segment: tuple[float, float]
    heard: Heard
    prompt: str
    warnings: tuple[str, ...]

    @property
    def genre(self) -> str | None:
        """A kind of music from ``words.yaml``; ``None`` when none stands out."""
        return genre_of(self.heard)

    def as_json(self) -> dict[str, Any]:
        """Return the description as JSON-able data."""
        return {
            "segment": [round(second, 2) for second in self.segment],
            "genre": self.genre,
            "tags": dict(self.heard.labels[:_LABELS_SHOWN]),
            "descriptors": self.heard.descriptors,
            "prompt": self.prompt,
        }


def describe_song(
    path: str | os.PathLike[str],
    *,
    seed: int = 0,
    words: str | None = None,
    segment: tuple[float, float] | None = None,
    count_tokens: Callable[[str], int] | None = None,
) -> Description:
    """Describe a song by its salient segment.

    Args:
        path: a music file.
        seed: chooses among equally good words.
        words: ``title``, ``lyrics`` or ``title,lyrics`` put the title, or a few things that the lyrics name, into the
            prompt.
        segment: start and end in seconds; ``None`` to search the salient segment.
        count_tokens: see :func:`covergen_cli.covers.words.write_prompt`.

    Raises:
        InputError: the file cannot be used.
    """
    path = Path(path)
    if segment is None:
        excerpt = load_excerpt(path, RATE_HZ)
        samples, part, warnings = excerpt.samples, excerpt.segment, excerpt.warnings
    else:
        clip = io.load(path, RATE_HZ, *segment)
        samples, warnings = clip.samples, clip.warnings
        part = (segment[0], segment[0] + len(samples) / RATE_HZ)
    heard = hear(path, samples, RATE_HZ, labels=True, words=words)
    prompt = write_prompt(heard, seed=seed, count_tokens=count_tokens)
    return Description(part, heard, prompt, tuple(warnings))
