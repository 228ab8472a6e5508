"""The first screen of the report: the answer in words, then the table that it stands on."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from covergen_cli.evaluation.page import number, plus_minus, section, table, text

if TYPE_CHECKING:
    Run = Mapping[str, Any]


def verdict_box(run: Run, *, named: bool) -> str:
    """The answer in words; with the run's name where there are two."""
    words = run["verdict"]["text"]
    sentence = f"{run['name']}: {words}" if named else words[0].upper() + words[1:]
    facts = f"{run['name']}: {run['pooling']}, {run['tokens']} token{'' if run['tokens'] == 1 else 's'}, "
    facts += f"{run['trainable_parameters']:,} trained parameters, base {run['base']['name']}"
    kind = "verdict heard" if run["verdict"]["heard"] else "verdict"
    return f'<div class="{kind}"><strong>{text(sentence)}.</strong><span>{text(facts)}</span></div>'


def headline(runs: Sequence[Run]) -> str:
    """The table of the first screen: a row per measure, a column per run, and what the control gives."""
    rows = [*_loss_rows(runs), *_retrieval_rows(runs), *_cover_rows(runs)]
    head = ["measure", *(text(run["name"]) for run in runs), "control"]
    return table(head, rows, "Beside each figure, its 95 % interval.")


def _loss_rows(runs: Sequence[Run]) -> list[list[str]]:
    pairs = runs[0]["count"]["pairs"]
    return [
        _row("test loss", runs, lambda run: plus_minus(run["loss"]["true"]), f"{pairs} pairs"),
        _row("+ with another song", runs, lambda run: gap_cell(run["gap"]["shuffled"]), "0 if the audio is not used"),
        _row("+ with no audio", runs, lambda run: gap_cell(run["gap"]["null"]), "0 if the adapter says nothing"),
        _row("+ with mean adapter", runs, lambda run: gap_cell(run["gap"]["mean"]), "0 if all songs are alike to it"),
    ]


def _retrieval_rows(runs: Sequence[Run]) -> list[list[str]]:
    found = runs[0]["retrieval"]
    shares = [
        _row(
            f"own song among the best {k} of {found['songs']}",
            runs,
            partial(_recall_cell, k=k),
            f"{number(chance)} by chance",
        )
        for k, chance in found["recall_chance"].items()
    ]
    rank = _row("mean rank of the own song", runs, _rank_cell, f"{number(found['mean_rank_chance'])} by chance")
    reciprocal = _row(
        "mean reciprocal rank",
        runs,
        lambda run: plus_minus(run["retrieval"]["reciprocal_rank"]),
        f"{number(found['reciprocal_rank_chance'])} by chance",
    )
    return [*shares, rank, reciprocal]


def _cover_rows(runs: Sequence[Run]) -> list[list[str]]:
    first, rows = runs[0], []
    if first["correspondence"]:
        true = float(np.mean([entry["true"]["rho"] for entry in first["correspondence"]]))
        rows.append(_row("mean rank correlation of 7 matches", runs, rho_cell, f"true covers {number(true, 2)}"))
    spread = number(first["diversity"]["true"]["between_songs"])
    rows.append(_row("distance between covers", runs, spread_cell, f"true covers {spread}"))
    if first["memory"]:
        copies = f"true covers {first['memory']['true']['near_copies']} of {first['count']['covers']}"
        rows.append(_row("near-copies of training covers", runs, _copies_cell, copies))
    return rows


def comparison_section(comparison: Mapping[str, Any] | None, names: Sequence[str]) -> str:
    """The two runs, pair by pair; nothing for one run."""
    if comparison is None:
        return ""
    first, second = (text(name) for name in names)
    rows = [[f"use of the audio: gap of {second} − gap of {first}", gap_cell(comparison["gap"])]]
    if comparison["loss"]:
        rows.insert(0, [f"test loss: {first} − {second}", gap_cell(comparison["loss"])])
    gap = comparison["gap"]
    words = f"There is no evidence that one of {first} and {second} uses the audio more than the other."
    if gap["p_value"] <= 0.05 and gap["low"] * gap["high"] > 0:
        more, less = (second, first) if gap["mean"] > 0 else (first, second)
        words = f"{more} uses the audio more than {less}."
    said = "The same pairs and the same noise; above 0 speaks for the second run."
    body = table(["difference, pair by pair", "mean"], rows, said)
    return section(f"{second} beside {first}", f"<p><strong>{words}</strong></p>", body)


def _row(name: str, runs: Sequence[Run], cell: Callable[[Run], str], control: str) -> list[str]:
    return [text(name), *(cell(run) for run in runs), f'<span class="soft">{text(control)}</span>']


def gap_cell(gap: Mapping[str, float]) -> str:
    """A difference with its interval and p-value."""
    return f"{plus_minus(gap, 'mean')} p = {number(gap['p_value'], 2)}"


def rho_cell(run: Run) -> str:
    """The mean of the rank correlations, and how many are above zero beyond chance."""
    if not run["correspondence"]:
        return "–"
    found = [entry["covers"]["rho"] for entry in run["correspondence"]]
    clear = sum(entry["covers"]["low"] > 0 for entry in run["correspondence"])
    return f"{number(float(np.mean(found)), 2)}, {clear} of {len(found)} clearly above 0"


def spread_cell(run: Run) -> str:
    """The mean distance between covers, with a warning where they have collapsed."""
    warning = ' <strong class="bad">collapsed</strong>' if run["diversity"]["collapsed"] else ""
    return f"{number(run['diversity']['covers']['between_songs'])}{warning}"


def _recall_cell(run: Run, k: str) -> str:
    return plus_minus(run["retrieval"]["recall"][k])


def _rank_cell(run: Run) -> str:
    return f"{plus_minus(run['retrieval']['mean_rank'])} p = {number(run['retrieval']['p_value'], 2)}"


def _copies_cell(run: Run) -> str:
    return f"{run['memory']['covers']['near_copies']} of {run['count']['covers']}"
