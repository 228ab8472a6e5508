"""Listens to one song: finds its segment, embeds it, and describes how it sounds."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from covergen_cli.config import SegmentConfig

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    from covergen_cli.audio.encoders import Encoder
    from covergen_cli.audio.segment import Segment
    from covergen_cli.covers.heard import Heard

DESCRIPTORS: dict[str, Any] = {"name": "descriptors", "version": 1}
"""The audio encoder of the painter and of words; the version is raised when the same audio gives other covers."""


@dataclass(frozen=True)
class Request:
    """A song to listen to, and what to find out."""

    path: Path
    encoder_spec: dict[str, Any]
    segment: tuple[float, float] | None = None  # start and end in seconds; ``None`` searches for the salient one
    describe: bool = False  # also describe the sound
    labels: bool = False  # also run the tagger, which needs torch
    words: str | None = None  # also take title and lyrics, as ``--words`` does
    album: bool = False  # the title is that of the album


@dataclass(frozen=True)
class Listened:
    """What was found out about a song."""

    embedding: npt.NDArray[np.float32]  # float32 ``(T, E)``
    segment: tuple[float, float]  # start and end in seconds
    search: Segment | None  # the search for the segment; ``None`` when it was given
    warnings: tuple[str, ...]  # warnings about the file
    heard: Heard | None  # ``None`` unless asked for


def find_part(path: Path, given: tuple[float, float] | None) -> tuple[tuple[float, float], Segment | None]:
    """Return start and end of the segment of a song, in seconds, and the search that found it if it was not given.

    Raises:
        InputError: the file cannot be used.
    """
    if given is not None:
        return given, None
    from covergen_cli.audio.segment import find_segment

    search = find_segment(path, SegmentConfig())
    return (search.start_seconds, search.end_seconds), search


def listen(request: Request, encoder: Encoder, check_stop: Callable[[], None] = lambda: None) -> Listened:
    """Listen to a song.

    Args:
        request: the song, and what to find out.
        encoder: the one that ``request.encoder_spec`` describes.
        check_stop: called between the stages; may raise.

    Raises:
        InputError: the file cannot be used.
    """
    from covergen_cli.audio import io

    (start, end), search = find_part(request.path, request.segment)
    check_stop()
    clip = io.load(request.path, encoder.sample_rate_hz, start, end, encoder.resample)
    segment = (start, min(end, start + len(clip.samples) / clip.sample_rate_hz))
    warnings = tuple(dict.fromkeys((*(search.warnings if search else ()), *clip.warnings)))
    check_stop()
    embedding, heard = encoder.embed(clip.samples, clip.sample_rate_hz), None
    if request.describe or request.labels:
        from covergen_cli.covers.heard import hear

        heard = hear(
            request.path,
            clip.samples,
            clip.sample_rate_hz,
            labels=request.labels,
            words=request.words,
            album=request.album,
        )
    return Listened(embedding, segment, search, warnings, heard)


def listen_alone(request: Request) -> Listened:
    """Listen to a song, in a process of its own, which keeps the encoder; raises as :func:`listen`."""
    return listen(request, _kept_encoder(json.dumps(request.encoder_spec)))


@lru_cache(maxsize=1)
def _kept_encoder(spec: str) -> Encoder:
    return load_encoder(json.loads(spec))


def load_encoder(spec: dict[str, Any], device: str = "cpu") -> Encoder:
    """Return the audio encoder that a spec describes, that of the painter included.

    Raises:
        ModelError: its weights are missing or damaged, or its version is another.
    """
    if spec == DESCRIPTORS:
        from covergen_cli.covers.painter import DescriptorEncoder

        return DescriptorEncoder()
    if spec.get("name") == "openl3":
        from covergen_cli.audio.shared_encoder import load_openl3

        return load_openl3(spec, device)
    from covergen_cli.audio.encoders import get_encoder

    return get_encoder(spec)
