"""Exchange the front cover in the atom ``covr`` of an MP4 file (m4a), as iTunes writes it.

All other atoms keep their bytes and their order. If audio follows the tags, the file positions in the index atoms
(``stco``, ``co64``, ``tfhd``, ``tfra``) are moved by the difference.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import BinaryIO, NamedTuple

from covergen_cli.covers.tag_file import PictureTags, Piece, exchange

_PATH = (b"udta", b"meta", b"ilst")
_CONTAINERS = {b"moov", b"trak", b"mdia", b"minf", b"stbl", b"moof", b"traf", b"mfra"}
_JPEG = 13
_HEADER_BYTES = 8
_NEW_META = bytes(4) + struct.pack(">I4s8x4s4s9x", 33, b"hdlr", b"mdir", b"appl")
"""The start of a new ``meta`` atom: version, and a handler that announces tags of iTunes."""


class _Atom(NamedTuple):
    name: bytes
    start: int
    content: int  # where the content starts
    stop: int


class Mp4(PictureTags):
    """M4A: ``covr``, which has no picture types."""

    def _parse(self, file: BinaryIO) -> None:
        self._atoms, position = list[_Atom](), 0
        while position + _HEADER_BYTES <= self.size:
            file.seek(position)
            try:
                self._atoms.append(_read_atom(file.read(16), position, self.size))
            except ValueError:
                break  # the end of the file is missing, or is no atom
            position = self._atoms[-1].stop
        self._moov = next((atom for atom in self._atoms if atom.name == b"moov"), None) or _missing()
        file.seek(self._moov.content)
        self._content = file.read(self._moov.stop - self._moov.content)

    def _read(self) -> list[bytes | None]:
        content = self._content
        for name in _PATH:
            found = [atom for atom in _split(content, name) if atom.name == name]
            if not found:
                return []
            content = content[found[0].content : found[0].stop]
        covers = [content[atom.content : atom.stop] for atom in _split(content, b"") if atom.name == b"covr"]
        return [picture for cover in covers for picture in _pictures(cover)]

    def _pieces(self, jpeg: bytes | None, size: tuple[int, int]) -> Iterator[Piece]:  # noqa: ARG002
        moov = _atom(b"moov", _exchange(self._content, _PATH, jpeg))
        moved = self._moov.stop, len(moov) - (self._moov.stop - self._moov.start)
        with self.path.open("rb") as file:
            for atom in self._atoms:
                if atom is self._moov:
                    yield _shift(moov, *moved)
                elif atom.name in _CONTAINERS:
                    file.seek(atom.start)
                    yield _shift(file.read(atom.stop - atom.start), *moved)
                else:
                    yield range(atom.start, atom.stop)
        yield range(self._atoms[-1].stop, self.size)


def _missing() -> _Atom:
    raise ValueError("the atom moov is missing")


def _read_atom(head: bytes, start: int, end: int) -> _Atom:
    """Return the atom that begins with ``head`` at ``start`` of a file or an atom that ends at ``end``."""
    length, name = struct.unpack_from(">I4s", head)
    content = start + _HEADER_BYTES
    if length == 1:
        (length,), content = struct.unpack_from(">Q", head, 8), start + 16
    elif length == 0:
        length = end - start
    if not content <= start + length <= end:
        raise ValueError(f"the atom {name.decode('latin-1')} is cut off")
    return _Atom(name, start, content, start + length)


def _split(content: bytes, child: bytes) -> list[_Atom]:
    """Return the atoms in the content of an atom, without the zeros that may end it.

    Args:
        content: the content.
        child: the child that is looked for; the parent of ``ilst`` is ``meta``, which begins with its version.
    """
    # QuickTime's meta has no version.
    position = 4 if child == b"ilst" and content[4:8] != b"hdlr" else 0
    atoms = list[_Atom]()
    while position + _HEADER_BYTES <= len(content) and any(content[position : position + _HEADER_BYTES]):
        atoms.append(_read_atom(content[position : position + 16], position, len(content)))
        position = atoms[-1].stop
    return atoms


def _pictures(cover: bytes) -> list[bytes | None]:
    """Return the pictures in the content of ``covr``: the ``data`` atoms, after type and locale."""
    try:
        data = [cover[atom.content + 8 : atom.stop] for atom in _split(cover, b"") if atom.name == b"data"]
    except (ValueError, struct.error):
        return [None]
    return [picture or None for picture in data] or [None]


def _exchange(content: bytes, path: tuple[bytes, ...], jpeg: bytes | None) -> bytes:
    """Return the content of an atom with the picture in the descendant ``path`` exchanged."""
    child = path[0] if path else b""
    if child == b"ilst" and not content:
        content = _NEW_META
    atoms = _split(content, child)
    raw = [content[atom.start : atom.stop] for atom in atoms]
    if path:
        found = {index for index, atom in enumerate(atoms) if atom.name == child}
        if not found and jpeg is None:
            return content
        place = min(found, default=None)
        old = b"" if place is None else content[atoms[place].content : atoms[place].stop]
        raw = exchange(raw, {place} if place is not None else set(), _atom(child, _exchange(old, path[1:], jpeg)))
    else:
        new = None if jpeg is None else _atom(b"covr", _atom(b"data", struct.pack(">II", _JPEG, 0) + jpeg))
        raw = exchange(raw, {index for index, atom in enumerate(atoms) if atom.name == b"covr"}, new)
    first = 4 * (child == b"ilst")
    start, stop = (atoms[0].start, atoms[-1].stop) if atoms else (first, first)
    return content[:start] + b"".join(raw) + content[stop:]


def _atom(name: bytes, content: bytes) -> bytes:
    return struct.pack(">I4s", _HEADER_BYTES + len(content), name) + content


def _shift(raw: bytes, limit: int, by: int) -> bytes:
    """Return an atom with all file positions in it from ``limit`` on moved ``by`` bytes."""
    if not by:
        return raw
    data = bytearray(raw)
    _shift_in(data, _read_atom(raw[:16], 0, len(raw)), limit, by)
    return bytes(data)


def _shift_in(data: bytearray, atom: _Atom, limit: int, by: int) -> None:
    start = atom.content
    if atom.name in _CONTAINERS:
        while start + _HEADER_BYTES <= atom.stop:
            child = _read_atom(bytes(data[start : start + 16]), start, atom.stop)
            _shift_in(data, child, limit, by)
            start = child.stop
    elif atom.name in (b"stco", b"co64"):
        layout, width = ("I", 4) if atom.name == b"stco" else ("Q", 8)
        (count,) = struct.unpack_from(">I", data, start + 4)
        _move(data, [start + 8 + width * index for index in range(count)], layout, limit, by)
    elif atom.name == b"tfhd" and data[start + 3] & 1:
        _move(data, [start + 8], "Q", limit, by)
    elif atom.name == b"tfra":
        lengths, count = struct.unpack_from(">II", data, start + 8)
        layout, width = ("Q", 8) if data[start] else ("I", 4)
        step = 2 * width + 3 + sum(lengths >> bits & 3 for bits in (0, 2, 4))
        _move(data, [start + 16 + width + step * index for index in range(count)], layout, limit, by)


def _move(data: bytearray, places: list[int], layout: str, limit: int, by: int) -> None:
    for place in places:
        (position,) = struct.unpack_from(f">{layout}", data, place)
        if position >= limit:
            struct.pack_into(f">{layout}", data, place, position + by)
