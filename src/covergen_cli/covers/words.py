"""Words: a prompt for a text-to-image model, made from the analysis of a song (compare §2.5.1 of the paper).

The vocabulary is data (``words.yaml``); this module chooses from it. The same song and seed always give the same words.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import yaml

from covergen_cli.files import seed_from, sha256_file

if TYPE_CHECKING:
    from covergen_cli.covers.heard import Heard

MAX_TOKENS = 75
"""CLIP reads 77 tokens, two of which mark start and end."""

WORDS = "words"
"""The name of the adapter that draws by a prompt made from the music."""

_FILE = Path(__file__).with_name("words.yaml")
_LOW, _HIGH = 0.38, 0.62  # of a descriptor: its lower and upper third, roughly, over ordinary music
_LEAST_IMPORTANT = ("movement", "nouns", "composition", "title", "palette", "mood", "ending", "subject", "medium")
_CLEAR_SCORE = 1.0  # times the usual probability, from which a kind of music stands out
_TEMPO_SHARE = 0.4  # of arousal; a fast song is heard as aroused even when it is soft
_HINT = 0.5  # weight of an instrument, a decade or a character beside that of a genre's name


def write_prompt(
    heard: Heard, seed: int = 0, before: str = "", count_tokens: Callable[[str], int] | None = None
) -> str:
    """Write a prompt of at most 75 CLIP tokens.

    Parts are left out from the least important one until the prompt fits: movement, nouns, composition, title,
    palette, mood, ending, subject; of the song, the medium stays longest. Only ``before`` is never shortened.

    Args:
        heard: analysis of the song; its title and nouns are used if it has any.
        seed: chooses among equally good words. The song is mixed in, so that songs of one kind do not share theirs.
        before: a prompt of the user's own, which comes first.
        count_tokens: counts the tokens of a text as the model's tokenizer does, without start and end; by default an
            estimate that is never too low for the vocabulary.
    """
    values = [round(value, 2) for value in heard.descriptors.values()]
    table, choose = _vocabulary(), _Chooser(seed_from(f"{seed}:{values}"))
    genre = genre_of(heard)
    kind = table["unknown"] if genre is None else table["genres"][genre]
    d = heard.descriptors
    arousal = (1 - _TEMPO_SHARE) * d["energy"] + _TEMPO_SHARE * d["tempo"]
    mode, mood = _third(d["mode"], "minor", "major"), _third(arousal, "calm", "intense")
    light = "loud" if d["energy"] > _HIGH else _third(d["brightness"], "dark", "light")
    parts = {
        "before": before,
        "medium": choose(kind["medium"]),
        "subject": choose(kind["subject"]),
        "title": f'"{heard.title}"' if heard.title else "",
        "nouns": ", ".join(heard.nouns),
        "mood": f"{choose(table['mood'][f'{mode}-{mood}'])} mood",
        "palette": choose(table["palette"][f"{light}-{mode}"]),
        "composition": choose(table["composition"][_third(d["density"], "sparse", "busy")]),
        "movement": choose(table["movement"][_third(d["tempo"], "slow", "fast")]),
        "ending": ", ".join(table["ending"]),
    }
    count = count_tokens or estimate_tokens
    for dropped in ("", *_LEAST_IMPORTANT):
        parts.pop(dropped, None)
        prompt = ", ".join(part for part in parts.values() if part)
        if count(prompt) <= MAX_TOKENS:
            break
    return prompt


def plain_prompt(before: str = "") -> str:
    """Return the prompt of a cover whose song is not heard: that of the user, and that it is a cover."""
    return ", ".join(filter(None, [before, *_vocabulary()["ending"]]))


def genre_of(heard: Heard) -> str | None:
    """Return the kind of music, a key of ``genres`` in ``words.yaml``: by the file's genre tag, else by the labels.

    ``None`` when the file has no genre tag and no label is clear.
    """
    genres: dict[str, dict[str, Any]] = _vocabulary()["genres"]
    names = sorted(((name, key) for key, kind in genres.items() for name in kind["names"]), key=lambda n: -len(n[0]))
    for genre in heard.genres:
        for name, key in names:
            if re.search(rf"\b{re.escape(name)}\b", genre.casefold()):
                return key
    scores = {key: _score(kind, heard) for key, kind in genres.items()}
    best = max(scores, key=lambda key: scores[key])
    return best if scores[best] >= _CLEAR_SCORE else None


def _score(kind: dict[str, Any], heard: Heard) -> float:
    """Return how clearly a kind of music is heard: the score of its best tag, or half that of its best hint."""
    low, high = kind.get("energy", (0, 1))
    if not low <= heard.descriptors["energy"] <= high:
        return 0.0
    scores = dict(heard.labels)
    tags, hints = (max((scores.get(tag, 0.0) for tag in kind.get(key, ())), default=0.0) for key in ("tags", "hints"))
    return max(tags, _HINT * hints)


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
def vocabulary_sha256() -> str:
    """Return a hash of the vocabulary, part of the fingerprint of covers that are drawn by words."""
    return sha256_file(_FILE)


@lru_cache(maxsize=1)
def _vocabulary() -> dict[str, Any]:
    content: dict[str, Any] = yaml.safe_load(_FILE.read_text(encoding="utf-8"))
    return content
