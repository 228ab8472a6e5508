"""Embed the music of a dataset folder; a second run does only what is missing.

The embeddings themselves say what is done, since each takes its name when it is complete. The reason why a file failed,
or a warning about it, is appended to a journal at once and ends up in ``status.csv``.
"""

from __future__ import annotations

import json
import time
from collections.abc import Generator, Iterator
from contextlib import closing, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from covergen_cli.audio.embed import EmbedResult, EmbedTask, embed_each, load_encoder
from covergen_cli.audio.embedding_file import embedding_fault
from covergen_cli.audio.excerpt import MAX_PREVIEW_SECONDS
from covergen_cli.config import SegmentConfig
from covergen_cli.dataset import embed_ray
from covergen_cli.dataset.journal import Journal
from covergen_cli.dataset.layout import Dataset
from covergen_cli.dataset.music_state import MusicState
from covergen_cli.dataset.tables import open_table
from covergen_cli.errors import ConfigError, InputError, OutputError
from covergen_cli.events import ClipEmbedded, ClipFailed, EmbedFinished, EmbedPlanned, ModelLoaded, ModelLoading, Warned
from covergen_cli.files import SCHEMA, read_json, write_json

if TYPE_CHECKING:
    from covergen_cli.audio.embed import EmbedFailure
    from covergen_cli.audio.encoders import Encoder
    from covergen_cli.config import EmbedConfig
    from covergen_cli.dataset.layout import Row
    from covergen_cli.events import Event

_MISSING, _PRESENT, _FAULTY, _STALE = range(4)
_STALE_SECONDS = 3600.0


def embed_dataset(folder: Path, config: EmbedConfig, *, name: str | None = None) -> Generator[Event, None, None]:
    """Embed every row of a manifest that has no embedding yet, then write ``pairs.csv`` and ``status.csv``.

    Embeddings whose music has changed since are deleted and made again.

    Closing the iterator ends the work; embeddings that are written stay, and the next run continues.

    Args:
        folder: the dataset folder.
        config: encoder and how it runs.
        name: name of the folder below ``embeddings/``; by default that of the encoder.

    Yields:
        ``EmbedPlanned``, then a ``ClipEmbedded`` or ``ClipFailed`` per row that had no embedding (in the order in which
        they are ready, with ``Warned`` between), then ``EmbedFinished``.

    Raises:
        InputError: the folder or its manifest cannot be used.
        ConfigError: existing embeddings were made with other settings.
        ModelError: the encoder cannot be used.
        OutputError: the folder cannot be written to.
    """
    dataset = Dataset(folder)
    target = dataset.embeddings(name or config.encoder)
    if next(dataset.rows(), None) is None:
        raise InputError(f"{dataset.manifest} has no rows")
    yield ModelLoading(config.encoder)
    started = time.monotonic()
    encoder = load_encoder(config)
    yield ModelLoaded(config.encoder, time.monotonic() - started)
    _claim(target, encoder, config)
    _remove_temporary_files(target)
    music, width = MusicState(target), encoder.embedding_dim
    states = bytearray(_state(target, row, music, width) for row in dataset.rows())
    if _STALE in states:
        states = _remove_stale(dataset, target, states)
    yield EmbedPlanned(len(states), states.count(_PRESENT))
    with Journal(target) as journal:
        if _FAULTY in states:
            yield from _faults(dataset)
        embedded = 0
        with closing(_results(_tasks(dataset, target, states), encoder, config)) as results:
            for result in results:
                embedded += isinstance(result, EmbedResult)
                if isinstance(result, EmbedResult):
                    music.put(result.task.id, result.task.path)
                yield from _events(result, journal)
        yield _write_tables(dataset, target, journal, embedded, music, width)


def _state(target: Path, row: Row, music: MusicState, width: int) -> int:
    if row.fault is not None or row.audio is None:
        return _FAULTY
    path = target / f"{row.id}.npy"
    if embedding_fault(path, width):
        return _MISSING
    return _PRESENT if music.is_current(row.id, row.audio, path) else _STALE


def _remove_stale(dataset: Dataset, target: Path, states: bytearray) -> bytearray:
    """Delete the embeddings whose music has changed, and return the states without them."""
    for row, state in zip(dataset.rows(), states, strict=False):
        if state == _STALE:
            try:
                (target / f"{row.id}.npy").unlink(missing_ok=True)
            except OSError as error:
                raise OutputError(f"cannot remove {target / row.id}.npy: {error.strerror or error}") from error
    return states.replace(bytes([_STALE]), bytes([_MISSING]))


def _tasks(dataset: Dataset, target: Path, states: bytearray) -> Iterator[EmbedTask]:
    """Read the rows to embed from the manifest once more, so that they need no memory."""
    for row, state in zip(dataset.rows(), states, strict=False):
        if state == _MISSING and row.fault is None and row.audio is not None:
            yield EmbedTask(row.id, row.audio, target / f"{row.id}.npy")


def _results(
    tasks: Iterator[EmbedTask], encoder: Encoder, config: EmbedConfig
) -> Generator[EmbedResult | EmbedFailure, None, None]:
    if config.engine == "ray":
        return embed_ray.embed_each(tasks, config)
    return embed_each(tasks, encoder, config.workers)


def _faults(dataset: Dataset) -> Iterator[Event]:
    for row in dataset.rows():
        if row.fault is not None:
            yield ClipFailed(row.id, row.audio, f"row {row.id!r} of {dataset.manifest}: {row.fault}")


def _events(result: EmbedResult | EmbedFailure, journal: Journal) -> Iterator[Event]:
    task = result.task
    if isinstance(result, EmbedResult):
        journal.put(task.id, "; ".join(result.warnings))
        yield from (Warned(text) for text in result.warnings)
        yield ClipEmbedded(task.id, task.path, task.output, result.frames, result.segment)
    else:
        journal.put(task.id, result.error)
        yield ClipFailed(task.id, task.path, result.error, result.hint)


def _claim(target: Path, encoder: Encoder, config: EmbedConfig) -> None:
    """Write the settings of the embeddings in this folder, or check that they are those of the existing ones.

    Raises:
        ConfigError: they differ.
        InputError: the settings of the existing embeddings cannot be read.
    """
    segment = SegmentConfig()
    settings = {
        "schema": SCHEMA,
        "dtype": config.dtype,
        "whole_seconds": MAX_PREVIEW_SECONDS,
        "clip_seconds": segment.clip_seconds,
        "segment_hop_seconds": segment.hop_seconds,
    }
    wanted: dict[str, dict[str, Any]] = {"settings.json": settings, "encoder.json": encoder.spec()}
    if (target / "encoder.json").exists():
        differing = [text for name, values in wanted.items() for text in _differences(target / name, values)]
        if differing:
            raise ConfigError(
                f"{target} was made with other settings: {', '.join(differing)}",
                hint="Use --name for another folder, or delete this one to start again.",
            )
        return
    if next(target.glob("*.npy"), None) is not None:
        raise ConfigError(
            f"{target} holds embeddings, but no encoder.json",
            hint="Use --name for another folder, or delete this one.",
        )
    for name, values in wanted.items():
        write_json(target / name, values)


def _differences(path: Path, wanted: dict[str, Any]) -> list[str]:
    """Return every key in which a JSON file differs from ``wanted``, as ``["hop_seconds is 0.1, not 0.5"]``."""
    try:
        found = read_json(path) if path.exists() else {}
    except (OSError, ValueError) as error:
        raise InputError(f"{path} cannot be read: {error}", hint="Delete its folder to start again.") from error
    if not isinstance(found, dict):
        raise InputError(f"{path} is damaged", hint="Delete its folder to start again.")
    wanted = json.loads(json.dumps(wanted))
    keys = [key for key in {**wanted, **found} if found.get(key) != wanted.get(key)]
    return [f"{key} is {json.dumps(found.get(key))}, not {json.dumps(wanted.get(key))}" for key in keys]


def _remove_temporary_files(target: Path) -> None:
    """Remove temporary files of killed runs; recent ones may belong to another run."""
    for path in target.glob(".*.tmp.*"):
        with suppress(OSError):
            if time.time() - path.stat().st_mtime > _STALE_SECONDS:
                path.unlink()


def _write_tables(
    dataset: Dataset, target: Path, journal: Journal, embedded: int, music: MusicState, width: int
) -> EmbedFinished:
    """Write ``status.csv`` and ``pairs.csv`` from the files that exist."""
    status = target / "status.csv"
    total = failed = 0
    place = target.relative_to(dataset.folder).as_posix()
    with (
        open_table(status, ["id", "status", "reason"]) as write_status,
        open_table(dataset.pairs, ["id", "image_path", "embedding_path"]) as write_pair,
    ):
        for row in dataset.rows():
            fault = row.fault or embedding_fault(target / f"{row.id}.npy", width)
            reason = row.fault or journal.reason(row.id) or (f"the embedding is {fault}" if fault else "")
            write_status([row.id, "failed" if fault else "ok", reason])
            total, failed = total + 1, failed + (fault is not None)
            if fault is None:
                write_pair([row.id, row.image_path, f"{place}/{row.id}.npy"])
    music.save(row.id for row in dataset.rows() if row.fault is None)
    journal.clear()
    return EmbedFinished(dataset.pairs, status, embedded, total - failed - embedded, failed)
