"""Which family of forms suits a kind of music: weights from descriptors, and from tags where they are known."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

import numpy as np

from covergen_cli.audio.descriptors import NAMES
from covergen_cli.synthetic.families import FAMILIES

if TYPE_CHECKING:
    import numpy.typing as npt

    from covergen_cli.measures.colour import Array

KINDS: tuple[str, ...] = tuple(FAMILIES)
"""Names of the families, in the order of their weights."""

_SUITS = np.array([[family.suits.get(name, 0.0) for name in NAMES] for family in FAMILIES.values()], np.float32)
_SIDES = np.array([family.side for family in FAMILIES.values()], np.float32)
_BY_DESCRIPTORS = 3.0
_BY_TAGS = 3.0
_CLEAR = 4.0  # a score that stands out, where 1 is usual
_GENRE_TAGS = {
    "lo-fi": ("chill", "chillout"),
    "house": ("House", "dance"),
    "drum and bass": ("electronic", "beat", "fast"),
    "synth-pop": ("pop", "80s"),
    "chiptune": ("electro", "techno"),
    "cinematic": ("classical", "ambient"),
    "industrial": ("metal", "loud", "electronic"),
}
_SMOOTH = 0.5  # added to scores, whose usual value is 1


def family_weights(descriptors: npt.NDArray[np.floating], tags: Iterable[tuple[str, float]] = ()) -> Array:
    """Return how much each family suits the music, float32 ``(8,)``, which sums to 1.

    Args:
        descriptors: ``(7,)`` in [0, 1].
        tags: labels with their scores as from :func:`covergen_cli.audio.musicnn.ranked_tags`, where 1 is usual; none if
            the music was not tagged.
    """
    logits = _BY_DESCRIPTORS * _SUITS @ (np.asarray(descriptors, np.float32) - 0.5)
    scores = dict(tags)
    if scores:
        best = [sorted((scores.get(tag, 0.0) for tag in family.tags), reverse=True)[:2] for family in FAMILIES.values()]
        evidence = np.log(np.mean(best, axis=1) + _SMOOTH)
        logits = 0.5 * logits + _BY_TAGS * (evidence - evidence.mean())
    weights = np.exp(logits - logits.max())
    return np.asarray(weights / weights.sum(), np.float32)


def lean_of(weights: Array) -> float:
    """Return to which side of the circle of hues families with these weights lean: −1 green, 1 red."""
    return float(weights @ _SIDES)


def genre_tags(genre: str) -> tuple[tuple[str, float], ...]:
    """Return the tags of a genre of the synthesiser, with the score of a tag that stands out."""
    return tuple((tag, _CLEAR) for tag in _GENRE_TAGS.get(genre, (genre,)))
