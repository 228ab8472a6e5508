"""Write the results of a fetch: ``status.csv``, ``manifest.csv`` and ``dataset.json``."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable
from contextlib import ExitStack
from dataclasses import dataclass, field
from datetime import datetime, timezone
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from covergen_cli.dataset.images.text_area import MUCH_TEXT
from covergen_cli.dataset.layout import MANIFEST
from covergen_cli.dataset.sources.base import without_credentials
from covergen_cli.dataset.tables import open_table
from covergen_cli.files import SCHEMA, read_json, write_json

if TYPE_CHECKING:
    from covergen_cli.config import FetchConfig
    from covergen_cli.dataset.fetch.database import Database, Settled
    from covergen_cli.dataset.sources.base import Source

DATASET_JSON = "dataset.json"
STATUS = "status.csv"
_STATUSES = ("ok", "failed", "duplicate", "filtered")
_STATUS_COLUMNS = ("row", "id", "status", "reason", "cause", "bytes", "audio", "image")
_PAIR_COLUMNS = ("id", "audio_path", "image_path", "seconds")
_OWN_COLUMNS = frozenset({*_PAIR_COLUMNS, "cover_id", "lettering"})
_LICENCES = ("license", "licence", "license_url", "licence_url")
_MOST_HOSTS = 20
_MOST_LICENCES = 50


@dataclass
class Summary:
    """Counts of rows; see :class:`covergen_cli.events.FetchFinished`."""

    counts: Counter[str] = field(default_factory=Counter)
    causes: Counter[str] = field(default_factory=Counter)
    licences: Counter[str] = field(default_factory=Counter)
    hosts: dict[str, list[int]] = field(default_factory=dict)
    bytes: int = 0
    dead: int = 0

    def add(self, row: Settled, status: str, cause: str) -> None:
        """Count one row."""
        self.counts.update(["rows", status])
        ok = status == "ok"
        if not ok:
            self.causes[cause] += 1
            self.dead += cause in {"404", "410"}
        elif row.outcome is not None:
            self.bytes += row.outcome.audio_bytes + row.outcome.image_bytes
            licence = next((text for name, text in row.item.metadata.items() if name.lower() in _LICENCES), "")
            if licence and (licence in self.licences or len(self.licences) < _MOST_LICENCES):
                self.licences[licence] += 1
        for host in {_host(row.item.audio), _host(row.item.image)} - {""}:
            self.hosts.setdefault(host, [0, 0])[0 if ok else 1] += 1

    def busiest_hosts(self) -> dict[str, tuple[int, int]]:
        """Return the hosts with the most rows: host → rows with status ok, other rows."""
        ranked = sorted(self.hosts.items(), key=lambda pair: (-sum(pair[1]), pair[0]))
        return {host: (ok, missed) for host, (ok, missed) in ranked[:_MOST_HOSTS]}


def write_results(
    folder: Path, source: Source, database: Database, config: FetchConfig, errors: Path | None
) -> Summary:
    """Write ``status.csv``, ``manifest.csv``, ``dataset.json`` and, if asked for, a table of the failed rows.

    Rows that were not tried yet count as failed, so that the counts add up to the rows of the source at any time.

    Raises:
        OutputError: a file cannot be written.
    """
    summary = Summary()
    extra = ["cover_id"] * (config.dedupe != "none") + ["lettering"] * (config.lettering != "keep")
    names = _metadata_columns(name for name in database.metadata_names() if (name, config.id_column) != ("id", "id"))
    with ExitStack() as files:
        write_status = files.enter_context(open_table(folder / STATUS, _STATUS_COLUMNS))
        write_pair = files.enter_context(open_table(folder / MANIFEST, [*_PAIR_COLUMNS, *extra, *names.values()]))
        write_error = files.enter_context(open_table(errors, _STATUS_COLUMNS)) if errors else None
        for row in database.settled():
            status, reason, cause = _status(row, config)
            summary.add(row, status, cause)
            item, outcome = row.item, row.outcome
            size = outcome.audio_bytes + outcome.image_bytes if outcome else 0
            line = [item.row, item.id, status, reason, cause, size, *map(without_credentials, (item.audio, item.image))]
            write_status(line)
            if status == "ok" and outcome is not None:
                text_area = "" if outcome.lettering is None else f"{outcome.lettering:.4f}"
                measured = {"cover_id": row.cover_id, "lettering": text_area}
                metadata = {**item.metadata, **json.loads(outcome.learnt)}
                own = [item.id, outcome.audio_path, outcome.image_path, f"{outcome.seconds:g}"]
                write_pair([*own, *(measured[name] for name in extra), *(metadata.get(name, "") for name in names)])
            elif status == "failed" and write_error:
                write_error(line)
    write_dataset_json(folder, source, summary)
    return summary


def _metadata_columns(names: Iterable[str]) -> dict[str, str]:
    """Return the column of the manifest for each name of metadata: ``source_id`` for a column ``id`` of the source."""
    columns: dict[str, str] = {}
    for name in names:
        column = f"source_{name}" if name in _OWN_COLUMNS else name
        while column in columns.values():
            column = f"source_{column}"
        columns[name] = column
    return columns


def write_dataset_json(folder: Path, source: Source, summary: Summary | None = None) -> None:
    """Write ``dataset.json``: the source, when the folder was created, and counts of its rows.

    Raises:
        OutputError: it cannot be written.
    """
    now = datetime.now(timezone.utc).isoformat(timespec="seconds")
    created = read_dataset_json(folder).get("created")
    data: dict[str, object] = {"schema": SCHEMA, "source": source.describe(), "created": created or now}
    if summary is not None:
        data["counts"] = {name: summary.counts[name] for name in ("rows", *_STATUSES)}
        data["causes"] = dict(summary.causes.most_common())
        data["licences"] = dict(summary.licences.most_common())
    write_json(folder / DATASET_JSON, data)


def read_dataset_json(folder: Path) -> dict[str, Any]:
    """Read ``dataset.json``; return nothing if it is missing or damaged."""
    try:
        data = read_json(folder / DATASET_JSON)
    except (OSError, ValueError):
        return {}
    return data if isinstance(data, dict) else {}


def _status(row: Settled, config: FetchConfig) -> tuple[str, str, str]:
    """Return status, reason and cause of a row, which also depend on the other rows."""
    outcome = row.outcome
    if row.first != row.item.row:
        return "duplicate", f"row {row.first} has the same id", "repeated id"
    if outcome is None:
        return "failed", "not fetched yet: the run was stopped before", "not tried"
    if outcome.status == "ok" and config.dedupe == "drop" and row.original:
        return "duplicate", f"its cover or its music is that of {row.original}", "repeated pair"
    if outcome.status == "ok" and config.lettering == "drop" and (outcome.lettering or 0.0) >= MUCH_TEXT:
        return "filtered", f"{outcome.lettering:.0%} of the cover is text", "lettering"
    return outcome.status, outcome.reason, outcome.cause


def _host(locator: str) -> str:
    try:
        return urlsplit(locator).netloc.rpartition("@")[2].lower()
    except ValueError:
        return ""
