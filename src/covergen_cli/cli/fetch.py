"""``covergen fetch``: a source of pairs in, a dataset folder out."""

from __future__ import annotations

import json
import time
from collections.abc import Iterable
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from covergen_cli.cli.errors import DONE, FAILED, PARTLY, Terminated
from covergen_cli.cli.options import Command, Session, given_settings, global_options, setting_options
from covergen_cli.cli.terminal import Tally
from covergen_cli.config import FetchConfig
from covergen_cli.config.resolve import resolve
from covergen_cli.events import FetchFinished

if TYPE_CHECKING:
    from covergen_cli.cli.terminal import Terminal
    from covergen_cli.events import Event

SCHEMA = 1
"""Version of the object that ``--json`` writes."""

_CAUSES_SHOWN = 12
_HOSTS_SHOWN = 5


@click.command(cls=Command)
@click.argument("source", metavar="SOURCE")
@click.option(
    "-o",
    "--output",
    type=click.Path(path_type=Path, file_okay=False),
    metavar="DATA",
    required=True,
    help="The dataset folder.",
)
@setting_options(FetchConfig)
@click.option(
    "--errors",
    type=click.Path(path_type=Path, dir_okay=False),
    metavar="FILE",
    help="Also write the rows that failed to a table of their own (CSV).",
)
@click.option(
    "--report", "wants_report", is_flag=True, help="Also write an overview of the folder, DATA/report.html, to look at."
)
@click.option("--json", "as_json", is_flag=True, help="One JSON object on stdout instead of a path.")
@global_options
@click.pass_context
def fetch(
    context: click.Context,
    /,
    source: str,
    output: Path,
    errors: Path | None,
    wants_report: bool,
    as_json: bool,
    **_settings: Any,
) -> int:
    """Fill a dataset folder with pairs of music and cover.

    SOURCE is a table of URLs (.csv, .tsv, .jsonl, each perhaps with .gz, or .parquet), a folder of tagged music, or
    synthetic:N, N pairs made on this machine. Every row of it ends in DATA/status.csv, with a reason if it gave no
    pair; complete pairs are listed in DATA/manifest.csv, whose path goes to stdout. Run the same line again and it does
    only what is missing.
    """
    config = resolve(FetchConfig, overrides=given_settings(context, FetchConfig))
    terminal = context.ensure_object(Session).terminal()
    started = time.monotonic()
    finished = _fetch(source, output, config, errors, terminal)
    if finished is None:
        return FAILED
    counts = finished.counts
    _tell(finished, errors, terminal)
    report = _report(output, terminal) if wants_report else None
    settled = counts["rows"] - counts["failed"]
    if as_json:
        record = {
            "schema": SCHEMA,
            "status": "ok" if not counts["failed"] else "partly" if settled else "failed",
            "manifest": str(finished.manifest),
            "status_file": str(finished.status),
            "report": str(report) if report else None,
            **counts,
            "causes": finished.causes,
            "hosts": {host: {"ok": ok, "missed": missed} for host, (ok, missed) in finished.hosts.items()},
            "bytes": finished.bytes,
            "dead_links": finished.dead,
            "seconds": round(time.monotonic() - started, 3),
        }
        terminal.result(json.dumps(record, ensure_ascii=False))
    elif counts["ok"]:
        terminal.result(str(finished.manifest))
    if not counts["ok"]:
        return FAILED
    return PARTLY if counts["failed"] else DONE


def _fetch(
    source: str, output: Path, config: FetchConfig, errors: Path | None, terminal: Terminal
) -> FetchFinished | None:
    from covergen_cli.dataset.fetch.run import fetch_dataset, open_source

    tally = Tally(noun="pair")
    try:
        events = fetch_dataset(open_source(source, config), output, config, errors=errors)
        with terminal.live(tally), closing(events):
            return _follow(events, tally, terminal)
    except (KeyboardInterrupt, Terminated):
        if tally.total:
            terminal.note(f"stopped after {tally.settled} of {tally.total}; the same command goes on from here")
        raise


def _report(folder: Path, terminal: Terminal) -> Path:
    """Write the overview and say where it is."""
    from covergen_cli.dataset.report import write_report

    page = write_report(folder)
    terminal.note(f"overview: {page}")
    return page


def _follow(events: Iterable[Event], tally: Tally, terminal: Terminal) -> FetchFinished | None:
    finished = None
    for event in events:
        tally.count(event)
        terminal.show(event, tally)
        if isinstance(event, FetchFinished):
            finished = event
    return finished


def _tell(finished: FetchFinished, errors: Path | None, terminal: Terminal) -> None:
    """Say what the rows came to: how many survived, why the others did not, and which hosts they asked."""
    counts = finished.counts
    rows = "1 row is a pair" if counts["rows"] == 1 else f"{counts['rows']} rows are pairs"
    parts = [f"{counts['ok']} of {rows}, {finished.bytes / 1e6:.1f} MB"]
    parts += [f"{counts[name]} {name}" for name in ("failed", "duplicate", "filtered") if counts[name]]
    terminal.note(", ".join(parts) + f" — in {finished.manifest.parent}")
    if finished.causes:
        causes = list(finished.causes.items())
        told = [f"{number} {cause}" for cause, number in causes[:_CAUSES_SHOWN]]
        more = len(causes) - _CAUSES_SHOWN
        terminal.note("not pairs: " + ", ".join(told) + (f" and {more} more causes" if more > 0 else ""))
    if finished.dead:
        terminal.note(f"{finished.dead} links are dead (404 or 410)")
    missing = {host: counts for host, counts in finished.hosts.items() if counts[1]}
    for host, (ok, missed) in list(missing.items())[:_HOSTS_SHOWN]:
        terminal.note(f"{host}: {ok} rows ok, {missed} not")
    if counts["failed"]:
        terminal.note(f"why each row failed stands in {errors or finished.status}")
    elif counts["ok"] < counts["rows"]:
        terminal.note(f"what became of each row stands in {finished.status}")
