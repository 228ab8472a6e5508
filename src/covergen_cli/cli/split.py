"""``covergen split``: a dataset in, its train, val and test parts out."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from covergen_cli.cli.errors import DONE, FAILED
from covergen_cli.cli.options import Command, given_settings, global_options, setting_options, terminal_of
from covergen_cli.cli.tagging import tag_genres, tag_option
from covergen_cli.config import SplitConfig
from covergen_cli.config.resolve import resolve
from covergen_cli.files import SCHEMA

if TYPE_CHECKING:
    from covergen_cli.cli.terminal import Terminal
    from covergen_cli.events import SplitFinished

_PARTS = ("train", "val", "test")


@click.command(cls=Command)
@click.argument("folder", metavar="DATA", type=click.Path(path_type=Path))
@setting_options(SplitConfig)
@tag_option
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object instead of a path.")
@global_options
@click.pass_context
def split(context: click.Context, /, folder: Path, tag: bool, as_json: bool, **_settings: Any) -> int:
    """Split a dataset into train, val and test.

    DATA is a dataset folder with pairs.csv, written by covergen embed. Every pair is assigned to one of
    DATA/splits/train.csv, val.csv and test.csv, all pairs of a group to the same. When the command is run again after
    pairs were added, earlier pairs keep their part.

    The path of splits/split.json is printed on stdout.
    """
    from covergen_cli.cli.terminal import Tally
    from covergen_cli.dataset.split import split_dataset
    from covergen_cli.events import SplitFinished

    config, terminal = resolve(SplitConfig, overrides=given_settings(context, SplitConfig)), terminal_of(context)
    if tag:
        terminal.run(tag_genres(folder), Tally(noun="song", log_progress=True))
    finished = terminal.run(split_dataset(folder, config), Tally(noun="pair"))
    if not isinstance(finished, SplitFinished):
        return FAILED
    _summarize(finished, config, folder, terminal)
    if as_json:
        record = {
            "schema": SCHEMA,
            "status": "ok",
            "split": str(finished.path),
            **dict(zip(_PARTS, finished.rows, strict=True)),
            "groups": dict(zip(_PARTS, finished.groups, strict=True)),
            "kept": finished.kept,
            "moved": finished.moved,
        }
        terminal.result(json.dumps(record))
    else:
        terminal.result(str(finished.path))
    return DONE


def _summarize(finished: SplitFinished, config: SplitConfig, folder: Path, terminal: Terminal) -> None:
    parts = [f"{rows} {name}" for rows, name in zip(finished.rows, _PARTS, strict=True)]
    groups = "" if config.group == "none" else f", {sum(finished.groups)} groups by {config.group}"
    terminal.note(f"{' / '.join(parts)}{groups}")
    if finished.kept:
        terminal.note(f"{finished.kept} pairs kept the part of an earlier run")
    if finished.moved:
        terminal.warn(
            f"{finished.moved} pairs moved to another part, because their group was merged with another group"
        )
    terminal.note(f"next: covergen train {folder} -o RUN")
