"""Words: a prompt for a text-to-image model, made from what was heard (compare §2.5.1 of the paper).

The vocabulary is data (``words.yaml``); this module chooses from it. The same song and seed always give the same words.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import yaml

if TYPE_CHECKING:
    from covergen_cli.audio.descriptors import Descriptors
    from covergen_cli.audio.tags import Tags

MAX_TOKENS = 75
"""CLIP reads 77 tokens, two of which mark start and end."""

_LOW, _HIGH = 0.38, 0.62  # of a descriptor: its lower and upper third, roughly, over ordinary music
_CLEAR_SCORE = 1.0  # times the usual probability, from which a kind of music stands out


@dataclass(frozen=True)
class Heard:
    """What was heard in a song.

    Args:
        descriptors: seven qualities, each in [0, 1].
        tags: labels of the tagger with their score, highest first; 1 is the usual score of that label.
    """

    descriptors: Descriptors
    tags: tuple[tuple[str, float], ...] = ()


def write_prompt(
    heard: Heard,
    tags: Tags | None = None,
    *,
    seed: int = 0,
    title: bool = False,
    nouns: Sequence[str] = (),
    count_tokens: Callable[[str], int] | None = None,
) -> str:
    """Write a prompt of at most 75 CLIP tokens.

    Parts are left out from the least important one until the prompt fits: movement, nouns, composition, title,
    palette, mood; medium and subject stay.

    Args:
        heard: what was heard.
        tags: of the file; its genre counts before what was heard.
        seed: chooses among equally good words.
        title: put the song's title into the prompt, in quotation marks.
        nouns: things from the lyrics, see :func:`concrete_nouns`.
        count_tokens: counts the tokens of a text as the model's tokenizer does, without start and end; by default an
            estimate that is never too low for the vocabulary.
    """
    table, choose = _vocabulary(), _Chooser(seed)
    genre = genre_of(heard, tags)
    kind = table["unknown"] if genre is None else table["genres"][genre]
    d = heard.descriptors
    mode, energy = _third(d.mode, "minor", "major"), _third(d.energy, "calm", "intense")
    brightness = _third(d.brightness, "dark", "light")
    parts = {
        "medium": choose(kind["medium"]),
        "subject": choose(kind["subject"]),
        "title": f'"{tags.title}"' if title and tags is not None and tags.title else "",
        "nouns": ", ".join(nouns),
        "mood": f"{choose(table['mood'][f'{mode}-{energy}'])} mood",
        "palette": choose(table["palette"][f"{brightness}-{mode}"]),
        "composition": choose(table["composition"][_third(d.density, "sparse", "busy")]),
        "movement": choose(table["movement"][_third(d.tempo, "slow", "fast")]),
        "ending": ", ".join(table["ending"]),
    }
    count = count_tokens or estimate_tokens
    for dropped in ("", "movement", "nouns", "composition", "title", "palette", "mood", "ending"):
        parts.pop(dropped, None)
        prompt = ", ".join(part for part in parts.values() if part)
        if count(prompt) <= MAX_TOKENS:
            return prompt
    return parts["medium"]


def genre_of(heard: Heard, tags: Tags | None = None) -> str | None:
    """Return the kind of music, a key of ``genres`` in ``words.yaml``: by the file's genre tag, else by what was heard.

    ``None`` when the file names none and no kind stands out in the sound.
    """
    genres: dict[str, dict[str, Any]] = _vocabulary()["genres"]
    if tags is not None and tags.genre:
        text = tags.genre.casefold()
        names = sorted(
            ((name, key) for key, kind in genres.items() for name in kind["names"]), key=lambda n: -len(n[0])
        )
        for name, key in names:
            if re.search(rf"\b{re.escape(name)}\b", text):
                return key
    scores = dict(heard.tags)
    best = max(genres, key=lambda key: max((scores.get(tag, 0.0) for tag in genres[key]["tags"]), default=0.0))
    found = max((scores.get(tag, 0.0) for tag in genres[best]["tags"]), default=0.0)
    return best if found >= _CLEAR_SCORE else None


def concrete_nouns(lyrics: str, most: int = 4) -> tuple[str, ...]:
    """Return things that lyrics name and that can be painted, in order of frequency, then of appearance.

    Only words from a short list in ``words.yaml`` count, so no name of a person or place is taken over.
    """
    known = set(_vocabulary()["nouns"])
    words = re.findall(r"[a-z]+", lyrics.casefold())
    singular = [word if word in known else word.removesuffix("s") for word in words]
    found = dict.fromkeys(word for word in singular if word in known)
    order = list(found)
    return tuple(sorted(found, key=lambda word: (-singular.count(word), order.index(word)))[:most])


def estimate_tokens(text: str) -> int:
    """Estimate how many tokens CLIP makes of a text: one per mark and short word, else one per four letters.

    Most English words are one token, so this counts high.
    """
    words = re.findall(r"\w+|[^\w\s]", text)
    return sum(1 if len(word) <= 6 and word.isascii() else -(-len(word.encode()) // 4) for word in words)


def _third(value: float, low: str, high: str) -> str:
    return low if value < _LOW else high if value > _HIGH else "middle"


class _Chooser:
    """Chooses from lists by a seed; each choice is independent of the others."""

    def __init__(self, seed: int) -> None:
        self._seed = seed
        self._count = 0

    def __call__(self, options: Sequence[str]) -> str:
        self._count += 1
        return options[int(np.random.default_rng([self._seed, self._count]).integers(len(options)))] if options else ""


@lru_cache(maxsize=1)
def _vocabulary() -> dict[str, Any]:
    content: dict[str, Any] = yaml.safe_load(Path(__file__).with_name("words.yaml").read_text(encoding="utf-8"))
    return content
