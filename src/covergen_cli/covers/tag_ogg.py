"""Exchange the front cover in the comments of an Ogg file (Vorbis, Opus, FLAC), https://www.rfc-editor.org/rfc/rfc3533.

Only the pages of the comments are written anew. If their number changes, the later pages of the stream get new numbers
and checksums.
"""

from __future__ import annotations

import base64
import struct
import zlib
from collections.abc import Iterator
from typing import BinaryIO, NamedTuple

from covergen_cli.covers.tag_file import (
    FRONT_TYPES,
    Block,
    PictureTags,
    Piece,
    exchange,
    parse_block,
    picture_block,
)

_PREFIXES = {b"\x01vorbis": b"\x03vorbis", b"OpusHead": b"OpusTags", b"\x7fFLAC": b""}
"""How the first packet of a stream begins, and how its comments begin."""

_CONTINUED, _FIRST, _LAST = 1, 2, 4
_HEADER = struct.Struct("<4sBBqIIIB")
_MAX_SEGMENTS = 255
_PICTURE, _OLD_PICTURE, _OLD_TYPE = b"metadata_block_picture", b"coverart", b"coverartmime"


class _Page(NamedTuple):
    place: range
    flags: int
    serial: int
    number: int
    segments: bytes
    data: bytes


class Ogg(PictureTags):
    """Ogg: FLAC picture blocks as base64 in comments, and the older ``coverart``."""

    def _parse(self, file: BinaryIO) -> None:
        pages = _read_pages(file)
        first = next(page for page in pages if page.data.startswith(tuple(_PREFIXES)))
        kind = next(kind for kind in _PREFIXES if first.data.startswith(kind))
        self._serial, self._flac = first.serial, kind == b"\x7fFLAC"
        self._pages = list[_Page]()
        for page in pages:
            if page.serial == self._serial:
                self._pages.append(page)
                if page.segments and page.segments[-1] < _MAX_SEGMENTS:
                    break
        self._packets = _packets(self._pages)
        comments = self._packets[0]
        self._prefix = comments[:4] if self._flac else _PREFIXES[kind]
        if not comments.startswith(self._prefix):
            raise ValueError("the comments are missing")
        self._split_comments(comments, len(self._prefix))

    def _split_comments(self, packet: bytes, position: int) -> None:
        start = position
        position += 4 + struct.unpack_from("<I", packet, position)[0]
        (count,) = struct.unpack_from("<I", packet, position)
        self._vendor = packet[start:position]
        position += 4
        self._comments = list[bytes]()
        for _ in range(count):
            end = position + 4 + struct.unpack_from("<I", packet, position)[0]
            if end > len(packet):
                raise ValueError("a comment is cut off")
            self._comments.append(packet[position + 4 : end])
            position = end
        self._end = packet[position:]

    def _parsed(self) -> dict[int, Block | None]:
        """Return the comments that are pictures or belong to one (``None``), by index."""
        found = dict[int, Block | None]()
        for index, comment in enumerate(self._comments):
            name, _, text = comment.partition(b"=")
            if name.lower() == _OLD_TYPE:
                found[index] = None
            elif name.lower() == _OLD_PICTURE:
                data = _decode(text)
                found[index] = Block(0, data or None, len(text))
            elif name.lower() == _PICTURE and (block := parse_block(_decode(text))).type in FRONT_TYPES:
                found[index] = block
        return found

    def _read(self) -> list[bytes | None]:
        return [block.data for block in self._parsed().values() if block]

    def _pieces(self, jpeg: bytes | None, size: tuple[int, int]) -> Iterator[Piece]:
        block = None if jpeg is None else picture_block(jpeg, size)
        new = None if block is None else _PICTURE.upper() + b"=" + base64.b64encode(block)
        names = [comment.partition(b"=")[0].lower() for comment in self._comments]
        default = names.index(_PICTURE) if _PICTURE in names else None
        comments = exchange(self._comments, set(self._parsed()), new, default)
        body = self._vendor + struct.pack("<I", len(comments))
        body += b"".join(struct.pack("<I", len(comment)) + comment for comment in comments) + self._end
        prefix = self._prefix[:1] + len(body).to_bytes(3, "big") if self._flac else self._prefix
        new_pages = _paginate([prefix + body, *self._packets[1:]], self._serial, self._pages[0].number)
        yield range(self._pages[0].place.start)
        yield b"".join(new_pages)
        for before, after in zip(self._pages, self._pages[1:], strict=False):
            yield range(before.place.stop, after.place.start)  # pages of other streams
        yield from self._rest(len(new_pages) - len(self._pages))

    def _rest(self, shift: int) -> Iterator[Piece]:
        """Yield what follows the comments, with the page numbers of the stream shifted."""
        position = self._pages[-1].place.stop
        if shift:
            with self.path.open("rb") as file:
                file.seek(position)
                for page in _read_pages(file, strict=False):
                    if page.serial == self._serial and page.flags & _FIRST:
                        break  # another song begins
                    ours = page.serial == self._serial
                    yield _renumbered(file, page, page.number + shift) if ours else page.place
                    position = page.place.stop
                    if ours and page.flags & _LAST:
                        break
        yield range(position, self.size)


def _decode(text: bytes) -> bytes:
    try:
        return base64.b64decode(text, validate=False)
    except ValueError:
        return b""


def _read_pages(file: BinaryIO, *, strict: bool = True) -> Iterator[_Page]:
    """Yield the pages from the current position to the end, or to what is no page unless ``strict``."""
    while True:
        start = file.tell()
        head = file.read(_HEADER.size)
        if len(head) < _HEADER.size or not head.startswith(b"OggS"):
            if strict:
                raise ValueError("a page is damaged")
            return
        _, _, flags, _, serial, number, _, count = _HEADER.unpack(head)
        segments = file.read(count)
        data = file.read(sum(segments))
        if len(segments) < count or len(data) < sum(segments):
            if strict:
                raise ValueError("a page is cut off")
            return
        yield _Page(range(start, file.tell()), flags, serial, number, segments, data)


def _packets(pages: list[_Page]) -> list[bytes]:
    """Return the packets on pages, the last of which ends with a packet."""
    packets, data = list[bytes](), b"".join(page.data for page in pages)
    start = end = 0
    for length in b"".join(page.segments for page in pages):
        end += length
        if length < _MAX_SEGMENTS:
            packets.append(data[start:end])
            start = end
    return packets


def _paginate(packets: list[bytes], serial: int, number: int) -> list[bytes]:
    """Return pages with the given packets, numbered from ``number``."""
    segments = b"".join(b"\xff" * (len(packet) // 255) + bytes([len(packet) % 255]) for packet in packets)
    data, pages, position = b"".join(packets), list[bytes](), 0
    for start in range(0, len(segments), _MAX_SEGMENTS):
        lengths = segments[start : start + _MAX_SEGMENTS]
        continued = start > 0 and segments[start - 1] == _MAX_SEGMENTS
        granule = 0 if min(lengths) < _MAX_SEGMENTS else -1  # −1: no packet ends on this page
        head = _HEADER.pack(b"OggS", 0, _CONTINUED * continued, granule, serial, number + len(pages), 0, len(lengths))
        end = position + sum(lengths)
        pages.append(_with_checksum(head + lengths + data[position:end]))
        position = end
    return pages


def _renumbered(file: BinaryIO, page: _Page, number: int) -> bytes:
    after = file.tell()
    file.seek(page.place.start)
    raw = file.read(len(page.place))
    file.seek(after)
    return _with_checksum(raw[:18] + struct.pack("<I", number) + raw[22:])


_REVERSED = bytes(int(f"{byte:08b}"[::-1], 2) for byte in range(256))


def _with_checksum(page: bytes) -> bytes:
    """Return a page with its CRC-32: zlib's polynomial, with the bits of each byte in the other order."""
    page = page[:22] + bytes(4) + page[26:]
    # zlib starts at, and ends with, all ones; Ogg with zeros.
    found = zlib.crc32(page.translate(_REVERSED), 0xFFFFFFFF) ^ 0xFFFFFFFF
    checksum = int(f"{found:032b}"[::-1], 2)
    return page[:22] + struct.pack("<I", checksum) + page[26:]
