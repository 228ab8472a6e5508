"""Machine-readable results: one record per cover, on stdout or in a file of failures."""

from __future__ import annotations

import csv
import io
import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from covergen_cli.cli.progress import Throttle
from covergen_cli.errors import ConfigError
from covergen_cli.events import ArtPresent, CoverFailed, CoverFinished, CoverPlanned, CoverSkipped
from covergen_cli.files import write_text

if TYPE_CHECKING:
    from covergen_cli.cli.terminal import Terminal
    from covergen_cli.events import Event

SCHEMA = 1
"""Version of the records; incremented when a key changes its meaning or is removed."""

KEYS = ("schema", "input", "songs", "output", "status", "seed", "segment", "look", "base", "prompt", "seconds", "error")
"""The keys of every record, in order."""

_STATUSES: dict[type, str] = {
    CoverFinished: "ok",
    CoverSkipped: "skipped",
    ArtPresent: "skipped",
    CoverPlanned: "planned",
    CoverFailed: "failed",
}
_FORMATS = (".jsonl", ".ndjson", ".csv")
_COLUMNS = ("input", "output", "seed", "error")


def record(event: Event) -> dict[str, Any] | None:
    """Return the JSON-serialisable record of a cover, with all of :data:`KEYS`, or ``None`` for other events."""
    if not isinstance(event, (CoverFinished, CoverSkipped, ArtPresent, CoverPlanned, CoverFailed)):
        return None
    finished = event if isinstance(event, CoverFinished) else None
    return {
        "schema": SCHEMA,
        "input": str(event.input),
        "songs": [str(song) for song in event.songs or (event.input,)],
        "output": None if event.output is None else str(event.output),
        "status": _STATUSES[type(event)],
        "seed": event.seed,
        "segment": list(finished.segment) if finished and finished.segment else None,
        "look": finished.look if finished else None,
        "base": finished.base if finished else None,
        "prompt": finished.prompt if finished else None,
        "seconds": round(finished.seconds, 3) if finished else None,
        "error": event.error if isinstance(event, CoverFailed) else None,
    }


class Recorder:
    """Writes the path or the record of every cover to stdout, and the failures to an :class:`ErrorFile`.

    In a dry run, only the paths of planned covers are written.
    """

    def __init__(self, terminal: Terminal, errors: Path | None, *, as_json: bool, dry_run: bool) -> None:
        self._terminal, self._as_json = terminal, as_json
        self._with_path = (CoverPlanned,) if dry_run else (CoverFinished, CoverSkipped)
        self._errors = None if errors is None else ErrorFile(errors)

    def add(self, event: Event) -> None:
        """Write one event; those that settle no cover write nothing."""
        if self._as_json:
            if found := record(event):
                self._terminal.result(json.dumps(found))  # ASCII, which every console can show
        elif isinstance(event, self._with_path):
            self._terminal.result(str(event.output))
        if self._errors:
            self._errors.add(event)

    def close(self) -> None:
        """Write the failures that are not in the file yet."""
        if self._errors:
            self._errors.close()


class ErrorFile:
    """A file with the records of this run's failures: JSON lines, or a table if its name ends in ``.csv``.

    The file exists from the beginning and is replaced atomically, at most once a second, while failures arrive.

    Raises:
        ConfigError: the name does not end in ``.jsonl``, ``.ndjson`` or ``.csv``, or belongs to another kind of file.
        OutputError: the file cannot be written.
    """

    def __init__(self, path: Path, now: Callable[[], float] = time.monotonic) -> None:
        if path.suffix.lower() not in _FORMATS:
            raise ConfigError(
                f"{path} cannot be a list of errors",
                hint=f"Use a name that ends in {', '.join(_FORMATS)}; the file is replaced.",
            )
        if not _is_replaceable(path):
            raise ConfigError(f"{path} exists and is not a list of errors from covergen", hint="Choose another name.")
        self._path, self._throttle = path, Throttle(1.0, now)
        self._records: list[dict[str, Any]] = []
        self._write()

    def add(self, event: Event) -> None:
        """Add a failure; other events only write what is pending."""
        if isinstance(event, CoverFailed) and (failed := record(event)):
            self._records.append(failed)
            self._pending = True
        if self._pending and self._throttle.ready():
            self._write()

    def close(self) -> None:
        """Write what is pending."""
        if self._pending:
            self._write()

    def _write(self) -> None:
        if self._path.suffix.lower() == ".csv":
            text = _table(self._records)
        else:
            text = "".join(json.dumps(failed) + "\n" for failed in self._records)
        write_text(self._path, text)
        self._throttle.restart()
        self._pending = False


def _is_replaceable(path: Path) -> bool:
    """Return whether the file is missing, empty, or begins like an earlier list of errors."""
    try:
        with path.open("rb") as file:
            start = file.read(64)
    except OSError:
        return True  # writing reports what is wrong with the path
    return not start or start.startswith((b'{"schema": ', ",".join(_COLUMNS).encode()))


def _table(records: list[dict[str, Any]]) -> str:
    text = io.StringIO()
    table = csv.DictWriter(text, _COLUMNS, extrasaction="ignore", lineterminator="\n")
    table.writeheader()
    table.writerows(records)
    return text.getvalue()
