"""Embed on a Ray cluster: a Ray Data job whose actors write each embedding as soon as it is ready.

The files are those of the local engine, byte for byte, and so is resuming: existing embeddings are not computed again.
Every machine of the cluster must have CoverGen installed and see the dataset folder, and music that the manifest names
by absolute paths, under the same paths.
"""

from __future__ import annotations

import json
import logging
import os
from collections.abc import Generator, Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from covergen_cli.audio.embed import EmbedFailure, EmbedResult, EmbedTask, load_encoder
from covergen_cli.audio.embed import embed_each as embed_local
from covergen_cli.errors import ConfigError, CovergenError, ModelError

if TYPE_CHECKING:
    from covergen_cli.config import EmbedConfig

_CLIPS_PER_BLOCK = 16
_MAX_BLOCKS = 10_000
_KEYS = ("id", "path", "output")


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
    rows = ((task.id, str(task.path.absolute()), str(task.output.absolute())) for task in tasks)
    items = [dict(zip(_KEYS, row, strict=True)) for row in rows]
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
    resources = ray.cluster_resources()
    cpus = max(1, int(resources.get("CPU", 1)))
    gpus = 0 if config.device == "cpu" or config.encoder != "openl3" else int(resources.get("GPU", 0))
    actors = gpus or config.workers or cpus
    threads = max(1, cpus // actors) if gpus else 1  # of one actor: they decode while its GPU embeds
    rows = ray.data.from_items(items, override_num_blocks=blocks).map_batches(
        _Actor,
        batch_size=_CLIPS_PER_BLOCK,
        fn_constructor_args=(config, threads),
        num_cpus=threads,
        num_gpus=1 if gpus else None,
        concurrency=min(actors, blocks),
    )
    for row in rows.iter_rows():
        yield _from_dict(json.loads(row["result"]))


class _Actor:
    """Embeds blocks of clips with the local engine, on one CPU core or one GPU."""

    def __init__(self, config: EmbedConfig, threads: int) -> None:
        self._encoder = load_encoder(config)
        self._threads = threads

    def __call__(self, batch: dict[str, Any]) -> dict[str, list[str]]:
        """Embed a block; the results are JSON, so that Ray needs no type for missing values."""
        tasks = (_task(*map(str, values)) for values in zip(*(batch[key] for key in _KEYS), strict=True))
        results = embed_local(tasks, self._encoder, self._threads)
        return {"result": [json.dumps(_to_dict(result)) for result in results]}


def _task(id_: str, path: str, output: str) -> EmbedTask:
    return EmbedTask(id_, Path(path), Path(output))


def _to_dict(result: EmbedResult | EmbedFailure) -> dict[str, Any]:
    task = [result.task.id, str(result.task.path), str(result.task.output)]
    if isinstance(result, EmbedResult):
        return {"task": task, "frames": result.frames, "segment": result.segment, "warnings": result.warnings}
    return {"task": task, "error": result.error, "hint": result.hint}


def _from_dict(values: dict[str, Any]) -> EmbedResult | EmbedFailure:
    task = _task(*values["task"])
    if "error" in values:
        return EmbedFailure(task, values["error"], values["hint"])
    start, end = values["segment"]
    return EmbedResult(task, values["frames"], (start, end), tuple(values["warnings"]))
