"""``covergen models``: list, download, locate, verify, remove and share models."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from covergen_cli.cli.errors import DONE, FAILED
from covergen_cli.cli.options import Command, global_options, terminal_of
from covergen_cli.cli.progress import size_text
from covergen_cli.errors import ModelError
from covergen_cli.files import SCHEMA

if TYPE_CHECKING:
    from covergen_cli.cli.terminal import Terminal
    from covergen_cli.weights.catalogue import ModelState

_NAMES = click.argument("names", nargs=-1, required=True, metavar="NAME...")
_JSON = click.option("--json", "as_json", is_flag=True, help="Print one JSON object per model.")


@click.group()
@global_options
def models() -> None:
    """List, download, locate, verify, remove and share models.

    NAME is a name from covergen models list, or the hub id OWNER/NAME of a base or an adapter.
    """


def _subcommand(function: Callable[..., int]) -> click.Command:
    name = function.__name__.lstrip("_")
    command = click.command(name, cls=Command)(global_options(click.pass_context(function)))
    models.add_command(command)
    return command


@_subcommand
@_JSON
def _list(context: click.Context, /, as_json: bool) -> int:
    """List the known models with status, size, licence, purpose and path."""
    from covergen_cli.weights import catalogue

    states = [catalogue.inspect(name) for name in catalogue.CATALOGUE]
    _write(states, terminal_of(context), as_json=as_json)
    return DONE


@_subcommand
@_NAMES
@_JSON
def _pull(context: click.Context, /, names: tuple[str, ...], as_json: bool) -> int:
    """Download models to the cache, for use offline.

    An interrupted download is resumed, and every file is verified. The path of each model is printed on stdout,
    including models that were already there.
    """
    from covergen_cli.cli.terminal import Tally
    from covergen_cli.cli.transfer import transfer
    from covergen_cli.events import ModelDownloading
    from covergen_cli.weights import catalogue

    terminal = terminal_of(context)
    for name in names:
        before = catalogue.inspect(name)
        if before.status != "complete":
            model = before.model
            terminal.show(ModelDownloading(name, model.source, model.licence, model.download_bytes), Tally())
        with transfer(terminal, before.model.download_bytes) as show:
            catalogue.pull(name, show)
        state = catalogue.inspect(name)
        terminal.result(json.dumps(_record(state)) if as_json else str(state.path))
    return DONE


@_subcommand
@_NAMES
@_JSON
def _path(context: click.Context, /, names: tuple[str, ...], as_json: bool) -> int:
    """Print the paths of models; a model that is missing or incomplete is an error."""
    from covergen_cli.weights import catalogue

    for name in names:
        state = catalogue.inspect(name)
        if state.status != "complete":
            problem = state.problem or f"{name} is not on this machine"
            raise ModelError(problem, hint=f"Run: covergen models pull {name}")
        terminal_of(context).result(json.dumps(_record(state)) if as_json else str(state.path))
    return DONE


@_subcommand
@click.argument("names", nargs=-1, metavar="[NAME...]")
@_JSON
def _verify(context: click.Context, /, names: tuple[str, ...], as_json: bool) -> int:
    """Compare every file of models with its hash; without NAME, of all models on this machine.

    The exit code is 1 if a model is damaged, or if NAME is missing.
    """
    from covergen_cli.weights import catalogue

    terminal = terminal_of(context)
    states = [catalogue.inspect(name, verify=True) for name in names or catalogue.CATALOGUE]
    if not names:
        states = [state for state in states if state.status != "missing"]
    _write(states, terminal, as_json=as_json)
    bad = [state for state in states if state.status != "complete"]
    if len(states) > len(bad):
        terminal.note(f"verified: {', '.join(s.model.name for s in states if s not in bad)}")
    for state in bad:
        name = state.model.name
        hint = "reinstall covergen-cli" if name == "starter" else f"run: covergen models pull {name}"
        terminal.error(state.problem or f"{name} is not on this machine", hint)
    return FAILED if bad else DONE


@_subcommand
@_NAMES
@click.option("-y", "--yes", is_flag=True, help="Remove without confirmation.")
def _rm(context: click.Context, /, names: tuple[str, ...], yes: bool) -> int:
    """Remove models from this machine, after a confirmation. The starter cannot be removed."""
    from covergen_cli.weights import catalogue

    terminal = terminal_of(context)
    states = [catalogue.inspect(name) for name in names]
    if any(state.model.name == "starter" for state in states):
        raise ModelError(
            "the starter is part of the package and cannot be removed", hint="uninstall covergen-cli instead"
        )
    here = [state for state in states if state.status != "missing"]
    if here and not yes:
        _ask(here, context)
    for state in states:
        if state in here:
            terminal.note(f"removed {state.model.name}, {size_text(catalogue.remove(state.model.name))} freed")
        else:
            terminal.note(f"{state.model.name} is not on this machine")
    return DONE


@_subcommand
@click.argument("run", metavar="RUN", type=click.Path(path_type=Path))
@click.argument("repo_id", metavar="OWNER/NAME")
@click.option(
    "--licence", metavar="ID", help="Licence of the adapter on the hub, such as cc-by-4.0; asked for if not given."
)
@click.option("--private", is_flag=True, help="Make the repository private.")
@click.option("--dry-run", is_flag=True, help="Write the files that would be uploaded to RUN/push, and upload nothing.")
def _push(context: click.Context, /, run: Path, repo_id: str, licence: str | None, private: bool, dry_run: bool) -> int:
    """Upload the adapter of a run to the Hugging Face Hub, for covergen generate --adapter OWNER/NAME.

    Adapter, a model card written from the run, the last sample covers and the figures of covergen eval RUN are
    uploaded. Check the card with --dry-run first, as a run does not record what its pairs were.

    The address of the commit is printed on stdout; with --dry-run, the files.
    """
    from covergen_cli.evaluation.share import prepare_upload
    from covergen_cli.weights.upload import check_repo_id, upload_folder

    check_repo_id(repo_id)
    terminal, licence = terminal_of(context), licence or _ask_licence(context)
    folder = prepare_upload(run, repo_id, licence)
    if dry_run:
        for path in sorted(folder.iterdir()):
            terminal.result(str(path))
        terminal.note("nothing was uploaded")
    else:
        terminal.result(upload_folder(folder, repo_id, "An adapter of covergen", private=private))
    return DONE


@_subcommand
@click.argument("adapter", metavar="ADAPTER")
@click.argument("songs", nargs=-1, metavar="[SONG...]", type=click.Path(path_type=Path))
@click.option(
    "-o", "--output", type=click.Path(path_type=Path), metavar="FOLDER", required=True, help="Folder to write to."
)
def _export(context: click.Context, /, adapter: str, songs: tuple[Path, ...], output: Path) -> int:
    """Write a decoupled adapter as an IP-Adapter file, which diffusers and other programs can read.

    ADAPTER is a run folder, an adapter folder or a hub id, trained with --preset decoupled. For each SONG, a file with
    the embedding that these programs take in place of an image is written too.

    The paths of the files are printed on stdout.
    """
    from covergen_cli.evaluation.share import export_ip_adapter

    for path in export_ip_adapter(adapter, output, songs):
        terminal_of(context).result(str(path))
    return DONE


def _ask_licence(context: click.Context) -> str:
    if not sys.stdin.isatty():
        raise click.UsageError("push needs a licence, but stdin is not a terminal; use --licence", context)
    return str(click.prompt("Licence of the adapter on the hub (such as cc-by-4.0)", err=True))


def _ask(states: Sequence[ModelState], context: click.Context) -> None:
    if not sys.stdin.isatty():
        raise click.UsageError("rm needs a confirmation, but stdin is not a terminal; use --yes", context)
    listed = ", ".join(f"{state.model.name} ({size_text(state.size_bytes)})" for state in states)
    click.confirm(f"Remove {listed}?", abort=True, err=True)


def _record(state: ModelState) -> dict[str, Any]:
    return {
        "schema": SCHEMA,
        "name": state.model.name,
        "role": state.model.role,
        "licence": state.model.licence,
        "source": state.model.source,
        "status": state.status,
        "path": None if state.path is None else str(state.path),
        "size_bytes": state.size_bytes or None,
        "about_bytes": state.model.about_bytes or None,
        "error": state.problem or None,
    }


def _write(states: Sequence[ModelState], terminal: Terminal, *, as_json: bool) -> None:
    """Write one line per model: a JSON object, or the columns of a table."""
    if as_json:
        for state in states:
            terminal.result(json.dumps(_record(state)))
        return
    rows = [("NAME", "STATUS", "SIZE", "LICENCE", "FOR", "WHERE")]
    for state in states:
        model = state.model
        size = size_text(state.size_bytes) if state.path else "~" + size_text(model.about_bytes)
        rows.append((model.name, state.status, size, model.licence, model.role, str(state.path or "–")))
    widths = [max(len(row[column]) for row in rows) for column in range(5)]
    for row in rows:
        cells = [cell.ljust(width) for cell, width in zip(row, widths, strict=False)]
        terminal.result("  ".join([*cells, row[5]]))
