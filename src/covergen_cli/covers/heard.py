"""Analysis of songs, from which looks and prompts are made: descriptors, recognised labels, and tags of the files."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from covergen_cli.audio import io
from covergen_cli.audio.descriptors import describe

if TYPE_CHECKING:
    import numpy.typing as npt


@dataclass(frozen=True)
class Heard:
    """Analysis of a song or an album.

    Args:
        descriptors: the seven descriptors by name, each in [0, 1].
        genres: genres in the tags of the files.
        labels: genres, moods and instruments that musicnn recognises, with their scores, highest first; 1 is the usual
            score of a label. Empty unless a prompt is made.
        title: title of the song or the album; ``None`` unless the prompt mentions it.
        nouns: things that the lyrics name; empty unless the prompt mentions them.
    """

    descriptors: Mapping[str, float]
    genres: tuple[str, ...] = ()
    labels: tuple[tuple[str, float], ...] = ()
    title: str | None = None
    nouns: tuple[str, ...] = ()


def hear(
    path: str | os.PathLike[str],
    samples: npt.NDArray[np.float32],
    sample_rate_hz: int,
    *,
    labels: bool = False,
    words: str | None = None,
    album: bool = False,
) -> Heard:
    """Analyse a part of a song.

    Args:
        path: the music file, for its tags.
        samples: the part, mono ``(n,)``.
        sample_rate_hz: its rate.
        labels: also run musicnn, which needs torch.
        words: also take the ``title``, things from the ``lyrics``, or both, as ``--words`` does.
        album: the title is that of the album.

    Raises:
        InputError: the file cannot be used.
    """
    tags, asked = io.probe(Path(path)).tags, (words or "").split(",")
    heard = Heard(_rounded(describe(samples, sample_rate_hz).as_array()), (tags.genre,) if tags.genre else ())
    if labels:
        from covergen_cli.audio.musicnn import ranked_tags

        heard = replace(heard, labels=ranked_tags(samples, sample_rate_hz))
    if "title" in asked:
        heard = replace(heard, title=tags.album if album else tags.title)
    if "lyrics" in asked:
        from covergen_cli.covers.words import concrete_nouns

        heard = replace(heard, nouns=concrete_nouns(tags.lyrics or lrc_text(Path(path))))
    return heard


def mean_heard(songs: Sequence[Heard]) -> Heard:
    """Return the analysis of an album: means over its songs, all genres, one title, the most frequent nouns."""
    descriptors = np.mean([list(song.descriptors.values()) for song in songs], axis=0)
    scores: Counter[str] = Counter()
    for song in songs:
        scores.update({label: score / len(songs) for label, score in song.labels})
    return Heard(
        _rounded(descriptors),
        tuple(dict.fromkeys(genre for song in songs for genre in song.genres)),
        tuple((label, round(score, 2)) for label, score in scores.most_common()),
        next((song.title for song in songs if song.title), None),
        tuple(noun for noun, _ in Counter(noun for song in songs for noun in song.nouns).most_common(4)),
    )


def _rounded(values: npt.NDArray[np.float32]) -> dict[str, float]:
    from covergen_cli.audio.descriptors import NAMES

    return {name: round(float(value), 4) for name, value in zip(NAMES, values, strict=True)}


def lrc_text(song: Path) -> str:
    """Return the text of the ``.lrc`` file beside a song; empty when there is none."""
    try:
        return song.with_suffix(".lrc").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""
