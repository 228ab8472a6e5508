"""Check by their own headers whether WAV, W64, CAF and Ogg files are complete, because ffmpeg does not say it.

ffmpeg shortens the declared duration of a truncated file of these formats to what is there, and takes that of a chained
Ogg file (RFC 3533, section 4) from its last link.
"""

from __future__ import annotations

import re
import struct
from pathlib import Path
from typing import BinaryIO

_PAGE_BYTES = 27 + 255 + 255 * 255
"""Maximum length of an Ogg page."""

_FIRST_PAGES_BYTES = 4096
_MAX_CHUNKS = 1000
_SLACK_BYTES = 4096
"""Some programs write a data size that is too large by the size of a header."""

_CHUNK_LAYOUTS = {
    b"RIFF": (12, "<4sI", 0, 2),
    b"RF64": (12, "<4sI", 0, 2),
    b"riff": (40, "<16sQ", 24, 8),
    b"caff": (8, ">4sq", 0, 1),
}
"""By magic number: offset of the first chunk, its header (id and size), bytes of the header that the size includes, and
the alignment of chunks."""

_STREAMED_SIZES = {0, 0xFFFFFFFF, *range(0x7FFFF000, 0x80000001)}
"""Sizes that a data chunk has in a WAV that was written to a pipe."""


def is_truncated(path: Path) -> bool:
    """Return whether a WAV, W64, CAF or Ogg file ends before the last byte that its headers announce."""
    with path.open("rb") as file:
        magic = file.read(4)
        if magic == b"OggS":
            return _last_ogg_page(file)[0]
        end = _data_end(file, magic)
        return end is not None and end > path.stat().st_size + _SLACK_BYTES


def is_chained_ogg(path: Path) -> bool:
    """Return whether an Ogg file ends with another stream than those that it begins with."""
    with path.open("rb") as file:
        first = re.findall(rb"OggS\0[\x02\x03].{8}(.{4})", file.read(_FIRST_PAGES_BYTES), re.DOTALL)
        serial = _last_ogg_page(file)[1]
    return serial is not None and serial not in first


def _last_ogg_page(file: BinaryIO) -> tuple[bool, bytes | None]:
    """Return whether the last page is cut off, and the serial number of its stream."""
    file.seek(max(0, file.seek(0, 2) - 2 * _PAGE_BYTES))
    tail = file.read()
    begin = tail.rfind(b"OggS\0")
    page = tail[begin:] if begin >= 0 else b""
    if len(page) < 27:
        return begin >= 0, None
    lengths = page[27 : 27 + page[26]]
    return len(page) < 27 + page[26] + sum(lengths), page[14:18]


def _data_end(file: BinaryIO, magic: bytes) -> int | None:
    """Return the offset behind the data chunk; ``None`` if it is not known, or if the format has no chunks."""
    if magic not in _CHUNK_LAYOUTS:
        return None
    begin, header, included, alignment = _CHUNK_LAYOUTS[magic]
    header_bytes, long_size = struct.calcsize(header), None
    for _ in range(_MAX_CHUNKS):
        file.seek(begin)
        read = file.read(header_bytes)
        if len(read) < header_bytes:
            return None
        name, size = struct.unpack(header, read)
        if name == b"ds64":
            long_size = int.from_bytes(file.read(16)[8:], "little")
        if name[:4] == b"data":
            size = long_size if long_size and size == 0xFFFFFFFF else size
            known = size > 0 and (magic not in {b"RIFF", b"RF64"} or size not in _STREAMED_SIZES)
            return begin + header_bytes + size - included if known else None
        if size < included:
            return None
        body = size - included
        begin += header_bytes + body + -body % alignment
    return None
