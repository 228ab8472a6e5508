"""Read delimited text line by line and split it into records; no stray quotation mark swallows a row."""

from __future__ import annotations

import codecs
import csv
import io
import re
from collections import deque
from collections.abc import Iterable, Iterator
from itertools import chain
from typing import BinaryIO

LONGEST_RECORD = 1 << 24
"""Characters of the longest line, and of the longest value that spans lines."""

csv.field_size_limit(LONGEST_RECORD)
WINDOWS_1252 = "covergen-windows-1252"
"""Error handler of codecs that decodes bytes that are not UTF-8 as Windows-1252, and what that lacks as Latin-1."""

_DELIMITERS = (",", "\t", ";", "|")
_CLOSING = re.compile(r'[^"]*(?:""[^"]*)*"(?!") *')
_EXCEL_SEPARATOR = re.compile(r'"?sep=(.)"?\s*', re.IGNORECASE)


def read_header(lines: Iterator[tuple[int, str]], delimiter: str) -> tuple[list[str], str]:
    """Read the names of the columns.

    Args:
        lines: numbered lines; the header is taken from them.
        delimiter: used where no other one gives more columns.

    Returns:
        the names, none for an empty table, and the delimiter. A first line ``sep=;``, as Excel writes it, names it.
    """
    filled = ((number, line) for number, line in lines if line.strip())
    number, line = next(filled, (0, ""))
    if named := _EXCEL_SEPARATOR.fullmatch(line):
        delimiter = named[1]
        number, line = next(filled, (0, ""))
    else:
        widths = {each: line.count(each) for each in (delimiter, *_DELIMITERS)}
        if '"' in line:
            widths = {each: len(_split(line, each)) for each in widths}
        delimiter = max(widths, key=lambda each: widths[each])
    header = next(records(chain([(number, line)] if line else [], lines), delimiter, None), (0, ""))[1]
    return [name.strip() for name in _split(header, delimiter)], delimiter


def records(lines: Iterable[tuple[int, str]], delimiter: str, width: int | None) -> Iterator[tuple[int, str]]:
    """Join the lines of each record; a value in quotation marks may span several.

    A quotation mark that opens a value has to be closed right before the next delimiter or the end of the line. Where
    it is not, the line is read literally if that gives as many values as there are columns.

    Args:
        lines: numbered lines, each with its line feed.
        delimiter: what separates values.
        width: number of columns; ``None`` for the header.

    Yields:
        the number of each record's first line, and its text as well-formed CSV. Blank lines are skipped.

    Raises:
        ValueError: a quotation mark is neither closed nor can its line be read literally; the line is named.
    """
    mark = re.escape(delimiter)
    value = rf'(?:"[^"]*(?:""[^"]*)*" *|[^"{mark}\n][^{mark}\n]*)?'
    well_formed = re.compile(rf"{value}(?:{mark}{value})*\n")
    source, back = iter(lines), deque[tuple[int, str]]()
    while record := back.popleft() if back else next(source, None):
        number, line = record
        if '"' not in line or well_formed.fullmatch(line):
            if line != "\n":
                yield number, line
            continue
        parts, size = [record], len(line)
        state = _scan(line, delimiter, inside=False)
        while state == "open" and size < LONGEST_RECORD:
            following = back.popleft() if back else next(source, None)
            if following is None:
                break
            parts.append(following)
            size += len(following[1])
            state = _scan(following[1], delimiter, inside=True)
        texts = [text for _, text in parts]
        if state == "closed" and not _are_rows(texts, delimiter, width):
            yield number, "".join(texts)
        else:
            yield number, _literal(number, line, delimiter, width)
            back.extendleft(reversed(parts[1:]))


def _scan(line: str, delimiter: str, *, inside: bool) -> str:
    """Tell whether a line ends its record (``closed``), leaves a quoted value ``open``, or has a ``stray`` mark."""
    position = 0
    while True:
        if inside or line.startswith('"', position):
            found = _CLOSING.match(line, position if inside else position + 1)
            if not found:
                return "open"
            inside, position = False, found.end()
            if not line[position:].rstrip("\r\n"):
                return "closed"
            if line[position] != delimiter:
                return "stray"
        else:
            position = line.find(delimiter, position)
            if position < 0:
                return "closed"
        position += 1


def _are_rows(lines: list[str], delimiter: str, width: int | None) -> bool:
    """Return whether the lines of a quoted value are rows of their own, which two stray marks have joined."""
    if len(lines) == 1 or any(line.count(delimiter) + 1 != width for line in lines):
        return False
    return all("://" in line for line in lines) or len(_split("".join(lines), delimiter)) != width


def _split(record: str, delimiter: str) -> list[str]:
    return next(csv.reader(io.StringIO(record.replace("\r", " "), newline=""), delimiter=delimiter), [])


def _literal(number: int, line: str, delimiter: str, width: int | None) -> str:
    values = line.rstrip("\r\n").split(delimiter)
    if width is None or len(values) != width:
        raise ValueError(f"line {number}: a quotation mark opens a value and is not closed; write it twice inside one")
    return delimiter.join('"' + value.replace('"', '""') + '"' for value in values) + "\n"


def read_lines(file: BinaryIO) -> Iterator[tuple[int, str]]:
    """Read numbered lines of bounded length, each with a line feed at its end."""
    start = file.peek(1 << 16)  # type: ignore[attr-defined]  # files opened for reading and gzip files have it
    wide = start.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE))  # Excel's "Unicode text"
    newline = "\r" if b"\r" in start and b"\n" not in start else "\n"  # old spreadsheets on the Macintosh
    encoding = "utf-16" if wide else "utf-8-sig"
    with io.TextIOWrapper(file, encoding=encoding, errors=WINDOWS_1252, newline=newline) as text:
        number = 0
        while line := text.readline(LONGEST_RECORD):
            number += 1
            if len(line) == LONGEST_RECORD:
                raise ValueError(f"line {number} is too long")
            yield number, line.rstrip("\r\n") + "\n"


def _as_windows(error: UnicodeError) -> tuple[str, int]:
    if not isinstance(error, UnicodeDecodeError):
        raise error
    wrong = error.object[error.start : error.end]
    try:
        return wrong.decode("cp1252"), error.end
    except UnicodeDecodeError:
        return wrong.decode("latin-1"), error.end


codecs.register_error(WINDOWS_1252, _as_windows)
