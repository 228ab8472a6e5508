"""Why a cover came out as it did, as a picture: what was heard of the song, and where the model listened."""

from __future__ import annotations

import os
from dataclasses import astuple, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from covergen_cli.config import SegmentConfig
from covergen_cli.errors import OutputError
from covergen_cli.events import Explained, Warned
from covergen_cli.files import atomic_path

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    from covergen_cli.audio.descriptors import Descriptors
    from covergen_cli.covers.jobs import Job

_POLES = {
    "tempo": ("slow", "fast"),
    "mode": ("minor", "major"),
    "energy": ("calm", "intense"),
    "brightness": ("dark", "bright"),
    "density": ("sparse", "busy"),
    "percussiveness": ("sustained", "percussive"),
    "dynamics": ("even", "wide"),
}
_INK, _FAINT, _ACCENT = "#222222", "#c9c9c9", "#d1495b"


@dataclass(frozen=True)
class Heard:
    """What is shown of a song.

    Args:
        segment: start and end, in seconds, of the part that was listened to.
        duration_seconds: length of the song.
        window_starts: float64 ``(W,)``, start of every window that was scored, in seconds.
        scores: float64 ``(W,)``, how salient each is.
        descriptors: how the part sounds.
    """

    segment: tuple[float, float]
    duration_seconds: float
    window_starts: npt.NDArray[np.float64]
    scores: npt.NDArray[np.float64]
    descriptors: Descriptors


def explanation_path(cover: Path) -> Path:
    """Return where the explanation of a cover goes: ``song.png`` → ``song.explain.png``."""
    return cover.with_suffix(".explain.png")


def hear(song: Path, segment: tuple[float, float]) -> Heard:
    """Measure what the explanation shows.

    Args:
        song: the music file.
        segment: the part that was listened to, whether found or given, in seconds.

    Raises:
        InputError: the song cannot be used.
    """
    from covergen_cli.audio import io
    from covergen_cli.audio.descriptors import describe
    from covergen_cli.audio.segment import find_segment

    found = find_segment(song, SegmentConfig())
    clip = io.load(song, io.ANALYSIS_RATE_HZ, *segment)
    sounds = describe(clip.samples, clip.sample_rate_hz)
    return Heard(segment, found.duration_seconds, found.window_starts, found.scores, sounds)


def write_explanation(job: Job, heard: Heard, attention: npt.NDArray[np.float32]) -> Explained | Warned:
    """Draw the explanation beside a cover.

    Args:
        job: the cover.
        heard: from :func:`hear`.
        attention: float32 ``(T,)``, how much each moment of the segment counted to the adapter; sums to 1.

    Returns:
        what became of it; a place that cannot be written to is no reason to lose the cover.
    """
    path = explanation_path(job.output)
    try:
        with atomic_path(path) as temporary:
            _draw(job.input.name, heard, attention, temporary)
    except (OutputError, OSError) as error:
        return Warned(f"the explanation could not be written: {error}", job.input)
    return Explained(job.input, path)


def _draw(name: str, heard: Heard, attention: npt.NDArray[np.float32], path: Path) -> None:
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(9, 8.4), dpi=120, layout="constrained")
    FigureCanvasAgg(figure)
    # A name between dollars would be read as a formula.
    figure.suptitle(name.replace("$", r"\$"), fontsize=13, color=_INK)
    salience, listened, sounds = figure.subplots(3, 1, height_ratios=(1, 1, 1.35))
    _draw_salience(salience, heard)
    _draw_attention(listened, heard, attention)
    _draw_descriptors(sounds, heard.descriptors)
    figure.savefig(os.fspath(path), format="png", metadata={"Software": None})


def _draw_salience(axes: Any, heard: Heard) -> None:
    start, end = heard.segment
    axes.axvspan(start, end, color=_ACCENT, alpha=0.2, lw=0, label=f"listened to, {_clock(start)}–{_clock(end)}")
    if len(heard.scores) > 1:
        middles = heard.window_starts + SegmentConfig().clip_seconds / 2
        axes.plot(middles, heard.scores, color=_INK, lw=1.5, label="loudness × spectral contrast, 30 s around")
    axes.set(xlim=(0, heard.duration_seconds), yticks=[], xlabel="time in the song")
    axes.set_title("How salient each part is", loc="left", fontsize=11)
    axes.legend(loc="lower right", bbox_to_anchor=(1, 1), ncols=2, fontsize=8, frameon=False)
    _clean(axes)
    axes.xaxis.set_major_formatter(lambda seconds, _place: _clock(seconds))


def _draw_attention(axes: Any, heard: Heard, attention: npt.NDArray[np.float32]) -> None:
    start, end = heard.segment
    edges = [start + (end - start) * index / len(attention) for index in range(len(attention) + 1)]
    axes.stairs(attention * len(attention), edges, fill=True, color=_ACCENT, alpha=0.6)
    axes.axhline(1, color=_INK, lw=0.8, ls=":")
    axes.set(xlim=(start, end), ylim=(0, None), xlabel="time in the song", ylabel="weight; 1 is even")
    axes.set_title("Where the adapter listened", loc="left", fontsize=11)
    _clean(axes)
    axes.xaxis.set_major_formatter(lambda seconds, _place: _clock(seconds))


def _draw_descriptors(axes: Any, sounds: Descriptors) -> None:
    values = dict(zip(_POLES, astuple(sounds), strict=True))
    for row, (name, value) in enumerate(values.items()):
        axes.plot([0, 1], [row, row], color=_FAINT, lw=2, solid_capstyle="round", zorder=1)
        axes.plot([value], [row], "o", color=_ACCENT, ms=9, zorder=2)
        low, high = _POLES[name]
        axes.text(-0.02, row, f"{name}:  {low}", ha="right", va="center", fontsize=9, color=_INK)
        axes.text(1.02, row, f"{high}   {value:.2f}", ha="left", va="center", fontsize=9, color=_INK)
    axes.axvline(0.5, color=_INK, lw=0.8, ls=":", zorder=0)
    axes.set(xlim=(-0.36, 1.3), ylim=(len(values) - 0.5, -0.5), xticks=[], yticks=[])
    axes.set_title("How that part sounds, among ordinary music", loc="left", fontsize=11)
    axes.spines[:].set_visible(False)


def _clean(axes: Any) -> None:
    axes.spines[["top", "right"]].set_visible(False)
    axes.tick_params(labelsize=8)


def _clock(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes}:{rest:02d}"
