"""The SQLite database of a fetch.

Two tables: ``listing``, the rows of the source, is replaced by every run; ``outcome``, one row per pair, is written as
soon as a pair is done and survives a killed process. An outcome is valid as long as the row names the same files.
Nothing is held in memory, however many rows there are.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, fields
from pathlib import Path

from covergen_cli.dataset.sources.base import FREE_SPACE, Item
from covergen_cli.errors import ConfigError, OutputError

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
CREATE TEMP TABLE duplicate (row INTEGER PRIMARY KEY, cover_id TEXT, original TEXT);
"""
_KNOWN = "outcome o ON o.id = l.id AND o.audio = l.audio AND o.image = l.image"
_PENDING = f"""
FROM listing l LEFT JOIN {_KNOWN}
WHERE l.first = l.row AND (o.id IS NULL OR (o.status != 'ok' AND (:all OR (:passing AND o.passing))))
"""


_COMPARED = """
SELECT COUNT(*), COUNT(same), COUNT(id) - COUNT(same) FROM (
    SELECT (SELECT 1 FROM listing l WHERE l.id = e.id AND l.audio = e.audio AND l.image = e.image LIMIT 1) AS same,
        (SELECT 1 FROM listing l WHERE l.id = e.id LIMIT 1) AS id
    FROM earlier e
)
"""


@dataclass(frozen=True)
class Outcome:
    """The outcome of a pair; the names are those of the columns of the database.

    Args:
        status: ``ok``, ``failed`` or ``filtered``.
        cause: the reason in a word or two.
        passing: whether a later attempt may succeed.
        audio_path: path of the music: relative to the dataset folder, or absolute.
        image_path: path of the cover, relative to the dataset folder.
        seconds: length of the music.
        music: the first 16 digits of the SHA-256 of the music.
        cover: likewise of the cleaned image.
        looks: see :func:`covergen_cli.dataset.images.duplicates.fingerprint`.
        lettering: share of the cover that is text, [0, 1].
        learnt: metadata that came with the files, as JSON.
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
    """A row with its outcome.

    Args:
        item: the row.
        outcome: of its pair; ``None`` if it was not tried yet.
        first: number of the first row with the same id; its own number if it is that row.
        cover_id: group of covers that it belongs to; empty if there are no groups.
        original: id of the pair whose cover or music this one repeats; empty if it is kept.
    """

    item: Item
    outcome: Outcome | None
    first: int
    cover_id: str = ""
    original: str = ""


class Database:
    """The database of one dataset folder, open in one process at a time.

    Args:
        path: its file, created if it is missing.

    Raises:
        OutputError: it cannot be written, is damaged, or another process has opened it.
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
        """Close the database."""
        self._db.close()

    @contextmanager
    def _guarded(self) -> Iterator[None]:
        try:
            yield
        except sqlite3.DatabaseError as error:
            if "locked" in str(error):
                raise OutputError(
                    f"another covergen fetch is running in {self._path.parent.parent}", hint="Wait for it, or stop it."
                ) from error
            hint = FREE_SPACE if "full" in str(error) else None
            raise OutputError(f"cannot write {self._path}: {error}", hint=hint) from error
        except OSError as error:
            raise OutputError(f"cannot write {self._path}: {error.strerror or error}") from error

    def replace_listing(
        self, items: Iterator[Item], draw: Callable[[str], str], sample: int | None, *, same_source: bool
    ) -> Iterator[int]:
        """Replace the listing; a killed process leaves the old one.

        Args:
            items: the rows.
            draw: id → rank of the row in the sample.
            sample: keep only so many rows, those of the lowest rank.
            same_source: whether the rows come from the very source that filled the folder. If not, they have to
                contain at least half of the old rows, and no old id with other files.

        Yields:
            number of rows read so far, now and then.

        Raises:
            ConfigError: the rows are those of another source.
        """
        names: dict[str, None] = {}
        count = 0
        with self._guarded():
            self._db.execute("BEGIN")
            try:
                self._db.execute("CREATE TEMP TABLE earlier AS SELECT id, audio, image FROM listing")
                self._db.execute("DELETE FROM listing")
                for count, item in enumerate(items, 1):
                    names.update(dict.fromkeys(item.metadata))
                    metadata = json.dumps(item.metadata, ensure_ascii=False)
                    row = (item.row, item.id, item.audio, item.image, metadata, draw(item.id) if sample else "")
                    self._db.execute("INSERT INTO listing VALUES (?, ?, ?, ?, ?, ?, NULL)", row)
                    if count % _ITEMS_AT_ONCE == 0:
                        yield count
                self._db.execute("CREATE INDEX by_id ON listing (id, row)")
                if not same_source:
                    self._check_source()
                if sample:
                    kept = "SELECT row FROM listing ORDER BY draw, row LIMIT ?"
                    self._db.execute(f"DELETE FROM listing WHERE row NOT IN ({kept})", (sample,))  # noqa: S608
                self._db.execute("UPDATE listing SET first = (SELECT MIN(row) FROM listing m WHERE m.id = listing.id)")
                self._db.execute("DROP INDEX by_id")
                self._db.execute("DROP TABLE earlier")
                self._add_names(names)
                self._db.execute("COMMIT")
            finally:
                if self._db.in_transaction:
                    self._db.execute("ROLLBACK")
        yield count

    def _check_source(self) -> None:
        earlier, same, other = self._db.execute(_COMPARED).fetchone()
        if other or 2 * same < earlier:
            raise ConfigError(
                f"{self._path.parent.parent} was filled from another table of the same name: of its {earlier} rows, "
                f"{same} are in this one, {other} with other files",
                hint="Choose another folder.",
            )

    def _add_names(self, names: Iterable[str]) -> None:
        self._db.executemany("INSERT OR IGNORE INTO field (name) VALUES (?)", ((name,) for name in names))

    def put(self, item: Item, outcome: Outcome) -> None:
        """Save the outcome of a pair."""
        values = [item.id, item.audio, item.image, *(getattr(outcome, name) for name in _COLUMNS)]
        # Reasons can quote names that are not UTF-8, which Python decodes with surrogates.
        values = [
            each.encode("utf-8", "backslashreplace").decode() if isinstance(each, str) else each for each in values
        ]
        with self._guarded():
            marks = ", ".join("?" * len(values))
            names = ", ".join(["id", "audio", "image", *_COLUMNS])
            self._db.execute(f"INSERT OR REPLACE INTO outcome ({names}) VALUES ({marks})", values)  # noqa: S608
            if outcome.learnt != "{}":
                self._add_names(json.loads(outcome.learnt))

    def forget(self, item: Item) -> None:
        """Delete the outcome of a pair."""
        with self._guarded():
            self._db.execute("DELETE FROM outcome WHERE id = ?", (item.id,))

    def rows(self) -> int:
        """Return the number of rows."""
        return self._number("SELECT COUNT(*) FROM listing")

    def pending(self, retry: str) -> int:
        """Return the number of rows to work on; see ``FetchConfig.retry``."""
        return self._number(f"SELECT COUNT(*) {_PENDING}", **_wanted(retry))

    def pending_items(self, retry: str) -> Iterator[Item]:
        """Return the rows to work on, in order, each once, whatever is put meanwhile."""
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
        """Return one row with its outcome."""
        return next(self.settled(number))

    def settled(self, number: int | None = None) -> Iterator[Settled]:
        """Return every row with its outcome, in order; with a number, only that row."""
        columns = ", ".join(f"o.{name}" for name in _COLUMNS)
        query = f"""
            SELECT l.row, l.id, l.audio, l.image, l.metadata, l.first, d.cover_id, d.original, {columns}
            FROM listing l LEFT JOIN {_KNOWN} LEFT JOIN duplicate d ON d.row = l.row
            {"" if number is None else "WHERE l.row = :number"} ORDER BY l.row
        """  # noqa: S608 — made of constants
        with self._guarded(), closing(self._db.execute(query, {"number": number})) as found:
            for row, id_, audio, image, metadata, first, cover_id, original, *facts in found:
                outcome = None if facts[0] is None else Outcome(**dict(zip(_COLUMNS, facts, strict=True)))
                item = Item(row, id_, audio, image, json.loads(metadata))
                yield Settled(item, outcome, first, cover_id or "", original or "")

    def put_duplicates(self, groups: Iterator[tuple[int, str, str]]) -> None:
        """Save, for this run, row, ``cover_id`` and the id of the pair that the row repeats."""
        with self._guarded():
            self._db.execute("BEGIN")
            self._db.executemany("INSERT OR REPLACE INTO duplicate VALUES (?, ?, ?)", groups)
            self._db.execute("COMMIT")

    def metadata_names(self) -> list[str]:
        """Return the names of all metadata, in the order of their first use."""
        with self._guarded():
            return [name for (name,) in self._db.execute("SELECT name FROM field ORDER BY position")]

    def _number(self, query: str, **values: bool | int) -> int:
        with self._guarded():
            return int(self._db.execute(query, values).fetchone()[0])


def _wanted(retry: str) -> dict[str, bool | int]:
    return {"all": retry == "all", "passing": retry == "passing"}
