"""The options of ``covergen generate`` that are about files: store checks, music files, contact sheets."""

from __future__ import annotations

import json
from collections.abc import Callable, Generator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from covergen_cli.cli.errors import DONE, FAILED, PARTLY
from covergen_cli.errors import ConfigError, CovergenError

if TYPE_CHECKING:
    from covergen_cli.cli.terminal import Terminal
    from covergen_cli.config import GenerateConfig
    from covergen_cli.covers.check import CheckResult
    from covergen_cli.covers.plan import Job
    from covergen_cli.events import CoverFailed, Event

CHECK_SCHEMA = 1
"""Version of the objects that ``--check --json`` writes."""

Decorated = TypeVar("Decorated", bound="Callable[..., Any]")


def file_options(function: Decorated) -> Decorated:
    """Add the options of this module. They are not settings, so that no config file can change music files."""
    for option in (
        click.option("--contact-sheet", is_flag=True, help="Also save all covers in one picture, contact-sheet.jpg."),
        click.option(
            "--backup/--no-backup",
            default=True,
            help="With --write-tags: keep the original music file as NAME.orig (default), or do not keep it.",
        ),
        click.option(
            "--replace-art", is_flag=True, help="With --write-tags: also replace embedded art from other programs."
        ),
        click.option(
            "--write-tags",
            is_flag=True,
            help="Also embed the cover in the music file (mp3, m4a, flac, ogg, opus). The audio is not changed.",
        ),
        click.option(
            "--from",
            "from_cover",
            type=click.Path(path_type=Path),
            metavar="COVER",
            help="Reproduce this cover with its recorded settings. INPUT is the song, or a folder that holds it.",
        ),
        click.option(
            "--check",
            is_flag=True,
            help="Check the pictures INPUT against the upload rules of the store given with --for, or of every store. "
            "No covers are generated.",
        ),
    ):
        function = option(function)
    return function


def check_images(paths: Sequence[str], store: str | None, terminal: Terminal, *, as_json: bool) -> int:
    """Check pictures against the rules of one store, or of every store, and write the findings.

    Returns:
        the exit code: 0 if all pictures pass everywhere, 1 if none does, 3 if some do.
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


def _check_json(result: CheckResult) -> str:
    picture = result.picture
    record = {
        "schema": CHECK_SCHEMA,
        "image": str(picture.path),
        "store": result.store,
        "passes": result.passes,
        "size": [picture.width, picture.height],
        "format": picture.format,
        "mode": picture.mode,
        "bytes": picture.bytes,
        "detail": picture.detail,
        "findings": [{"rule": f.rule, "level": f.level, "text": f.text} for f in result.findings],
        "error": None,
    }
    return json.dumps(record)


def _check_lines(result: CheckResult) -> str:
    verdict = "passes" if result.passes else "is refused"
    lines = [f"{result.picture.path}: {verdict} ({result.store})"]
    lines += [f"  {f.level:8} {f.rule}: {f.text}" for f in result.findings if f.level != "ok"]
    return "\n".join(lines)


def refusals(jobs: list[Job], options: dict[str, Any]) -> tuple[list[Job], list[CoverFailed]]:
    """Split off the jobs whose songs cannot take a cover, given the values of :func:`file_options` by name.

    Raises:
        ConfigError: the options contradict each other.
    """
    if options["replace_art"] and not options["write_tags"]:
        raise ConfigError("--replace-art is about art in music files", hint="Use it with --write-tags.")
    if not options["write_tags"]:
        return jobs, []
    from covergen_cli.covers import music_tags

    return music_tags.refusals(jobs, music_tags.TagSettings(options["replace_art"], options["backup"]))


def with_files(
    events: Generator[Event, None, None],
    refused: Sequence[CoverFailed],
    config: GenerateConfig,
    options: dict[str, Any],
    folder: Path,
) -> Generator[Event, None, None]:
    """Return the events of a generation, extended by the writing of music files and of the contact sheet in ``folder``.

    The failures from :func:`refusals` are yielded first.
    """
    from covergen_cli.covers.stores import with_size_notice

    if options["write_tags"]:
        from covergen_cli.covers import music_tags

        settings = music_tags.TagSettings(options["replace_art"], options["backup"])
        events = music_tags.with_art(events, settings, refused)
    events = with_size_notice(events, config)
    if options["contact_sheet"]:
        from covergen_cli.covers.contact_sheet import NAME, with_contact_sheet

        events = with_contact_sheet(events, folder / NAME)
    return events
