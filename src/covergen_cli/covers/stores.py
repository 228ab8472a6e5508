"""Rules of stores and players for covers, and the settings that follow; the rules are data (``stores.yaml``)."""

from __future__ import annotations

from collections.abc import Collection, Generator, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml

from covergen_cli.errors import ConfigError
from covergen_cli.events import CoverFinished, Warned

if TYPE_CHECKING:
    from covergen_cli.config import GenerateConfig
    from covergen_cli.covers.plan import Job
    from covergen_cli.events import Event

UPLOADED = ("spotify", "apple", "distrokid", "bandcamp")
"""The stores that covers are uploaded to; ``file`` is the image inside a music file."""


@dataclass(frozen=True)
class RuleSource:
    """Where a rule was read: the rule in our words, the ISO date of the page or of reading it, and its address."""

    text: str
    date: str
    url: str | None = None


@dataclass(frozen=True)
class Store:
    """The rules of one store."""

    name: str  # the value of ``--for``
    size: int  # pixels per side of the covers that ``--for`` makes
    min_size: int  # minimum pixels per side
    formats: tuple[str, ...]  # accepted file formats (``jpg``, ``png``, ``gif``); ``--for`` makes the first
    sources: tuple[RuleSource, ...]  # where the rules were read
    max_size: int | None = None  # maximum pixels per side; ``None`` when unknown
    max_bytes: int | None = None  # maximum file size; ``None`` when unknown
    declare: str = ""  # what the store asks of images made by a model; empty when unknown


@cache
def load_stores() -> dict[str, Store]:
    """Return the stores by name, in the order of the file."""
    content = yaml.safe_load(Path(__file__).with_name("stores.yaml").read_text(encoding="utf-8"))
    return {name: _store(name, rules) for name, rules in content.items()}


def _store(name: str, rules: dict[str, Any]) -> Store:
    sources = tuple(RuleSource(entry["text"], str(entry["date"]), entry.get("url")) for entry in rules["sources"])
    return Store(**{**rules, "name": name, "formats": tuple(rules["formats"]), "sources": sources})


def for_store(config: GenerateConfig, given: Collection[str]) -> GenerateConfig:
    """Return the settings with the size and format of ``config.store``; unchanged without a store.

    Args:
        config: the settings.
        given: fields that the user set; they are kept.

    Raises:
        ConfigError: the store does not accept the size or the format that the user set.
    """
    if config.store is None:
        return config
    store = load_stores()[config.store]
    wanted: dict[str, Any] = {"size": store.size, "format": store.formats[0]}
    config = replace(config, **{name: value for name, value in wanted.items() if name not in given})
    if not store.min_size <= config.size <= (store.max_size or config.size):
        limits = f"at least {store.min_size}" + (f", at most {store.max_size}" if store.max_size else "")
        raise ConfigError(
            f"--size {config.size} is outside the limits of {store.name}: {limits} pixels", hint="Leave out --size."
        )
    if config.format not in store.formats:
        raise ConfigError(
            f"{store.name} does not accept {config.format}", hint=f"Leave out --format, or use {store.formats[0]}."
        )
    return config


def check_formats(jobs: Sequence[Job], config: GenerateConfig) -> None:
    """Check that the store accepts the file format of every cover.

    Raises:
        ConfigError: it does not.
    """
    if config.store is None:
        return
    store = load_stores()[config.store]
    for job in jobs:
        if job.format not in store.formats:
            better = job.output.with_suffix(f".{store.formats[0]}")
            raise ConfigError(f"{store.name} does not accept {job.format} ({job.output})", hint=f"Use {better}.")


def max_bytes(store: str | None) -> int | None:
    """Return the maximum file size for a store; ``None`` without a limit or a store."""
    return load_stores()[store].max_bytes if store is not None else None


def with_size_notice(events: Generator[Event, None, None], config: GenerateConfig) -> Generator[Event, None, None]:
    """Pass events on, with a warning before the first cover that was enlarged for a store."""
    warned = config.store is None
    with closing(events):
        for event in events:
            if not warned and isinstance(event, CoverFinished) and event.native_size < config.size:
                warned = True
                blurry = f", which {config.store} may refuse as blurry" if config.store in UPLOADED else ""
                yield Warned(f"the model draws {event.native_size} pixels; enlarged to {config.size}{blurry}")
            yield event
