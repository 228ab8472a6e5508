"""``covergen describe``: what a song sounds like, in words and as a prompt."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import click

from covergen_cli.cli.errors import DONE, FAILED, PARTLY
from covergen_cli.cli.options import Command, global_options, terminal_of
from covergen_cli.config.coerce import parse_segment
from covergen_cli.errors import InputError
from covergen_cli.files import SCHEMA


@click.command(cls=Command)
@click.argument("inputs", nargs=-1, required=True, metavar="INPUT...")
@click.option("--seed", type=click.IntRange(min=0), default=0, show_default=True, help="Random seed of the wording.")
@click.option(
    "--words",
    type=click.Choice(["title", "lyrics", "title,lyrics"]),
    help="Also use the title, things that the lyrics name (in the song's tags, or in a .lrc file beside it), or both.",
)
@click.option("--segment", metavar="START-END", help="Part of the song to use, in seconds or m:ss.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object per song.")
@global_options
@click.pass_context
def describe(
    context: click.Context,
    /,
    inputs: tuple[str, ...],
    seed: int,
    words: str | None,
    segment: str | None,
    as_json: bool,
    **_options: Any,
) -> int:
    """Describe songs in words, with a prompt for text-to-image models.

    INPUT is a music file, a folder, a playlist or a pattern, as for covergen generate. Nothing is downloaded.

    The prompt of every song is printed on stdout, one per line, and its genre, labels and descriptors on stderr.
    """
    from covergen_cli.covers.inputs import expand, find_songs

    terminal = terminal_of(context)
    part = None if segment is None else parse_segment(segment)
    songs = find_songs([path for text in inputs for path in expand(text)])
    done = 0
    for song in songs:
        try:
            done += _describe(song.path, seed, words, part, terminal, as_json=as_json)
        except InputError as error:  # noqa: PERF203 — one bad song never stops the others
            terminal.error(error.message, error.hint)
            if as_json:
                record = {"schema": SCHEMA, "input": str(song.path), "status": "failed", "error": error.message}
                terminal.result(json.dumps(record))
    return DONE if done == len(songs) else PARTLY if done else FAILED


def _describe(
    path: Path, seed: int, words: str | None, segment: tuple[float, float] | None, terminal: Any, *, as_json: bool
) -> int:
    from covergen_cli.covers.describe import describe_song

    found = describe_song(path, seed=seed, words=words, segment=segment)
    for text in found.warnings:
        terminal.warn(text)
    if as_json:
        terminal.result(json.dumps({"schema": SCHEMA, "input": str(path), "status": "ok", **found.as_json()}))
        return 1
    tags = ", ".join(f"{label} ×{score:.1f}" for label, score in found.heard.labels[:6])
    measured = ", ".join(f"{name} {value:.2f}" for name, value in found.heard.descriptors.items())
    terminal.note(f"{path.name}: {found.genre or 'no clear genre'} ({tags})")
    terminal.note(f"  {measured}")
    terminal.result(found.prompt)
    return 1
