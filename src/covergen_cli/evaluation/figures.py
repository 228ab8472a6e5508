"""Draws the plots of the report as inline SVG in the text colour of the page."""

from __future__ import annotations

import io
import re
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import matplotlib as mpl
import numpy as np
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from covergen_cli.evaluation.metrics import rank_matrix

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from covergen_cli.evaluation.results import Results

    Run = Mapping[str, Any]

COLOURS = ("#2f7fc1", "#d9822b", "#2a9d5c", "#9a5fc0", "#c2405c", "#8a8a2e")
"""Colours of the runs; the first two are distinguishable with colour blindness. Readable on white and on black."""

_INK = "#010203"
"""Placeholder for the text colour of the page."""

_CONTROL = "#8a8f98"
_STYLE: Any = {
    "svg.fonttype": "none",
    "svg.hashsalt": "covergen",
    "font.size": 10,
    "font.family": "sans-serif",
    "axes.spines.top": False,
    "axes.spines.right": False,
    **dict.fromkeys(("text.color", "axes.labelcolor", "axes.edgecolor", "xtick.color", "ytick.color"), _INK),
    "legend.frameon": False,
}


def _colour(number: int) -> str:
    """Return the colour of a run."""
    return COLOURS[number % len(COLOURS)]


def _axes(width: float = 7.0, height: float = 3.2) -> tuple[Figure, Axes]:
    figure = Figure(figsize=(width, height), layout="constrained")
    return figure, figure.add_subplot()


def _svg(figure: Figure) -> str:
    """Return a figure as an SVG element without XML declaration, metadata and fixed size."""
    figure.patch.set_alpha(0)
    for axes in figure.axes:
        axes.patch.set_alpha(0)
    out = io.StringIO()
    canvas: Any = FigureCanvasSVG(figure)
    canvas.print_svg(out, metadata=dict.fromkeys(("Date", "Creator", "Format", "Type")))
    text = out.getvalue().replace(_INK, "currentColor")
    text = re.sub(r"<metadata>.*?</metadata>", "", text[text.index("<svg") :], flags=re.DOTALL)
    return re.sub(r'(<svg[^>]*?) width="[^"]*"', r"\1", re.sub(r'(<svg[^>]*?) height="[^"]*"', r"\1", text, count=1))


def band_plot(runs: Sequence[Run]) -> str:
    """Plot the gap with shuffled audio in every band of timesteps, with intervals."""
    with mpl.rc_context(_STYLE):
        figure, axes = _axes()
        labels = [f"{band['from']}–{band['to']}" for band in runs[0]["bands"]]
        places = np.arange(len(labels))
        for number, run in enumerate(runs):
            gaps = [band["gap"] for band in run["bands"]]
            means = np.array([gap["mean"] for gap in gaps])
            reach = np.array([[gap["mean"] - gap["low"], gap["high"] - gap["mean"]] for gap in gaps]).T
            offset = (number - (len(runs) - 1) / 2) * 0.22
            axes.errorbar(
                places + offset,
                means,
                reach,
                fmt="o",
                color=_colour(number),
                capsize=4,
                label=_label(run["name"]),
            )
        axes.axhline(0, color=_CONTROL, linewidth=1)
        axes.set_xticks(places, labels)
        axes.set_xlabel("timestep: little noise on the left, almost only noise on the right")
        axes.set_ylabel("increase with another song")
        axes.legend()
        return _svg(figure)


def retrieval_plot(results: Sequence[Results], names: Sequence[str]) -> str:
    """Plot how often the true song is among the top k, for every k, with the chance level."""
    with mpl.rc_context(_STYLE):
        figure, axes = _axes()
        for number, (one, name) in enumerate(zip(results, names, strict=True)):
            better, equal = rank_matrix(one.matrix)
            ks = np.arange(1, len(one.matrix) + 1)
            hits = np.clip((ks[:, None] - np.diag(better)) / np.diag(equal), 0, 1)
            axes.step(ks, hits.mean(axis=1), where="post", color=_colour(number), label=_label(name))
        count = len(results[0].matrix)
        axes.plot([1, count], [1 / count, 1], color=_CONTROL, linestyle="--", label="chance")
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        axes.set_xlabel(f"k, of {count} songs")
        axes.set_ylabel("own song among the top k")
        axes.set_ylim(0, 1.02)
        axes.legend(loc="lower right")
        return _svg(figure)


def curve_plot(runs: Sequence[Run]) -> str | None:
    """Plot training and validation loss over the epochs; ``None`` if no run has a log."""
    if not any(run["epochs"] for run in runs):
        return None
    with mpl.rc_context(_STYLE):
        figure, axes = _axes()
        for number, run in enumerate(runs):
            epochs = [record["epoch"] for record in run["epochs"]]
            for key, line, title in (("train_loss", ":", "training"), ("validation_loss", "-", "validation")):
                values = [record.get(key) for record in run["epochs"]]
                label = f"{_label(run['name'])}, {title}"
                axes.plot(epochs, values, line, marker=".", color=_colour(number), label=label)
        axes.set_xlabel("epoch")
        axes.set_ylabel("loss")
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        axes.legend()
        return _svg(figure)


def correspondence_plot(runs: Sequence[Run]) -> str | None:
    """Plot the rank correlations of music and covers; ``None`` if there are none."""
    runs = [run for run in runs if run["correspondence"]]
    if not runs:
        return None
    with mpl.rc_context(_STYLE):
        table = runs[0]["correspondence"]
        figure, axes = _axes(height=0.9 + 0.52 * len(table))
        places = np.arange(len(table))[::-1]
        spread = [entry["shuffled"] for entry in table]
        axes.barh(
            places,
            [entry["high"] - entry["low"] for entry in spread],
            left=[entry["low"] for entry in spread],
            height=0.7,
            color=_CONTROL,
            alpha=0.25,
            label="covers of other songs",
        )
        for number, run in enumerate(runs):
            found = [entry["covers"] for entry in run["correspondence"]]
            _dots(axes, places + 0.14 - 0.2 * number, found, _colour(number), _label(run["name"]), "o")
        _dots(axes, places + 0.28, [entry["true"] for entry in table], _CONTROL, "true covers", "D")
        axes.axvline(0, color=_CONTROL, linewidth=1)
        axes.set_yticks(places, [f"{entry['heard']} → {entry['seen'].replace('_', ' ')}" for entry in table])
        axes.set_xlabel("rank correlation")
        axes.set_xlim(-1, 1)
        axes.legend(loc="upper left", bbox_to_anchor=(1, 1))
        return _svg(figure)


def _dots(axes: Axes, places: Any, found: Sequence[Mapping[str, float]], colour: str, label: str, form: str) -> None:
    values = np.array([entry["rho"] for entry in found])
    # A correlation of ±1 is at the end of its interval; rounding can make the distance negative.
    reach = np.array([[entry["rho"] - entry["low"], entry["high"] - entry["rho"]] for entry in found]).T.clip(min=0)
    axes.errorbar(values, places, xerr=reach, fmt=form, markersize=5, color=colour, capsize=3, label=label)


def _label(name: str) -> str:
    """Return a name as a plain label: matplotlib reads ``$`` as formulas and hides labels that begin with ``_``."""
    return "run " + name.replace("$", r"\$") if name.startswith("_") else name.replace("$", r"\$")
