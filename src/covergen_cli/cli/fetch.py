"""``covergen fetch``: a source of pairs in, a dataset folder out."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from covergen_cli.cli.errors import DONE, FAILED, PARTLY
from covergen_cli.cli.options import Command, given_settings, global_options, setting_options, terminal_of
from covergen_cli.cli.tagging import tag_genres, tag_option
from covergen_cli.config import FetchConfig
from covergen_cli.config.resolve import resolve
from covergen_cli.files import SCHEMA

if TYPE_CHECKING:
    from covergen_cli.cli.terminal import Terminal
    from covergen_cli.events import FetchFinished

GROUPS = {
    "Common": ("output", "limit", "sample", "seed", "retry", "tag", "report", "errors", "as_json"),
    "Table": ("audio_column", "image_column", "id_column"),
    "Download": (
        *("concurrency", "per_host", "timeout_seconds", "file_seconds", "tries", "backoff_seconds", "wait_seconds"),
        *("largest_mb", "ignore_noai", "allow_private_hosts"),
    ),
    "Cleaning": ("dedupe", "dedupe_distance", "lettering"),
}

_CAUSES_SHOWN = 12
_HOSTS_SHOWN = 5


@click.command(cls=Command, groups=GROUPS)
@click.argument("source", metavar="SOURCE")
@click.option(
    "-o",
    "--output",
    type=click.Path(path_type=Path, file_okay=False),
    metavar="DATA",
    required=True,
    help="Dataset folder to write.",
)
@setting_options(FetchConfig)
@click.option(
    "--errors",
    type=click.Path(path_type=Path, dir_okay=False),
    metavar="FILE",
    help="Also write the failed rows to a separate table (CSV).",
)
@tag_option
@click.option("--report", is_flag=True, help="Also write an overview of the dataset, DATA/report.html.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object instead of a path.")
@global_options
@click.pass_context
def fetch(
    context: click.Context,
    /,
    source: str,
    output: Path,
    errors: Path | None,
    tag: bool,
    report: bool,
    as_json: bool,
    **_: Any,
) -> int:
    """Fill a dataset folder with pairs of music and cover.

    SOURCE is a table of URLs or paths (.csv, .tsv, .jsonl, optionally with .gz, or .parquet), a folder of tagged music,
    or synthetic:N for N pairs made on this machine. DATA/status.csv lists every row with its status, and the reason if
    it gave no pair. DATA/manifest.csv lists the complete pairs. Run the same command again to fetch what is missing.

    The path of manifest.csv is printed on stdout.
    """
    from covergen_cli.cli.terminal import Tally
    from covergen_cli.dataset.fetch.run import fetch_dataset, open_source
    from covergen_cli.events import FetchFinished

    config, terminal = resolve(FetchConfig, overrides=given_settings(context, FetchConfig)), terminal_of(context)
    started = time.monotonic()
    events = fetch_dataset(open_source(source, config), output, config, errors=errors)
    finished = terminal.run(events, Tally(noun="pair"))
    if not isinstance(finished, FetchFinished):
        return FAILED
    _summarize(finished, errors, terminal)
    if tag:
        terminal.run(tag_genres(output), Tally(noun="song", log_progress=True))
    page = None
    if report:
        from covergen_cli.dataset.report import write_report

        page = write_report(output)
        terminal.note(f"saved the overview to {page}")
    counts = finished.counts
    if as_json:
        record = _record(finished, page) | {"seconds": round(time.monotonic() - started, 3)}
        terminal.result(json.dumps(record, ensure_ascii=False))
    elif counts["ok"]:
        terminal.result(str(finished.manifest))
    if not counts["ok"]:
        return FAILED
    return PARTLY if counts["failed"] else DONE


def _record(finished: FetchFinished, report: Path | None) -> dict[str, Any]:
    counts = finished.counts
    return {
        "schema": SCHEMA,
        "status": "ok" if not counts["failed"] else "partly" if counts["failed"] < counts["rows"] else "failed",
        "manifest": str(finished.manifest),
        "status_file": str(finished.status),
        "report": str(report) if report else None,
        **counts,
        "causes": finished.causes,
        "hosts": {host: {"ok": ok, "missed": missed} for host, (ok, missed) in finished.hosts.items()},
        "bytes": finished.bytes,
        "dead_links": finished.dead,
    }


def _summarize(finished: FetchFinished, errors: Path | None, terminal: Terminal) -> None:
    """Write how many rows gave a pair, why the others did not, and which hosts they came from."""
    counts = finished.counts
    rows = "1 row is a pair" if counts["rows"] == 1 else f"{counts['rows']} rows are pairs"
    parts = [f"{counts['ok']} of {rows}, {finished.bytes / 1e6:.1f} MB"]
    parts += [f"{counts[name]} {name}" for name in ("failed", "duplicate", "filtered") if counts[name]]
    terminal.note(", ".join(parts) + f" — in {finished.manifest.parent}")
    if finished.causes:
        causes = [f"{number} {cause}" for cause, number in finished.causes.items()]
        more = len(causes) - _CAUSES_SHOWN
        terminal.note(
            "no pair: " + ", ".join(causes[:_CAUSES_SHOWN]) + (f" and {more} more causes" if more > 0 else "")
        )
    if finished.dead:
        terminal.note(f"dead links (404 or 410): {finished.dead}")
    failing = [(host, ok, missed) for host, (ok, missed) in finished.hosts.items() if missed]
    for host, ok, missed in failing[:_HOSTS_SHOWN]:
        terminal.note(f"{host}: {ok} rows succeeded, {missed} did not")
    if counts["failed"]:
        terminal.note(f"the reason for each failed row is in {errors or finished.status}")
    elif counts["ok"] < counts["rows"]:
        terminal.note(f"the status of each row is in {finished.status}")
