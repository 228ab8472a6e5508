"""Exchange the front cover in the ID3v2 tag of an mp3; versions 2.2, 2.3 and 2.4, https://id3.org.

The tag keeps its version and the bytes of all other frames. ID3v1, APE and other tags at the end of the file belong to
the part that is copied.
"""

from __future__ import annotations

import re
import zlib
from collections.abc import Iterator
from typing import BinaryIO, NamedTuple

from covergen_cli.covers.tag_file import FRONT, FRONT_TYPES, PictureTags, Piece, exchange, read_exactly

_HEADER_BYTES = 10
_UNSYNCHRONISED, _EXTENDED, _FOOTER = 0x80, 0x40, 0x10
_V22, _V23, _V24 = 2, 3, 4


class _Frame(NamedTuple):
    name: bytes
    flags: int
    content: bytes
    raw: bytes  # with the header


class Id3(PictureTags):
    """MP3: ``APIC`` frames, ``PIC`` in ID3v2.2. A file without a tag gets ID3v2.3, which all programs read."""

    def _parse(self, file: BinaryIO) -> None:
        head = file.read(_HEADER_BYTES)
        self._head, self._extended, self._frames, self._tail = b"ID3\3\0\0", b"", list[_Frame](), b""
        self._audio, self._bits = 0, 8
        if len(head) < _HEADER_BYTES or not head.startswith(b"ID3"):
            return
        version, flags = head[3], head[5]
        if version not in (_V22, _V23, _V24):
            raise ValueError(f"ID3v2.{version} is not a known version")
        if version == _V22 and flags & _EXTENDED:
            raise ValueError("the tag is compressed")
        self._head = head[:6]
        body = read_exactly(file, _number(head[6:], 7))
        self._audio = file.tell() + (_HEADER_BYTES if version == _V24 and flags & _FOOTER else 0)
        if version < _V24 and flags & _UNSYNCHRONISED:
            body = _synchronise(body)
        if version > _V22 and flags & _EXTENDED:
            length = _number(body[:4], 7) if version == _V24 else 4 + _number(body[:4], 8)
            self._extended, body = body[:length], body[length:]
            if self._extended[4:6][version - _V23] & (0x80 if version == _V23 else 0x20):
                # It holds a checksum of the frames, which will not be the same.
                self._extended, self._head = b"", head[:5] + bytes([flags & ~_EXTENDED])
        # Sizes in ID3v2.4 have 7 bits per byte, but iTunes wrote 8. With the wrong number, the frames do not end where
        # the padding begins.
        for self._bits in (7, 8, 7) if version == _V24 else (8,):
            self._frames, self._tail = _split(body, version, self._bits)
            if not self._tail.strip(b"\0"):
                break

    @property
    def _version(self) -> int:
        return self._head[3]

    def _read(self) -> list[bytes | None]:
        return [data for frame in self._frames if (found := self._front(frame)) for data in found]

    def _front(self, frame: _Frame) -> tuple[bytes | None] | None:
        """Return the data of a front cover, ``None`` inside for damaged data; ``None`` for any other frame."""
        if frame.name not in (b"APIC", b"PIC"):
            return None
        try:
            content = self._decode(frame)
            encoding = content[0]
            end = 4 if self._version == _V22 else content.index(0, 1) + 1
            kind, rest = content[end], content[end + 1 :]
        except (ValueError, IndexError, zlib.error):
            return (None,)
        if kind not in FRONT_TYPES:
            return None
        zero, step = (b"\0\0", 2) if encoding in (1, 2) else (b"\0", 1)
        start = next((i for i in range(0, len(rest), step) if rest[i : i + step] == zero), None)
        return (None,) if start is None else (rest[start + step :] or None,)

    def _decode(self, frame: _Frame) -> bytes:
        """Return the content without compression; raise ``ValueError`` if it is encrypted."""
        content, flags = frame.content, frame.flags
        all_unsynchronised = self._version == _V24 and self._head[5] & _UNSYNCHRONISED
        if self._version == _V23:
            encrypted, grouped, compressed, length, unsynchronised = flags & 64, flags & 32, flags & 128, flags & 128, 0
        else:
            encrypted, grouped, compressed = flags & 4, flags & 64, flags & 8
            length, unsynchronised = flags & 1, flags & 2 or all_unsynchronised
        if encrypted:
            raise ValueError("the frame is encrypted")
        content = content[(4 if length else 0) + (1 if grouped else 0) :]
        if unsynchronised:
            content = _synchronise(content)
        return zlib.decompress(content) if compressed else content

    def _pieces(self, jpeg: bytes | None, size: tuple[int, int]) -> Iterator[Piece]:  # noqa: ARG002
        front = {index for index, frame in enumerate(self._frames) if self._front(frame)}
        pictures = [index for index, frame in enumerate(self._frames) if frame.name in (b"APIC", b"PIC")]
        new = None if jpeg is None else self._new_frame(jpeg)
        frames = exchange([frame.raw for frame in self._frames], front, new, min(pictures, default=None))
        yield from self._tag(b"".join(frames))
        yield range(self._audio, self.size)

    def _tag(self, frames: bytes) -> Iterator[bytes]:
        """Yield the tag, if there is one."""
        body = self._extended + frames + self._tail
        if not body.strip(b"\0"):
            return
        if self._version < _V24 and self._head[5] & _UNSYNCHRONISED:
            body = _unsynchronise(body)
        head = self._head + _bytes(len(body), 7, 4)
        yield head + body
        if self._version == _V24 and self._head[5] & _FOOTER:
            yield b"3DI" + head[3:]

    def _new_frame(self, jpeg: bytes) -> bytes:
        # Latin-1: version 2.3 does not support UTF-8, and an empty description needs none.
        if self._version == _V22:
            content = b"\0JPG" + bytes([FRONT, 0]) + jpeg
            return b"PIC" + _bytes(len(content), 8, 3) + content
        content = b"\0image/jpeg\0" + bytes([FRONT, 0]) + jpeg
        flags = 0
        if self._version == _V24 and self._head[5] & _UNSYNCHRONISED:
            content, flags = _bytes(len(content), 7, 4) + _unsynchronise(content), 3
        return b"APIC" + _bytes(len(content), self._bits, 4) + flags.to_bytes(2, "big") + content


def _split(body: bytes, version: int, bits: int) -> tuple[list[_Frame], bytes]:
    """Split the body of a tag into frames and the rest: padding, or what is no frame."""
    frames, position = [], 0
    width, header = (3, 6) if version == _V22 else (4, 10)
    while position + header <= len(body):
        name = body[position : position + width]
        length = _number(body[position + width : position + 2 * width], bits)
        end = position + header + length
        if not name.strip(b"\0 ") or not name.rstrip(b"\0 ").isalnum() or end > len(body):
            break
        flags = 0 if version == _V22 else body[position + 9]
        frames.append(_Frame(name, flags, body[position + header : end], body[position:end]))
        position = end
    return frames, body[position:]


def _number(data: bytes, bits: int) -> int:
    """Return a big-endian number of 7 or 8 bits per byte."""
    if bits == 7 and any(byte > 127 for byte in data):
        return 1 << 32
    return sum(byte << bits * index for index, byte in enumerate(reversed(data)))


def _bytes(number: int, bits: int, count: int) -> bytes:
    if number >> bits * count:
        raise ValueError("the picture is too large for the tag")
    return bytes(number >> bits * index & (1 << bits) - 1 for index in reversed(range(count)))


def _synchronise(data: bytes) -> bytes:
    return data.replace(b"\xff\0", b"\xff")


def _unsynchronise(data: bytes) -> bytes:
    """Put a zero after every 0xFF that could be taken for the start of audio."""
    return re.sub(rb"\xff(?=[\xe0-\xff\0]|\Z)", b"\xff\0", data)
