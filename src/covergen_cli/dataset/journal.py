"""Reasons why rows failed, and warnings about others, while they are embedded."""

from __future__ import annotations

import json
from contextlib import suppress
from pathlib import Path

from covergen_cli.dataset.tables import read_rows
from covergen_cli.errors import InputError, OutputError, reason_of


class Journal:
    """Reasons by id, which survive a killed run: ``journal.jsonl`` beside the ``status.csv`` of the last complete run.

    Args:
        target: the folder of embeddings.
    """

    def __init__(self, target: Path) -> None:
        self._path = target / "journal.jsonl"
        self._reasons: dict[str, str] = {}
        with suppress(InputError):
            rows = read_rows(target / "status.csv", ("id", "reason"))
            self._reasons = {row["id"]: row["reason"] for row in rows if row["reason"]}
        with suppress(OSError, UnicodeDecodeError):
            for line in self._path.read_text(encoding="utf-8").splitlines():
                with suppress(ValueError):  # the last line of a killed run may be incomplete
                    self._reasons.update(json.loads(line))

    def __enter__(self) -> Journal:  # noqa: PYI034 — typing.Self is newer than the oldest Python served
        try:
            self._file = self._path.open("a", encoding="utf-8", newline="\n")
            self._file.write("\n")  # ends an incomplete line
        except OSError as error:
            raise OutputError(f"cannot write {self._path}: {reason_of(error)}") from error
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()

    def put(self, row_id: str, reason: str) -> None:
        """Record a reason; an empty one removes what was recorded before."""
        if reason == self.reason(row_id):
            return
        self._reasons[row_id] = reason
        try:
            self._file.write(json.dumps({row_id: reason}) + "\n")
            self._file.flush()
        except OSError as error:
            raise OutputError(f"cannot write {self._path}: {reason_of(error)}") from error

    def reason(self, row_id: str) -> str:
        """Return the recorded reason, or an empty text."""
        return self._reasons.get(row_id, "")

    def clear(self) -> None:
        """Remove the journal once ``status.csv`` holds all reasons."""
        self._file.close()
        self._path.unlink(missing_ok=True)
