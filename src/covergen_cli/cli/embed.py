"""``covergen embed``: music in, embeddings out."""

from __future__ import annotations

import json
import os
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from covergen_cli.cli.errors import DONE, FAILED, PARTLY
from covergen_cli.cli.options import Command, given_settings, global_options, setting_options, terminal_of
from covergen_cli.cli.unused import unused_in_embedding, warn_of_preset, warn_of_unused
from covergen_cli.config import EmbedConfig
from covergen_cli.config.resolve import BUILT_IN, preset_names, resolve
from covergen_cli.errors import OutputError
from covergen_cli.files import SCHEMA

if TYPE_CHECKING:
    from covergen_cli.cli.terminal import Terminal


@click.command(cls=Command)
@click.argument("target", metavar="DATA|SONG", type=click.Path(path_type=Path))
@click.option(
    "-o",
    "--output",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="File for the embedding of a song, ending in .npy. Defaults to SONG.npy in the current folder.",
)
@click.option(
    "--name",
    metavar="NAME",
    help="Name of the folder below DATA/embeddings. Defaults to the name of the encoder.",
)
@click.option(
    "--preset",
    default=BUILT_IN,
    show_default=True,
    help=f"Preset to start from: {', '.join(preset_names('embed'))}, or a YAML file with a section embed.",
)
@setting_options(EmbedConfig)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object instead of a path.")
@global_options
@click.pass_context
def embed(
    context: click.Context,
    /,
    target: Path,
    output: Path | None,
    name: str | None,
    preset: str,
    as_json: bool,
    **_settings: Any,
) -> int:
    """Compute audio embeddings, the input of the adapter.

    DATA is a dataset folder: for every row of manifest.csv an embedding is saved in embeddings/ENCODER/, and pairs.csv
    is written. Run the same command again to compute what is missing. SONG is a single music file. Music of up to 35
    seconds is used completely, of longer music the salient segment.

    The path of pairs.csv, or of the embedding of SONG, is printed on stdout.
    """
    config, terminal = (
        resolve(EmbedConfig, preset=preset, overrides=given_settings(context, EmbedConfig)),
        terminal_of(context),
    )
    warn_of_unused(context, EmbedConfig, unused_in_embedding(config))
    warn_of_preset(context, preset, "embed")
    if os.path.isdir(target):  # noqa: PTH112 — Path.is_dir raises for a name that is too long
        if output is not None:
            raise click.UsageError("-o is only for a single song", context)
        return _embed_dataset(target, config, name, terminal, as_json=as_json)
    if name is not None or config.engine == "ray":
        raise click.UsageError("--name and --engine ray are only for dataset folders", context)
    output = output or Path(f"{target.stem}.npy")
    if output.suffix != ".npy":
        raise click.UsageError(f"{output} does not end in .npy", context)
    _require_replaceable(output)
    return _embed_song(target, output, config, terminal, as_json=as_json)


def _require_replaceable(output: Path) -> None:
    """Raise ``OutputError`` if there is a file that is not a NumPy array, whatever its name."""
    if os.path.isfile(output):  # noqa: PTH113 — Path.is_file raises for a name that is too long
        with output.open("rb") as file:
            if file.read(6) != b"\x93NUMPY":
                raise OutputError(f"{output} exists and is not a NumPy file", hint="Choose another name with -o.")


def _embed_song(song: Path, output: Path, config: EmbedConfig, terminal: Terminal, *, as_json: bool) -> int:
    from covergen_cli.audio.embed import EmbedResult, EmbedTask, embed_one, load_encoder
    from covergen_cli.audio.io import probe

    started = time.monotonic()
    probe(song)
    outcome = embed_one(EmbedTask(song.stem, song, output), load_encoder(config))
    made = outcome if isinstance(outcome, EmbedResult) else None
    error = None if isinstance(outcome, EmbedResult) else outcome.error
    if isinstance(outcome, EmbedResult):
        for text in outcome.warnings:
            terminal.warn(text)
        terminal.note(f"{outcome.frames} rows from the segment {outcome.segment[0]:.1f}–{outcome.segment[1]:.1f} s")
    else:
        terminal.error(outcome.error, outcome.hint)
    if as_json:
        record = {
            "schema": SCHEMA,
            "input": str(song),
            "output": str(output) if made else None,
            "status": "ok" if made else "failed",
            "encoder": config.encoder,
            "frames": made and made.frames,
            "segment": made and made.segment,
            "seconds": round(time.monotonic() - started, 3),
            "error": error,
        }
        terminal.result(json.dumps(record))
    elif made:
        terminal.result(str(output))
    return DONE if made else FAILED


def _embed_dataset(folder: Path, config: EmbedConfig, name: str | None, terminal: Terminal, *, as_json: bool) -> int:
    from covergen_cli.cli.terminal import Tally
    from covergen_cli.dataset.embed import embed_dataset
    from covergen_cli.events import EmbedFinished

    tally, started = Tally(noun="embedding"), time.monotonic()
    try:
        finished = terminal.run(embed_dataset(folder, config, name=name), tally)
    finally:
        if tally.total:
            terminal.note(tally.summary(folder / "embeddings" / (name or config.encoder)))
    if not isinstance(finished, EmbedFinished):
        return FAILED
    if finished.failed:
        terminal.note(f"the reason for each failed row is in {finished.status}")
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
