"""What a fetch leaves for people and for the next step: status, manifest, facts; private to this package."""

from __future__ import annotations

import csv
import json
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from datetime import datetime, timezone
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from covergen_cli.dataset.images.text_area import HEAVY_LETTERING
from covergen_cli.dataset.layout import MANIFEST
from covergen_cli.files import SCHEMA, atomic_path, read_json, write_json

if TYPE_CHECKING:
    from covergen_cli.config import FetchConfig
    from covergen_cli.dataset.fetch.database import Ledger, Settled
    from covergen_cli.dataset.sources.base import Source

FACTS = "dataset.json"
STATUS = "status.csv"
_STATUSES = ("ok", "failed", "duplicate", "filtered")
_OWN = ("id", "audio_path", "image_path", "seconds")
_LICENCES = ("license", "licence", "license_url", "licence_url")
_MOST_HOSTS = 20
_MOST_LICENCES = 50


@dataclass
class Summary:
    """What the rows came to; see :class:`covergen_cli.events.FetchFinished`."""

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

    def busiest(self) -> dict[str, tuple[int, int]]:
        """Hosts with the most rows: how many of them are ok, and how many not."""
        ranked = sorted(self.hosts.items(), key=lambda pair: (-sum(pair[1]), pair[0]))
        return {host: (ok, missed) for host, (ok, missed) in ranked[:_MOST_HOSTS]}


def write_tables(folder: Path, source: Source, ledger: Ledger, config: FetchConfig, errors: Path | None) -> Summary:
    """Write ``status.csv``, ``manifest.csv``, ``dataset.json`` and, if asked for, a table of the rows that failed.

    Rows that nobody has tried yet count as failed, so that the sum is that of the rows at any time.

    Raises:
        OutputError: a place cannot be written to.
    """
    summary = Summary()
    extra = ["cover_id"] * (config.dedupe != "none") + ["lettering"] * (config.lettering != "keep")
    fields = [name for name in ledger.fields() if name not in {*_OWN, *extra}]
    states = ["row", "id", "status", "reason", "cause", "bytes", "audio", "image"]
    with ExitStack() as files:
        write_state = _table(files, folder / STATUS)
        write_pair = _table(files, folder / MANIFEST)
        write_error = _table(files, errors) if errors else None
        write_pair([*_OWN, *extra, *fields])
        for write in filter(None, (write_state, write_error)):
            write(states)
        for row in ledger.settled():
            status, reason, cause = _verdict(row, config)
            summary.add(row, status, cause)
            item, outcome = row.item, row.outcome
            size = outcome.audio_bytes + outcome.image_bytes if outcome else 0
            line = [item.row, item.id, status, reason, cause, size, item.audio, item.image]
            write_state(line)
            if status == "ok" and outcome is not None:
                known = {**item.metadata, **json.loads(outcome.learnt), "cover_id": row.cover_id}
                known["lettering"] = "" if outcome.lettering is None else f"{outcome.lettering:.4f}"
                own = [item.id, outcome.audio_path, outcome.image_path, f"{outcome.seconds:g}"]
                write_pair([*own, *(known.get(name, "") for name in (*extra, *fields))])
            elif status == "failed" and write_error:
                write_error(line)
    write_facts(folder, source, summary)
    return summary


def write_facts(folder: Path, source: Source, summary: Summary | None = None) -> None:
    """Write ``dataset.json``: the source, when the folder was begun, and what the rows came to.

    Raises:
        OutputError: it cannot be written.
    """
    begun = datetime.now(timezone.utc).isoformat(timespec="seconds")
    known = read_facts(folder).get("created")
    facts: dict[str, object] = {"schema": SCHEMA, "source": source.describe(), "created": known or begun}
    if summary is not None:
        facts["counts"] = {name: summary.counts[name] for name in ("rows", *_STATUSES)}
        facts["causes"] = dict(summary.causes.most_common())
        facts["licences"] = dict(summary.licences.most_common())
    write_json(folder / FACTS, facts)


def read_facts(folder: Path) -> dict[str, object]:
    """Read ``dataset.json``; without one that can be read, there are no facts."""
    try:
        facts = read_json(folder / FACTS)
    except (OSError, ValueError):
        return {}
    return facts if isinstance(facts, dict) else {}


def _verdict(row: Settled, config: FetchConfig) -> tuple[str, str, str]:
    """Status, reason and cause of a row, in the light of all the others."""
    outcome = row.outcome
    if row.first != row.item.row:
        return "duplicate", f"row {row.first} has the same id", "repeated id"
    if outcome is None:
        return "failed", "not fetched yet: the run was stopped before", "not tried"
    if outcome.status == "ok" and config.dedupe == "drop" and row.original:
        return "duplicate", f"its cover or its music is that of {row.original}", "repeated pair"
    if outcome.status == "ok" and config.lettering == "drop" and (outcome.lettering or 0.0) >= HEAVY_LETTERING:
        return "filtered", f"{outcome.lettering:.0%} of the cover is lettering", "lettering"
    return outcome.status, outcome.reason, outcome.cause


def _host(locator: str) -> str:
    try:
        return urlsplit(locator).netloc.rpartition("@")[2].lower()
    except ValueError:
        return ""


def _table(files: ExitStack, path: Path) -> Callable[[Sequence[object]], object]:
    """Open a table that takes its name when ``files`` closes well; return what writes a line."""
    temporary = files.enter_context(atomic_path(path))
    file = files.enter_context(temporary.open("w", encoding="utf-8", newline=""))
    return csv.writer(file, lineterminator="\n").writerow
