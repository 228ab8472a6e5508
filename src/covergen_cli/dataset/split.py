"""Divide a dataset into train, val and test, so that nothing of the test was seen in training.

::

    DATA/splits/{train,val,test}.csv   the columns of pairs.csv; train.csv with --balance also weight
    DATA/splits/split.json             what they were made with, and counts; written last

Where the last run with the same ratios, grouping and seed left a pair, there it stays; see
:mod:`covergen_cli.dataset.assign_splits`. A pair leaves its side only when its group has grown together with one on another.
"""

from __future__ import annotations

import csv
import unicodedata
from collections import Counter
from collections.abc import Generator, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any

from covergen_cli.dataset.assign_splits import TEST, TRAIN, VAL, Groups, parse_ratios, place
from covergen_cli.dataset.layout import MANIFEST, PAIRS
from covergen_cli.dataset.pairs import SPLITS, read_pairs
from covergen_cli.errors import ConfigError, InputError, OutputError
from covergen_cli.events import Progress, SplitFinished, Warned
from covergen_cli.files import SCHEMA, atomic_path, read_json, sha256_file, write_json

if TYPE_CHECKING:
    from covergen_cli.config import SplitConfig
    from covergen_cli.dataset.pairs import Pair
    from covergen_cli.events import Event

COVER_ID = "cover_id"
"""Column of the manifest that names the group of songs with one cover."""

SPLIT_JSON = "split.json"

_WEIGHT = "weight"

Values = dict[str, str]
"""Id → what one column of the manifest says."""


def split_dataset(folder: Path, config: SplitConfig) -> Generator[Event, None, None]:
    """Write ``splits/`` of a dataset folder.

    Args:
        folder: a dataset folder with ``pairs.csv``; ``manifest.csv`` is read where a column of it is needed.
        config: ratios, grouping, seed and balance.

    Yields:
        ``Progress`` while images are hashed, ``Warned`` for what makes a group doubtful, then ``SplitFinished``.

    Raises:
        ConfigError: the ratios leave nothing to train on, or the manifest has no such column.
        InputError: the folder, its tables, or an image cannot be used, or there are too few groups.
        OutputError: the folder cannot be written to.
    """
    ratios = parse_ratios(config.ratios)
    pairs = read_pairs(folder)
    keys, grouped_by = yield from _group(folder, pairs, config.group)
    weighing = None if config.balance is None else _column(folder, config.balance)
    target = folder / "splits"
    settings = {"ratios": list(ratios), "group": config.group, "seed": config.seed}
    earlier = _earlier(target, settings)
    groups = Groups()
    for pair in pairs:
        groups.add(keys[pair.id], earlier.get(pair.id))
    of_group = place(groups, ratios, config.seed)
    sides = _sides_of(pairs, keys, of_group)
    if not earlier:
        (target / SPLIT_JSON).unlink(missing_ok=True)  # so that a killed run leaves no mixture that looks whole
    _write(folder, target, sides, keys, None if weighing is None else _weights(sides, weighing))
    rows, held = _tally(sides), _tally(of_group)
    counts = {part: {"rows": rows[side], "groups": held[side]} for side, part in enumerate(SPLITS)}
    facts = {"grouped_by": grouped_by, "balance": config.balance, "pairs_sha256": sha256_file(folder / PAIRS)}
    write_json(target / SPLIT_JSON, {"schema": SCHEMA, **settings, **facts, "counts": counts})
    stayed = [sides[id_] == side for id_, side in earlier.items() if id_ in sides]
    yield SplitFinished(target / SPLIT_JSON, rows, held, kept=sum(stayed), moved=stayed.count(False))


def _sides_of(pairs: Sequence[Pair], keys: Mapping[str, str], of_group: Mapping[str, int]) -> dict[str, int]:
    return {pair.id: of_group[keys[pair.id]] for pair in pairs}


def _tally(sides: Mapping[str, int]) -> tuple[int, int, int]:
    counts = Counter(sides.values())
    return counts[TRAIN], counts[VAL], counts[TEST]


def _group(folder: Path, pairs: Sequence[Pair], group: str) -> Generator[Event, None, tuple[Mapping[str, str], str]]:
    """Find every pair's group: id → key, and what the keys were made of."""
    if group == "artist":
        return (yield from _by_artist(folder, pairs))
    if group == "cover":
        return (yield from _by_cover(folder, pairs))
    return {pair.id: pair.id for pair in pairs}, "nothing"


def _by_artist(folder: Path, pairs: Sequence[Pair]) -> Generator[Event, None, tuple[Values, str]]:
    named = {id_: _plain(text) for id_, text in _column(folder, "artist").items()}
    nameless = sum(not named.get(pair.id) for pair in pairs)
    if nameless:
        yield Warned(f"{nameless} of {len(pairs)} pairs have no artist; each of them is a group of its own")
    keys = {pair.id: f"artist {name}" if (name := named.get(pair.id)) else f"pair {pair.id}" for pair in pairs}
    return keys, "the column artist"


def _by_cover(folder: Path, pairs: Sequence[Pair]) -> Generator[Event, None, tuple[Values, str]]:
    """Group by the column ``cover_id``; by the bytes of the image where it is missing or empty."""
    columns = _columns(folder) if (folder / MANIFEST).is_file() else []
    named = _column(folder, COVER_ID) if COVER_ID in columns else {}
    keys = {pair.id: f"cover {named[pair.id]}" for pair in pairs if named.get(pair.id)}
    bare = [pair for pair in pairs if pair.id not in keys]
    hashes: dict[Path, str] = {}
    for done, pair in enumerate(bare):
        if pair.image not in hashes:
            try:
                hashes[pair.image] = sha256_file(pair.image)
            except OSError as error:
                raise InputError(
                    f"the cover {pair.image} cannot be read: {error.strerror or error}",
                    hint=f"Run covergen embed {folder} again: it leaves out pairs without a cover.",
                ) from error
        keys[pair.id] = f"image {hashes[pair.image]}"
        yield Progress("compare covers", done + 1, len(bare))
    return keys, "the bytes of the images" if len(bare) == len(pairs) else f"the column {COVER_ID}"


def _plain(name: str) -> str:
    """Write a name in one way: other case, other spaces and other composition of letters are no other artist."""
    return " ".join(unicodedata.normalize("NFKC", name).casefold().split())


def _columns(folder: Path) -> list[str]:
    path = folder / MANIFEST
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            return next(csv.reader(file), [])
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise InputError(f"{path} cannot be read: {error}", hint="It has to be CSV in UTF-8.") from error


def _column(folder: Path, name: str) -> Values:
    """Read one column of the manifest, of an id that stands there twice the first line.

    Raises:
        InputError: there is no manifest, or it cannot be read.
        ConfigError: it has no such column.
    """
    columns = _columns(folder)
    if name not in columns or "id" not in columns:
        raise ConfigError(f"{folder / MANIFEST} has no column {name}", hint=f"It has {', '.join(columns) or 'none'}.")
    values: Values = {}
    try:
        with (folder / MANIFEST).open(encoding="utf-8-sig", newline="") as file:
            for line in csv.DictReader(file):
                values.setdefault((line["id"] or "").strip(), (line[name] or "").strip())
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise InputError(f"{folder / MANIFEST} cannot be read: {error}", hint="It has to be CSV in UTF-8.") from error
    return values


def _earlier(target: Path, settings: Mapping[str, Any]) -> dict[str, int]:
    """Read where the last run left its pairs, id → side; nothing when it was made with other settings.

    Raises:
        InputError: it cannot be read.
    """
    if not (target / SPLIT_JSON).is_file():
        return {}
    sides: dict[str, int] = {}
    try:
        made_with = read_json(target / SPLIT_JSON)
        if any(made_with.get(name) != value for name, value in settings.items()):
            return {}
        for side in reversed(range(len(SPLITS))):
            with (target / f"{SPLITS[side]}.csv").open(encoding="utf-8-sig", newline="") as file:
                sides.update((line["id"], side) for line in csv.DictReader(file))
    except (OSError, ValueError, KeyError, AttributeError, csv.Error) as error:
        raise InputError(
            f"the splits in {target} are damaged: {error}", hint="Delete that folder to divide the pairs anew."
        ) from error
    return sides


def _weights(sides: Mapping[str, int], values: Values) -> dict[str, float]:
    """Weigh pairs of train so that every value counts alike: N / (K · n), of N pairs with K values, n with this one.

    The mean weight is 1.
    """
    said = {id_: _plain(values.get(id_, "")) for id_, side in sides.items() if side == TRAIN}
    counts = Counter(said.values())
    return {id_: len(said) / (len(counts) * counts[value]) for id_, value in said.items()}


def _write(
    folder: Path,
    target: Path,
    sides: Mapping[str, int],
    keys: Mapping[str, str],
    weights: Mapping[str, float] | None,
) -> None:
    """Copy every line of ``pairs.csv`` to the table of its side.

    Raises:
        AssertionError: a group would stand in two of them; nothing is written then.
        OutputError: the folder cannot be written to.
    """
    held: list[set[str]] = [set() for _ in SPLITS]
    try:
        with ExitStack() as stack, (folder / PAIRS).open(encoding="utf-8-sig", newline="") as file:
            table = csv.DictReader(file, restkey="")
            columns = [column for column in table.fieldnames or () if column and column != _WEIGHT]
            extra = [[], [], []] if weights is None else [[_WEIGHT], [], []]
            writers = [
                _writer(stack, target / f"{part}.csv", [*columns, *more])
                for part, more in zip(SPLITS, extra, strict=True)
            ]
            for line in table:
                id_ = (line["id"] or "").strip()
                held[sides[id_]].add(keys[id_])
                weight = {} if weights is None or id_ not in weights else {_WEIGHT: f"{weights[id_]:.6g}"}
                writers[sides[id_]].writerow({**line, **weight})
            if len(set().union(*held)) != sum(len(some) for some in held):
                raise AssertionError("a group stands on two sides")
    except OSError as error:
        raise OutputError(f"cannot write {target}: {error.strerror or error}") from error


def _writer(stack: ExitStack, path: Path, columns: Sequence[str]) -> csv.DictWriter[str]:
    """Open a table that takes its name when the stack ends well."""
    out = stack.enter_context(stack.enter_context(atomic_path(path)).open("w", encoding="utf-8", newline=""))
    writer = csv.DictWriter(out, columns, extrasaction="ignore", lineterminator="\n")
    writer.writeheader()
    return writer
