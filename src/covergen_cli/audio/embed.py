"""Embed music files: decode, cut to the salient segment, encode (§3.2, §3.4.1); one file or many.

A pool of threads decodes, resamples and cuts. An encoder of complete clips (``mel``) runs in the same threads. An
encoder of windows (``openl3``) gets batches of one fixed shape that run across clips, so that a device is always busy
and the embedding of a clip does not depend on its neighbours.
"""

from __future__ import annotations

import logging
import os
import threading
from collections.abc import Generator, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from covergen_cli.audio.embedding_file import write_embedding
from covergen_cli.audio.encoders import BatchEncoder, get_encoder
from covergen_cli.audio.excerpt import Excerpt, load_excerpt
from covergen_cli.audio.threads import in_threads
from covergen_cli.config import EmbedConfig, OpenL3Config
from covergen_cli.errors import ConfigError, CovergenError, InputError, ModelError, OutputError

if TYPE_CHECKING:
    import numpy.typing as npt

    from covergen_cli.audio.encoders import Encoder

_WRITERS = 2
_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class EmbedTask:
    """A file to embed, and the file of its embedding."""

    id: str
    path: Path
    output: Path


@dataclass(frozen=True)
class EmbedResult:
    """An embedding that was written."""

    task: EmbedTask
    frames: int
    segment: tuple[float, float]
    warnings: tuple[str, ...]


@dataclass(frozen=True)
class EmbedFailure:
    """A file that could not be embedded, and why."""

    task: EmbedTask
    error: str
    hint: str | None


def load_encoder(config: EmbedConfig) -> Encoder:
    """Load the encoder that the settings name.

    Raises:
        ConfigError: the encoder does not have a setting that was given, or the device does not exist.
        ModelError: its weights are missing or damaged.
    """
    if config.encoder == "openl3":
        from covergen_cli.audio.openl3_encoder import OpenL3Encoder  # noqa: PLC0415 — torch takes seconds to import
        from covergen_cli.weights.device import choose_device  # noqa: PLC0415

        return OpenL3Encoder(
            OpenL3Config() if config.hop_seconds is None else OpenL3Config(hop_seconds=config.hop_seconds),
            weights_file=config.openl3_weights,
            device=choose_device(config.device),
            dtype=config.dtype,
            batch_size=config.batch_size,
        )
    for field in ("hop_seconds", "dtype", "openl3_weights"):
        if getattr(config, field) != getattr(EmbedConfig, field):
            flag = f"--{field.replace('_', '-')}"
            raise ConfigError(f"{flag} is for the encoder openl3", hint="Leave it out, or add --encoder openl3.")
    return get_encoder(config.encoder)


def embed_file(path: str | os.PathLike[str], encoder: Encoder) -> tuple[npt.NDArray[np.float32], Excerpt]:
    """Return the embedding of a local audio file, float32 ``(T, embedding_dim)``, and the part that was embedded.

    Raises:
        InputError: the file cannot be used.
    """
    path = Path(path)
    excerpt = load_excerpt(path, encoder.sample_rate_hz, encoder.resample)
    if isinstance(encoder, BatchEncoder):
        embedding = next(rows for _, rows in encoder.embed_many([(None, excerpt.samples)]) if rows is not None)
    else:
        embedding = encoder.embed(excerpt.samples, excerpt.sample_rate_hz)
    return _require_finite(path, embedding), excerpt


def embed_one(task: EmbedTask, encoder: Encoder) -> EmbedResult | EmbedFailure:
    """Embed one file and write its embedding; an error of the file is returned, not raised.

    Raises:
        OutputError: the embedding cannot be written.
        ModelError: the encoder cannot be used.
    """
    try:
        embedding, excerpt = embed_file(task.path, encoder)
    except Exception as error:  # noqa: BLE001 — one broken file must not end a night's work
        return _failure(task, error)
    return _write((task, excerpt, embedding))


def embed_each(
    tasks: Iterable[EmbedTask], encoder: Encoder, workers: int | None = None
) -> Generator[EmbedResult | EmbedFailure, None, None]:
    """Embed files and write each embedding as soon as it is ready.

    Memory is bounded by the number of workers, whatever the number and the duration of the files. Closing the iterator
    ends the work; a file that is not finished leaves no embedding.

    Tasks are taken one at a time, when one of the ``workers`` is free: threads that decode, one per core by default.

    Yields:
        one result per task, in the order in which they are ready.

    Raises:
        OutputError: an embedding cannot be written.
        ModelError: the encoder cannot be used.
    """
    workers = workers or os.cpu_count() or 1
    stop = threading.Event()
    try:
        if isinstance(encoder, BatchEncoder):
            excerpts = in_threads(lambda task: _load(task, encoder), tasks, workers, stop)
            yield from in_threads(_write, _embed_excerpts(excerpts, encoder), _WRITERS, stop)
        else:
            yield from in_threads(lambda task: embed_one(task, encoder), tasks, workers, stop)
    finally:
        stop.set()


def _load(task: EmbedTask, encoder: Encoder) -> tuple[EmbedTask, Excerpt | EmbedFailure]:
    try:
        return task, load_excerpt(task.path, encoder.sample_rate_hz, encoder.resample)
    except Exception as error:  # noqa: BLE001 — one broken file must not end a night's work
        return task, _failure(task, error)


def _embed_excerpts(
    excerpts: Iterable[tuple[EmbedTask, Excerpt | EmbedFailure]], encoder: BatchEncoder
) -> Iterator[EmbedFailure | tuple[EmbedTask, Excerpt, npt.NDArray[np.float32]]]:
    keyed = (((task, found), found.samples if isinstance(found, Excerpt) else None) for task, found in excerpts)
    for (task, found), embedding in encoder.embed_many(keyed):
        if isinstance(found, EmbedFailure):
            yield found
        elif embedding is not None:
            try:
                yield task, found, _require_finite(task.path, embedding)
            except InputError as error:
                yield _failure(task, error)


def _write(
    embedded: EmbedFailure | tuple[EmbedTask, Excerpt, npt.NDArray[np.float32]],
) -> EmbedResult | EmbedFailure:
    if isinstance(embedded, EmbedFailure):
        return embedded
    task, excerpt, embedding = embedded
    write_embedding(task.output, embedding)
    return EmbedResult(task, len(embedding), excerpt.segment, excerpt.warnings)


def _failure(task: EmbedTask, error: Exception) -> EmbedFailure:
    """Return the failure that an exception means; raise it again if the file is not to blame."""
    if isinstance(error, (OutputError, ModelError, ConfigError)):
        raise error
    if isinstance(error, CovergenError):
        return EmbedFailure(task, error.message, error.hint)
    _log.error("unexpected error with %s", task.path, exc_info=error)
    text = " ".join(f"{task.path}: unexpected {type(error).__name__}: {error}".split())
    return EmbedFailure(task, text, "This is a bug; please report it.")


def _require_finite(path: Path, embedding: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    if not np.isfinite(embedding).all():
        raise InputError(f"{path} gave an embedding with numbers that are not finite", hint="Try --dtype fp32.")
    return embedding
