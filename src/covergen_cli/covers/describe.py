"""Describes a song: what kind of music it is, how it sounds, and a prompt for text-to-image models."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from covergen_cli.audio import io
from covergen_cli.audio.descriptors import describe
from covergen_cli.audio.excerpt import load_excerpt
from covergen_cli.audio.features import RATE_HZ
from covergen_cli.audio.musicnn import ranked_tags
from covergen_cli.covers.words import Heard, concrete_nouns, genre_of, write_prompt
from covergen_cli.files import seed_from

_TAGS_SHOWN = 8


@dataclass(frozen=True)
class Description:
    """What was heard in a song, and the prompt.

    Args:
        segment: start and end, in seconds, of the part that was heard.
        genre: a kind of music from ``words.yaml``; ``None`` when none stands out.
        tags: labels that stand out, with their scores, highest first; 1 is usual.
        descriptors: by name, each in [0, 1].
        prompt: at most 75 CLIP tokens.
        warnings: about the file.
    """

    segment: tuple[float, float]
    genre: str | None
    tags: tuple[tuple[str, float], ...]
    descriptors: dict[str, float]
    prompt: str
    warnings: tuple[str, ...]

    def as_json(self) -> dict[str, Any]:
        """Return the description as JSON-able data."""
        return {
            "segment": [round(second, 2) for second in self.segment],
            "genre": self.genre,
            "tags": dict(self.tags[:_TAGS_SHOWN]),
            "descriptors": self.descriptors,
            "prompt": self.prompt,
        }


def describe_song(
    path: str | os.PathLike[str],
    *,
    seed: int = 0,
    words: Sequence[str] = (),
    segment: tuple[float, float] | None = None,
) -> Description:
    """Describe a song by its salient segment.

    Args:
        path: a music file.
        seed: chooses among equally good words.
        words: ``title`` and ``lyrics`` put the title, or a few things that the lyrics name, into the prompt.
        segment: start and end in seconds; ``None`` to search the salient segment.

    Raises:
        InputError: the file cannot be used.
    """
    path = Path(path)
    info = io.probe(path)
    if segment is None:
        excerpt = load_excerpt(path, RATE_HZ)
        samples, part, warnings = excerpt.samples, excerpt.segment, excerpt.warnings
    else:
        clip = io.load(path, RATE_HZ, *segment)
        samples, warnings = clip.samples, clip.warnings
        part = (segment[0], segment[0] + len(samples) / RATE_HZ)
    descriptors = describe(samples, RATE_HZ)
    heard = Heard(descriptors, ranked_tags(samples, RATE_HZ))
    nouns = concrete_nouns(_lyrics(path)) if "lyrics" in words else ()
    # The song is mixed in, so that songs of one kind do not share their words.
    mixed = seed_from(f"{seed}:{[round(float(value), 2) for value in descriptors.as_array()]}")
    prompt = write_prompt(heard, info.tags, seed=mixed, title="title" in words, nouns=nouns)
    rounded = {name: round(float(value), 3) for name, value in vars(descriptors).items()}
    return Description(part, genre_of(heard, info.tags), heard.tags, rounded, prompt, tuple(warnings))


def _lyrics(path: Path) -> str:
    """Return the text of the ``.lrc`` file beside a song, without its time stamps; empty when there is none."""
    try:
        return path.with_suffix(".lrc").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""
