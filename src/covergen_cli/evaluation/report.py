"""Writes ``report.html``: verdict, figures with controls, and pictures, on one self-contained page."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from covergen_cli.evaluation.figures import band_plot, correspondence_plot, curve_plot, retrieval_plot
from covergen_cli.evaluation.near_copies import HASH_COPY, LATENT_COPY
from covergen_cli.evaluation.page import render
from covergen_cli.files import write_text

if TYPE_CHECKING:
    from covergen_cli.evaluation.results import Results

_MAX_COVERS = 24
_MAX_NEAREST = 8


def write_report(out: Path, metrics: Mapping[str, Any], results: Sequence[Results]) -> Path:
    """Write the report and return its path, ``out / "report.html"``.

    Args:
        out: folder of the report.
        metrics: the content of ``metrics.json``.
        results: the raw results, in the order of ``metrics["runs"]``.

    Raises:
        OutputError: the page cannot be written.
    """
    runs = metrics["runs"]
    plots = {
        "bands": band_plot(runs),
        "retrieval": retrieval_plot(results, [run["name"] for run in runs]),
        "correspondence": correspondence_plot(runs),
        "curves": curve_plot(runs),
    }
    page = render(
        "report.html",
        **metrics,
        plots=plots,
        pictures=[(run, _covers(one), _nearest(one)) for run, one in zip(runs, results, strict=True)],
        more_audio=_more_audio(metrics),
        hash_copy=HASH_COPY,
        latent_copy=LATENT_COPY,
    )
    path = out / "report.html"
    write_text(path, page)
    return path


def _more_audio(metrics: Mapping[str, Any]) -> tuple[str, str] | None:
    """Return the names of the run that uses the audio more and of the other; ``None`` if there is no evidence."""
    gap = metrics["comparison"] and metrics["comparison"]["gap"]
    if not gap or gap["p_value"] > 0.05 or gap["low"] * gap["high"] <= 0:
        return None
    first, second = (run["name"] for run in metrics["runs"])
    return (second, first) if gap["mean"] > 0 else (first, second)


def _covers(results: Results) -> list[tuple[str, Path, Path]]:
    """Return id, drawn cover and true cover of the first songs."""
    rows = [(pair.id, drawn, pair.image) for pair, drawn in zip(results.shown, results.drawn, strict=True)]
    return rows[:_MAX_COVERS]


def _nearest(results: Results) -> list[dict[str, Any]]:
    """Return the drawn covers that are most similar to training covers, the most similar first."""
    near = results.near
    if near is None:
        return []
    return [
        {
            "id": results.shown[row].id,
            "drawn": results.drawn[row],
            "by_latent": results.train[near.by_latent[row]],
            "distance": near.distances[row],
            "by_hash": results.train[near.by_hash[row]],
            "bits": near.bits[row],
            "near_copy": near.copies[row],
        }
        for row in np.lexsort((near.bits, near.distances))[:_MAX_NEAREST]
    ]
