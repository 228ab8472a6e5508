"""The parts of ``covergen generate`` that deal with finished files: checks, music files, contact sheets."""

from __future__ import annotations

import json
from collections.abc import Callable, Generator, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from covergen_cli.cli.errors import DONE, FAILED, PARTLY
from covergen_cli.errors import ConfigError, CovergenError

if TYPE_CHECKING:
    from covergen_cli.cli.terminal import Terminal
    from covergen_cli.config import GenerateConfig
    from covergen_cli.covers.check import Checked
    from covergen_cli.covers.jobs import Job
    from covergen_cli.events import CoverFailed, Event

CHECK_SCHEMA = 1
"""Version of the objects that ``--check --json`` writes."""

Decorated = TypeVar("Decorated", bound="Callable[..., Any]")


def file_options(function: Decorated) -> Decorated:
    """Add the options of this module; they are no settings, so that no config file can change a music file."""
    for option in (
        click.option("--contact-sheet", is_flag=True, help="Also put all covers into one picture, contact-sheet.jpg."),
        click.option(
            "--backup/--no-backup",
            default=True,
            help="With --write-tags: keep the original music file as NAME.orig, or not; it is kept unless told.",
        ),
        click.option(
            "--replace-art", is_flag=True, help="With --write-tags: also replace art that covergen did not put there."
        ),
        click.option(
            "--write-tags",
            is_flag=True,
            help="Put the cover into the music file too (mp3, m4a, flac, ogg, opus); its sound is not touched.",
        ),
        click.option(
            "--from",
            "from_cover",
            type=click.Path(path_type=Path),
            metavar="COVER",
            help="Make this cover again: its settings, from the same song, which INPUT is or holds.",
        ),
        click.option(
            "--check",
            is_flag=True,
            help="Draw nothing: INPUT are pictures; say whether a store takes them (--for; without it, every store).",
        ),
    ):
        function = option(function)
    return function


def check_images(paths: Sequence[str], store: str | None, terminal: Terminal, *, as_json: bool) -> int:
    """Hold pictures against stores' rules and write what was found.

    Returns:
        the exit code: 0 when all pass everywhere, 1 when none does, 3 when some do.
    """
    from covergen_cli.covers.check import check, open_picture
    from covergen_cli.covers.stores import UPLOADED, load_stores

    stores = [load_stores()[name] for name in ([store] if store else UPLOADED)]
    passed = 0
    for text in paths:
        try:
            picture = open_picture(Path(text))
        except CovergenError as error:
            terminal.error(error.message, error.hint)
            if as_json:
                terminal.result(json.dumps({"schema": CHECK_SCHEMA, "image": text, "error": error.message}))
            continue
        results = [check(picture, rules) for rules in stores]
        passed += all(result.passes for result in results)
        for result in results:
            terminal.result(_check_json(result) if as_json else _check_lines(result))
    return DONE if passed == len(paths) else PARTLY if passed else FAILED


def _check_json(checked: Checked) -> str:
    picture = checked.picture
    record = {
        "schema": CHECK_SCHEMA,
        "image": str(picture.path),
        "store": checked.store,
        "passes": checked.passes,
        "size": [picture.width, picture.height],
        "format": picture.format,
        "mode": picture.mode,
        "bytes": picture.bytes,
        "detail": picture.detail,
        "findings": [{"rule": f.rule, "level": f.level, "text": f.text} for f in checked.findings],
        "error": None,
    }
    return json.dumps(record)


def _check_lines(checked: Checked) -> str:
    verdict = "passes" if checked.passes else "is refused"
    lines = [f"{checked.picture.path}: {verdict} ({checked.store})"]
    lines += [f"  {f.level:8} {f.rule}: {f.text}" for f in checked.findings if f.level != "ok"]
    return "\n".join(lines)


def refusals(jobs: list[Job], options: dict[str, Any]) -> tuple[list[Job], list[CoverFailed]]:
    """Part the jobs whose songs can take a cover, if they shall, from those that cannot.

    Args:
        jobs: the covers.
        options: values of :func:`file_options`, by name.

    Raises:
        ConfigError: the options make no sense together, or mutagen is missing.
    """
    if options["replace_art"] and not options["write_tags"]:
        raise ConfigError("--replace-art is about art in music files", hint="Use it with --write-tags.")
    if not options["write_tags"]:
        return jobs, []
    from covergen_cli.covers import music_tags as tagging

    return tagging.refusals(jobs, tagging.TagSettings(options["replace_art"], options["backup"]))


def foreseen(refused: Sequence[CoverFailed], events: Iterator[Event]) -> Generator[Event, None, None]:
    """Give what was refused first, then the other events."""
    yield from refused
    yield from events


def events_with_files(
    draw: Callable[[list[Job]], Generator[Event, None, None]],
    jobs: list[Job],
    config: GenerateConfig,
    options: dict[str, Any],
    folder: Path,
) -> Generator[Event, None, None]:
    """Draw, and do with every cover what the options of this module ask for.

    Args:
        draw: draws jobs.
        jobs: the covers.
        config: the settings.
        options: values of :func:`file_options`, by name.
        folder: where the contact sheet goes.

    Raises:
        ConfigError: the options make no sense together.
    """
    from covergen_cli.covers.stores import with_size_notice

    jobs, refused = refusals(jobs, options)
    if options["write_tags"]:
        from covergen_cli.covers import music_tags as tagging

        settings = tagging.TagSettings(options["replace_art"], options["backup"])
        events = tagging.with_art(draw(jobs), settings, refused)
    else:
        events = draw(jobs)
    events = with_size_notice(events, config)
    if options["contact_sheet"]:
        from covergen_cli.covers.contact_sheet import NAME, with_contact_sheet

        events = with_contact_sheet(events, folder / NAME)
    return events
