"""The table for papers: one row per run, mean and deviation over seeds, in three forms."""

from __future__ import annotations

import csv
import io
import statistics

import pytest

from covergen_cli.evaluation.table import format_table, main_figures, over_seeds


def run(name, loss, gap, recall, rank):
    return {
        "name": name,
        "loss": {"true": {"value": loss, "low": loss - 0.01, "high": loss + 0.01}},
        "gap": {"shuffled": {"mean": gap, "low": gap - 0.002, "high": gap + 0.002}},
        "retrieval": {
            "recall": {"1": {"value": recall}, "5": {"value": 2 * recall}},
            "recall_chance": {"1": 0.1, "5": 0.5},
            "mean_rank": {"value": rank},
            "mean_rank_chance": 5.5,
        },
    }


RUNS = [run("seed_0", 0.36, 0.05, 0.2, 3.0), run("seed_1", 0.38, 0.03, 0.3, 4.0), run("seed_2", 0.34, 0.07, 0.25, 3.5)]


@pytest.fixture
def metrics():
    return {"runs": RUNS, "seeds": over_seeds(RUNS)}


def test_markdown_has_intervals_over_pairs_and_deviations_over_seeds(metrics):
    lines = format_table(metrics, "markdown").splitlines()
    assert lines[0] == "| run | test loss | gap | R@1 | R@5 | R@10 | mean rank |"
    assert lines[2] == "| seed_0 | 0.3600 ± 0.0100 | 0.0500 ± 0.0020 | 0.20 | 0.40 | – | 3.0 |"
    assert (
        lines[5]
        == "| 3 seeds, mean ± sd | 0.3600 ± 0.0200 | 0.0500 ± 0.0200 | 0.25 ± 0.05 | 0.50 ± 0.10 | – | 3.5 ± 0.5 |"
    )
    assert lines[6] == "| chance |  | 0 | 0.10 | 0.50 | – | 5.5 |"
    assert {line.count("|") for line in lines} == {8}


def test_latex_can_be_compiled(metrics):
    runs = [{**RUNS[0], "name": "50% of a_b & {c}"}, *RUNS[1:]]
    lines = format_table({**metrics, "runs": runs}, "latex").splitlines()
    assert (lines[0], lines[-1]) == (r"\begin{tabular}{lrrrrrr}", r"\end{tabular}")
    assert r"50\% of a\_b \& \{c\} & 0.3600 $\pm$ 0.0100" in lines[4]
    assert all(line.count(" & ") == 6 for line in lines if line.endswith(r"\\"))
    assert not set("±–") & set("".join(lines))


def test_csv_has_all_digits_and_can_be_read(metrics):
    rows = list(csv.DictReader(io.StringIO(format_table(metrics, "csv"))))
    assert [row["run"] for row in rows] == ["seed_0", "seed_1", "seed_2", "mean", "sd"]
    assert float(rows[0]["gap_high"]) == pytest.approx(0.052)
    assert float(rows[3]["loss"]) == pytest.approx(0.36)
    assert float(rows[4]["loss"]) == pytest.approx(statistics.stdev([0.36, 0.38, 0.34]))
    assert rows[0]["recall_10"] == ""


def test_what_was_not_measured_is_left_out():
    bare = {**RUNS[0], "retrieval": None}
    assert main_figures(bare)["mean_rank"] is None
    table = format_table({"runs": [bare], "seeds": None}, "markdown")
    assert "| seed_0 | 0.3600 ± 0.0100 | 0.0500 ± 0.0020 | – | – | – | – |" in table
    assert "sd" not in table
    assert set(over_seeds([bare, bare])) == {"loss", "gap"}
