"""From music files to embeddings: decode, cut to the salient part, embed (§3.2, §3.4.1); one file or a stream of them.

A pool of threads decodes, resamples and cuts. An encoder of whole clips (``mel``) embeds in the same threads. An
encoder of windows (``openl3``) gets batches of one fixed shape that run across clips, so that a device is always full
and the numbers of a clip do not depend on its neighbours.
"""

from __future__ import annotations

import logging
import os
import threading
from collections.abc import Generator, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import numpy as np

from covergen_cli.audio.embedding_file import write_embedding
from covergen_cli.audio.encoders import get_encoder
from covergen_cli.audio.excerpt import Excerpt, load_excerpt
from covergen_cli.audio.resample import resample
from covergen_cli.audio.threads import in_threads
from covergen_cli.config import EmbedConfig, OpenL3Config
from covergen_cli.errors import ConfigError, CovergenError, InputError, ModelError, OutputError

if TYPE_CHECKING:
    import numpy.typing as npt

    from covergen_cli.audio.batches import WindowNetwork
    from covergen_cli.audio.encoders import Encoder

OPENL3_RATE_HZ = 48_000
"""Rate at which ``openl3`` listens; known here because its own module takes seconds to import."""

_WRITERS = 2
_log = logging.getLogger(__name__)
_Key = TypeVar("_Key")


@dataclass(frozen=True)
class EmbedTask:
    """A file to embed, and where the embedding goes."""

    id: str
    path: Path
    output: Path


@dataclass(frozen=True)
class EmbedResult:
    """An embedding was written to the output of its task."""

    task: EmbedTask
    frames: int
    segment: tuple[float, float]
    warnings: tuple[str, ...]


@dataclass(frozen=True)
class EmbedFailure:
    """A file could not be embedded."""

    task: EmbedTask
    error: str
    hint: str | None


@dataclass(frozen=True)
class LoadedEncoder:
    """An encoder that was made, and for one of windows what computes them.

    Args:
        encoder: the encoder.
        network: what embeds windows; ``None`` for an encoder of whole clips.
        hop_seconds: distance between two windows.
        batch_size: windows per batch.
    """

    encoder: Encoder
    network: WindowNetwork | None = None
    hop_seconds: float = 0.0
    batch_size: int = 0


def load_encoder(config: EmbedConfig) -> LoadedEncoder:
    """Make the encoder that the settings ask for.

    Raises:
        ConfigError: a setting that this encoder does not have, or a device that is not there.
        ModelError: its weights are missing or damaged.
    """
    if config.encoder == "openl3":
        return _make_openl3(config)
    for field in ("hop_seconds", "dtype", "openl3_weights"):
        if getattr(config, field) != getattr(EmbedConfig, field):
            flag = f"--{field.replace('_', '-')}"
            raise ConfigError(f"{flag} is for the encoder openl3", hint="Leave it out, or add --encoder openl3.")
    return LoadedEncoder(get_encoder(config.encoder))


def _make_openl3(config: EmbedConfig) -> LoadedEncoder:
    from covergen_cli.audio.openl3_encoder import OpenL3Encoder  # noqa: PLC0415 — torch takes seconds to import
    from covergen_cli.weights.device import choose_device  # noqa: PLC0415

    device = choose_device(config.device)
    openl3 = OpenL3Config() if config.hop_seconds is None else OpenL3Config(hop_seconds=config.hop_seconds)
    file = None if config.openl3_weights is None else Path(config.openl3_weights)
    encoder = OpenL3Encoder(openl3, weights_file=file, device=device, dtype=config.dtype)
    return LoadedEncoder(encoder, encoder.network, openl3.hop_seconds, config.batch_size or encoder.network.batch_size)


def embed_file(path: Path, ready: LoadedEncoder) -> tuple[npt.NDArray[np.float32], Excerpt]:
    """Embed one file.

    Args:
        path: a local audio file.
        ready: from :func:`load_encoder`.

    Returns:
        float32 ``(T, embedding_dim)``, and what was heard.

    Raises:
        InputError: the file cannot be used.
    """
    heard = load_excerpt(path, ready.encoder.sample_rate_hz, ready.encoder.resample)
    if ready.network is None:
        embedding = ready.encoder.embed(heard.samples, heard.sample_rate_hz)
    else:
        embedding = next(rows for _, rows in _batched([(None, heard)], ready) if rows is not None)
    return _checked(path, embedding), heard


def embed_one(source: EmbedTask, ready: LoadedEncoder) -> EmbedResult | EmbedFailure:
    """Embed one file and write its embedding; what is wrong with the file is told, not raised.

    Raises:
        OutputError: the embedding cannot be written.
        ModelError: the encoder cannot be used.
    """
    try:
        embedding, heard = embed_file(source.path, ready)
    except Exception as error:  # noqa: BLE001 — one broken file must not end a night's work
        return _unusable(source, error)
    return _kept(source, embedding, heard)


def embed_each(
    sources: Iterable[EmbedTask], ready: LoadedEncoder, workers: int | None = None
) -> Generator[EmbedResult | EmbedFailure, None, None]:
    """Embed files and write their embeddings, each as soon as it is ready.

    What is held at any time is bounded by the number of workers, whatever the number and the length of the files.
    Closing the iterator ends the work; a file that is not finished leaves no embedding.

    Args:
        sources: taken one at a time, when there is room for them.
        ready: from :func:`load_encoder`.
        workers: threads that read; ``None`` for one per core.

    Yields:
        one per source, in the order in which they are ready.

    Raises:
        OutputError: an embedding cannot be written.
        ModelError: the encoder cannot be used.
    """
    workers = workers or os.cpu_count() or 1
    stop = threading.Event()
    try:
        if ready.network is None:
            yield from in_threads(lambda source: embed_one(source, ready), sources, workers, stop)
        else:
            heard = in_threads(try_load_excerpt, sources, workers, stop)
            yield from in_threads(write_result, embed_excerpts(heard, ready), _WRITERS, stop)
    finally:
        stop.set()


def try_load_excerpt(source: EmbedTask) -> tuple[EmbedTask, Excerpt | EmbedFailure]:
    """Decode what :func:`embed_excerpts` embeds; what is wrong with the file is told, not raised."""
    try:
        return source, load_excerpt(source.path, OPENL3_RATE_HZ, resample)
    except Exception as error:  # noqa: BLE001 — one broken file must not end a night's work
        return source, _unusable(source, error)


def embed_excerpts(
    heard: Iterable[tuple[EmbedTask, Excerpt | EmbedFailure]], ready: LoadedEncoder
) -> Generator[EmbedFailure | tuple[EmbedTask, Excerpt, npt.NDArray[np.float32]], None, None]:
    """Embed what was heard with an encoder of windows, in batches across clips.

    Yields:
        source, what was heard, and its embedding; or what was wrong.
    """
    keyed = (((source, found), found if isinstance(found, Excerpt) else None) for source, found in heard)
    for (source, found), embedding in _batched(keyed, ready):
        if isinstance(found, EmbedFailure):
            yield found
        elif embedding is not None:
            try:
                yield source, found, _checked(source.path, embedding)
            except InputError as error:
                yield _unusable(source, error)


def _batched(
    heard: Iterable[tuple[_Key, Excerpt | None]], ready: LoadedEncoder
) -> Generator[tuple[_Key, npt.NDArray[np.float32] | None], None, None]:
    # torch takes seconds to import; an encoder of whole clips does without.
    from covergen_cli.audio.batches import in_batches  # noqa: PLC0415
    from covergen_cli.audio.openl3_frontend import frame  # noqa: PLC0415

    if ready.network is None:
        raise AssertionError("an encoder of whole clips has no windows")
    windows = ((key, None if clip is None else frame(clip.samples, ready.hop_seconds)) for key, clip in heard)
    return in_batches(windows, ready.network, ready.batch_size)


def write_result(made: EmbedFailure | tuple[EmbedTask, Excerpt, npt.NDArray[np.float32]]) -> EmbedResult | EmbedFailure:
    """Write what :func:`embed_excerpts` made.

    Raises:
        OutputError: the place cannot be written to.
    """
    if isinstance(made, EmbedFailure):
        return made
    source, heard, embedding = made
    return _kept(source, embedding, heard)


def _unusable(source: EmbedTask, error: Exception) -> EmbedFailure:
    """Turn what a file made the program raise into words.

    Raises:
        OutputError: as given: no file is to blame.
        ModelError: as given.
    """
    if isinstance(error, (OutputError, ModelError, ConfigError)):
        raise error
    if isinstance(error, CovergenError):
        return EmbedFailure(source, error.message, error.hint)
    _log.error("unexpected error with %s", source.path, exc_info=error)
    text = " ".join(f"{source.path}: unexpected {type(error).__name__}: {error}".split())
    return EmbedFailure(source, text, "This is a bug; please report it.")


def _kept(source: EmbedTask, embedding: npt.NDArray[np.float32], heard: Excerpt) -> EmbedResult:
    write_embedding(source.output, embedding)
    return EmbedResult(source, len(embedding), heard.segment, heard.warnings)


def _checked(path: Path, embedding: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    if not np.isfinite(embedding).all():
        raise InputError(f"{path} gave an embedding with numbers that are not finite", hint="Try --dtype fp32.")
    return embedding
