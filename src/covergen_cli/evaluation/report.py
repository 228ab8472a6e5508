"""``report.html``: what was measured, for people. The first screen says whether the model hears the music."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from covergen_cli.evaluation.figures import band_plot, correspondence_plot, curve_plot, retrieval_plot
from covergen_cli.evaluation.page import figure, number, page, plus_minus, section, table, text
from covergen_cli.evaluation.report_headline import (
    comparison_section,
    gap_cell,
    headline,
    rho_cell,
    spread_cell,
    verdict_box,
)
from covergen_cli.evaluation.report_pictures import covers_section, memory_section
from covergen_cli.evaluation.report_text import LIMITS, METHOD
from covergen_cli.files import write_text

if TYPE_CHECKING:
    from covergen_cli.evaluation.results import Judged

    Run = Mapping[str, Any]

_WORDS = {
    "true": "its own song",
    "shuffled": "another song",
    "null": "no audio (null condition)",
    "mean": "mean adapter (same tokens for every song)",
}


def write_report(out: Path, metrics: Mapping[str, Any], judged: Sequence[Judged]) -> Path:
    """Write the page.

    Args:
        out: folder of the report.
        metrics: what ``metrics.json`` holds.
        judged: the raw results, in the order of ``metrics["runs"]``.

    Returns:
        the page, ``out / "report.html"``; it stands alone.

    Raises:
        OutputError: it cannot be written.
    """
    runs = metrics["runs"]
    names = [run["name"] for run in runs]
    said = "".join(verdict_box(run, named=len(runs) > 1) for run in runs)
    parts = [
        f"<header><h1>Does {text(' or '.join(names))} hear the music?</h1>{said}</header>",
        headline(runs),
        comparison_section(metrics["comparison"], names),
        _use(runs),
        section(
            "Finding the song of a cover",
            figure(
                retrieval_plot(judged, names),
                "For every cover, the songs are ranked by the loss that the cover has under each, on the same noise. "
                "The line says how often the cover's own song is among the best k.",
            ),
        ),
        _correspondence(runs, metrics),
        _curves(runs),
        *(covers_section(run, one) for run, one in zip(runs, judged, strict=True)),
        *(memory_section(run, one) for run, one in zip(runs, judged, strict=True)),
        _groups(runs, metrics["settings"]["by"]),
        _notes(metrics),
    ]
    path = out / "report.html"
    write_text(path, page(f"CoverGen: {' and '.join(names)} on {metrics['data']['name']}", *parts))
    return path


def _use(runs: Sequence[Run]) -> str:
    tables = []
    for run in runs:
        rows = [
            [
                text(words),
                plus_minus(run["loss"][name]),
                "–" if name == "true" else plus_minus(run["gap"][name], "mean"),
                "–" if name == "true" else number(run["gap"][name]["p_value"], 2),
            ]
            for name, words in _WORDS.items()
        ]
        head = ["the model is given", "loss", "more than with its own song", "p"]
        tables.append(f"<h3>{text(run['name'])}</h3>{table(head, rows)}")
    caption = (
        "How much dearer another song is, by how much noise the picture holds; bars are 95 % intervals, not corrected "
        "for their number."
    )
    return section("Is the audio used?", *tables, figure(band_plot(runs), caption), _band_table(runs))


def _band_table(runs: Sequence[Run]) -> str:
    head = ["timesteps"]
    for run in runs:
        head += [f"loss of {text(run['name'])}", "more with another song"]
    rows = []
    for number_, band in enumerate(runs[0]["bands"]):
        row = [f"{band['from']} to {band['to']}"]
        for run in runs:
            row += [plus_minus(run["bands"][number_]["loss"]), gap_cell(run["bands"][number_]["gap"])]
        rows.append(row)
    return table(head, rows)


def _correspondence(runs: Sequence[Run], metrics: Mapping[str, Any]) -> str:
    plot = correspondence_plot(runs)
    if plot is None:
        why = f"The music of only {metrics['data']['songs_heard']} of the songs is there; this needs eight."
        return section("Does what is seen follow what is heard?", f"<p>{why}</p>")
    return section(
        "Does what is seen follow what is heard?",
        figure(
            plot,
            "Rank correlation of what is measured in the music with what is measured on the cover, for pairs that "
            "people are known to match. Bars are 95 % intervals; the grey band holds 95 % of the values that the same "
            "covers give when they are dealt out to other songs (first run).",
        ),
    )


def _curves(runs: Sequence[Run]) -> str:
    plot = curve_plot(runs)
    if plot is None:
        return section("Training", "<p>There is no log of a training beside the adapter.</p>")
    return section("Training", figure(plot, "Training and validation loss after each epoch."))


def _groups(runs: Sequence[Run], column: str | None) -> str:
    if column is None:
        return ""
    parts = []
    for run in runs:
        rows = []
        for value, found in run["groups"].items():
            counts = found["count"]
            rank = plus_minus(found["retrieval"]["mean_rank"]) if found["retrieval"] else "–"
            rho = rho_cell(found)
            spread = spread_cell(found) if found["diversity"] else "–"
            copies = str(found["memory"]["covers"]["near_copies"]) if found["memory"] else "–"
            rows.append(
                [
                    text(value),
                    f"{counts['pairs']} / {counts['songs']} / {counts['covers']}",
                    plus_minus(found["loss"]["true"]),
                    gap_cell(found["gap"]["shuffled"]),
                    rank,
                    rho,
                    spread,
                    copies,
                ]
            )
        head = [text(column), "pairs / songs / covers", "test loss", "gap to another song", "mean rank"]
        parts.append(
            f"<h3>{text(run['name'])}</h3>" + table([*head, "rank correlations", "distance", "near-copies"], rows)
        )
    said = "<p>Small groups have wide intervals; with many groups, some are odd by chance.</p>"
    return section(f"By {text(column)}", said, *parts)


def _notes(metrics: Mapping[str, Any]) -> str:
    settings, data = metrics["settings"], metrics["data"]
    options = " ".join(
        f"--{key.replace('_', '-')} {settings[key]}"
        for key in ("pairs", "draws", "songs", "song_draws", "covers", "seed", "batch_size")
    )
    drawing = metrics["runs"][0]["drawing"]
    facts = (
        f"Data: {data['name']}, {data['test_pairs']:,} test and {data['train_pairs']:,} training pairs, encoder "
        f"{data['encoder']}. Covers: {drawing['steps']} steps, guidance {drawing['guidance']:g}, "
        f"{drawing['scheduler']}. CoverGen {metrics['version']}."
    )
    repeat = f"<p>The same figures again, on this machine: add <code>{text(options)}</code> to the command.</p>"
    lists = "".join(f"<p>{text(line)}</p>" for line in METHOD) + "<h3>Limits</h3><ul>"
    limits = "".join(f"<li>{text(line)}</li>" for line in LIMITS)
    return section("How it was measured", f"<p>{text(facts)}</p>", repeat, lists, limits, "</ul>")
