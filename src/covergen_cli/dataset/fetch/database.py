"""What is known about every row of a fetch, in a small database beside the pairs; private to this package.

Two tables: ``listing``, the rows of the source, is filled anew by every run; ``outcome``, what became of each pair, is
written the moment a pair is settled and outlives a killed process. An outcome counts as long as the row still names the
same files. Nothing is kept in memory, however many rows there are.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, fields
from pathlib import Path

from covergen_cli.dataset.sources.base import FREE_SPACE, Item
from covergen_cli.errors import OutputError

_ITEMS_AT_ONCE = 1000
_SCHEMA = """
CREATE TABLE IF NOT EXISTS outcome (
    id TEXT PRIMARY KEY, audio TEXT, image TEXT, status TEXT, reason TEXT, cause TEXT, passing INTEGER,
    audio_path TEXT, image_path TEXT, audio_bytes INTEGER, image_bytes INTEGER, seconds REAL,
    music TEXT, cover TEXT, looks TEXT, lettering REAL, learnt TEXT
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS listing (
    row INTEGER PRIMARY KEY, id TEXT, audio TEXT, image TEXT, metadata TEXT, draw TEXT, first INTEGER
);
CREATE TABLE IF NOT EXISTS field (position INTEGER PRIMARY KEY, name TEXT UNIQUE);
CREATE TEMP TABLE verdict (row INTEGER PRIMARY KEY, cover_id TEXT, original TEXT);
"""
_KNOWN = "outcome o ON o.id = l.id AND o.audio = l.audio AND o.image = l.image"
_PENDING = f"""
FROM listing l LEFT JOIN {_KNOWN}
WHERE l.first = l.row AND (o.id IS NULL OR (o.status != 'ok' AND (:all OR (:passing AND o.passing))))
"""


@dataclass(frozen=True)
class Outcome:
    """What became of a pair; the names are those of the database.

    Args:
        status: ``ok``, ``failed`` or ``filtered``.
        reason: why it is not ok, or what is odd about it.
        cause: the same in a word or two.
        passing: whether a failure may pass.
        audio_path: where the music is: relative to the dataset folder, or absolute.
        image_path: where the cover is, relative to the dataset folder.
        audio_bytes: size of the music.
        image_bytes: size of the cleaned image.
        seconds: how long the music is.
        music: the first 16 digits of the SHA-256 of the music.
        cover: likewise of the cleaned image.
        looks: how the cover looks, see :func:`covergen_cli.dataset.images.duplicates.fingerprint`.
        lettering: share of it that looks like lettering.
        learnt: metadata that the source could not list, as JSON.
    """

    status: str
    reason: str = ""
    cause: str = ""
    passing: bool = False
    audio_path: str = ""
    image_path: str = ""
    audio_bytes: int = 0
    image_bytes: int = 0
    seconds: float = 0.0
    music: str = ""
    cover: str = ""
    looks: str = ""
    lettering: float | None = None
    learnt: str = "{}"


_COLUMNS = [field.name for field in fields(Outcome)]


@dataclass(frozen=True)
class Settled:
    """A row with what became of it.

    Args:
        item: the row.
        outcome: of its pair; ``None`` when nobody has tried yet.
        first: the row that has the same id and came first; its own number, where it is that row.
        cover_id: group of covers that it belongs to, empty where groups were not asked for.
        original: id of the pair whose cover this one repeats, empty where it repeats none or may.
    """

    item: Item
    outcome: Outcome | None
    first: int
    cover_id: str = ""
    original: str = ""


class Ledger:
    """The database of one dataset folder; one process at a time has it.

    Args:
        path: its file, made when it is missing.

    Raises:
        OutputError: it cannot be written, is damaged, or another process has it.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        with self._guarded():
            path.parent.mkdir(parents=True, exist_ok=True)
            self._db = sqlite3.connect(path, timeout=0.2, isolation_level=None)
            # Exclusive: no shared memory beside the file, so that network drives will do, and no second writer.
            self._db.execute("PRAGMA locking_mode = EXCLUSIVE")
            self._db.execute("PRAGMA journal_mode = WAL")
            self._db.execute("PRAGMA synchronous = NORMAL")
            self._db.executescript(_SCHEMA)
            self._db.execute("BEGIN IMMEDIATE")
            self._db.execute("COMMIT")

    def close(self) -> None:
        """Give the database back."""
        self._db.close()

    @contextmanager
    def _guarded(self) -> Iterator[None]:
        try:
            yield
        except sqlite3.DatabaseError as error:
            if "locked" in str(error):
                raise OutputError(
                    f"another covergen fetch is at work in {self._path.parent.parent}", hint="Let it end, or end it."
                ) from error
            hint = FREE_SPACE if "full" in str(error) else None
            raise OutputError(f"cannot write {self._path}: {error}", hint=hint) from error
        except OSError as error:
            raise OutputError(f"cannot write {self._path}: {error.strerror or error}") from error

    def list_anew(self, items: Iterator[Item], draw: Callable[[str], str], sample: int | None) -> Iterator[int]:
        """Replace the listing; a killed process leaves the old one.

        Args:
            items: the rows.
            draw: id → what rows are ordered by for the sample.
            sample: keep only so many, the first in that order.

        Yields:
            rows read so far, now and then.
        """
        names: dict[str, None] = {}
        count = 0
        with self._guarded():
            self._db.execute("BEGIN")
            try:
                self._db.execute("DELETE FROM listing")
                for count, item in enumerate(items, 1):
                    names.update(dict.fromkeys(item.metadata))
                    metadata = json.dumps(item.metadata, ensure_ascii=False)
                    row = (item.row, item.id, item.audio, item.image, metadata, draw(item.id) if sample else "")
                    self._db.execute("INSERT INTO listing VALUES (?, ?, ?, ?, ?, ?, NULL)", row)
                    if count % _ITEMS_AT_ONCE == 0:
                        yield count
                if sample:
                    kept = "SELECT row FROM listing ORDER BY draw, row LIMIT ?"
                    self._db.execute(f"DELETE FROM listing WHERE row NOT IN ({kept})", (sample,))  # noqa: S608
                self._mark_repeated_ids()
                self._name_fields(names)
                self._db.execute("COMMIT")
            finally:
                if self._db.in_transaction:
                    self._db.execute("ROLLBACK")
        yield count

    def _mark_repeated_ids(self) -> None:
        self._db.execute("CREATE INDEX by_id ON listing (id, row)")
        self._db.execute("UPDATE listing SET first = (SELECT MIN(row) FROM listing m WHERE m.id = listing.id)")
        self._db.execute("DROP INDEX by_id")

    def _name_fields(self, names: Iterable[str]) -> None:
        self._db.executemany("INSERT OR IGNORE INTO field (name) VALUES (?)", ((name,) for name in names))

    def put(self, item: Item, outcome: Outcome) -> None:
        """Write down what became of a pair."""
        values = [item.id, item.audio, item.image, *(getattr(outcome, name) for name in _COLUMNS)]
        with self._guarded():
            marks = ", ".join("?" * len(values))
            names = ", ".join(["id", "audio", "image", *_COLUMNS])
            self._db.execute(f"INSERT OR REPLACE INTO outcome ({names}) VALUES ({marks})", values)  # noqa: S608
            if outcome.learnt != "{}":
                self._name_fields(json.loads(outcome.learnt))

    def forget(self, item: Item) -> None:
        """Take back what became of a pair."""
        with self._guarded():
            self._db.execute("DELETE FROM outcome WHERE id = ?", (item.id,))

    def rows(self) -> int:
        """Number of rows."""
        return self._number("SELECT COUNT(*) FROM listing")

    def pending(self, retry: str) -> int:
        """Number of rows that something is to be done for; see ``FetchConfig.retry``."""
        return self._number(f"SELECT COUNT(*) {_PENDING}", **_wanted(retry))

    def pending_items(self, retry: str) -> Iterator[Item]:
        """The rows that something is to be done for, in order; each once, whatever is put meanwhile."""
        last = 0
        query = f"SELECT l.row, l.id, l.audio, l.image, l.metadata {_PENDING} AND l.row > :last ORDER BY l.row LIMIT :n"
        while True:
            with self._guarded():
                found = self._db.execute(query, _wanted(retry) | {"last": last, "n": _ITEMS_AT_ONCE}).fetchall()
            if not found:
                return
            for row, id_, audio, image, metadata in found:
                last = row
                yield Item(row, id_, audio, image, json.loads(metadata))

    def row(self, number: int) -> Settled:
        """One row with its outcome."""
        return next(self.settled(number))

    def settled(self, number: int | None = None) -> Iterator[Settled]:
        """Every row with its outcome, in order; with a number, only that row."""
        columns = ", ".join(f"o.{name}" for name in _COLUMNS)
        query = f"""
            SELECT l.row, l.id, l.audio, l.image, l.metadata, l.first, v.cover_id, v.original, {columns}
            FROM listing l LEFT JOIN {_KNOWN} LEFT JOIN verdict v ON v.row = l.row
            {"" if number is None else "WHERE l.row = :number"} ORDER BY l.row
        """  # noqa: S608 — made of constants
        with self._guarded(), closing(self._db.execute(query, {"number": number})) as found:
            for row, id_, audio, image, metadata, first, cover_id, original, *facts in found:
                outcome = None if facts[0] is None else Outcome(**dict(zip(_COLUMNS, facts, strict=True)))
                item = Item(row, id_, audio, image, json.loads(metadata))
                yield Settled(item, outcome, first, cover_id or "", original or "")

    def judge(self, verdicts: Iterator[tuple[int, str, str]]) -> None:
        """Keep, for this run, rows' ``cover_id`` and the id of the pair whose cover they repeat."""
        with self._guarded():
            self._db.execute("BEGIN")
            self._db.executemany("INSERT OR REPLACE INTO verdict VALUES (?, ?, ?)", verdicts)
            self._db.execute("COMMIT")

    def fields(self) -> list[str]:
        """Names of all metadata, in the order in which they came up."""
        with self._guarded():
            return [name for (name,) in self._db.execute("SELECT name FROM field ORDER BY position")]

    def _number(self, query: str, **values: bool | int) -> int:
        with self._guarded():
            return int(self._db.execute(query, values).fetchone()[0])


def _wanted(retry: str) -> dict[str, bool | int]:
    return {"all": retry == "all", "passing": retry == "passing"}
