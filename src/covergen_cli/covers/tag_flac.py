"""Exchange the front cover in the picture blocks of a FLAC file, https://www.rfc-editor.org/rfc/rfc9639."""

from __future__ import annotations

from collections.abc import Iterator
from typing import BinaryIO

from covergen_cli.covers.tag_file import (
    FRONT_TYPES,
    Block,
    PictureTags,
    Piece,
    exchange,
    parse_block,
    picture_block,
    read_exactly,
)

_PADDING, _PICTURE = 1, 6
_MAX_BYTES = 2**24 - 1


class Flac(PictureTags):
    """FLAC: metadata blocks, after an ID3v2 tag in some files."""

    def _parse(self, file: BinaryIO) -> None:
        head = file.read(10)
        start = 0
        if head.startswith(b"ID3"):
            start = 10 + sum(byte << 7 * index for index, byte in enumerate(reversed(head[6:])))
        file.seek(start)
        if file.read(4) != b"fLaC":
            raise ValueError("there are no metadata blocks")
        self._start = file.tell()
        self._blocks = list[tuple[int, bytes]]()  # type and block, with its header
        last = False
        while not last:
            head = read_exactly(file, 4)
            kind, last, count = head[0] & 0x7F, head[0] > 0x7F, int.from_bytes(head[1:], "big")
            position = file.tell()
            if kind == _PICTURE:
                # Some programs write pictures of more than 16 MiB, whose size the header cannot hold.
                length = parse_block(file.read(count)).length
                if length % (_MAX_BYTES + 1) == count and position + length <= self.size:
                    count = length
                file.seek(position)
            self._blocks.append((kind, head + read_exactly(file, count)))
        self._audio = file.tell()

    def _parsed(self) -> dict[int, Block]:
        found = {i: parse_block(block[4:]) for i, (kind, block) in enumerate(self._blocks) if kind == _PICTURE}
        return {index: block for index, block in found.items() if block.type in FRONT_TYPES}

    def _read(self) -> list[bytes | None]:
        return [block.data for block in self._parsed().values()]

    def _pieces(self, jpeg: bytes | None, size: tuple[int, int]) -> Iterator[Piece]:
        kinds = [kind for kind, _ in self._blocks]
        default = next((kinds.index(kind) for kind in (_PICTURE, _PADDING) if kind in kinds), None)
        new = None if jpeg is None else _with_header(picture_block(jpeg, size))
        blocks = exchange([block for _, block in self._blocks], set(self._parsed()), new, default)
        yield range(self._start)
        for index, block in enumerate(blocks):
            yield bytes([block[0] & 0x7F | (index == len(blocks) - 1) << 7]) + block[1:]
        yield range(self._audio, self.size)


def _with_header(block: bytes) -> bytes:
    if len(block) > _MAX_BYTES:
        raise ValueError("the picture is larger than 16 MiB")
    return bytes([_PICTURE]) + len(block).to_bytes(3, "big") + block
