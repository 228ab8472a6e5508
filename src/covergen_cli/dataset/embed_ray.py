"""Embed on a Ray cluster: a Ray Data job whose actors write each embedding as soon as it is ready.

The files are those of the local engine, byte for byte, and so is resuming: existing embeddings are not computed again.
Every machine of the cluster must have CoverGen installed and see the dataset folder, and music that the manifest names
by absolute paths, under the same paths.
"""

from __future__ import annotations

import json
import logging
import os
from collections.abc import Generator, Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from covergen_cli.audio.embed import (
    OPENL3_RATE_HZ,
    EmbedFailure,
    EmbedResult,
    EmbedTask,
    embed_excerpts,
    embed_one,
    load_encoder,
    try_load_excerpt,
    write_result,
)
from covergen_cli.audio.excerpt import Excerpt
from covergen_cli.errors import ConfigError, CovergenError, ModelError

if TYPE_CHECKING:
    from covergen_cli.config import EmbedConfig

_CLIPS_PER_BLOCK = 16
_MAX_BLOCKS = 10_000


def embed_each(tasks: Iterable[EmbedTask], config: EmbedConfig) -> Generator[EmbedResult | EmbedFailure, None, None]:
    """Embed files with Ray and write their embeddings; see :func:`covergen_cli.audio.embed.embed_each`.

    The paths of all tasks, nothing else, are held in memory.

    Yields:
        one result per task, in the order in which they are ready.

    Raises:
        ConfigError: Ray is not installed, or the cluster cannot be reached.
        OutputError: an embedding cannot be written.
        ModelError: an encoder cannot be used, or the job failed.
    """
    ray = _ray()
    items = [{"id": s.id, "path": str(s.path.absolute()), "output": str(s.output.absolute())} for s in tasks]
    if not items:
        return
    ours = not ray.is_initialized()
    if ours:
        _connect(ray)
    try:
        yield from _results(ray, items, config)
    except ray.exceptions.RayError as error:
        cause = getattr(error, "cause", None)
        if isinstance(cause, CovergenError):
            raise cause from error
        raise ModelError(
            f"the Ray job failed: {' '.join(str(error).split())[-300:]}", hint="Run the same command to continue."
        ) from error
    finally:
        if ours:
            ray.shutdown()


def _ray() -> Any:
    try:
        import ray  # noqa: PLC0415 — optional, and slow to import
        import ray.data  # noqa: PLC0415
    except ImportError as error:
        raise ConfigError("the engine ray needs the package ray", hint="Install it: pip install 'ray[data]'") from error
    return ray


def _connect(ray: Any) -> None:
    address = os.environ.get("RAY_ADDRESS") or None
    how: dict[str, Any] = {"address": address} if address else {"include_dashboard": False}
    try:
        ray.init(log_to_driver=False, logging_level=logging.ERROR, **how)
    except (ConnectionError, RuntimeError, ValueError, OSError) as error:
        where = f"the Ray cluster at {address}" if address else "Ray on this machine"
        raise ConfigError(f"cannot start {where}: {error}", hint="Check RAY_ADDRESS.") from error


def _results(
    ray: Any, items: list[dict[str, str]], config: EmbedConfig
) -> Generator[EmbedResult | EmbedFailure, None, None]:
    context = ray.data.DataContext.get_current()
    context.enable_progress_bars = False
    logging.getLogger("ray.data").setLevel(logging.ERROR)
    blocks = max(1, min(_MAX_BLOCKS, len(items) // _CLIPS_PER_BLOCK))
    rows = ray.data.from_items(items, override_num_blocks=blocks)
    resources = ray.cluster_resources()
    devices = 0 if config.device == "cpu" else int(resources.get("GPU", 0))
    how: dict[str, Any] = {"fn_constructor_args": (config,)}
    if config.encoder == "openl3" and devices:
        # CPU tasks decode, one actor per GPU embeds; Ray limits decoding while the GPUs are busy.
        rows = rows.map(_decode, num_cpus=1)
        rows = rows.map_batches(
            _DeviceActor, batch_size=_CLIPS_PER_BLOCK, num_gpus=1, concurrency=min(devices, blocks), **how
        )
    else:
        actors = config.workers or max(1, int(resources.get("CPU", 1)))
        rows = rows.map(_ClipActor, num_cpus=1, concurrency=min(actors, blocks), **how)
    for row in rows.iter_rows():
        yield _from_dict(json.loads(row["outcome"]))


class _ClipActor:
    """Decodes and embeds clips on one CPU core."""

    def __init__(self, config: EmbedConfig) -> None:
        self._encoder = load_encoder(config)

    def __call__(self, item: dict[str, str]) -> dict[str, str]:
        """Embed one file; the result is JSON, so that Ray needs no type for missing values."""
        return {"outcome": json.dumps(_to_dict(embed_one(_task(item), self._encoder)))}


def _decode(item: dict[str, str]) -> dict[str, Any]:
    found = try_load_excerpt(_task(item))[1]
    if isinstance(found, EmbedFailure):
        return {**item, "samples": np.zeros(0, np.float32), "facts": json.dumps(_to_dict(found))}
    return {**item, "samples": found.samples, "facts": json.dumps([found.segment, found.warnings])}


class _DeviceActor:
    """Embeds decoded clips on one GPU."""

    def __init__(self, config: EmbedConfig) -> None:
        self._encoder = load_encoder(config)

    def __call__(self, batch: dict[str, Any]) -> dict[str, list[str]]:
        """Embed a batch of clips."""
        made = embed_excerpts(self._clips(batch), self._encoder)
        return {"outcome": [json.dumps(_to_dict(write_result(one))) for one in made]}

    def _clips(self, batch: dict[str, Any]) -> Iterator[tuple[EmbedTask, Excerpt | EmbedFailure]]:
        for index in range(len(batch["id"])):
            item = {key: str(batch[key][index]) for key in ("id", "path", "output")}
            facts, samples = json.loads(str(batch["facts"][index])), np.asarray(batch["samples"][index], np.float32)
            if isinstance(facts, dict):
                yield _task(item), EmbedFailure(_task(item), facts["error"], facts["hint"])
            else:
                (start, end), warnings = facts
                yield _task(item), Excerpt(samples, OPENL3_RATE_HZ, (start, end), tuple(warnings))


def _task(item: dict[str, str]) -> EmbedTask:
    return EmbedTask(item["id"], Path(item["path"]), Path(item["output"]))


def _to_dict(result: EmbedResult | EmbedFailure) -> dict[str, Any]:
    task = [result.task.id, str(result.task.path), str(result.task.output)]
    if isinstance(result, EmbedResult):
        return {"task": task, "frames": result.frames, "segment": result.segment, "warnings": result.warnings}
    return {"task": task, "error": result.error, "hint": result.hint}


def _from_dict(values: dict[str, Any]) -> EmbedResult | EmbedFailure:
    row_id, path, output = values["task"]
    task = EmbedTask(row_id, Path(path), Path(output))
    if "error" in values:
        return EmbedFailure(task, values["error"], values["hint"])
    start, end = values["segment"]
    return EmbedResult(task, values["frames"], (start, end), tuple(values["warnings"]))
