"""Incomplete downloads, and how to resume them."""

from __future__ import annotations

import re
import zlib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path

_OVERLAP_BYTES = 1024
_IN_MEMORY_BYTES = 1 << 16


class UnfitError(Exception):
    """The response does not continue the part on disk."""


class Partial:
    """The downloaded part of a file: in memory up to 64 KiB, then on disk, where it survives the process.

    It can be resumed only if the server sent a validator (``ETag`` or ``Last-Modified``). The request for the rest
    repeats the last KiB, and the response is accepted only if offsets, validator and that KiB match.

    Args:
        path: path of the complete file.
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
        """Return the number of downloaded bytes."""
        return self._stored + len(self._fresh)

    def request(self) -> list[tuple[str, str]]:
        """Return the headers of a request for the rest."""
        if not self._validator or self._stored <= _OVERLAP_BYTES:
            return []
        return [("Range", f"bytes={self._stored - _OVERLAP_BYTES}-"), ("If-Range", self._validator)]

    def begin(self, status: int, headers: Mapping[str, str], *, continued: bool) -> None:
        """Prepare for the body of a response.

        Args:
            status: 200 or 206.
            headers: of the response, names in lower case.
            continued: whether only the rest was requested.

        Raises:
            UnfitError: the response does not match the request; the part is discarded.
        """
        # A server may answer a request for everything with 206, even without saying what it sends.
        written = headers.get("content-range", "")
        span = re.fullmatch(r"bytes (\d{1,18})-(\d{1,18})/(\d{1,18})", written.strip().lower())
        complete = not (continued or written) if not span else int(span[1]) == 0 and int(span[2]) + 1 == int(span[3])
        if status == 200 or complete:
            self.discard()
            self._validator = _validator(headers)
            length = headers.get("content-length", "")
            self._total = int(length) if length.isdecimal() and "content-encoding" not in headers else None
            return
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
        """Write what is in memory to disk.

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
        """Return the announced bytes that were not received; negative for too many."""
        return 0 if self._total is None else self._total - self.size

    def finish(self) -> None:
        """Rename the complete file.

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
        """Delete the part."""
        stored = self._stored
        self._fresh.clear()
        self._stored, self._overlap, self._validator, self._total = 0, b"", "", None
        if stored:
            self._part.unlink(missing_ok=True)
            self._name.unlink(missing_ok=True)


def _validator(headers: Mapping[str, str]) -> str:
    """Return the validator of this version (RFC 9110, 13.1.5): a strong ETag, else the date of the last change."""
    tag = headers.get("etag", "")
    if tag and not tag.startswith("W/"):
        return tag
    return headers.get("last-modified", "")


class Decoder:
    """Decodes one content coding (RFC 9110, 8.4.1), in pieces of bounded size, so that a bomb is noticed in time.

    A body labelled as gzip that is not gzip, such as an archive sent as it is, passes unchanged; ``deflate`` may lack
    the header of zlib, as some servers send it.
    """

    CODINGS = ("gzip", "x-gzip", "deflate")

    def __init__(self, coding: str) -> None:
        self._is_gzip = coding != "deflate"
        self._start: bytes | None = b""
        self._inner: zlib._Decompress | None = None

    @property
    def complete(self) -> bool:
        """Return whether the body may end here."""
        return self._inner.eof if self._inner else self._start is None

    def pieces(self, block: bytes) -> Iterator[bytes]:
        """Decode a block."""
        if self._start is not None:
            self._start += block
            if len(self._start) < 2:
                return
            block, self._start = self._start, None
            if self._is_gzip:
                self._inner = zlib.decompressobj(31) if block.startswith(b"\x1f\x8b") else None
            else:
                has_header = block[0] & 15 == 8 and int.from_bytes(block[:2], "big") % 31 == 0
                self._inner = zlib.decompressobj(15 if has_header else -15)
        if self._inner is None:
            yield block
            return
        while block and not self._inner.eof:
            yield self._inner.decompress(block, _IN_MEMORY_BYTES)
            block = self._inner.unconsumed_tail


def decoded(block: bytes, decoders: Sequence[Decoder]) -> Iterator[bytes]:
    """Decode a block of a body by several decoders, one after the other."""
    if not decoders:
        yield block
        return
    for piece in decoders[0].pieces(block):
        yield from decoded(piece, decoders[1:])
