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
    from covergen_cli.covers.motion.check import VideoCheck
    from covergen_cli.covers.music_tags import TagSettings
    from covergen_cli.covers.plan import Job
    from covergen_cli.events import CoverFailed, Event, Progress

DEFAULT_OUTPUT = Path("covers")
"""The value of ``-o`` unless it is given."""

CHECK_SCHEMA = 1
"""Version of the objects that ``--check --json`` writes."""

Decorated = TypeVar("Decorated", bound="Callable[..., Any]")


def file_options(function: Decorated) -> Decorated:
    """Add the options of this module. They are not settings, so that no config file can change music files."""
    for option in (
        click.option(
            "--in-place",
            is_flag=True,
            help="With --per album or folder: save the cover beside the songs, as cover.jpg or what -o names, such as "
            "folder.jpg.",
        ),
        click.option(
            "--only-missing",
            is_flag=True,
            help="Leave songs alone that have art in their tags or as a picture beside them (cover, folder, front, "
            "album or the song's name); an album if all its songs have some.",
        ),
        click.option(
            "--gallery",
            is_flag=True,
            help="Also save one web page of all covers, gallery.html, to search and to choose from.",
        ),
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
            help="Check the pictures INPUT against the upload rules of the store given with --for, or of every store, "
            "and videos against those of --motion-for, or of every target. No covers are generated.",
        ),
    ):
        function = option(function)
    return function


def check_files(
    paths: Sequence[str], store: str | None, target: str | None, terminal: Terminal, *, as_json: bool
) -> int:
    """Check pictures against the rules of stores and videos against those of targets, and write the findings.

    Args:
        paths: the files.
        store: the store for pictures; ``None`` for every store.
        target: the target for videos; ``None`` for every target.
        terminal: for the findings.
        as_json: write one object per file and store or target.

    Returns:
        the exit code: 0 if all files pass everywhere, 1 if none does, 3 if some do.
    """
    passed = 0
    for text in paths:
        try:
            results = _check(Path(text), store, target)
        except CovergenError as error:
            terminal.error(error.message, error.hint)
            if as_json:
                terminal.result(json.dumps({"schema": CHECK_SCHEMA, "image": text, "error": error.message}))
            continue
        passed += all(result.passes for result in results)
        for result in results:
            terminal.result(json.dumps(_check_record(result)) if as_json else _check_lines(result))
    return DONE if passed == len(paths) else PARTLY if passed else FAILED


def _check(path: Path, store: str | None, target: str | None) -> Sequence[CheckResult | VideoCheck]:
    """Return the findings on a picture for each store, or on a video for each target."""
    from covergen_cli.covers.check import check, open_picture
    from covergen_cli.covers.motion.check import SUFFIXES, check_video, open_video
    from covergen_cli.covers.motion.targets import load_targets
    from covergen_cli.covers.stores import UPLOADED, load_stores

    if path.suffix.lower() in SUFFIXES:
        video = open_video(path)
        return [check_video(video, load_targets()[name]) for name in ([target] if target else load_targets())]
    picture = open_picture(path)
    return [check(picture, load_stores()[name]) for name in ([store] if store else UPLOADED)]


def _check_record(result: CheckResult | VideoCheck) -> dict[str, Any]:
    findings = [{"rule": f.rule, "level": f.level, "text": f.text} for f in result.findings]
    passed = {"passes": result.passes, "findings": findings, "error": None}
    return {"schema": CHECK_SCHEMA, **result.properties(), **passed}


def _check_lines(result: CheckResult | VideoCheck) -> str:
    lines = [f"{result.path}: {'passes' if result.passes else 'is refused'} ({result.place})"]
    lines += [f"  {f.level:8} {f.rule}: {f.text}" for f in result.findings if f.level != "ok"]
    return "\n".join(lines)


def plan_covers(
    songs: Sequence[Path],
    output: Path | None,
    config: GenerateConfig,
    options: dict[str, Any],
    on_progress: Callable[[Progress], None],
    *,
    format_given: bool,
) -> tuple[list[Job], list[Event]]:
    """Return the covers to make, and the events of those that are settled already, given :func:`file_options`.

    Args:
        songs: music files, folders and playlists.
        output: the value of ``-o``; ``None`` for its default.
        config: the settings.
        options: the values of the options by name.
        on_progress: called while tags are read.
        format_given: the user chose the format.
    """
    from covergen_cli.covers import generate as covers

    settled: list[Event] = []
    if options["in_place"]:
        from covergen_cli.covers import in_place

        name = in_place.NAME if output is None else str(output)
        jobs, failures = in_place.plan_in_place(songs, name, config, on_progress)
        settled += failures
    else:
        jobs = covers.plan(songs, output or DEFAULT_OUTPUT, config, format_given=format_given, on_progress=on_progress)
    if options["only_missing"]:
        from covergen_cli.covers.present_art import split_missing

        jobs, present = split_missing(jobs, on_progress)
        settled += present
    return jobs, settled


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

    return music_tags.refusals(jobs, _tag_settings(options))


def _tag_settings(options: dict[str, Any]) -> TagSettings:
    from covergen_cli.covers.music_tags import TagSettings

    return TagSettings(options["replace_art"], options["backup"], options["only_missing"])


def with_files(
    events: Generator[Event, None, None],
    refused: Sequence[CoverFailed],
    config: GenerateConfig,
    options: dict[str, Any],
    folder: Path,
) -> Generator[Event, None, None]:
    """Return the events of a generation, extended by the writing of music files, contact sheet and gallery.

    Sheet and gallery are saved in ``folder``.
    The failures from :func:`refusals` are yielded first.
    """
    from covergen_cli.covers.stores import with_size_notice

    if options["write_tags"]:
        from covergen_cli.covers import music_tags

        events = music_tags.with_art(events, _tag_settings(options), refused)
    events = with_size_notice(events, config)
    if options["contact_sheet"]:
        from covergen_cli.covers.contact_sheet import NAME, with_contact_sheet

        events = with_contact_sheet(events, folder / NAME)
    if options["gallery"]:
        from covergen_cli.covers import gallery

        events = gallery.with_gallery(events, folder / gallery.NAME)
    return events
