"""``covergen generate``: music in, covers out."""

from __future__ import annotations

import json
import sys
from contextlib import closing
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from covergen_cli.cli.errors import DONE, FAILED, PARTLY, Terminated
from covergen_cli.cli.files import check_images, events_with_files, file_options
from covergen_cli.cli.options import Command, Session, given_settings, global_options, setting_options
from covergen_cli.cli.terminal import Tally, Terminal
from covergen_cli.config import GenerateConfig
from covergen_cli.errors import InputError
from covergen_cli.events import CoverFailed, CoverFinished, CoverSkipped
from covergen_cli.presets import preset_names, resolve

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from covergen_cli.events import Event
    from covergen_cli.generation.batch import Job

__all__ = ["SCHEMA", "generate"]

SCHEMA = 1
"""Version of the objects that ``--json`` writes."""


@click.command(cls=Command)
@click.argument("inputs", nargs=-1, required=True, metavar="INPUT...")
@click.option(
    "-o",
    "--output",
    type=click.Path(path_type=Path),
    default="covers",
    show_default=True,
    metavar="OUT",
    help="Folder for the covers; for a single cover also its file name, ending in .png or .jpg.",
)
@setting_options(GenerateConfig, short={"variations": "-n", "store": "--for"})
@click.option(
    "--preset",
    help=f"Settings to start from: {', '.join(preset_names())}, or a YAML file. "
    "Without it, the one that belongs to the model.",
)
@click.option("--json", "as_json", is_flag=True, help="One JSON object per cover on stdout instead of a path.")
@click.option("--dry-run", is_flag=True, help="Only say which covers would be made; check the inputs, load no model.")
@click.option("--fail-fast", is_flag=True, help="Stop at the first song that fails.")
@file_options
@global_options
@click.pass_context
def generate(
    context: click.Context,
    /,
    inputs: tuple[str, ...],
    output: Path,
    preset: str | None,
    as_json: bool,
    dry_run: bool,
    fail_fast: bool,
    check: bool,
    from_cover: Path | None,
    **options: Any,
) -> int:
    """Make covers for songs.

    INPUT is a music file, a folder of music (searched through; its tree is kept under the output folder), or - to read
    paths from stdin, one per line. The path of every cover goes to stdout, also of one that was already there. With
    --check, INPUT are pictures, and what stores think of them goes to stdout.
    """
    given = given_settings(context, GenerateConfig)
    terminal = context.ensure_object(Session).terminal()
    if check:
        return check_images(inputs, given.get("store"), terminal, as_json=as_json)
    songs = _songs(inputs)

    from covergen_cli.generation import batch, lettering, remake, stores

    recipe = None if from_cover is None else remake.read_recipe(from_cover)
    asked = {**(recipe.settings if recipe else {}), **given}
    # A store that is asked for now goes before the size that a cover records.
    config = stores.for_store(
        resolve(GenerateConfig, preset=preset, overrides=asked), given if "store" in given else asked
    )
    lettering.check_font(config)
    if recipe:
        songs = [remake.find_song(recipe, songs)]
        remake.check_models(recipe, config, given)
        for note in recipe.notes:
            terminal.warn(note)
    jobs = batch.plan(songs, output, config, format_given="format" in given)
    stores.check_formats(jobs, config)
    if dry_run:
        return _list(jobs, terminal, as_json=as_json)
    tally = Tally(total=len(jobs))
    write = _json_line if as_json else _path_line
    folder = output.parent if jobs[0].output == output else output
    drawn = events_with_files(lambda jobs: batch.generate(jobs, config), jobs, config, options, folder)
    try:
        with terminal.live(tally), closing(drawn) as events:
            _follow(events, tally, terminal, write, fail_fast=fail_fast)
    except (KeyboardInterrupt, Terminated):
        terminal.note(f"stopped after {tally.settled} of {tally.total}; the same command goes on from here")
        raise
    finally:
        if tally.settled:
            terminal.note(tally.sentence(folder))
    return _exit_code(tally)


def _songs(inputs: Sequence[str]) -> list[Path]:
    """The paths that were given, with ``-`` replaced by the lines of stdin."""
    paths: list[Path] = []
    for text in inputs:
        lines = (line.rstrip("\r\n") for line in sys.stdin) if text == "-" else [text]
        paths += [Path(line) for line in lines if line.strip()]
    if not paths:
        raise InputError("no song was given on stdin", hint="write one path per line")
    return paths


def _follow(
    events: Iterable[Event],
    tally: Tally,
    terminal: Terminal,
    write: Callable[[Event], str | None],
    *,
    fail_fast: bool,
) -> None:
    """Show every event and write every result as it comes."""
    for event in events:
        tally.count(event)
        terminal.show(event, tally)
        line = write(event)
        if line is not None:
            terminal.result(line)
        if fail_fast and isinstance(event, CoverFailed):
            if tally.settled < tally.total:
                terminal.note(f"stopped at the first failure, after {tally.settled} of {tally.total}")
            return


def _path_line(event: Event) -> str | None:
    """The cover's path; a failed one has none."""
    return str(event.output) if isinstance(event, (CoverFinished, CoverSkipped)) else None


def _json_line(event: Event) -> str | None:
    """One object for a cover, whatever became of it."""
    if isinstance(event, CoverFinished):
        return _record("ok", event.input, event.output, event.seed, segment=event.segment, seconds=event.seconds)
    if isinstance(event, CoverSkipped):
        return _record("skipped", event.input, event.output, event.seed)
    if isinstance(event, CoverFailed):
        return _record("failed", event.input, event.output, event.seed, error=event.error)
    return None


def _record(
    status: str,
    song: Path,
    cover: Path | None,
    seed: int | None,
    *,
    segment: tuple[float, float] | None = None,
    seconds: float | None = None,
    error: str | None = None,
) -> str:
    """The line that ``--json`` writes; ASCII, so that no console can spoil a name."""
    record = {
        "schema": SCHEMA,
        "input": str(song),
        "output": None if cover is None else str(cover),
        "status": status,
        "seed": seed,
        "segment": segment,
        "seconds": None if seconds is None else round(seconds, 3),
        "error": error,
    }
    return json.dumps(record)


def _list(jobs: Sequence[Job], terminal: Terminal, *, as_json: bool) -> int:
    """Write what would be made, and which songs cannot be read."""
    from covergen_cli.audio.io import probe

    tally = Tally(total=len(jobs))
    for song, covers in groupby(jobs, key=lambda job: job.input):
        try:
            probe(song)
            error = None
        except InputError as unreadable:
            error = unreadable.message
            terminal.error(error, unreadable.hint)
        for job in covers:
            tally.failed += error is not None
            if as_json:
                status = "planned" if error is None else "failed"
                terminal.result(_record(status, job.input, job.output, job.seed, error=error))
            elif error is None:
                terminal.result(str(job.output))
    planned = len(jobs) - tally.failed
    tally.finished = planned
    terminal.note(f"{planned} cover{'' if planned == 1 else 's'} planned, none made")
    return _exit_code(tally)


def _exit_code(tally: Tally) -> int:
    if tally.failed == 0:
        return DONE
    return PARTLY if tally.finished + tally.skipped else FAILED
