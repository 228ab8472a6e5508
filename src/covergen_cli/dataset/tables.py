"""Read and write tables: CSV, TSV, JSON lines and Parquet in, CSV out.

Every table of a dataset folder goes through this module, and so do the tables that people bring. They are read as text,
in blocks of rows, so that memory does not grow with the table. A value that is missing, null or NaN is an empty text.
"""

from __future__ import annotations

import csv
import gzip
import io
import json
import math
import os
import zlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from itertools import islice
from pathlib import Path
from typing import Any, BinaryIO, cast

from covergen_cli.dataset.csv_records import read_header, read_lines, records
from covergen_cli.errors import ConfigError, InputError, OutputError, reason_of
from covergen_cli.files import atomic_path

_BLOCK_ROWS = 2000
_PARQUET_ROWS = 256
_LONGEST_INTEGER = 1000


def read_blocks(path: str | os.PathLike[str]) -> Iterator[Any]:
    """Read a table in blocks of rows.

    The format follows from the name: ``.csv``, ``.tsv``, ``.jsonl`` or ``.ndjson``, each perhaps with ``.gz``, or
    ``.parquet``. CSV may be separated by commas, semicolons, tabs or bars. Bytes that are not UTF-8 are read as
    Windows-1252.

    Yields:
        at least one ``pandas.DataFrame`` of texts, indexed by the line (Parquet: row) at which each row begins. Blocks
        of JSON lines may differ in their columns.

    Raises:
        InputError: there is no such file, its name has another ending, or it is damaged.
        ConfigError: it is Parquet, and pyarrow is not installed.
    """
    path = Path(path)
    if not path.is_file():
        raise InputError(f"{path} does not exist", hint="Check the spelling of the path.")
    suffixes = [suffix.lower() for suffix in path.suffixes]
    zipped = suffixes[-1:] == [".gz"]
    kind = "".join(suffixes[:-1][-1:] if zipped else suffixes[-1:])
    readers: dict[str, Callable[[BinaryIO], Iterator[Any]]] = {
        ".csv": lambda file: _delimited(file, ","),
        ".tsv": lambda file: _delimited(file, "\t"),
        ".jsonl": _json_lines,
        ".ndjson": _json_lines,
        ".parquet": _parquet,
    }
    if kind not in readers or (zipped and kind == ".parquet"):
        raise InputError(
            f"{path} is not a table that can be read",
            hint="Its name has to end in .csv, .tsv, .jsonl (or one of these and .gz) or .parquet.",
        )
    try:
        with path.open("rb") as file:
            yield from readers[kind](cast("BinaryIO", gzip.GzipFile(fileobj=file)) if zipped else file)
    except (OSError, EOFError, zlib.error, csv.Error, ValueError, RecursionError) as error:
        raise InputError(f"{path} cannot be read: {reason_of(error)}", hint="It has to be a complete table.") from error


def read_rows(path: str | os.PathLike[str], columns: Sequence[str] = ()) -> Iterator[dict[str, str]]:
    """Read a table row by row: column → text.

    Args:
        path: the table; see :func:`read_blocks`.
        columns: which it has to have.

    Raises:
        InputError: a column is missing, or the table cannot be read.
    """
    for _, row in read_numbered_rows(path, columns):
        yield row


def read_numbered_rows(
    path: str | os.PathLike[str], columns: Sequence[str] = ()
) -> Iterator[tuple[int, dict[str, str]]]:
    """Read a table row by row, as :func:`read_rows` does, each with the number of its line."""
    checked = False
    for block in read_blocks(path):
        if missing := [name for name in columns if name not in block.columns and not checked]:
            raise InputError(f"{path} has no column {', '.join(missing)}", hint=f"It needs {', '.join(columns)}.")
        checked = True
        yield from zip(block.index.tolist(), rows_of(block), strict=True)


def read_frame(path: str | os.PathLike[str], columns: Sequence[str]) -> Any:
    """Read some columns of a table into one ``pandas.DataFrame`` of texts; a missing column is empty."""
    import pandas as pd  # noqa: PLC0415

    parts = [block.reindex(columns=list(columns), fill_value="") for block in read_blocks(path)]
    return pd.concat(parts, ignore_index=True)


def rows_of(block: Any) -> Iterator[dict[str, str]]:
    """Return the rows of a block as column → text."""
    names = list(block.columns)
    if not names:
        return ({} for _ in range(len(block)))
    return (
        dict(zip(names, values, strict=True)) for values in zip(*(block[name].tolist() for name in names), strict=True)
    )


@contextmanager
def open_table(path: str | os.PathLike[str], columns: Sequence[str]) -> Iterator[Callable[[Sequence[object]], None]]:
    """Write a CSV table row by row; it takes its name when the block ends without an error.

    Line ends within values become line feeds: Python before 3.11.9 does not quote a lone carriage return.

    Yields:
        a function that writes one row.

    Raises:
        OutputError: the table cannot be written.
    """
    with atomic_path(Path(path)) as temporary, temporary.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(columns)
        try:
            yield lambda row: writer.writerow([clean(each) if isinstance(each, str) else each for each in row])
            file.flush()
        except OSError as error:
            if error.filename is not None:
                raise
            raise OutputError(f"cannot write {path}: {reason_of(error)}") from error


def clean(text: str) -> str:
    """Return a text without what breaks tables: spaces around it, NUL, carriage returns, halves of UTF-16 pairs."""
    if not text.isascii():
        text = text.encode("utf-8", "replace").decode()
    return text.replace("\0", "").replace("\r\n", "\n").replace("\r", "\n").strip()


def _delimited(file: BinaryIO, delimiter: str) -> Iterator[Any]:
    lines = read_lines(file)
    header, delimiter = read_header(lines, delimiter)
    names = _unique(header)
    rows = records(lines, delimiter, len(names))
    block = list(islice(rows, _BLOCK_ROWS))
    yield _parse(block, names, delimiter)
    while block := list(islice(rows, _BLOCK_ROWS)):
        yield _parse(block, names, delimiter)


def _parse(block: list[tuple[int, str]], names: list[str], delimiter: str) -> Any:
    import pandas as pd  # noqa: PLC0415

    columns = list(range(len(names)))
    # The added header gives every block the width of the table; usecols drops what stands beyond it in a row.
    text = delimiter.join("x" * len(names)) + "\n" + "".join(text for _, text in block)
    options: dict[str, Any] = {
        "dtype": object,
        "keep_default_na": False,
        "skip_blank_lines": False,
        "low_memory": False,
    }
    options |= {"header": 0, "names": columns, "usecols": columns, "index_col": False, "lineterminator": "\n"}
    frame = pd.read_csv(io.StringIO(text), sep=delimiter, **options) if names else pd.DataFrame()
    if len(frame) != len(block):
        raise ValueError(f"the rows from line {block[0][0]} to line {block[-1][0]} cannot be told apart")
    cleaned = clean if "\r" in text or "\0" in text else str.strip
    values = {name: list(map(cleaned, frame[column].tolist())) for column, name in enumerate(names) if name}
    return pd.DataFrame(values, index=[number for number, _ in block], dtype=object)


def _unique(names: Iterable[str]) -> list[str]:
    """Give a second column of one name the name ``NAME.1``, as pandas does; a column without a name stays so."""
    found: list[str] = []
    for name in map(clean, names):
        count = 0
        new = name
        while name and new in found:
            count += 1
            new = f"{name}.{count}"
        found.append(new)
    return found


def _json_lines(file: BinaryIO) -> Iterator[Any]:
    import pandas as pd  # noqa: PLC0415

    rows = ((number, _record(number, line)) for number, line in read_lines(file) if line.strip())
    block = list(islice(rows, _BLOCK_ROWS))
    while True:
        yield pd.DataFrame([row for _, row in block], index=[number for number, _ in block], dtype=object).fillna("")
        if not (block := list(islice(rows, _BLOCK_ROWS))):
            return


def _record(number: int, line: str) -> dict[str, str]:
    try:
        record = json.loads(line, parse_int=_integer, parse_constant=lambda _: None)
    except (ValueError, RecursionError) as error:
        raise ValueError(f"line {number} is not valid JSON: {error}") from error
    if not isinstance(record, dict):
        raise ValueError(f"line {number} is no JSON object")  # noqa: TRY004 — of the file, not of an argument
    return {clean(name): _text(value) for name, value in record.items() if clean(name)}


def _integer(digits: str) -> int | str:
    """Read an integer; Python refuses those of more than 4300 digits."""
    return int(digits) if len(digits) < _LONGEST_INTEGER else digits


def _parquet(file: BinaryIO) -> Iterator[Any]:
    import pandas as pd  # noqa: PLC0415

    try:
        from pyarrow import ArrowException, parquet  # noqa: PLC0415 — an extra
    except ImportError as error:
        raise ConfigError(
            "reading Parquet needs the package pyarrow", hint="Install it: pip install pyarrow"
        ) from error
    try:
        table = parquet.ParquetFile(file)
        names = _unique(table.schema_arrow.names)
        row = 1
        yield pd.DataFrame(columns=[name for name in names if name], dtype=object)
        for batch in table.iter_batches(batch_size=_PARQUET_ROWS):
            values = {name: _texts(batch.column(place)) for place, name in enumerate(names) if name}
            yield pd.DataFrame(values, index=range(row, row + batch.num_rows), dtype=object)
            row += batch.num_rows
    except ArrowException as error:
        raise ValueError(str(error)) from error


def _texts(column: Any) -> list[str]:
    """Return the values of a column of Parquet as texts; one that Python cannot hold (a date after 9999) is empty."""
    try:
        return [_text(value) for value in column.to_pylist()]
    except (ValueError, OverflowError):
        return ["" if value is None else _texts_of_one(value) for value in column]


def _texts_of_one(value: Any) -> str:
    try:
        return _text(value.as_py())
    except (ValueError, OverflowError):
        return ""


def _text(value: Any) -> str:
    if isinstance(value, str):
        return clean(value)
    if value is None or (isinstance(value, float) and not math.isfinite(value)):
        return ""
    if isinstance(value, bytes):
        try:
            return clean(value.decode())
        except UnicodeDecodeError:
            return ""  # a picture, not a text
    if isinstance(value, (list, dict, bool)):
        return clean(json.dumps(value, ensure_ascii=False, default=_text))
    return str(value)
