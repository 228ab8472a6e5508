"""``covergen embed``: music in, embeddings out."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Iterable
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from covergen_cli.cli.errors import DONE, FAILED, PARTLY, Terminated
from covergen_cli.cli.options import Command, Session, given_settings, global_options, setting_options
from covergen_cli.cli.terminal import Tally, Terminal
from covergen_cli.config import EmbedConfig
from covergen_cli.config.resolve import resolve
from covergen_cli.errors import OutputError
from covergen_cli.events import EmbedFinished

if TYPE_CHECKING:
    from covergen_cli.events import Event

SCHEMA = 1
"""Version of the object that ``--json`` writes."""


@click.command(cls=Command)
@click.argument("target", metavar="DATA|SONG", type=click.Path(path_type=Path))
@click.option(
    "-o",
    "--output",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="Only for a song: the embedding's file, ending in .npy; without it, SONG.npy in the current folder.",
)
@click.option(
    "--name",
    metavar="NAME",
    help="Only for a dataset folder: name of the folder below embeddings/; without it, the encoder's name.",
)
@setting_options(EmbedConfig)
@click.option("--json", "as_json", is_flag=True, help="One JSON object on stdout instead of a path.")
@global_options
@click.pass_context
def embed(
    context: click.Context, /, target: Path, output: Path | None, name: str | None, as_json: bool, **_settings: Any
) -> int:
    """Turn music into embeddings, the form in which models hear it.

    DATA is a dataset folder: every row of its manifest.csv gets its file in embeddings/ENCODER/, and pairs.csv is
    written. Run the same line again and it does only what is missing. SONG is one music file. What is no longer than
    35 seconds is used whole, of a longer song the salient part. The path of pairs.csv, or of the one embedding, goes to
    stdout.
    """
    config = resolve(EmbedConfig, overrides=given_settings(context, EmbedConfig))
    terminal = context.ensure_object(Session).terminal()
    if os.path.isdir(target):  # noqa: PTH112
        if output is not None:
            raise click.UsageError("-o is for a single song; embeddings of a dataset folder lie in it", context)
        return _embed_dataset(target, config, name, terminal, as_json=as_json)
    if name is not None or config.engine == "ray":
        raise click.UsageError("--name and --engine ray are for dataset folders", context)
    output = output or Path(f"{target.stem}.npy")
    if output.suffix != ".npy":
        raise click.UsageError(f"{output} does not end in .npy", context)
    _spare_what_is_no_array(output)
    return _embed_song(target, output, config, terminal, as_json=as_json)


def _spare_what_is_no_array(output: Path) -> None:
    """Refuse to replace a file that only bears the name of a NumPy array.

    Raises:
        OutputError: there is such a file.
    """
    if os.path.isfile(output):  # noqa: PTH113 — Path.is_file raises for a name that is too long
        with output.open("rb") as file:
            if file.read(6) != b"\x93NUMPY":
                raise OutputError(f"{output} is there and is no NumPy file", hint="Choose another name with -o.")


def _embed_song(song: Path, output: Path, config: EmbedConfig, terminal: Terminal, *, as_json: bool) -> int:
    from covergen_cli.audio.embed import EmbedResult, EmbedTask, embed_one, load_encoder
    from covergen_cli.audio.io import probe

    started = time.monotonic()
    probe(song)
    outcome = embed_one(EmbedTask(song.stem, song, output), load_encoder(config))
    done = isinstance(outcome, EmbedResult)
    if isinstance(outcome, EmbedResult):
        for text in outcome.warnings:
            terminal.warn(text)
        terminal.note(f"{outcome.frames} rows, heard {outcome.segment[0]:.1f}–{outcome.segment[1]:.1f} s")
    else:
        terminal.error(outcome.error, outcome.hint)
    if as_json:
        record = {
            "schema": SCHEMA,
            "input": str(song),
            "output": str(output) if done else None,
            "status": "ok" if done else "failed",
            "encoder": config.encoder,
            "frames": outcome.frames if isinstance(outcome, EmbedResult) else None,
            "segment": outcome.segment if isinstance(outcome, EmbedResult) else None,
            "seconds": round(time.monotonic() - started, 3),
            "error": None if isinstance(outcome, EmbedResult) else outcome.error,
        }
        terminal.result(json.dumps(record))
    elif done:
        terminal.result(str(output))
    return DONE if done else FAILED


def _embed_dataset(folder: Path, config: EmbedConfig, name: str | None, terminal: Terminal, *, as_json: bool) -> int:
    from covergen_cli.dataset.embed import embed_dataset

    tally = Tally(noun="embedding")
    started = time.monotonic()
    finished = None
    try:
        with terminal.live(tally), closing(embed_dataset(folder, config, name=name)) as events:
            finished = _follow(events, tally, terminal)
    except (KeyboardInterrupt, Terminated):
        terminal.note(f"stopped after {tally.settled} of {tally.total}; the same command goes on from here")
        raise
    finally:
        if tally.total:
            terminal.note(tally.sentence(folder / "embeddings" / (name or config.encoder)))
    if finished is None:
        return FAILED
    if finished.failed:
        terminal.note(f"why rows failed stands in {finished.status}")
    made = finished.embedded + finished.present
    if as_json:
        record = {
            "schema": SCHEMA,
            "status": "ok" if not finished.failed else "partly" if made else "failed",
            "pairs": str(finished.pairs),
            "status_file": str(finished.status),
            "encoder": config.encoder,
            "embedded": finished.embedded,
            "present": finished.present,
            "failed": finished.failed,
            "seconds": round(time.monotonic() - started, 3),
        }
        terminal.result(json.dumps(record))
    elif made:
        terminal.result(str(finished.pairs))
    return DONE if not finished.failed else PARTLY if made else FAILED


def _follow(events: Iterable[Event], tally: Tally, terminal: Terminal) -> EmbedFinished | None:
    """Show every event; return the last."""
    for event in events:
        tally.count(event)
        terminal.show(event, tally)
        if isinstance(event, EmbedFinished):
            return event
    return None
