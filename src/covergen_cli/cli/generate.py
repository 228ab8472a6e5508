"""``covergen generate``: music in, covers out."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable, Generator, Sequence
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from covergen_cli.cli.errors import DONE, FAILED, PARTLY, Terminated
from covergen_cli.cli.files import check_images, events_with_files, file_options, foreseen, refusals
from covergen_cli.cli.options import Command, Session, given_settings, global_options, setting_options
from covergen_cli.cli.terminal import Tally, Terminal
from covergen_cli.config import GenerateConfig
from covergen_cli.config.resolve import preset_names, resolve
from covergen_cli.errors import ConfigError, InputError
from covergen_cli.events import CoverFailed, CoverFinished, CoverPlanned, CoverSkipped

if TYPE_CHECKING:
    from covergen_cli.cli.records import ErrorFile
    from covergen_cli.covers.jobs import Job
    from covergen_cli.events import Event


@click.command(cls=Command)
@click.argument("inputs", nargs=-1, metavar="INPUT...")
@click.option(
    "-o",
    "--output",
    type=click.Path(path_type=Path),
    default="covers",
    show_default=True,
    metavar="OUT",
    help="Folder for the covers; a template of their paths, such as 'art/{artist}/{album}.{ext}'; or for a single "
    "cover its file name, ending in .png or .jpg.",
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
@click.option(
    "--errors",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="Also write what failed to FILE, ending in .jsonl (the objects of --json) or .csv; it is replaced.",
)
@click.option("-0", "--null", is_flag=True, help="Paths on stdin end in NUL, as find -print0 writes them.")
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
    errors: Path | None,
    null: bool,
    check: bool,
    from_cover: Path | None,
    **options: Any,
) -> int:
    """Make covers for songs.

    INPUT is a music file, a folder of music (searched through; its tree is kept under the output folder), a playlist
    (.m3u, .m3u8), a pattern such as 'music/**/*.flac', or - to read paths from stdin, one per line. The path of every
    cover goes to stdout, also of one that was already there. With --check, INPUT are pictures, and what stores think of
    them goes to stdout.
    """
    if not inputs:
        raise click.UsageError(
            "Missing argument 'INPUT...'."
            if from_cover is None
            else f"--from needs the song too, or a folder that holds it: covergen generate --from {from_cover} SONG"
        )
    given = given_settings(context, GenerateConfig)
    terminal = context.ensure_object(Session).terminal()
    if check:
        return check_images(inputs, given.get("store"), terminal, as_json=as_json)
    songs = _songs(inputs, null=null)
    songs, config = _settled(songs, from_cover, preset, given, terminal)

    from covergen_cli.cli.records import ErrorFile
    from covergen_cli.covers import generate as covers
    from covergen_cli.covers import stores

    tally = Tally()
    with terminal.live(tally):
        jobs = covers.plan(
            songs, output, config, format_given="format" in given, tell=lambda event: terminal.show(event, tally)
        )
        stores.check_formats(jobs, config)
        tally.total = len(jobs)
        if dry_run:
            jobs, refused = refusals(jobs, options)
            work = foreseen(refused, covers.dry_run(jobs, config))
        else:
            folder = _folder(output, jobs)
            work = events_with_files(lambda jobs: covers.generate(jobs, config), jobs, config, options, folder)
        failures = None if errors is None else ErrorFile(errors)
        write = _json_line if as_json else _planned_line if dry_run else _path_line
        try:
            with closing(work) as events:
                _follow(events, tally, terminal, write, failures, fail_fast=fail_fast)
        except (KeyboardInterrupt, Terminated):
            terminal.note(f"stopped after {tally.settled} of {tally.total}; the same command goes on from here")
            raise
        finally:
            if failures is not None:
                failures.close()
            if tally.settled:
                terminal.note(_summary(tally, output, jobs, dry_run=dry_run))
    return _exit_code(tally)


def _settled(
    songs: list[Path], from_cover: Path | None, preset: str | None, given: dict[str, Any], terminal: Terminal
) -> tuple[list[Path], GenerateConfig]:
    """Settle the settings, and with ``--from`` which of the songs is meant."""
    from covergen_cli.covers import reproduce as remake
    from covergen_cli.covers import stores
    from covergen_cli.covers.text import wording as lettering

    recipe = None if from_cover is None else remake.read_recipe(from_cover)
    asked = {**(recipe.settings if recipe else {}), **given}
    # A store that is asked for now goes before the size that a cover records.
    config = stores.for_store(
        resolve(GenerateConfig, preset=preset, overrides=asked), given if "store" in given else asked
    )
    lettering.check_font(config)
    for name, reason in config.without_effect(given).items():
        terminal.warn(f"--{name.replace('_', '-')} changes nothing: {reason}")
    if recipe:
        songs = [remake.find_song(recipe, songs)]
        remake.check_models(recipe, config, given)
        for note in recipe.notes:
            terminal.warn(note)
    return songs, config


def _songs(inputs: Sequence[str], *, null: bool) -> list[Path]:
    """The paths that were given: patterns that the shell left alone expanded, ``-`` replaced by the paths on stdin."""
    from covergen_cli.covers.inputs import expand

    if null and "-" not in inputs:
        raise ConfigError("-0 is for paths on stdin", hint="Add - as input.")
    paths: list[Path] = []
    for text in inputs:
        paths += _stdin_paths(null=null) if text == "-" else expand(text)
    if not paths:
        raise InputError("no song was given on stdin", hint="write one path per line")
    return paths


def _stdin_paths(*, null: bool) -> list[Path]:
    if not null:
        return [Path(line) for line in (line.rstrip("\r\n") for line in sys.stdin) if line.strip()]
    return [Path(os.fsdecode(name)) for name in sys.stdin.buffer.read().split(b"\0") if name]


def _follow(
    events: Generator[Event, None, None],
    tally: Tally,
    terminal: Terminal,
    write: Callable[[Event], str | None],
    failures: ErrorFile | None,
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
        if failures is not None:
            failures.add(event)
        if fail_fast and isinstance(event, CoverFailed):
            if tally.settled < tally.total:
                terminal.note(f"stopped at the first failure, after {tally.settled} of {tally.total}")
            return


def _path_line(event: Event) -> str | None:
    """The cover's path; a failed one has none."""
    return str(event.output) if isinstance(event, (CoverFinished, CoverSkipped)) else None


def _planned_line(event: Event) -> str | None:
    """The path of a cover that would be made."""
    return str(event.output) if isinstance(event, CoverPlanned) else None


def _json_line(event: Event) -> str | None:
    """One object for a cover, whatever became of it; ASCII, so that no console can spoil a name."""
    from covergen_cli.cli.records import record

    found = record(event)
    return None if found is None else json.dumps(found)


def _summary(tally: Tally, output: Path, jobs: Sequence[Job], *, dry_run: bool) -> str:
    """The last line: how much came to what, and where it is."""
    from covergen_cli.covers.templates import is_template

    if dry_run:
        return f"{tally.sentence(None, made='planned')}; nothing was made"
    return tally.sentence(None if is_template(output) else _folder(output, jobs))


def _folder(output: Path, jobs: Sequence[Job]) -> Path:
    """The folder that all covers lie in or below."""
    from covergen_cli.covers.templates import is_template

    if is_template(output):
        return Path(os.path.commonpath([job.output.parent for job in jobs]))
    return output.parent if jobs[0].output == output else output


def _exit_code(tally: Tally) -> int:
    if tally.failed == 0:
        return DONE
    return PARTLY if tally.finished + tally.skipped else FAILED
