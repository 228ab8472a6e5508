"""Embed music files: decode, cut to the salient segment, encode (§3.2, §3.4.1); one file or many.

A pool of threads decodes, resamples and cuts. An encoder of complete clips (``mel``) runs in the same threads. An
encoder of windows (``openl3``) gets batches of one fixed shape that run across clips, so that a device is always busy
and the embedding of a clip does not depend on its neighbours.
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
"""Sample rate of ``openl3``; repeated here because its own module takes seconds to import."""

_WRITERS = 2
_log = logging.getLogger(__name__)
_Key = TypeVar("_Key")


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


@dataclass(frozen=True)
class LoadedEncoder:
    """An encoder that is ready to embed.

    Args:
        encoder: the encoder.
        network: the network that embeds windows; ``None`` for an encoder of complete clips.
        hop_seconds: distance between two windows.
        batch_size: windows per batch.
    """

    encoder: Encoder
    network: WindowNetwork | None = None
    hop_seconds: float = 0.0
    batch_size: int = 0


def load_encoder(config: EmbedConfig) -> LoadedEncoder:
    """Load the encoder that the settings name.

    Raises:
        ConfigError: the encoder does not have a setting that was given, or the device does not exist.
        ModelError: its weights are missing or damaged.
    """
    if config.encoder == "openl3":
        return _load_openl3(config)
    for field in ("hop_seconds", "dtype", "openl3_weights"):
        if getattr(config, field) != getattr(EmbedConfig, field):
            flag = f"--{field.replace('_', '-')}"
            raise ConfigError(f"{flag} is for the encoder openl3", hint="Leave it out, or add --encoder openl3.")
    return LoadedEncoder(get_encoder(config.encoder))


def _load_openl3(config: EmbedConfig) -> LoadedEncoder:
    from covergen_cli.audio.openl3_encoder import OpenL3Encoder  # noqa: PLC0415 — torch takes seconds to import
    from covergen_cli.weights.device import choose_device  # noqa: PLC0415

    device = choose_device(config.device)
    openl3 = OpenL3Config() if config.hop_seconds is None else OpenL3Config(hop_seconds=config.hop_seconds)
    encoder = OpenL3Encoder(openl3, weights_file=config.openl3_weights, device=device, dtype=config.dtype)
    return LoadedEncoder(encoder, encoder.network, openl3.hop_seconds, config.batch_size or encoder.network.batch_size)


def embed_file(path: str | os.PathLike[str], encoder: LoadedEncoder) -> tuple[npt.NDArray[np.float32], Excerpt]:
    """Embed one file.

    Args:
        path: a local audio file.
        encoder: from :func:`load_encoder`.

    Returns:
        float32 ``(T, embedding_dim)``, and the part of the file that was embedded.

    Raises:
        InputError: the file cannot be used.
    """
    path = Path(path)
    excerpt = load_excerpt(path, encoder.encoder.sample_rate_hz, encoder.encoder.resample)
    if encoder.network is None:
        embedding = encoder.encoder.embed(excerpt.samples, excerpt.sample_rate_hz)
    else:
        embedding = next(rows for _, rows in _batched([(None, excerpt)], encoder) if rows is not None)
    return _require_finite(path, embedding), excerpt


def embed_one(task: EmbedTask, encoder: LoadedEncoder) -> EmbedResult | EmbedFailure:
    """Embed one file and write its embedding; an error of the file is returned, not raised.

    Raises:
        OutputError: the embedding cannot be written.
        ModelError: the encoder cannot be used.
    """
    try:
        embedding, excerpt = embed_file(task.path, encoder)
    except Exception as error:  # noqa: BLE001 — one broken file must not end a night's work
        return _failure(task, error)
    return write_result((task, excerpt, embedding))


def embed_each(
    tasks: Iterable[EmbedTask], encoder: LoadedEncoder, workers: int | None = None
) -> Generator[EmbedResult | EmbedFailure, None, None]:
    """Embed files and write each embedding as soon as it is ready.

    Memory is bounded by the number of workers, whatever the number and the duration of the files. Closing the iterator
    ends the work; a file that is not finished leaves no embedding.

    Args:
        tasks: taken one at a time, when a worker is free.
        encoder: from :func:`load_encoder`.
        workers: threads that decode; ``None`` for one per core.

    Yields:
        one result per task, in the order in which they are ready.

    Raises:
        OutputError: an embedding cannot be written.
        ModelError: the encoder cannot be used.
    """
    workers = workers or os.cpu_count() or 1
    stop = threading.Event()
    try:
        if encoder.network is None:
            yield from in_threads(lambda task: embed_one(task, encoder), tasks, workers, stop)
        else:
            excerpts = in_threads(try_load_excerpt, tasks, workers, stop)
            yield from in_threads(write_result, embed_excerpts(excerpts, encoder), _WRITERS, stop)
    finally:
        stop.set()


def try_load_excerpt(task: EmbedTask) -> tuple[EmbedTask, Excerpt | EmbedFailure]:
    """Load what :func:`embed_excerpts` embeds; an error of the file is returned, not raised."""
    try:
        return task, load_excerpt(task.path, OPENL3_RATE_HZ, resample)
    except Exception as error:  # noqa: BLE001 — one broken file must not end a night's work
        return task, _failure(task, error)


def embed_excerpts(
    excerpts: Iterable[tuple[EmbedTask, Excerpt | EmbedFailure]], encoder: LoadedEncoder
) -> Generator[EmbedFailure | tuple[EmbedTask, Excerpt, npt.NDArray[np.float32]], None, None]:
    """Embed excerpts with an encoder of windows, in batches across clips.

    Yields:
        task, excerpt and embedding; or the failure.
    """
    keyed = (((task, found), found if isinstance(found, Excerpt) else None) for task, found in excerpts)
    for (task, found), embedding in _batched(keyed, encoder):
        if isinstance(found, EmbedFailure):
            yield found
        elif embedding is not None:
            try:
                yield task, found, _require_finite(task.path, embedding)
            except InputError as error:
                yield _failure(task, error)


def _batched(
    excerpts: Iterable[tuple[_Key, Excerpt | None]], encoder: LoadedEncoder
) -> Generator[tuple[_Key, npt.NDArray[np.float32] | None], None, None]:
    # torch takes seconds to import; an encoder of complete clips does without.
    from covergen_cli.audio.batches import in_batches  # noqa: PLC0415
    from covergen_cli.audio.openl3_frontend import frame  # noqa: PLC0415

    if encoder.network is None:
        raise AssertionError("an encoder of complete clips has no windows")
    windows = ((key, None if clip is None else frame(clip.samples, encoder.hop_seconds)) for key, clip in excerpts)
    return in_batches(windows, encoder.network, encoder.batch_size)


def write_result(
    embedded: EmbedFailure | tuple[EmbedTask, Excerpt, npt.NDArray[np.float32]],
) -> EmbedResult | EmbedFailure:
    """Write what :func:`embed_excerpts` yields; return a failure as it is.

    Raises:
        OutputError: the embedding cannot be written.
    """
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
