"""What stores and players take of a cover, and the settings that follow; the rules are data (``stores.yaml``)."""

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
    from covergen_cli.covers.jobs import Job
    from covergen_cli.events import Event

UPLOADED = ("spotify", "apple", "distrokid", "bandcamp")
"""The places that a cover is uploaded to; ``file`` is the picture inside a music file."""


@dataclass(frozen=True)
class Source:
    """Where a rule was read.

    Args:
        text: the rule, in our words.
        date: when the page was written or read, ISO.
        url: the page; ``None`` where there is none.
    """

    text: str
    date: str
    url: str | None = None


@dataclass(frozen=True)
class Store:
    """The rules of one place.

    Args:
        name: as ``--for`` takes it.
        size: pixels per side that covers for it are given.
        min_size: fewest pixels per side.
        formats: of the file: ``jpg``, ``png``, ``gif``; the first is the one that covers for it are given.
        sources: where the rules were read.
        max_size: most pixels per side; ``None`` where no limit is known.
        max_bytes: heaviest file; ``None`` where no limit is known.
        declare: what it asks of pictures made by a model; empty where nothing is known.
    """

    name: str
    size: int
    min_size: int
    formats: tuple[str, ...]
    sources: tuple[Source, ...]
    max_size: int | None = None
    max_bytes: int | None = None
    declare: str = ""


@cache
def load_stores() -> dict[str, Store]:
    """Read the rules: name → store, in the order of the file."""
    content = yaml.safe_load(Path(__file__).with_name("stores.yaml").read_text(encoding="utf-8"))
    return {name: _store(name, rules) for name, rules in content.items()}


def _store(name: str, rules: dict[str, Any]) -> Store:
    sources = tuple(Source(entry["text"], str(entry["date"]), entry.get("url")) for entry in rules["sources"])
    return Store(**{**rules, "name": name, "formats": tuple(rules["formats"]), "sources": sources})


def for_store(config: GenerateConfig, given: Collection[str]) -> GenerateConfig:
    """Give the settings the size and format that ``config.store`` takes; without a store, change nothing.

    Args:
        config: the settings.
        given: fields that the user asked for outright; they stay as they are.

    Raises:
        ConfigError: what was asked for is not taken there.
    """
    if config.store is None:
        return config
    store = load_stores()[config.store]
    wanted: dict[str, Any] = {"size": store.size, "format": store.formats[0]}
    config = replace(config, **{name: value for name, value in wanted.items() if name not in given})
    if not store.min_size <= config.size <= (store.max_size or config.size):
        limits = f"at least {store.min_size}" + (f", at most {store.max_size}" if store.max_size else "")
        raise ConfigError(
            f"--size {config.size} is not for {store.name}: it takes {limits} pixels", hint="Leave out --size."
        )
    if config.format not in store.formats:
        raise ConfigError(
            f"{store.name} takes no {config.format}", hint=f"Leave out --format, or use {store.formats[0]}."
        )
    return config


def check_formats(jobs: Sequence[Job], config: GenerateConfig) -> None:
    """Refuse a file name whose suffix the store does not take.

    Raises:
        ConfigError: there is one.
    """
    if config.store is None:
        return
    store = load_stores()[config.store]
    for job in jobs:
        if job.format not in store.formats:
            better = job.output.with_suffix(f".{store.formats[0]}")
            raise ConfigError(f"{store.name} takes no {job.format} file like {job.output}", hint=f"Use {better}.")


def max_bytes(store: str | None) -> int | None:
    """Return the weight that a cover for this store must keep to, ``None`` where there is no limit or no store."""
    return load_stores()[store].max_bytes if store is not None else None


def with_size_notice(events: Generator[Event, None, None], config: GenerateConfig) -> Generator[Event, None, None]:
    """Pass events on; before the first cover for a store that was enlarged, say from what size."""
    told = config.store is None
    with closing(events):
        for event in events:
            if not told and isinstance(event, CoverFinished) and event.native_size < config.size:
                told = True
                blurry = f", which {config.store} may find blurry" if config.store in UPLOADED else ""
                yield Warned(f"the model draws {event.native_size} pixels; enlarged to {config.size}{blurry}")
            yield event
