"""``covergen split``: train, val and test."""

from __future__ import annotations

import json
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from covergen_cli.cli.errors import DONE
from covergen_cli.cli.options import Command, Session, given_settings, global_options, setting_options
from covergen_cli.cli.terminal import Tally
from covergen_cli.config import SplitConfig
from covergen_cli.config.resolve import resolve
from covergen_cli.events import SplitFinished

if TYPE_CHECKING:
    from covergen_cli.cli.terminal import Terminal

SCHEMA = 1
"""Version of the object that ``--json`` writes."""

_PARTS = ("train", "val", "test")


@click.command(cls=Command)
@click.argument("folder", metavar="DATA", type=click.Path(path_type=Path))
@setting_options(SplitConfig)
@click.option("--json", "as_json", is_flag=True, help="One JSON object on stdout instead of a path.")
@global_options
@click.pass_context
def split(context: click.Context, /, folder: Path, as_json: bool, **_settings: Any) -> int:
    """Divide a dataset into train, val and test, so that nothing of the test is seen in training.

    DATA is a dataset folder with pairs.csv, which covergen embed writes. Every pair goes to one of
    DATA/splits/train.csv, val.csv and test.csv, all pairs of one group to the same. When pairs were added, run the
    same line again: what has a place keeps it. The path of splits/split.json goes to stdout.
    """
    config = resolve(SplitConfig, overrides=given_settings(context, SplitConfig))
    terminal = context.ensure_object(Session).terminal()
    finished = _divide(folder, config, terminal)
    _tell(finished, config, folder, terminal)
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


def _divide(folder: Path, config: SplitConfig, terminal: Terminal) -> SplitFinished:
    """Run the library's generator to its end, which always is its last event."""
    from covergen_cli.dataset.split import split_dataset

    tally = Tally(noun="pair")
    with terminal.live(tally), closing(split_dataset(folder, config)) as events:
        for event in events:
            terminal.show(event, tally)
            if isinstance(event, SplitFinished):
                return event
    raise AssertionError("the split did not finish")


def _tell(finished: SplitFinished, config: SplitConfig, folder: Path, terminal: Terminal) -> None:
    parts = [f"{rows} {name}" for rows, name in zip(finished.rows, _PARTS, strict=True)]
    groups = "" if config.group == "none" else f", {sum(finished.groups)} groups by {config.group}"
    terminal.note(f"{' / '.join(parts)}{groups}")
    if finished.kept:
        terminal.note(f"{finished.kept} pairs stayed where an earlier run had put them")
    if finished.moved:
        terminal.warn(f"{finished.moved} pairs changed sides, because their group has grown together with another")
    terminal.note(f"next: covergen train {folder} -o RUN")
