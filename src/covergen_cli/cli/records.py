"""What scripts read: one record per cover, on stdout or in a file of failures."""

from __future__ import annotations

import csv
import io
import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from covergen_cli.errors import ConfigError
from covergen_cli.events import CoverFailed, CoverFinished, CoverPlanned, CoverSkipped
from covergen_cli.files import write_text

if TYPE_CHECKING:
    from covergen_cli.events import Event

SCHEMA = 1
"""Version of the records; grows when a key changes its meaning or goes."""

KEYS = ("schema", "input", "songs", "output", "status", "seed", "segment", "seconds", "error")
"""The keys of every record, in order."""

_FORMS = (".jsonl", ".ndjson", ".csv")
_COLUMNS = ("input", "output", "seed", "error")
_EVERY_SECONDS = 1.0


def record(event: Event) -> dict[str, Any] | None:
    """Return what became of a cover, JSON-able, with all of :data:`KEYS`; ``None`` for other events."""
    if not isinstance(event, (CoverFinished, CoverSkipped, CoverPlanned, CoverFailed)):
        return None
    statuses = {CoverFinished: "ok", CoverSkipped: "skipped", CoverPlanned: "planned", CoverFailed: "failed"}
    finished = event if isinstance(event, CoverFinished) else None
    return {
        "schema": SCHEMA,
        "input": str(event.input),
        "songs": [str(song) for song in event.songs or (event.input,)],
        "output": None if event.output is None else str(event.output),
        "status": statuses[type(event)],
        "seed": event.seed,
        "segment": list(finished.segment) if finished and finished.segment else None,
        "seconds": round(finished.seconds, 3) if finished else None,
        "error": event.error if isinstance(event, CoverFailed) else None,
    }


class ErrorFile:
    """A file that holds the records of what failed in this run: JSON lines, or a table where it is called ``.csv``.

    It is whole at every moment. It is there from the beginning, so that the failures of an earlier run are not taken
    for those of this one, and is written anew at most once a second while failures come.

    Args:
        path: ends in ``.jsonl``, ``.ndjson`` or ``.csv``.
        now: a clock in seconds.

    Raises:
        ConfigError: the name has another ending, or is that of a file of another kind.
        OutputError: the place cannot be written to.
    """

    def __init__(self, path: Path, now: Callable[[], float] = time.monotonic) -> None:
        if path.suffix.lower() not in _FORMS:
            raise ConfigError(
                f"{path} is no name for a list of errors", hint=f"End it in {', '.join(_FORMS)}; it would be replaced."
            )
        if not _is_ours(path):
            raise ConfigError(f"{path} exists and is no list of errors of covergen", hint="Name another file.")
        self._path, self._now = path, now
        self._records: list[dict[str, Any]] = []
        self._unwritten = False
        self._write()

    def add(self, event: Event) -> None:
        """Take note of a failure; other events only give time to write."""
        if isinstance(event, CoverFailed) and (failed := record(event)):
            self._records.append(failed)
            self._unwritten = True
        if self._unwritten and self._now() - self._written >= _EVERY_SECONDS:
            self._write()

    def close(self) -> None:
        """Write what has not been written yet."""
        if self._unwritten:
            self._write()

    def _write(self) -> None:
        table = self._path.suffix.lower() == ".csv"
        write_text(self._path, _table(self._records) if table else "".join(map(_line, self._records)))
        self._written, self._unwritten = self._now(), False


def _is_ours(path: Path) -> bool:
    """Tell whether a file may be replaced: there is none, it is empty, or it begins as these files do."""
    try:
        with path.open("rb") as file:
            start = file.read(64)
    except OSError:
        return True  # what is wrong with the place is said when it is written to
    return not start or start.startswith((b'{"schema": ', ",".join(_COLUMNS).encode()))


def _line(failed: dict[str, Any]) -> str:
    return json.dumps(failed) + "\n"


def _table(records: list[dict[str, Any]]) -> str:
    text = io.StringIO()
    table = csv.DictWriter(text, _COLUMNS, extrasaction="ignore", lineterminator="\n")
    table.writeheader()
    table.writerows(records)
    return text.getvalue()
