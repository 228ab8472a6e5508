"""A file on its way: what of it is here, and how to ask for the rest; private to this package."""

from __future__ import annotations

import re
import zlib
from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path

_OVERLAP_BYTES = 1024
_IN_MEMORY_BYTES = 1 << 16


class UnfitError(Exception):
    """What a server sends as the rest is not the rest of what is here."""


class Partial:
    """The part of a file that is here, in memory up to 64 KiB, then on the disk, where it outlives the process.

    It can be continued only if the server gave it a name (``ETag`` or ``Last-Modified``). The rest is asked for with
    the last KiB once more, and is believed only if offsets, name and that KiB fit.

    Args:
        path: where the whole file shall be.
    """

    def __init__(self, path: Path) -> None:
        self._final = path
        self._part = path.with_name(path.name + ".part")
        self._name = path.with_name(path.name + ".name")
        self._fresh = bytearray()
        self._stored = 0
        self._overlap = b""
        self._validator = ""
        self._total: int | None = None
        with suppress(OSError, UnicodeDecodeError):
            self._validator = self._name.read_text(encoding="ascii")
            self._stored = self._part.stat().st_size

    @property
    def size(self) -> int:
        """Bytes that are here."""
        return self._stored + len(self._fresh)

    def request(self) -> list[tuple[str, str]]:
        """Headers that ask for what is missing."""
        if not self._validator or self._stored <= _OVERLAP_BYTES:
            return []
        return [("Range", f"bytes={self._stored - _OVERLAP_BYTES}-"), ("If-Range", self._validator)]

    def begin(self, status: int, headers: Mapping[str, str], *, continued: bool) -> None:
        """Get ready for the body of an answer.

        Args:
            status: 200 or 206.
            headers: the answer's, names in lower case.
            continued: whether the request asked for the rest only.

        Raises:
            UnfitError: the answer is not what was asked for; nothing of the file is kept.
        """
        if status == 200:
            self.discard()
            self._validator = _validator(headers)
            length = headers.get("content-length", "")
            self._total = int(length) if length.isdecimal() and "content-encoding" not in headers else None
            return
        span = re.fullmatch(r"bytes (\d{1,18})-(\d{1,18})/(\d{1,18})", headers.get("content-range", ""))
        begin = self._stored - _OVERLAP_BYTES
        named = _validator(headers) or self._validator
        if not continued or not span or int(span[1]) != begin or named != self._validator:
            self.discard()
            raise UnfitError
        self._total = int(span[3])
        with self._part.open("rb+") as file:
            file.seek(begin)
            self._overlap = file.read()
            file.truncate(begin)
        self._stored = begin

    def add(self, block: bytes) -> None:
        """Take a block of the body.

        Raises:
            UnfitError: it does not continue what is here; nothing of the file is kept.
            OSError: the disk is full.
        """
        if self._overlap:
            known, self._overlap = self._overlap[: len(block)], self._overlap[len(block) :]
            if not block.startswith(known):
                self.discard()
                raise UnfitError
        self._fresh += block
        if len(self._fresh) >= _IN_MEMORY_BYTES:
            self.store()

    def store(self) -> None:
        """Put what is in memory on the disk; without a name to continue it by there is no use in that.

        Raises:
            OSError: the disk is full.
        """
        if not self._fresh:
            return
        if not self._stored:
            self._part.unlink(missing_ok=True)
            # The name comes first: a part is never there with the name of another.
            self._name.write_text(self._validator, encoding="ascii", errors="ignore")
        with self._part.open("ab") as file:
            file.write(self._fresh)
        self._stored += len(self._fresh)
        self._fresh.clear()

    def missing(self) -> int:
        """Bytes that the server promised and did not send; negative for more than it promised."""
        return 0 if self._total is None else self._total - self.size

    def finish(self) -> None:
        """Give the file its name.

        Raises:
            OSError: the disk is full.
        """
        if self._stored:
            self.store()
        else:
            self._part.write_bytes(self._fresh)
        self._part.replace(self._final)
        self._name.unlink(missing_ok=True)

    def discard(self) -> None:
        """Forget what is here."""
        stored = self._stored
        self._fresh.clear()
        self._stored, self._overlap, self._validator, self._total = 0, b"", "", None
        if stored:
            self._part.unlink(missing_ok=True)
            self._name.unlink(missing_ok=True)


def _validator(headers: Mapping[str, str]) -> str:
    """What names this version of the file (RFC 9110, 13.1.5): a strong ETag, else the date of its last change."""
    tag = headers.get("etag", "")
    if tag and not tag.startswith("W/"):
        return tag
    return headers.get("last-modified", "")


def decoded(block: bytes, decoder: zlib._Decompress | None) -> Iterator[bytes]:
    """Undo a gzip or deflate encoding in pieces of bounded size, so that a bomb can be noticed before it goes off.

    Args:
        block: a block of the body.
        decoder: ``zlib.decompressobj(47)`` of this body, or ``None``: the body is not encoded.
    """
    if decoder is None:
        yield block
        return
    while block:
        yield decoder.decompress(block, _IN_MEMORY_BYTES)
        block = decoder.unconsumed_tail
