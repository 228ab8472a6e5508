"""Tables of URLs: CSV, TSV, JSON lines and Parquet, gzipped or not, read row by row."""

from __future__ import annotations

import csv
import gzip
import io
import json
import zlib
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO, Literal, cast
from urllib.parse import urlsplit
from urllib.request import url2pathname

from covergen_cli.config import FetchConfig
from covergen_cli.dataset.sources.base import Item, Missed, Obtained, Source, safe_id
from covergen_cli.errors import ConfigError, InputError
from covergen_cli.files import sha256_bytes, write_bytes

_LONGEST_LINE = 1 << 24
_DIGEST_LENGTH = 16
_CANONICAL = {
    "title": ("name", "track_name", "track", "song", "song_name", "track_title"),
    "artist": ("artists", "artist_name", "artist_names", "track_artist"),
    "album": ("album_name", "release"),
    "genre": ("track_genre", "playlist_genre", "genres"),
}


_SEMICOLONS = "Its columns are parted by semicolons; save it with commas (CSV) or tabs (TSV)."


@dataclass(frozen=True)
class TableSource(Source):
    """A table with a row per song: where its music is, where its cover is, and whatever else is known.

    Args:
        path: the table.
        config: names of its columns, and how files are downloaded.
    """

    path: Path
    config: FetchConfig = field(default_factory=FetchConfig)

    def describe(self) -> dict[str, object]:
        """Kind, file and columns."""
        columns = [self.config.audio_column, self.config.image_column, self.config.id_column]
        return {"kind": "table", "name": self.path.name, "path": str(self.path.absolute()), "columns": columns}

    def items(self) -> Iterator[Item]:
        """List the rows; what stands in other columns becomes metadata, under its own name.

        A column that is called ``name`` or ``track_name`` and the like is the title where there is no ``title``; so are
        artist, album and genre found.

        Raises:
            InputError: the table cannot be read, or has no rows.
            ConfigError: it has no column of that name, or needs a package that is not installed.
        """
        used = (self.config.audio_column, self.config.image_column)
        names: dict[str, str] = {}
        row = 0
        for row, line in enumerate(read_table(self.path), 1):
            if row == 1:
                self._check(list(line))
                names = _renamed(list(line))
            audio, image = (line.get(column, "") for column in used)
            metadata = {
                names.get(name, name): text for name, text in line.items() if name not in used and text and name
            }
            named = line.get(self.config.id_column, "")
            # Without a name, the links make one that stays the same when rows are added above.
            id_ = safe_id(named) if named else sha256_bytes(f"{audio}\n{image}".encode())[:_DIGEST_LENGTH]
            yield Item(row, id_, audio, image, metadata)
        if not row:
            raise InputError(f"{self.path} has no rows")

    def _check(self, columns: list[str]) -> None:
        for option, column in (("audio", self.config.audio_column), ("image", self.config.image_column)):
            if column not in columns:
                raise ConfigError(
                    f"{self.path} has no column {column!r}; it has {', '.join(columns[:40])}",
                    hint=_SEMICOLONS
                    if len(columns) == 1 and ";" in columns[0]
                    else f"Name the column of URLs with --{option}-column.",
                )
        if self.config.id_column not in columns and self.config.id_column != FetchConfig.id_column:
            raise ConfigError(
                f"{self.path} has no column {self.config.id_column!r}; it has {', '.join(columns[:40])}",
                hint="Name the column of ids with --id-column.",
            )

    @contextmanager
    def downloads(self, workspace: Path) -> Iterator[Callable[[Item], Future[Missed | None]] | None]:
        """Download what rows name, many at once."""
        from covergen_cli.dataset.fetch.download import Downloader  # noqa: PLC0415 — worker processes do not need it

        with Downloader(workspace, self.config) as downloader:
            yield downloader.start

    def obtain(self, item: Item, workspace: Path) -> Obtained:
        """Hand over what was downloaded; copy what is on this machine.

        Raises:
            InputError: a ``file:`` URL names no file, or one that is too large.
        """
        most_bytes = int(self.config.largest_mb * 1e6)
        audio, image = landing(workspace, item, "audio"), landing(workspace, item, "image")
        for url, place in ((item.audio, audio), (item.image, image)):
            if is_file_url(url):
                copy_local(url, place, most_bytes)
        return Obtained(audio, image)


def is_file_url(url: str) -> bool:
    """Return whether a URL names a file of this machine."""
    return url[:5].lower() == "file:"


def landing(workspace: Path, item: Item, kind: Literal["audio", "image"]) -> Path:
    """Where a file of an item is put until it is checked; should the row name another URL one day, another place."""
    url = item.audio if kind == "audio" else item.image
    return workspace / f"{item.id}.{sha256_bytes(url.encode())[:_DIGEST_LENGTH]}.{kind}"


def copy_local(url: str, place: Path, most_bytes: int) -> None:
    """Copy the file that a ``file:`` URL names.

    Raises:
        InputError: it is none, cannot be read, is too large, or is on another machine.
        OutputError: the copy cannot be written.
    """
    parts = urlsplit(url)
    path = Path(url2pathname(parts.path))
    if parts.netloc not in ("", "localhost") or str(path).startswith("\\\\"):
        raise InputError(f"{url} is on another machine")
    try:
        if not path.is_file():
            raise InputError(f"{path} is no file")
        if path.stat().st_size > most_bytes:
            raise InputError(f"{path} has more than {most_bytes} bytes")
        data = path.read_bytes()
    except (OSError, ValueError) as error:
        raise InputError(f"{url} cannot be read: {error}") from error
    write_bytes(place, data, flush=False)


def _renamed(columns: list[str]) -> dict[str, str]:
    """The first column that means title, artist, album or genre gets that name, where no column has it."""
    lower = {column.lower(): column for column in reversed(columns)}
    found = {}
    for wanted, others in _CANONICAL.items():
        if wanted in columns:
            continue
        column = next((lower[name] for name in (wanted, *others) if name in lower), None)
        if column:
            found[column] = wanted
    return found


def read_table(path: Path) -> Iterator[dict[str, str]]:
    """Read a table row by row: column → text; what is absent or null is an empty text.

    The form follows from the name: ``.csv``, ``.tsv``, ``.jsonl`` or ``.ndjson``, each perhaps with ``.gz``, or
    ``.parquet``.

    Raises:
        InputError: there is no such file, its name has another ending, or it is damaged.
        ConfigError: it is Parquet, and pyarrow is not installed.
    """
    if not path.is_file():
        raise InputError(f"{path} does not exist", hint="Check the spelling of the path.")
    suffixes = [suffix.lower() for suffix in path.suffixes]
    zipped = suffixes[-1:] == [".gz"]
    kind = "".join(suffixes[:-1][-1:] if zipped else suffixes[-1:])
    readers = {".csv": _csv, ".tsv": _tsv, ".jsonl": _json_lines, ".ndjson": _json_lines, ".parquet": _parquet}
    if kind not in readers or (zipped and kind == ".parquet"):
        raise InputError(
            f"{path} is no table that can be read",
            hint="It has to end in .csv, .tsv, .jsonl (or those and .gz) or .parquet.",
        )
    try:
        with path.open("rb") as file:
            yield from readers[kind](cast("BinaryIO", gzip.GzipFile(fileobj=file)) if zipped else file)
    except (OSError, EOFError, zlib.error, UnicodeDecodeError, csv.Error, ValueError) as error:
        raise InputError(f"{path} cannot be read: {error}", hint="It has to be whole, and text in UTF-8.") from error


def _lines(file: BinaryIO) -> Iterator[str]:
    """Lines of bounded length; a file without line ends would else be read into memory whole."""
    with io.TextIOWrapper(file, encoding="utf-8-sig", newline="") as text:
        while line := text.readline(_LONGEST_LINE):
            if len(line) == _LONGEST_LINE:
                raise ValueError("a line is too long")
            yield line


def _csv(file: BinaryIO, delimiter: str = ",") -> Iterator[dict[str, str]]:
    for line in csv.DictReader(_lines(file), delimiter=delimiter, restval=""):
        yield {name: text.strip() for name, text in line.items() if isinstance(name, str) and isinstance(text, str)}


def _tsv(file: BinaryIO) -> Iterator[dict[str, str]]:
    return _csv(file, "\t")


def _json_lines(file: BinaryIO) -> Iterator[dict[str, str]]:
    for number, line in enumerate(_lines(file), 1):
        if line.strip():
            record = json.loads(line)
            if not isinstance(record, dict):
                raise ValueError(f"line {number} is no JSON object")
            yield {name: _text(value) for name, value in record.items()}


def _parquet(file: BinaryIO) -> Iterator[dict[str, str]]:
    try:
        from pyarrow import parquet  # noqa: PLC0415 — an extra
    except ImportError as error:
        raise ConfigError(
            "reading Parquet needs the package pyarrow", hint="Install it: pip install pyarrow"
        ) from error
    for batch in parquet.ParquetFile(file).iter_batches(batch_size=1024):
        for record in batch.to_pylist():
            yield {name: _text(value) for name, value in record.items()}


def _text(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, str):
        return value.strip()
    return json.dumps(value, ensure_ascii=False, default=str) if isinstance(value, (list, dict, bool)) else str(value)
