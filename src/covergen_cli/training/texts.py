"""The words of songs as a base's text encoder reads them: the targets of training with ``--objective words``.

``DATA/heard/ID.json`` holds what was heard in a song, for all bases. ``DATA/texts/BASE/`` holds the hidden states of
the text encoder for several wordings of each song as float16, see :mod:`covergen_cli.training.array_cache`.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Generator, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from covergen_cli.covers.describe import describe_song
from covergen_cli.covers.heard import Heard
from covergen_cli.covers.words import vocabulary_sha256, write_prompt
from covergen_cli.dataset.layout import Dataset
from covergen_cli.errors import InputError
from covergen_cli.events import Progress
from covergen_cli.files import read_json, require_space, sha256_bytes, write_json
from covergen_cli.training.array_cache import ArrayCache, CachedArrays

if TYPE_CHECKING:
    import numpy.typing as npt
    from torch import Tensor

    from covergen_cli.dataset.pairs import Pair
    from covergen_cli.events import Event
    from covergen_cli.models.base import Base

WORDINGS = 4
"""Prompts per song; their seeds are 0 to 3."""

_PART = 256
_HEARD = "heard"


class Texts(CachedArrays):
    """The hidden states of songs' prompts, float16 ``(WORDINGS, N, D)`` each, N positions of the text encoder."""

    def targets(self, indices: Sequence[int], wordings: Sequence[int]) -> Tensor:
        """Return one wording of each song, float32 ``(B, N, D)``."""
        found = [self.arrays[self.keys[index]][wording] for index, wording in zip(indices, wordings, strict=True)]
        return torch.from_numpy(np.stack(found)).float()


def prepare_texts(data: Path, base: Base, pairs: Sequence[Pair]) -> Generator[Event, None, Texts]:
    """Hear the songs and embed their prompts, as far as that has not been done yet; return all.

    Args:
        data: the dataset folder.
        base: a base with a text encoder.
        pairs: the pairs whose music is heard.

    Yields:
        ``Progress`` of the tasks ``hearing songs`` and ``embedding words``.

    Raises:
        InputError: a song is missing, or cannot be used.
        ModelError: the text encoder is damaged.
        OutputError: the dataset folder cannot be written to.
    """
    heard = yield from _hear_songs(data, pairs)
    count = None if base.text is None else base.text.count_tokens
    prompts = [[write_prompt(one, seed, count_tokens=count) for seed in range(WORDINGS)] for one in heard]
    keys = [sha256_bytes("\n".join(some).encode()) for some in prompts]
    metadata = {"base": base.fingerprint, "wordings": WORDINGS, "width": base.cross_attention_dim}
    cache = ArrayCache(data / "texts" / base.fingerprint[:12], metadata)
    missing = {key: some for key, some in zip(keys, prompts, strict=True) if key not in cache}
    if missing:
        length = base.embed("").tokens.shape[1]
        row_shape = (length, base.cross_attention_dim)
        require_space(cache.folder, len(missing) * WORDINGS * length * base.cross_attention_dim * 2, "embedded words")
        yield Progress("embedding words", 0, len(missing))
        for start in range(0, len(missing), _PART):
            part = dict(list(missing.items())[start : start + _PART])
            rows = dict.fromkeys(part, WORDINGS)
            cache.add("texts", rows, _embed(base, part), row_shape, "<f2")
            yield Progress("embedding words", start + len(part), len(missing))
    return Texts(cache, keys)


def _embed(base: Base, prompts: Mapping[str, Sequence[str]]) -> Iterator[npt.NDArray[np.float32]]:
    for some in prompts.values():
        yield torch.cat([base.embed(prompt).tokens for prompt in some]).float().cpu().numpy()


def _hear_songs(data: Path, pairs: Sequence[Pair]) -> Generator[Event, None, list[Heard]]:
    """Return what is heard in the songs of pairs, in their order."""
    audio = {row.id: row.audio for row in Dataset(data).rows() if row.audio is not None}
    for pair in pairs:
        if pair.id not in audio:
            raise InputError(
                f"the manifest of {data} has no music for {pair.id}", hint="Words are made from the music."
            )
    found: list[Heard] = []
    with ThreadPoolExecutor() as threads:
        songs = ((data / _HEARD / f"{pair.id}.json", audio[pair.id]) for pair in pairs)
        for done, heard in enumerate(threads.map(lambda song: _heard(*song), songs), start=1):
            found.append(heard)
            if done % 10 == 0 or done == len(pairs):
                yield Progress("hearing songs", done, len(pairs))
    return found


def _heard(path: Path, song: Path) -> Heard:
    """Return what is heard in a song, from its file if the song has not changed since it was written."""
    try:
        state = song.stat()
    except OSError as error:
        raise InputError(f"{song} cannot be read: {error.strerror or error}") from error
    source = {"bytes": state.st_size, "modified_ns": state.st_mtime_ns, "vocabulary": vocabulary_sha256()}
    try:
        stored = read_json(path)
        if stored["source"] == source:
            return _from_json(stored["heard"])
    except (OSError, ValueError, KeyError, TypeError):
        pass
    heard = describe_song(song).heard
    write_json(path, {"source": source, "heard": dataclasses.asdict(heard)})
    return heard


def _from_json(stored: Mapping[str, Any]) -> Heard:
    labels = tuple((str(name), float(score)) for name, score in stored["labels"])
    return Heard(stored["descriptors"], tuple(stored["genres"]), labels)
