"""What is remembered about rows while they are embedded; private to this package."""

from __future__ import annotations

import csv
import json
from contextlib import suppress
from pathlib import Path

from covergen_cli.errors import OutputError


class Notes:
    """Why rows failed, and what was odd about others: id → reason; survives a killed run.

    Args:
        target: the folder of embeddings.
    """

    def __init__(self, target: Path) -> None:
        self._path = target / "journal.jsonl"
        self._status = target / "status.csv"
        self._reasons: dict[str, str] = {}
        with suppress(OSError, UnicodeDecodeError, csv.Error), self._status.open(encoding="utf-8", newline="") as file:
            self._reasons = {row["id"]: row["reason"] for row in csv.DictReader(file) if row.get("reason")}
        with suppress(OSError, UnicodeDecodeError):
            for line in self._path.read_text(encoding="utf-8").splitlines():
                with suppress(ValueError):  # the last line of a killed run may be cut off
                    self._reasons.update(json.loads(line))

    def __enter__(self) -> Notes:  # noqa: PYI034 — typing.Self is newer than the oldest Python served
        try:
            self._file = self._path.open("a", encoding="utf-8", newline="\n")
            self._file.write("\n")  # so that a line that was cut off does not swallow the next
        except OSError as error:
            raise OutputError(f"cannot write {self._path}: {error.strerror or error}") from error
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()

    def put(self, row_id: str, reason: str) -> None:
        """Take note; an empty reason takes back what was noted before."""
        if reason == self._reasons.get(row_id, ""):
            return
        self._reasons[row_id] = reason
        try:
            self._file.write(json.dumps({row_id: reason}) + "\n")
            self._file.flush()
        except OSError as error:
            raise OutputError(f"cannot write {self._path}: {error.strerror or error}") from error

    def reason(self, row_id: str) -> str:
        """What was noted."""
        return self._reasons.get(row_id, "")

    def clear(self) -> None:
        """Remove the journal; ``status.csv`` holds it all."""
        self._file.close()
        self._path.unlink(missing_ok=True)
