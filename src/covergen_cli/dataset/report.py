"""An overview of a dataset folder as one HTML page, to be looked at before anything is trained.

The page has everything in it, refers to nothing outside, runs no script, and treats every text of the tables as text.
The tables are read line by line, twice; what is kept of them is counts, a number or two per pair, and a sample.
"""

from __future__ import annotations

import csv
import hashlib
import heapq
from array import array
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from covergen_cli.dataset import report_page
from covergen_cli.dataset.layout import MANIFEST, Dataset, locate
from covergen_cli.dataset.split import COVER_ID, SPLIT_JSON
from covergen_cli.errors import InputError, OutputError
from covergen_cli.files import atomic_path, read_json

REPORT = "report.html"
"""Name of the page in a dataset folder."""

_STATUS = "status.csv"
_STATUSES = ("ok", "failed", "duplicate", "filtered")
_SAMPLE = 120
_GROUPS_SHOWN = 12
_MEMBERS_SHOWN = 8


@dataclass
class _Overview:
    """What the tables say.

    Args:
        states: status → rows of the source.
        causes: (status, cause) → rows.
        examples: (status, cause) → a reason in full.
        pairs: number of pairs.
        columns: of the manifest.
        genres: genre → pairs; empty for those without one.
        groups: ``cover_id`` → pairs.
        seconds: length of every pair's music.
        lettering: of every pair's cover, where it was measured.
        sample: some pairs, drawn by a hash of their ids, so that the same are drawn again.
        members: ``cover_id`` → the first pairs of the largest groups.
    """

    states: Counter[str] = field(default_factory=Counter)
    causes: Counter[tuple[str, str]] = field(default_factory=Counter)
    examples: dict[tuple[str, str], str] = field(default_factory=dict)
    pairs: int = 0
    columns: list[str] = field(default_factory=list)
    genres: Counter[str] = field(default_factory=Counter)
    groups: Counter[str] = field(default_factory=Counter)
    seconds: array[float] = field(default_factory=lambda: array("f"))
    lettering: array[float] = field(default_factory=lambda: array("f"))
    sample: list[dict[str, str]] = field(default_factory=list)
    members: dict[str, list[dict[str, str]]] = field(default_factory=dict)


def write_report(folder: Path) -> Path:
    """Write ``report.html`` into a dataset folder.

    Args:
        folder: a folder with ``manifest.csv``; ``status.csv`` and ``splits/`` are looked at where they are there.

    Returns:
        the path of the page: at most about 200 thumbnails of some 3 kB, however many pairs there are.

    Raises:
        InputError: there is no manifest, or it cannot be read.
        OutputError: the page cannot be written.
    """
    overview = _Overview()
    _read_status(folder, overview)
    _read_manifest(folder, overview)
    page = folder / REPORT
    try:
        with atomic_path(page) as temporary, temporary.open("w", encoding="utf-8") as file:
            file.writelines(_pieces(folder, overview))
    except OSError as error:
        raise OutputError(f"cannot write {page}: {error.strerror or error}") from error
    return page


def _lines(path: Path) -> Iterator[dict[str, str]]:
    """Read a table; a value that is missing or one too many is empty or passed over."""
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            for line in csv.DictReader(file, restkey="", restval=""):
                yield {name: value for name, value in line.items() if isinstance(value, str)}
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise InputError(f"{path} cannot be read: {error}", hint="It has to be CSV in UTF-8.") from error


def _read_status(folder: Path, overview: _Overview) -> None:
    if not (folder / _STATUS).is_file():
        return
    for line in _lines(folder / _STATUS):
        status = line.get("status", "")
        overview.states[status] += 1
        if status != "ok":
            cause = (status, line.get("cause", "") or line.get("reason", ""))
            overview.causes[cause] += 1
            overview.examples.setdefault(cause, line.get("reason", ""))


def _read_manifest(folder: Path, overview: _Overview) -> None:
    next(Dataset(folder).rows(), None)  # says what is wrong with it
    drawn: list[tuple[str, int, dict[str, str]]] = []
    for number, line in enumerate(_lines(folder / MANIFEST)):
        overview.pairs += 1
        overview.columns = overview.columns or list(line)
        overview.genres[line.get("genre", "").strip()] += 1
        if line.get(COVER_ID):
            overview.groups[line[COVER_ID]] += 1
        for name, values in (("seconds", overview.seconds), ("lettering", overview.lettering)):
            with suppress(ValueError):
                values.append(float(line.get(name, "")))
        rank = hashlib.sha256(line.get("id", "").encode("utf-8", "surrogatepass")).hexdigest()
        if len(drawn) < _SAMPLE:
            heapq.heappush(drawn, (_inverse(rank), -number, line))
        else:
            heapq.heappushpop(drawn, (_inverse(rank), -number, line))
    overview.sample = [line for _, _, line in sorted(drawn, key=lambda entry: -entry[1])]
    shown = {name for name, count in overview.groups.most_common(_GROUPS_SHOWN) if count > 1}
    if shown:
        for line in _lines(folder / MANIFEST):
            members = overview.members.setdefault(line[COVER_ID], []) if line.get(COVER_ID) in shown else []
            if len(members) < _MEMBERS_SHOWN:
                members.append(line)


def _inverse(rank: str) -> str:
    """Turn the order of hexadecimal digits around: the heap drops its least, and the least hashes shall stay."""
    return rank.translate(str.maketrans("0123456789abcdef", "fedcba9876543210"))


def _pieces(folder: Path, overview: _Overview) -> Iterator[str]:
    """Compose the page, piece by piece."""
    yield report_page.head(folder.absolute().name, _source(folder))
    yield report_page.facts(_facts(folder, overview))
    if overview.causes:
        rows = [(*cause, overview.causes[cause], overview.examples[cause]) for cause in overview.causes]
        yield report_page.reasons(sorted(rows, key=lambda row: -row[2]))
    if "genre" in overview.columns:
        yield report_page.bars("Genres", report_page.most(overview.genres))
    if overview.seconds:
        yield report_page.bars("Length of the music", report_page.lengths(overview.seconds))
    if overview.lettering:
        yield report_page.bars("Share of the cover that is lettering", report_page.shares(overview.lettering))
    if overview.groups:
        yield report_page.bars("Pairs that share a cover or a recording", report_page.sizes(overview.groups))
        for name, members in sorted(overview.members.items(), key=lambda group: -overview.groups[group[0]]):
            yield report_page.open_sheet(f"{overview.groups[name]} pairs in the group {name}", level=3)
            yield from _figures(folder, members)
            yield report_page.CLOSE_SHEET
    yield report_page.open_sheet(f"{len(overview.sample)} of {overview.pairs} pairs, drawn by their ids")
    yield from _figures(folder, overview.sample)
    yield report_page.CLOSE_SHEET + report_page.END


def _figures(folder: Path, lines: list[dict[str, str]]) -> Iterator[str]:
    root = folder.resolve()
    for line in lines:
        path, fault = locate(line.get("image_path", "").strip(), "image_path", folder, root)
        name = line.get("title") or line.get("id", "")
        yield report_page.figure(path, name, line.get("artist", ""), fault)


def _source(folder: Path) -> str:
    """``table songs.csv``, or nothing where the folder does not say."""
    with suppress(OSError, ValueError, AttributeError):
        source = read_json(folder / "dataset.json").get("source", {})
        return " ".join(str(source[key]) for key in ("kind", "name") if key in source)
    return ""


def _facts(folder: Path, overview: _Overview) -> Mapping[str, str]:
    facts = {"pairs": f"{overview.pairs:,}"}
    if overview.states:
        facts["rows of the source"] = f"{overview.states.total():,}"
        facts.update((status, f"{overview.states[status]:,}") for status in _STATUSES)
    if overview.seconds:
        facts["hours of music"] = f"{sum(overview.seconds) / 3600:.1f}"
    if overview.groups:
        facts["covers"] = f"{len(overview.groups):,}"
    with suppress(OSError, ValueError, AttributeError, TypeError, KeyError):
        counts = read_json(folder / "splits" / SPLIT_JSON)["counts"]
        facts.update((f"in {part}", f"{int(counts[part]['rows']):,}") for part in counts)
    return facts
