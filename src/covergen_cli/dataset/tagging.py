"""Fill the column ``genre`` of a manifest with the genres that are recognised in the music.

::

    DATA/genres.csv       id,genre,bytes     the genre of each song, which had this size; empty for no clear genre
    DATA/manifest.csv     its column genre is filled where it is empty, and added if it is missing

A song is analysed once: a second run, also after ``covergen fetch`` has written the manifest again, only reads the
table.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Generator, Iterator
from contextlib import closing
from pathlib import Path

from covergen_cli.audio.threads import in_threads
from covergen_cli.dataset.layout import Dataset
from covergen_cli.dataset.tables import open_table, read_blocks, read_rows
from covergen_cli.errors import InputError
from covergen_cli.events import Event, Progress, Warned

GENRE = "genre"
GENRES = "genres.csv"
_COLUMNS = ("id", GENRE, "bytes")
_SAVE_EVERY = 200

_Song = tuple[str, Path, str]
"""Id, music file and its size in bytes."""


def tag_genres(folder: Path, hear: Callable[[Path], str | None]) -> Generator[Event, None, None]:
    """Fill the empty values of the column ``genre`` of a manifest.

    Closing the iterator ends the work; genres found by then are kept.

    Args:
        folder: the dataset folder.
        hear: returns the genre of a music file, or ``None`` if none is clear; called in threads.

    Yields:
        ``Progress`` of the task ``listening``, and ``Warned`` for every song that cannot be used.

    Raises:
        InputError: the folder or its manifest cannot be used.
        OutputError: the folder cannot be written to.
    """
    dataset = Dataset(folder)
    songs = list(_songs(dataset))
    known = _read_known(folder / GENRES)
    untagged = {row["id"] for row in read_rows(dataset.manifest) if not row.get(GENRE)}
    songs = [song for song in songs if song[0] in untagged and known.get(song[0], ("", ""))[1] != song[2]]
    stop = threading.Event()

    def listen(song: _Song) -> tuple[_Song, str | None, InputError | None]:
        try:
            return song, hear(song[1]), None
        except InputError as error:
            return song, None, error

    try:
        with closing(in_threads(listen, songs, os.cpu_count() or 1, stop)) as results:
            for done, (song, genre, error) in enumerate(results, start=1):
                if error is not None:
                    yield Warned(error.message, song[1])
                else:
                    known[song[0]] = (genre or "", song[2])
                if done % _SAVE_EVERY == 0:
                    _write_known(folder / GENRES, known)
                yield Progress("listening", done, len(songs))
    finally:
        stop.set()
        if songs:
            _write_known(folder / GENRES, known)
    _fill(dataset.manifest, {id_: genre for id_, (genre, _) in known.items() if genre and id_ in untagged})


def _songs(dataset: Dataset) -> Iterator[_Song]:
    for row in dataset.rows():
        if row.fault is None and row.audio is not None and row.audio.is_file():
            yield row.id, row.audio, str(row.audio.stat().st_size)


def _read_known(path: Path) -> dict[str, tuple[str, str]]:
    if not path.is_file():
        return {}
    return {row["id"]: (row[GENRE], row["bytes"]) for row in read_rows(path, _COLUMNS)}


def _write_known(path: Path, known: dict[str, tuple[str, str]]) -> None:
    with open_table(path, _COLUMNS) as write:
        for id_, values in known.items():
            write([id_, *values])


def _fill(manifest: Path, genres: dict[str, str]) -> None:
    if not genres:
        return
    columns = list(dict.fromkeys([*next(read_blocks(manifest)).columns, GENRE]))
    with open_table(manifest, columns) as write:
        for row in read_rows(manifest):
            filled = {**row, GENRE: row.get(GENRE) or genres.get(row["id"], "")}
            write([filled[column] for column in columns])
