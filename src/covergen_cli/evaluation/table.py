"""The main figures of an evaluation as a table for papers: one row per run, and mean and deviation over seeds."""

from __future__ import annotations

import csv
import io
import statistics
from collections.abc import Mapping, Sequence
from typing import Any, Literal

Style = Literal["csv", "latex", "markdown"]

_KS = (1, 5, 10)
_HEADINGS = ("run", "test loss", "gap", "R@1", "R@5", "R@10", "mean rank")
_DECIMALS = {"loss": 4, "gap": 4, "recall_1": 2, "recall_5": 2, "recall_10": 2, "mean_rank": 1}


def main_figures(run: Mapping[str, Any]) -> dict[str, float | None]:
    """Return the main figures of a run, ``None`` for those that were not measured.

    Args:
        run: an entry of ``runs`` in ``metrics.json``.

    Returns:
        ``loss``, that of the test pairs; ``gap``, its increase with the audio of other songs; ``recall_1``,
        ``recall_5`` and ``recall_10``; ``mean_rank``; and for ``loss`` and ``gap`` the ends of the 95 % interval.
    """
    loss, gap, found = run["loss"]["true"], run["gap"]["shuffled"], run["retrieval"]
    recall = {int(k): share["value"] for k, share in found["recall"].items()} if found else {}
    return {
        "loss": loss["value"],
        "loss_low": loss["low"],
        "loss_high": loss["high"],
        "gap": gap["mean"],
        "gap_low": gap["low"],
        "gap_high": gap["high"],
        **{f"recall_{k}": recall.get(k) for k in _KS},
        "mean_rank": found["mean_rank"]["value"] if found else None,
    }


def over_seeds(runs: Sequence[Mapping[str, Any]]) -> dict[str, dict[str, float]]:
    """Return mean and standard deviation (n − 1) of the main figures over runs that differ in their seed only."""
    rows = [main_figures(run) for run in runs]
    found = {}
    for name in _DECIMALS:
        values = [row[name] for row in rows]
        known = [value for value in values if value is not None]
        if len(known) > 1:
            found[name] = {"mean": statistics.fmean(known), "sd": statistics.stdev(known), "seeds": len(known)}
    return found


def format_table(metrics: Mapping[str, Any], style: Style) -> str:
    """Return the main figures of all runs as a table, without a line break at the end.

    Markdown and LaTeX give half the width of the 95 % interval over pairs after ``±``, in the row of seeds the standard
    deviation over them; CSV gives both ends of the intervals, and all digits.

    Args:
        metrics: the content of ``metrics.json``.
        style: the form of the table.
    """
    if style == "csv":
        return _csv(metrics)
    rows = [[run["name"], *_cells(main_figures(run))] for run in metrics["runs"]]
    if seeds := metrics["seeds"]:
        count = len(metrics["runs"])
        cells = [
            f"{seeds[name]['mean']:.{digits}f} ± {seeds[name]['sd']:.{digits}f}" if name in seeds else "–"
            for name, digits in _DECIMALS.items()
        ]
        rows.append([f"{count} seeds, mean ± sd", *cells])
    rows.append(["chance", "", "0", *_chance(metrics["runs"][0]["retrieval"])])
    return _markdown(rows) if style == "markdown" else _latex(rows)


def _cells(figures: Mapping[str, float | None]) -> list[str]:
    cells = []
    for name, digits in _DECIMALS.items():
        value, low, high = figures[name], figures.get(f"{name}_low"), figures.get(f"{name}_high")
        text = "–" if value is None else f"{value:.{digits}f}"
        if low is not None and high is not None:
            text += f" ± {(high - low) / 2:.{digits}f}"
        cells.append(text)
    return cells


def _chance(found: Mapping[str, Any] | None) -> list[str]:
    if found is None:
        return ["–"] * (len(_KS) + 1)
    shares = {int(k): share for k, share in found["recall_chance"].items()}
    return [f"{shares[k]:.2f}" if k in shares else "–" for k in _KS] + [f"{found['mean_rank_chance']:.1f}"]


def _markdown(rows: Sequence[Sequence[str]]) -> str:
    rule = ["---", *["---:"] * (len(_HEADINGS) - 1)]
    escaped = [[cell.replace("|", "\\|") for cell in row] for row in rows]
    return "\n".join(f"| {' | '.join(row)} |" for row in (_HEADINGS, rule, *escaped))


def _latex(rows: Sequence[Sequence[str]]) -> str:
    """Return a ``tabular`` with the rules of the package booktabs."""
    lines = [" & ".join(_escaped(cell) for cell in row) + r" \\" for row in (_HEADINGS, *rows)]
    columns = "l" + "r" * (len(_HEADINGS) - 1)
    body = [lines[0], r"\midrule", *lines[1:-1], r"\midrule", lines[-1]]
    return "\n".join([rf"\begin{{tabular}}{{{columns}}}", r"\toprule", *body, r"\bottomrule", r"\end{tabular}"])


def _escaped(cell: str) -> str:
    special = {character: f"\\{character}" for character in "&%$#_{}"} | {"\\": r"\textbackslash{}"}
    cell = "".join(special.get(character, character) for character in cell)
    return cell.replace("±", r"$\pm$").replace("–", "--")


def _csv(metrics: Mapping[str, Any]) -> str:
    rows: list[dict[str, Any]] = [{"run": run["name"], **main_figures(run)} for run in metrics["runs"]]
    if seeds := metrics["seeds"]:
        rows += [{"run": kind} | {name: figures[kind] for name, figures in seeds.items()} for kind in ("mean", "sd")]
    out = io.StringIO()
    writer = csv.DictWriter(out, list(rows[0]), lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return out.getvalue().rstrip("\n")
