"""Choosing a look from what the music is like."""

from __future__ import annotations

import functools
import itertools
import re
import zlib
from importlib import resources
from typing import TYPE_CHECKING, Any

import numpy as np
import yaml

from covergen_cli.audio.descriptors import NAMES
from covergen_cli.covers.looks.parse import LOOKS, make_look

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from covergen_cli.covers.looks.base import Look


@functools.cache
def table() -> dict[str, Any]:
    """Return the table of weights, ``looks.yaml``: ``looks`` and ``tags``."""
    text = resources.files(__package__).joinpath("looks.yaml").read_text(encoding="utf-8")
    loaded: dict[str, Any] = yaml.safe_load(text)
    return loaded


def look_weights(descriptors: Mapping[str, float], tags: Iterable[str] = ()) -> dict[str, float]:
    """Return how likely each look is, which sums to 1.

    Args:
        descriptors: by name, each in [0, 1]; those that are missing count as 0.5.
        tags: genres and moods, such as ``"Indie Rock"``; every word that the table has counts.
    """
    weights = {}
    for name, row in table()["looks"].items():
        score = sum(row.get(key, 0.0) * (descriptors.get(key, 0.5) - 0.5) for key in NAMES)
        weights[name] = row["base"] * float(np.exp(score))
    for word in sorted({word for tag in tags for word in _words(tag)}):
        for name, factor in table()["tags"].get(word, {}).items():
            weights[name] *= factor
    total = sum(weights.values())
    return {name: weight / total for name, weight in weights.items()}


def choose_look(descriptors: Mapping[str, float], seed: int, tags: Iterable[str] = (), variation: int = 0) -> Look:
    """Choose a look and its parameters.

    The seed puts all looks in an order, in which likely ones tend to come first; ``variation`` counts along it. So the
    covers of one song with one seed differ in look until all have been used.

    Args:
        descriptors: by name, each in [0, 1].
        seed: of the first variation, so the same for all variations of a song.
        tags: genres and moods.
        variation: number of the cover, from 0.
    """
    weights = look_weights(descriptors, tags)
    rng = np.random.default_rng([seed, 11])
    # Gumbel noise on the logarithm: drawing without replacement, in proportion to the weights.
    scores = {name: np.log(weights[name]) + rng.gumbel() for name in sorted(weights)}
    order = sorted(scores, key=lambda name: -scores[name])
    name = order[variation % len(order)]
    choice = np.random.default_rng([seed, variation, zlib.crc32(name.encode())])
    options = table()["looks"][name].get("options", {})
    return make_look(LOOKS[name], {key: values[int(choice.integers(len(values)))] for key, values in options.items()})


def _words(tag: str) -> set[str]:
    """Return the words of a tag, and each pair of neighbours, as ``hip-hop``."""
    words = re.findall(r"[a-z]+", tag.lower())
    return {*words, *("-".join(pair) for pair in itertools.pairwise(words))}
