"""Read artist tags with several values from ID3v2, MP4 and APEv2, of which ffmpeg returns only the first value."""

from __future__ import annotations

import os
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

_ID3_FRAMES = {b"TPE1": "artist", b"TPE2": "album_artist", b"TP1": "artist", b"TP2": "album_artist"}
_MP4_ATOMS = {b"\xa9ART": "artist", b"aART": "album_artist"}
_APE_ITEMS = {b"artist": "artist", b"album artist": "album_artist", b"albumartist": "album_artist"}
_ID3_ENCODINGS = ("cp1252", "utf-16", "utf-16-be", "utf-8")
_MP4_PARENTS = {b"moov": 0, b"udta": 0, b"meta": 4, b"ilst": 0}
"""Atoms on the way to the tags, and the bytes before their children."""

_MAX_TAG_BYTES = 64 << 20
_MAX_CHUNKS = 1000
_ID3V1_BYTES = 128


def read_artists(path: Path) -> dict[str, str]:
    """Return ``artist`` and ``album_artist`` where a tag has several values, separated by semicolons.

    Damaged tags give what could be read of them.
    """
    found: dict[str, list[str]] = {}
    with path.open("rb") as file:
        try:
            for field, value in _values(file):
                found.setdefault(field, []).append(value.strip("\0\ufeff "))
        except (struct.error, IndexError, ValueError, OSError, RecursionError):
            pass
    return {field: ";".join(filter(None, values)) for field, values in found.items() if len(values) > 1}


def _values(file: BinaryIO) -> Iterator[tuple[str, str]]:
    head = file.read(12)
    if head[4:8] == b"ftyp":
        yield from _mp4_values(file, 0, file.seek(0, os.SEEK_END))
    elif head[:3] == b"ID3":
        yield from _id3_values(file, 0)
    elif head[:4] in {b"RIFF", b"FORM"}:
        position = _id3_chunk(file, "<4sI" if head[:4] == b"RIFF" else ">4sI")
        if position is not None:
            yield from _id3_values(file, position)
    else:
        yield from _ape_values(file)


def _id3_chunk(file: BinaryIO, header: str) -> int | None:
    position = 12
    for _ in range(_MAX_CHUNKS):
        file.seek(position)
        name, size = struct.unpack(header, file.read(8))
        if name.lower() == b"id3 ":
            return position + 8
        position += 8 + size + size % 2
    return None


def _id3_values(file: BinaryIO, position: int) -> Iterator[tuple[str, str]]:
    """Yield values of an ID3v2 tag (id3.org, versions 2.2 to 2.4)."""
    file.seek(position)
    _, version, _, flags, size = struct.unpack(">3sBBB4s", file.read(10))
    body = file.read(min(_syncsafe(size), _MAX_TAG_BYTES))
    if flags & 0x80 and version < 4:
        body = body.replace(b"\xff\0", b"\xff")
    at = 0
    if flags & 0x40 and version > 2:
        at = _syncsafe(body[:4]) if version == 4 else 4 + int.from_bytes(body[:4], "big")
    id_bytes, header_bytes = (3, 6) if version == 2 else (4, 10)
    while at + header_bytes < len(body) and body[at]:
        name, size = body[at : at + id_bytes], body[at + id_bytes : at + 2 * id_bytes]
        length = _syncsafe(size) if version == 4 else int.from_bytes(size, "big")
        content = body[at + header_bytes : at + header_bytes + length]
        if name in _ID3_FRAMES and content:
            text = content[1:].decode(_ID3_ENCODINGS[content[0]], "surrogateescape" if content[0] == 3 else "replace")
            yield from ((_ID3_FRAMES[name], value) for value in text.split("\0"))
        at += header_bytes + length


def _syncsafe(size: bytes) -> int:
    return sum((byte & 0x7F) << shift for byte, shift in zip(size, (21, 14, 7, 0), strict=True))


def _mp4_values(file: BinaryIO, begin: int, end: int) -> Iterator[tuple[str, str]]:
    """Yield values of the iTunes metadata list in MP4 (moov/udta/meta/ilst)."""
    for _ in range(_MAX_CHUNKS):
        if begin + 8 > end:
            return
        file.seek(begin)
        size, name = struct.unpack(">I4s", file.read(8))
        header_bytes = 8
        if size == 1:
            size, header_bytes = struct.unpack(">Q", file.read(8))[0], 16
        size = size or end - begin
        if name in _MP4_PARENTS:
            yield from _mp4_values(file, begin + header_bytes + _MP4_PARENTS[name], min(begin + size, end))
        elif name in _MP4_ATOMS:
            content = file.read(min(size - header_bytes, _MAX_TAG_BYTES))
            while len(content) >= 16 and content[4:8] == b"data":
                length = max(16, int.from_bytes(content[:4], "big"))
                yield _MP4_ATOMS[name], content[16:length].decode("utf-8", "surrogateescape")
                content = content[length:]
        begin += max(size, header_bytes)


def _ape_values(file: BinaryIO) -> Iterator[tuple[str, str]]:
    """Yield values of an APEv2 tag at the end of the file or before an ID3v1 tag."""
    size = file.seek(0, os.SEEK_END)
    file.seek(max(0, size - 32 - _ID3V1_BYTES))
    tail = file.read()
    behind = _ID3V1_BYTES if tail[-_ID3V1_BYTES:][:3] == b"TAG" else 0
    footer = tail[len(tail) - 32 - behind : len(tail) - behind]
    if footer[:8] != b"APETAGEX":
        return
    length, count = struct.unpack("<II", footer[12:20])
    file.seek(size - behind - length)
    body, at = file.read(min(length, _MAX_TAG_BYTES)), 0
    for _ in range(min(count, _MAX_CHUNKS)):
        value_bytes = int.from_bytes(body[at : at + 4], "little")
        key_end = body.index(b"\0", at + 8)
        field = _APE_ITEMS.get(body[at + 8 : key_end].lower())
        at = key_end + 1 + value_bytes
        if field:
            text = body[key_end + 1 : at].decode("utf-8", "surrogateescape")
            yield from ((field, value) for value in text.split("\0"))
