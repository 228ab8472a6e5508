"""The base of the classes that exchange the front cover in a music file, and the picture block that two formats share.

A file is taken apart into pieces: bytes, or ranges of the source file. Everything that is not a front cover keeps its
bytes, whether it is understood or not.
"""

from __future__ import annotations

import os
import struct
from abc import ABC, abstractmethod
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO, NamedTuple

from covergen_cli.errors import InputError
from covergen_cli.files import sha256_chunks

FRONT = 3
FRONT_TYPES = {FRONT, 0}
"""Picture types of ID3 and FLAC that count as front covers: many programs write them as "other" (0)."""

_LAST_TYPE = 20

Piece = bytes | range
"""Bytes of the new file, or a range of the old file that is copied."""

_BLOCK_BYTES = 1 << 20


class PictureTags(ABC):
    """The front covers of one music file.

    Args:
        path: the file; it is read when needed and never written to.

    Raises:
        InputError: the tags are damaged.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.size = path.stat().st_size
        try:
            with path.open("rb") as file:
                self._parse(file)
        except (ValueError, IndexError, struct.error) as error:
            raise InputError(f"the tags of {path} are damaged: {error}") from error

    def pictures(self) -> list[bytes | None]:
        """Return the front covers, ``None`` for a damaged one.

        Raises:
            InputError: the tags are damaged.
        """
        try:
            return self._read()
        except (ValueError, IndexError, struct.error) as error:
            raise InputError(f"the tags of {self.path} are damaged: {error}") from error

    @abstractmethod
    def _parse(self, file: BinaryIO) -> None:
        """Read the tags.

        Raises:
            ValueError, IndexError, struct.error: they are damaged.
        """

    @abstractmethod
    def _read(self) -> list[bytes | None]: ...

    @abstractmethod
    def _pieces(self, jpeg: bytes | None, size: tuple[int, int]) -> Iterator[Piece]:
        """Yield the file with a JPEG of ``size`` pixels as its only front cover, or without any.

        Raises:
            ValueError: the picture does not fit the format.
        """

    def write(self, target: Path, jpeg: bytes | None, size: tuple[int, int]) -> None:
        """Write a copy of the file whose only front cover is a JPEG of ``size`` pixels, or that has none.

        Raises:
            InputError: the picture does not fit the format.
            OSError: the copy cannot be written.
        """
        with target.open("wb") as copy:
            copy.writelines(self._chunks(jpeg, size))

    def sha256_without_art(self) -> str:
        """Return the SHA-256 of the file without front covers."""
        return sha256_chunks(self._chunks(None, (0, 0)))

    def _chunks(self, jpeg: bytes | None, size: tuple[int, int]) -> Iterator[bytes]:
        try:
            with self.path.open("rb") as file:
                for piece in self._pieces(jpeg, size):
                    yield from _read_blocks(file, piece) if isinstance(piece, range) else (piece,)
        except (ValueError, struct.error) as error:
            raise InputError(f"the cover cannot be written into {self.path}: {error}") from error


def _read_blocks(file: BinaryIO, part: range) -> Iterator[bytes]:
    file.seek(part.start)
    for start in range(part.start, part.stop, _BLOCK_BYTES):
        yield file.read(min(_BLOCK_BYTES, part.stop - start))


def read_exactly(file: BinaryIO, count: int) -> bytes:
    """Return the next ``count`` bytes; raise ``ValueError`` if the file ends before."""
    if count > os.fstat(file.fileno()).st_size - file.tell():
        raise ValueError("the file ends too early")
    return file.read(count)


class Block(NamedTuple):
    """A FLAC picture block, https://www.rfc-editor.org/rfc/rfc9639#name-picture."""

    type: int
    data: bytes | None  # ``None`` if the block is damaged
    length: int  # bytes of the block, by its own fields


def parse_block(block: bytes) -> Block:
    """Return the content of a FLAC picture block; one without a known type counts as a damaged front cover."""
    kind, position = int.from_bytes(block[:4], "big"), 4
    if len(block) < position or kind > _LAST_TYPE:
        return Block(FRONT, None, len(block))
    try:
        for _ in ("mime type", "description"):
            position += 4 + struct.unpack_from(">I", block, position)[0]
        (count,) = struct.unpack_from(">I", block, position + 16)
    except struct.error:
        return Block(kind, None, len(block))
    data = block[position + 20 : position + 20 + count]
    return Block(kind, data if len(data) == count else None, position + 20 + count)


def picture_block(jpeg: bytes, size: tuple[int, int]) -> bytes:
    """Return a FLAC picture block for a JPEG front cover of ``size`` pixels."""
    mime = b"image/jpeg"
    head = struct.pack(">II", FRONT, len(mime)) + mime + struct.pack(">I4I", 0, *size, 24, 0)
    return head + struct.pack(">I", len(jpeg)) + jpeg


def exchange(items: list[bytes], front: set[int], new: bytes | None, default: int | None = None) -> list[bytes]:
    """Return ``items`` without those at the indices ``front``, and with ``new`` where the first of them was.

    Without one, ``new`` comes before the item at index ``default``, or last.
    """
    place = min(front, default=len(items) if default is None else default)
    before = [item for index, item in enumerate(items[:place]) if index not in front]
    after = [item for index, item in enumerate(items[place:], place) if index not in front]
    return [*before, *([] if new is None else [new]), *after]
