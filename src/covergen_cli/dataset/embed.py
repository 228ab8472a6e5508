"""Embeddings for a whole dataset folder; run it again and it does only what is missing.

What is done is known by the embeddings themselves: each takes its name when it is whole. Why a file failed, or what was
odd about it, is appended to a journal at once and ends in ``status.csv``.
"""

from __future__ import annotations

import contextlib
import csv
import json
import time
from collections.abc import Callable, Generator, Iterator
from contextlib import ExitStack, closing
from pathlib import Path
from typing import TYPE_CHECKING, Any

from covergen_cli.audio.embed import EmbedResult, EmbedTask, embed_each, load_encoder
from covergen_cli.audio.embedding_file import embedding_fault
from covergen_cli.audio.excerpt import MAX_PREVIEW_SECONDS
from covergen_cli.config import SegmentConfig
from covergen_cli.dataset import embed_ray
from covergen_cli.dataset.journal import Notes
from covergen_cli.dataset.layout import Dataset
from covergen_cli.errors import ConfigError, InputError
from covergen_cli.events import ClipEmbedded, ClipFailed, EmbedFinished, EmbedPlanned, ModelLoaded, ModelLoading, Warned
from covergen_cli.files import SCHEMA, atomic_path, read_json, write_json

if TYPE_CHECKING:
    from covergen_cli.audio.embed import EmbedFailure, LoadedEncoder
    from covergen_cli.audio.encoders import Encoder
    from covergen_cli.config import EmbedConfig
    from covergen_cli.events import Event

EMBEDDING_DIM = 512
"""Width of every embedding in a dataset folder."""

_MISSING, _PRESENT, _FAULTY = range(3)
_STALE_SECONDS = 3600.0


def embed_dataset(folder: Path, config: EmbedConfig, *, name: str | None = None) -> Generator[Event, None, None]:
    """Embed every row of a manifest that has no embedding yet, then write ``pairs.csv`` and ``status.csv``.

    Closing the iterator ends the work; what is written stays, and the next run goes on from there.

    Args:
        folder: the dataset folder.
        config: encoder and how it runs.
        name: name of the folder below ``embeddings/``; without it, the encoder's name.

    Yields:
        ``EmbedPlanned``, then a ``ClipEmbedded`` or ``ClipFailed`` per row that had no embedding (in the order in which
        they are ready, with ``Warned`` between), then ``EmbedFinished``.

    Raises:
        InputError: the folder or its manifest cannot be used.
        ConfigError: the embeddings that are there were made with other settings.
        ModelError: the encoder cannot be used.
        OutputError: the folder cannot be written to.
    """
    dataset = Dataset(folder)
    target = dataset.embeddings(name or config.encoder)
    states = bytearray(_state(target, row.id, row.fault) for row in dataset.rows())
    if not states:
        raise InputError(f"{dataset.manifest} has no rows")
    yield ModelLoading(config.encoder)
    started = time.monotonic()
    ready = load_encoder(config)
    yield ModelLoaded(config.encoder, time.monotonic() - started)
    _claim(target, ready.encoder, config)
    _sweep(target)
    yield EmbedPlanned(target, len(states), states.count(_PRESENT))
    with Notes(target) as notes:
        if _FAULTY in states:
            yield from _faults(dataset)
        embedded = 0
        with closing(_outcomes(_sources(dataset, target, states), ready, config)) as outcomes:
            for outcome in outcomes:
                embedded += isinstance(outcome, EmbedResult)
                yield from _events(outcome, notes)
        yield _settle(dataset, target, notes, embedded)


def _state(target: Path, row_id: str, fault: str | None) -> int:
    if fault is not None:
        return _FAULTY
    return _MISSING if embedding_fault(target / f"{row_id}.npy", EMBEDDING_DIM) else _PRESENT


def _sources(dataset: Dataset, target: Path, states: bytearray) -> Iterator[EmbedTask]:
    """Rows to embed, read from the manifest once more rather than kept."""
    for row, state in zip(dataset.rows(), states, strict=False):
        if state == _MISSING and row.fault is None and row.audio is not None:
            yield EmbedTask(row.id, row.audio, target / f"{row.id}.npy")


def _outcomes(
    sources: Iterator[EmbedTask], ready: LoadedEncoder, config: EmbedConfig
) -> Generator[EmbedResult | EmbedFailure, None, None]:
    if config.engine == "ray":
        return embed_ray.embed_each(sources, config)
    return embed_each(sources, ready, config.workers)


def _faults(dataset: Dataset) -> Iterator[Event]:
    for row in dataset.rows():
        if row.fault is not None:
            yield ClipFailed(row.id, row.audio, f"row {row.id!r} of {dataset.manifest}: {row.fault}")


def _events(outcome: EmbedResult | EmbedFailure, notes: Notes) -> Iterator[Event]:
    source = outcome.task
    if isinstance(outcome, EmbedResult):
        notes.put(source.id, "; ".join(outcome.warnings))
        yield from (Warned(text) for text in outcome.warnings)
        yield ClipEmbedded(source.id, source.path, source.output, outcome.frames, outcome.segment)
    else:
        notes.put(source.id, outcome.error)
        yield ClipFailed(source.id, source.path, outcome.error, outcome.hint)


def _claim(target: Path, encoder: Encoder, config: EmbedConfig) -> None:
    """Write what the embeddings of this folder are made with, or see that it is what is there.

    Raises:
        ConfigError: it is not.
        InputError: what is there cannot be read.
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
        differing = [text for name, facts in wanted.items() for text in _differences(target / name, facts)]
        if differing:
            raise ConfigError(
                f"{target} was made with other settings: {', '.join(differing)}",
                hint="Use --name for a folder of their own, or delete this one to begin anew.",
            )
        return
    if next(target.glob("*.npy"), None) is not None:
        raise ConfigError(
            f"{target} holds embeddings, but no encoder.json says what made them",
            hint="Use --name for another folder, or delete this one.",
        )
    for name, facts in wanted.items():
        write_json(target / name, facts)


def _differences(path: Path, wanted: dict[str, Any]) -> list[str]:
    """``["hop_seconds is 0.1, not 0.5"]``: every key in which a JSON file differs from what is wanted."""
    try:
        found = read_json(path) if path.exists() else {}
    except (OSError, ValueError) as error:
        raise InputError(f"{path} cannot be read: {error}", hint="Delete its folder to begin anew.") from error
    if not isinstance(found, dict):
        raise InputError(f"{path} is damaged", hint="Delete its folder to begin anew.")
    wanted = json.loads(json.dumps(wanted))
    keys = [key for key in {**wanted, **found} if found.get(key) != wanted.get(key)]
    return [f"{key} is {json.dumps(found.get(key))}, not {json.dumps(wanted.get(key))}" for key in keys]


def _sweep(target: Path) -> None:
    """Remove what a killed run left under temporary names; newer files may be another run's."""
    for path in target.glob(".*.tmp.*"):
        with contextlib.suppress(OSError):
            if time.time() - path.stat().st_mtime > _STALE_SECONDS:
                path.unlink()


def _settle(dataset: Dataset, target: Path, notes: Notes, embedded: int) -> EmbedFinished:
    """Write both tables from what is on the disk."""
    status = target / "status.csv"
    total = failed = 0
    place = target.relative_to(dataset.folder).as_posix()
    with ExitStack() as files:
        write_state, write_pair = (_table(files, path) for path in (status, dataset.pairs))
        write_state(["id", "status", "reason"])
        write_pair(["id", "image_path", "embedding_path"])
        for row in dataset.rows():
            fault = row.fault or embedding_fault(target / f"{row.id}.npy", EMBEDDING_DIM)
            reason = row.fault or notes.reason(row.id) or (f"the embedding is {fault}" if fault else "")
            write_state([row.id, "failed" if fault else "ok", reason])
            total, failed = total + 1, failed + (fault is not None)
            if fault is None:
                write_pair([row.id, row.image_path, f"{place}/{row.id}.npy"])
    notes.clear()
    return EmbedFinished(dataset.pairs, status, embedded, total - failed - embedded, failed)


def _table(files: ExitStack, path: Path) -> Callable[[list[str]], object]:
    """Open a table that takes its name when ``files`` closes well; return what writes a line."""
    temporary = files.enter_context(atomic_path(path))
    file = files.enter_context(temporary.open("w", encoding="utf-8", newline=""))
    return csv.writer(file, lineterminator="\n").writerow
