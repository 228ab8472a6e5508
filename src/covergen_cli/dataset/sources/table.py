"""The source TABLE: a table of URLs or paths, read row by row."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit
from urllib.request import url2pathname

from covergen_cli.config import FetchConfig
from covergen_cli.dataset.sources.base import (
    DIGEST_LENGTH,
    Item,
    Missed,
    Obtained,
    Source,
    download_path,
    is_local,
    safe_id,
    without_credentials,
)
from covergen_cli.dataset.tables import read_blocks, rows_of
from covergen_cli.errors import ConfigError, InputError
from covergen_cli.files import sha256_bytes, write_bytes

_CANONICAL = {
    "title": ("name", "track_name", "track", "song", "song_name", "track_title"),
    "artist": ("artists", "artist_name", "artist_names", "track_artist"),
    "album": ("album_name", "release"),
    "genre": ("track_genre", "playlist_genre", "genres"),
}
_NO_ID = frozenset({"nan", "none", "null", "nat", "<na>"})


@dataclass(frozen=True)
class TableSource(Source):
    """A table with one row per song: URL or path of the music, URL or path of the cover, and metadata.

    Args:
        path: the table.
        config: names of its columns, and how files are downloaded.
    """

    path: Path
    config: FetchConfig = field(default_factory=FetchConfig)

    def describe(self) -> dict[str, object]:
        """Return kind, file and columns."""
        columns = [self.config.audio_column, self.config.image_column, self.config.id_column]
        return {"kind": "table", "name": self.path.name, "path": str(self.path.absolute()), "columns": columns}

    def items(self) -> Iterator[Item]:
        """List the rows; other columns become metadata, under their own names.

        A column called ``name``, ``track_name`` and the like is the title if there is no ``title``; artist, album and
        genre are found alike.

        Raises:
            InputError: the table cannot be read, or has no rows.
            ConfigError: it lacks a column that is needed, or needs a package that is not installed.
        """
        self._check_columns()
        names: dict[str, str] = {}
        number = 0
        for block in read_blocks(self.path):
            _add_names(names, block.columns)
            for number, row in enumerate(rows_of(block), number + 1):  # noqa: B020 — goes on where the last block ended
                yield self._item(number, row, names)
        if not number:
            raise InputError(f"{self.path} has no rows")

    def _item(self, number: int, row: dict[str, str], names: dict[str, str]) -> Item:
        used = (self.config.audio_column, self.config.image_column)
        audio, image = (row.get(column, "") for column in used)
        metadata = {names[name]: text for name, text in row.items() if name not in used and text}
        id_ = re.sub(
            r"^(\d+)\.0$", r"\1", row.get(self.config.id_column, "")
        )  # pandas writes 12.0 in columns with gaps
        if not id_ or id_.casefold() in _NO_ID:
            # The URLs make an id that stays the same when rows are added above.
            id_ = sha256_bytes(f"{audio}\n{image}".encode())[:DIGEST_LENGTH]
        return Item(number, safe_id(id_), audio, image, metadata)

    def _check_columns(self) -> None:
        """Check the columns of the first block; of JSON lines, those of all blocks if need be."""
        wanted = {"audio": self.config.audio_column, "image": self.config.image_column}
        if self.config.id_column != FetchConfig.id_column:
            wanted["id"] = self.config.id_column
        columns: dict[str, None] = {}
        rows = 0
        for block in read_blocks(self.path):
            columns.update(dict.fromkeys(block.columns))
            rows += len(block)
            if set(wanted.values()) <= columns.keys():
                return
        if not rows:
            raise InputError(f"{self.path} has no rows")
        option, column = next((option, column) for option, column in wanted.items() if column not in columns)
        kind = "ids" if option == "id" else "URLs"
        raise ConfigError(
            f"{self.path} has no column {column!r}; it has {', '.join(list(columns)[:40])}",
            hint=f"Name the column of {kind} with --{option}-column.",
        )

    @contextmanager
    def downloads(self, workspace: Path) -> Iterator[Callable[[Item], Future[Missed | None]] | None]:
        """Download the files of rows, many at once."""
        from covergen_cli.dataset.fetch.download import Downloader  # noqa: PLC0415 — worker processes do not need it

        with Downloader(workspace, self.config) as downloader:
            yield downloader.start

    def obtain(self, item: Item, workspace: Path) -> Obtained:
        """Return what was downloaded; copy what is on this machine.

        Raises:
            InputError: a path or ``file:`` URL names no file, or one that is too large.
        """
        most_bytes = int(self.config.largest_mb * 1e6)
        audio, image = download_path(workspace, item, "audio"), download_path(workspace, item, "image")
        for url, path in ((item.audio, audio), (item.image, image)):
            if is_local(url):
                _copy_local(url, self.path.absolute().parent, path, most_bytes)
        return Obtained(audio, image)


def _copy_local(locator: str, folder: Path, target: Path, most_bytes: int) -> None:
    """Copy a file that a ``file:`` URL names, or a path, which is relative to the folder of the table."""
    is_url = locator[:5].lower() == "file:"
    parts = urlsplit(locator if is_url else "")
    path = Path(url2pathname(parts.path)) if is_url else folder / locator
    if parts.netloc not in ("", "localhost") or str(path).startswith("\\\\"):
        raise InputError(f"{without_credentials(locator)} is on another machine")
    try:
        if not path.is_file():
            raise InputError(f"{path} is not a file" + "; a URL begins with https:// or http://" * (not is_url))
        if path.stat().st_size > most_bytes:
            raise InputError(f"{path} has more than {most_bytes / 1e6:g} MB, the limit of --largest-mb")
        data = path.read_bytes()
    except (OSError, ValueError) as error:
        raise InputError(f"{locator} cannot be read: {error}") from error
    write_bytes(target, data, flush=False)


def _add_names(names: dict[str, str], columns: Iterable[str]) -> None:
    """Add what each column is called in the manifest: the first with a known synonym gets the usual name."""
    columns = [column for column in columns if column not in names]
    taken = {*names.values(), *columns}
    lower = {column.lower(): column for column in reversed(columns)}
    names.update((column, column) for column in columns)
    for wanted, synonyms in _CANONICAL.items():
        column = next((lower[name] for name in (wanted, *synonyms) if name in lower), None)
        if column and wanted not in taken:
            names[column] = wanted
