"""Which music each embedding was made from: ``sources.csv`` beside the embeddings.

::

    id,size,mtime_ns,sha256     one line per embedding; of an id that occurs twice, the last line holds

A line is appended as soon as an embedding is written; a run that ends writes the file anew. Music of the same size and
time counts as unchanged; where only the time differs, as in a copied folder, the hash decides.
"""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

from covergen_cli.errors import OutputError, reason_of
from covergen_cli.files import sha256_file, write_text

SOURCES = "sources.csv"
_HEADER = "id,size,mtime_ns,sha256\n"
_SHA256_DIGITS = 64


class MusicState:
    """What is known about the music behind the embeddings of a folder; takes about 250 bytes of memory per row.

    Args:
        target: the folder of embeddings.
    """

    def __init__(self, target: Path) -> None:
        self._path = target / SOURCES
        self._lines: dict[str, str] = {}
        with suppress(OSError, UnicodeDecodeError):
            for line in self._path.read_text(encoding="ascii").splitlines():
                id_, _, rest = line.partition(",")
                if len(rest.rpartition(",")[2]) == _SHA256_DIGITS:  # the last line of a killed run may be incomplete
                    self._lines[id_] = rest

    def is_current(self, row_id: str, music: Path, embedding: Path) -> bool:
        """Return whether an existing embedding was made from the music as it is now.

        Music that cannot be read counts as unchanged. Embeddings without a record, from earlier versions, are current
        unless their music is newer.
        """
        try:
            state = music.stat()
            known = self._lines.get(row_id)
            if known is None:
                return state.st_mtime_ns <= embedding.stat().st_mtime_ns
            size, mtime_ns, sha256 = known.split(",")
            if int(size) != state.st_size:
                return False
            if int(mtime_ns) == state.st_mtime_ns:
                return True
            same = sha256_file(music) == sha256
        except (OSError, ValueError):
            return True
        if same:
            self._lines[row_id] = f"{size},{state.st_mtime_ns},{sha256}"
        return same

    def put(self, row_id: str, music: Path) -> None:
        """Record the music that an embedding has just been made from.

        Raises:
            OutputError: the record cannot be written.
        """
        try:
            state, sha256 = music.stat(), sha256_file(music)
        except OSError:  # it was removed since
            return
        self._lines[row_id] = f"{state.st_size},{state.st_mtime_ns},{sha256}"
        try:
            with self._path.open("a", encoding="ascii", newline="\n") as file:
                file.write(f"\n{row_id},{self._lines[row_id]}\n")
        except OSError as error:
            raise OutputError(f"cannot write {self._path}: {reason_of(error)}") from error

    def save(self, ids: Iterable[str]) -> None:
        """Write the records of these embeddings, and no others.

        Raises:
            OutputError: the file cannot be written.
        """
        lines = (f"{id_},{self._lines[id_]}\n" for id_ in ids if id_ in self._lines)
        write_text(self._path, _HEADER + "".join(lines))
