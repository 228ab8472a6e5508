"""``covergen generate``: music in, covers out."""

from __future__ import annotations

import os
import sys
from collections.abc import Generator, Sequence
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from click.core import ParameterSource

from covergen_cli.cli.errors import DONE, FAILED, PARTLY
from covergen_cli.cli.files import DEFAULT_OUTPUT, check_files, file_options, plan_covers, refusals, with_files
from covergen_cli.cli.options import Command, given_settings, global_options, setting_options, terminal_of
from covergen_cli.config import GenerateConfig
from covergen_cli.config.resolve import preset_names, resolve
from covergen_cli.errors import ConfigError

if TYPE_CHECKING:
    from covergen_cli.cli.terminal import Tally, Terminal
    from covergen_cli.covers.plan import Job
    from covergen_cli.events import Event

GROUPS = {
    "Common": ("output", "variations", "seed", "look", "palette", "size", "format", "segment"),
    "Text and stores": ("picture", "like", "title", "artist", "text", "layout", "font", "store", "check"),
    "Motion": ("motion", "motion_for"),
    "Music library": (
        *("per", "only_missing", "in_place", "overwrite", "dry_run"),
        *("write_tags", "replace_art", "backup", "contact_sheet", "gallery", "errors", "fail_fast", "as_json", "null"),
    ),
    "Stable Diffusion and refiner": (
        *("base", "adapter", "prompt", "negative", "words", "words_scale", "audio_scale"),
        *("refine", "refiner", "refine_prompt", "refine_strength"),
        *("refine_steps", "refine_guidance", "fast_decode", "safety", "low_memory"),
    ),
}


@click.command(cls=Command, groups=GROUPS)
@click.argument("inputs", nargs=-1, metavar="INPUT...")
@click.option(
    "-o",
    "--output",
    type=click.Path(path_type=Path),
    default=DEFAULT_OUTPUT,
    show_default=True,
    metavar="OUT",
    help="Output folder; or a path template, such as 'art/{artist}/{album}.{ext}'; or, for a single cover, a file name "
    "that ends in .png, .jpg or .svg.",
)
@setting_options(GenerateConfig, short={"variations": "-n", "store": "--for"}, optional={"motion": "mp4"})
@click.option(
    "--preset",
    help=f"Preset to start from: {', '.join(preset_names())}, or a YAML file. Defaults to those of the models: starter "
    "for the bundled model, painter with --base painter, turbo and turbo-refiner for models whose name ends in turbo, "
    "refine with --refine, xl if a model of Stable Diffusion XL draws last; and default for all others.",
)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object per cover instead of its path.")
@click.option(
    "--dry-run", is_flag=True, help="Check the inputs and list the covers that would be made, without loading a model."
)
@click.option(
    "--like",
    type=click.Path(path_type=Path),
    metavar="COVER",
    help="Take look, palette and text layout from this cover, for a series that belongs together.",
)
@click.option("--fail-fast", is_flag=True, help="Stop at the first song that fails.")
@click.option(
    "--errors",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="Also write the failures to FILE, which ends in .jsonl (the objects of --json) or .csv and is replaced.",
)
@click.option("-0", "--null", is_flag=True, help="Read paths from stdin that end in NUL, as written by find -print0.")
@file_options
@global_options
@click.pass_context
def generate(
    context: click.Context,
    /,
    inputs: tuple[str, ...],
    output: Path,
    preset: str | None,
    null: bool,
    check: bool,
    from_cover: Path | None,
    like: Path | None,
    **options: Any,
) -> int:
    """Generate covers for songs.

    INPUT is a music file, a folder (searched recursively; its structure is kept under the output folder), a playlist
    (.m3u, .m3u8), a pattern such as 'music/**/*.flac', or - to read paths from stdin, one per line. With --check, INPUT
    are pictures instead.

    The path of every cover is printed on stdout, including covers that were already there.
    """
    if not inputs:
        raise click.UsageError(
            "Missing argument 'INPUT...'."
            if from_cover is None
            else f"--from needs the song too, or a folder that holds it: covergen generate --from {from_cover} SONG"
        )
    given, terminal = given_settings(context, GenerateConfig), terminal_of(context)
    if check:
        return check_files(inputs, given.get("store"), given.get("motion_for"), terminal, as_json=options["as_json"])
    found = _songs(inputs, null=null)
    songs, config = _resolve(found, from_cover, like, preset, given, terminal)
    if not found:
        return _nothing_to_do(options["errors"], terminal)
    output_given = context.get_parameter_source("output") != ParameterSource.DEFAULT
    tally = _run(songs, output if output_given else None, config, options, terminal, format_given="format" in given)
    return DONE if not tally.failed else PARTLY if tally.finished + tally.skipped else FAILED


def _resolve(
    songs: list[Path],
    from_cover: Path | None,
    like: Path | None,
    preset: str | None,
    given: dict[str, Any],
    terminal: Terminal,
) -> tuple[list[Path], GenerateConfig]:
    """Return the songs and the settings; with ``--from``, only the song of that cover, and its settings as well."""
    from covergen_cli.covers import reproduce, stores
    from covergen_cli.covers.motion.due import check_motion
    from covergen_cli.covers.styling import resolve_look
    from covergen_cli.covers.text.wording import check_font

    made = None if from_cover is None else reproduce.read_settings(from_cover)
    style = {} if like is None else reproduce.read_style(like)
    overrides = {**(made.settings if made else {}), **style, **given}
    config = resolve(GenerateConfig, preset=preset, overrides=overrides)
    # A store that is given now overrides the size that a cover records.
    config = stores.for_store(config, given if "store" in given else overrides)
    check_motion(config)
    config = resolve_look(config)
    check_font(config)
    for name, reason in config.without_effect(given).items():
        terminal.warn(f"--{name.replace('_', '-')} has no effect: {reason}")
    if made:
        songs = [reproduce.find_song(made, songs)]
        reproduce.check_models(made, config, given)
        for text in made.warnings:
            terminal.warn(text)
    return songs, config


def _run(
    songs: Sequence[Path],
    output: Path | None,
    config: GenerateConfig,
    options: dict[str, Any],
    terminal: Terminal,
    *,
    format_given: bool,
) -> Tally:
    """Plan and generate the covers, or only plan them; return the counts."""
    from covergen_cli.cli.records import Recorder
    from covergen_cli.cli.terminal import Tally
    from covergen_cli.covers import generate as covers
    from covergen_cli.covers import stores
    from covergen_cli.covers.naming import is_template
    from covergen_cli.covers.styling import check_vector

    tally, dry_run = Tally(), options["dry_run"]
    with terminal.live(tally):
        jobs, settled = plan_covers(
            songs,
            output,
            config,
            options,
            lambda event: terminal.show(event, tally),
            format_given=format_given,
        )
        stores.check_formats(jobs, config)
        check_vector(jobs, config)
        tally.total = len(jobs) + len(settled)
        anywhere = options["in_place"] or is_template(output or DEFAULT_OUTPUT)
        folder = _folder(jobs, output or DEFAULT_OUTPUT, anywhere=anywhere)
        jobs, refused = refusals(jobs, options)
        if dry_run:
            events = _chain([*settled, *refused], covers.dry_run(jobs, config))
        else:
            events = _chain(settled, with_files(covers.generate(jobs, config), refused, config, options, folder))
        recorder = Recorder(terminal, options["errors"], as_json=options["as_json"], dry_run=dry_run)
        try:
            terminal.run(_until_failure(events) if options["fail_fast"] else events, tally, recorder.add)
            if options["fail_fast"] and tally.failed and tally.settled < tally.total:
                terminal.note(f"stopped at the first failure, after {tally.settled} of {tally.total}")
        finally:
            recorder.close()
            if tally.settled and dry_run:
                terminal.note(f"{tally.summary(None, 'planned')}; nothing was written")
            elif tally.settled:
                terminal.note(tally.summary(None if anywhere else folder))
    return tally


def _songs(inputs: Sequence[str], *, null: bool) -> list[Path]:
    """Return the paths of the songs, with patterns expanded and ``-`` replaced by the paths on stdin."""
    from covergen_cli.covers.inputs import expand

    if null and "-" not in inputs:
        raise ConfigError("-0 is for paths on stdin", hint="Add - as input.")
    paths: list[Path] = []
    for text in inputs:
        paths += _stdin_paths(null=null) if text == "-" else expand(text)
    return paths


def _nothing_to_do(errors: Path | None, terminal: Terminal) -> int:
    """Say that stdin was empty, as that of a program that found nothing is, and write an empty list of errors."""
    from covergen_cli.cli.records import Recorder

    terminal.note("no song was given on stdin: nothing to do")
    Recorder(terminal, errors, as_json=False, dry_run=False).close()
    return DONE


def _stdin_paths(*, null: bool) -> list[Path]:
    from covergen_cli.covers.inputs import read_list

    data = sys.stdin.buffer.read()
    return [Path(os.fsdecode(name)) for name in data.split(b"\0") if name] if null else read_list(data)


def _chain(first: Sequence[Event], events: Generator[Event, None, None]) -> Generator[Event, None, None]:
    yield from first
    yield from events


def _until_failure(events: Generator[Event, None, None]) -> Generator[Event, None, None]:
    """Yield the events up to the first failure, then close the generator."""
    from covergen_cli.events import CoverFailed

    with closing(events):
        for event in events:
            yield event
            if isinstance(event, CoverFailed):
                return


def _folder(jobs: Sequence[Job], output: Path, *, anywhere: bool) -> Path:
    """Return the folder that holds all covers, possibly in subfolders; ``anywhere``, or in ``output``."""
    if not anywhere or not jobs:
        return output.parent if jobs and jobs[0].output == output else output
    return Path(os.path.commonpath([os.path.abspath(job.output.parent) for job in jobs]))  # noqa: PTH100 — links stay
