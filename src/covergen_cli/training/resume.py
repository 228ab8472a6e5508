"""Find the checkpoints that a training continues from, and check that its settings are those of the run."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Literal, cast

import yaml

from covergen_cli.config import AdapterConfig, TrainConfig
from covergen_cli.errors import ConfigError, InputError
from covergen_cli.training.checkpoints import CHECKPOINTS, list_checkpoints
from covergen_cli.training.run_folder import CONFIG, LOCK

_CHANGE_NOTHING = ("base", "device", "compile", "samples", "checkpoint_minutes", "accumulate", "checkpointing", "init")
_CHANGE_THE_END = ("epochs", "min_epochs", "patience")
_MAY_DIFFER = frozenset(
    {*(f"train.{name}" for name in (*_CHANGE_NOTHING, *_CHANGE_THE_END)), "base.reference", "data.folder"}
)
"""Settings that may differ when a run is resumed: they change nothing that is learned, or only when it ends."""

_CONTENT = "data.content"
"""Runs of version 0.1 do not record it, and are resumed without this check."""


def find_checkpoints(
    run: Path, record: Mapping[str, Any], resume: Literal["auto", "never"] | Path
) -> tuple[list[Path], list[str]]:
    """Return the checkpoints to resume from, the preferred one first, and what the user should know about it.

    Args:
        run: the run folder; need not exist.
        record: content of ``config.yaml`` of the training that is to start.
        resume: see :func:`covergen_cli.training.loop.train`.

    Raises:
        ConfigError: the run folder belongs to a run with other settings (they are named), or to something else.
        InputError: the path is not a checkpoint.
    """
    config = run / CONFIG
    if run.exists() and not run.is_dir():
        raise ConfigError(f"{run} is a file", hint="Name a folder with -o.")
    if run.is_dir() and not config.is_file() and any(path.name != LOCK for path in run.iterdir()):
        raise ConfigError(f"{run} is not empty and not a run folder", hint="Name another folder with -o.")
    if resume == "never":
        return [], []
    remarks: list[str] = []
    if resume != "auto":
        if not (resume / "manifest.json").is_file():
            raise InputError(f"{resume} is not a checkpoint", hint=f"Name a folder below RUN/{CHECKPOINTS}.")
        remarks = _check_same(resume.parent.parent / CONFIG, record)
    if config.is_file():
        remarks = _check_same(config, record)
    return (list_checkpoints(run) if resume == "auto" else [resume]), remarks


def _check_same(path: Path, record: Mapping[str, Any]) -> list[str]:
    """Check that a run is resumed with the settings in its ``config.yaml``; return remarks about the others.

    Raises:
        ConfigError: settings differ; all of them are named.
    """
    try:
        found = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise ConfigError(f"{path} cannot be read: {error}", hint="Use --resume never to start over.") from error
    if not isinstance(found, dict):
        raise ConfigError(f"{path} does not record the settings of the run", hint="Use --resume never to start over.")
    old, new = {**_defaults(), **dict(_flat(found))}, dict(_flat(record))
    if old.get(_CONTENT, new[_CONTENT]) != new[_CONTENT] and old.get("data.pairs") == new["data.pairs"]:
        raise ConfigError(
            f"covers or embeddings in {new['data.folder']} have changed since {path.parent} was started",
            hint="Name another folder with -o, or start over with --resume never.",
        )
    differing = [
        f"{key} was {old.get(key)!r}, is {new.get(key)!r}"
        for key in {**new, **old}
        if key not in {*_MAY_DIFFER, _CONTENT} and old.get(key) != new.get(key)
    ]
    if differing:
        raise ConfigError(
            f"{path.parent} was started with other settings: {'; '.join(differing)}",
            hint="Use the old settings, name another folder with -o, or start over with --resume never.",
        )
    return _changed_length(path.parent, cast("int", old["train.epochs"]), record["train"])


def _changed_length(run: Path, epochs: int, settings: Mapping[str, Any]) -> list[str]:
    """Return a remark about the schedule of a run that becomes longer.

    Raises:
        ConfigError: it becomes shorter.
    """
    if settings["epochs"] < epochs:
        raise ConfigError(
            f"{run} was started with {epochs} epochs, which can be raised, but not lowered to {settings['epochs']}",
            hint="Stop the run with Ctrl-C: the best adapter so far is kept.",
        )
    if settings["epochs"] == epochs or settings["schedule"] != "cosine":
        return []
    longer = f"from {epochs} to {settings['epochs']} epochs"
    return [
        f"the run becomes longer, {longer}: the learning rate is that of the longer run from here on, and rises again"
    ]


def _defaults() -> dict[str, object]:
    """Return the defaults of all settings, which runs of earlier versions do not record."""
    shape, config = dataclasses.asdict(AdapterConfig()), dataclasses.asdict(TrainConfig())
    return dict(_flat({"train": config, "adapter": shape, "init": None}))


def _flat(values: object, prefix: str = "") -> Iterator[tuple[str, object]]:
    if isinstance(values, dict):
        for key, value in values.items():
            yield from _flat(value, f"{prefix}.{key}" if prefix else str(key))
    else:
        yield prefix, values
