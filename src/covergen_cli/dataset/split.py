"""Divide a dataset into train, val and test, so that no group of pairs is in two of them.

::

    DATA/splits/{train,val,test}.csv   the columns of pairs.csv; train.csv with --balance also weight
    DATA/splits/split.json             settings and counts; written last

A pair stays in the part in which the last run with the same ratios, grouping and seed put it (see
:mod:`covergen_cli.dataset.assign_splits`), unless its group has since merged with a group of another part.
"""

from __future__ import annotations

import unicodedata
from collections import Counter
from collections.abc import Generator, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any

from covergen_cli.dataset.assign_splits import TEST, TRAIN, VAL, Groups, assign_splits, parse_ratios
from covergen_cli.dataset.layout import MANIFEST, PAIRS
from covergen_cli.dataset.pairs import SPLIT_JSON, SPLITS, read_pairs
from covergen_cli.dataset.tables import open_table, read_blocks, read_rows
from covergen_cli.errors import ConfigError, InputError, reason_of
from covergen_cli.events import Progress, SplitFinished, Warned
from covergen_cli.files import SCHEMA, read_json, sha256_file, write_json

if TYPE_CHECKING:
    from covergen_cli.config import SplitConfig
    from covergen_cli.dataset.pairs import Pair
    from covergen_cli.events import Event

COVER_ID = "cover_id"
"""Column of the manifest with the group of songs that share one cover."""

_WEIGHT = "weight"

Values = dict[str, str]
"""Id → value of one column of the manifest."""


def split_dataset(folder: Path, config: SplitConfig) -> Generator[Event, None, None]:
    """Write ``splits/`` of a dataset folder.

    Args:
        folder: a dataset folder with ``pairs.csv``; ``manifest.csv`` is read if one of its columns is needed.
        config: ratios, grouping, seed and balance.

    Yields:
        ``Progress`` while images are hashed, ``Warned`` if groups may be wrong, then ``SplitFinished``.

    Raises:
        ConfigError: the ratios leave nothing to train on, or the manifest lacks a column.
        InputError: the folder, its tables, or an image cannot be used, or there are too few groups.
        OutputError: the folder cannot be written to.
    """
    ratios = parse_ratios(config.ratios)
    pairs = read_pairs(folder)
    keys, grouped_by = yield from _group(folder, pairs, config.group)
    balanced = None if config.balance is None else _column(folder, config.balance)
    target = folder / "splits"
    settings = {"ratios": list(ratios), "group": config.group, "seed": config.seed}
    earlier = _read_earlier(target, settings)
    groups = Groups()
    for pair in pairs:
        groups.add(keys[pair.id], earlier.get(pair.id))
    part_of_group = assign_splits(groups, ratios, config.seed)
    parts = {pair.id: part_of_group[keys[pair.id]] for pair in pairs}
    if not earlier:
        (target / SPLIT_JSON).unlink(missing_ok=True)  # so that a killed run leaves no mixture that looks complete
    _write(folder, target, parts, keys, None if balanced is None else _weights(parts, balanced))
    rows, group_counts = _count(parts), _count(part_of_group)
    counts = {name: {"rows": rows[part], "groups": group_counts[part]} for part, name in enumerate(SPLITS)}
    origin = {"grouped_by": grouped_by, "balance": config.balance, "pairs_sha256": sha256_file(folder / PAIRS)}
    write_json(target / SPLIT_JSON, {"schema": SCHEMA, **settings, **origin, "counts": counts})
    stayed = [parts[id_] == part for id_, part in earlier.items() if id_ in parts]
    yield SplitFinished(target / SPLIT_JSON, rows, group_counts, kept=sum(stayed), moved=stayed.count(False))


def _count(parts: Mapping[str, int]) -> tuple[int, int, int]:
    counts = Counter(parts.values())
    return counts[TRAIN], counts[VAL], counts[TEST]


def _group(folder: Path, pairs: Sequence[Pair], group: str) -> Generator[Event, None, tuple[Mapping[str, str], str]]:
    """Return the group of every pair (id → key), and what the keys were made of."""
    if group == "artist":
        return (yield from _by_artist(folder, pairs))
    if group == "cover":
        return (yield from _by_cover(folder, pairs))
    return {pair.id: pair.id for pair in pairs}, "nothing"


def _by_artist(folder: Path, pairs: Sequence[Pair]) -> Generator[Event, None, tuple[Values, str]]:
    artists = {id_: _normalized(text) for id_, text in _column(folder, "artist").items()}
    unknown = sum(not artists.get(pair.id) for pair in pairs)
    if unknown:
        yield Warned(f"{unknown} of {len(pairs)} pairs have no artist; each of them is a group of its own")
    keys = {pair.id: f"artist {name}" if (name := artists.get(pair.id)) else f"pair {pair.id}" for pair in pairs}
    return keys, "the column artist"


def _by_cover(folder: Path, pairs: Sequence[Pair]) -> Generator[Event, None, tuple[Values, str]]:
    """Group by the column ``cover_id``; by the bytes of the image where it is missing or empty."""
    columns = _columns(folder) if (folder / MANIFEST).is_file() else []
    cover_ids = _column(folder, COVER_ID) if COVER_ID in columns else {}
    keys = {pair.id: f"cover {cover_ids[pair.id]}" for pair in pairs if cover_ids.get(pair.id)}
    rest = [pair for pair in pairs if pair.id not in keys]
    hashes: dict[Path, str] = {}
    for done, pair in enumerate(rest):
        if pair.image not in hashes:
            try:
                hashes[pair.image] = sha256_file(pair.image)
            except OSError as error:
                raise InputError(
                    f"the cover {pair.image} cannot be read: {reason_of(error)}",
                    hint=f"Run covergen embed {folder} again: it leaves out pairs without a cover.",
                ) from error
        keys[pair.id] = f"image {hashes[pair.image]}"
        yield Progress("compare covers", done + 1, len(rest))
    return keys, "the bytes of the images" if len(rest) == len(pairs) else f"the column {COVER_ID}"


def _normalized(name: str) -> str:
    """Return a name without differences of case, spaces and composition of letters."""
    return " ".join(unicodedata.normalize("NFKC", name).casefold().split())


def _columns(folder: Path) -> list[str]:
    return list(next(read_blocks(folder / MANIFEST)).columns)


def _column(folder: Path, name: str) -> Values:
    """Read one column of the manifest; of an id that occurs twice, the first row.

    Raises:
        InputError: there is no manifest, or it cannot be read.
        ConfigError: it has no such column.
    """
    columns = _columns(folder)
    if name not in columns or "id" not in columns:
        raise ConfigError(f"{folder / MANIFEST} has no column {name}", hint=f"It has {', '.join(columns) or 'none'}.")
    values: Values = {}
    for row in read_rows(folder / MANIFEST):
        values.setdefault(row["id"], row[name])
    return values


def _read_earlier(target: Path, settings: Mapping[str, Any]) -> dict[str, int]:
    """Return in which part the last run put each pair (id → part); nothing if it had other settings.

    Raises:
        InputError: its files cannot be read.
    """
    if not (target / SPLIT_JSON).is_file():
        return {}
    parts: dict[str, int] = {}
    try:
        made_with = read_json(target / SPLIT_JSON)
        if any(made_with.get(name) != value for name, value in settings.items()):
            return {}
        for part in reversed(range(len(SPLITS))):
            parts.update((row["id"], part) for row in read_rows(target / f"{SPLITS[part]}.csv", ["id"]))
    except (OSError, ValueError, AttributeError, InputError) as error:
        raise InputError(
            f"the splits in {target} are damaged: {error}", hint="Delete that folder to divide the pairs again."
        ) from error
    return parts


def _weights(parts: Mapping[str, int], values: Values) -> dict[str, float]:
    """Return weights of the training pairs that give every value the same total: N / (K · n), with mean 1.

    N is the number of pairs, K that of values, n that of the pairs with the value at hand.
    """
    value_of = {id_: _normalized(values.get(id_, "")) for id_, part in parts.items() if part == TRAIN}
    counts = Counter(value_of.values())
    return {id_: len(value_of) / (len(counts) * counts[value]) for id_, value in value_of.items()}


def _write(
    folder: Path,
    target: Path,
    parts: Mapping[str, int],
    keys: Mapping[str, str],
    weights: Mapping[str, float] | None,
) -> None:
    """Copy every row of ``pairs.csv`` to the table of its part.

    Raises:
        AssertionError: a group would be in two of them; nothing is written then.
        OutputError: the folder cannot be written to.
    """
    groups: list[set[str]] = [set() for _ in SPLITS]
    columns = [column for column in next(read_blocks(folder / PAIRS)).columns if column != _WEIGHT]
    extra = [[], [], []] if weights is None else [[_WEIGHT], [], []]
    with ExitStack() as stack:
        writers = [
            stack.enter_context(open_table(target / f"{name}.csv", [*columns, *more]))
            for name, more in zip(SPLITS, extra, strict=True)
        ]
        for row in read_rows(folder / PAIRS):
            part = parts[row["id"]]
            groups[part].add(keys[row["id"]])
            weight = [f"{weights[row['id']]:.6g}"] if extra[part] and weights else []
            writers[part]([*(row[column] for column in columns), *weight])
        if len(set().union(*groups)) != sum(map(len, groups)):
            raise AssertionError("a group is in two parts")
