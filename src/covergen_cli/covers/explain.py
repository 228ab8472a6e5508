"""The picture that explains a cover: the song's salience, the adapter's attention, and the segment's descriptors."""

from __future__ import annotations

import os
import textwrap
from dataclasses import astuple, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from covergen_cli.config import SegmentConfig
from covergen_cli.covers.naming import file_name, visible_name
from covergen_cli.errors import OutputError
from covergen_cli.events import FileSaved, Warned
from covergen_cli.files import atomic_path

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    from covergen_cli.audio.descriptors import Descriptors
    from covergen_cli.audio.segment import Segment
    from covergen_cli.covers.plan import Job

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
class Explanation:
    """What the picture shows of a song.

    Args:
        segment: start and end, in seconds, of the embedded segment.
        search: the search for the most salient segment, with the scores of all windows.
        descriptors: the sound of the embedded segment.
    """

    segment: tuple[float, float]
    search: Segment
    descriptors: Descriptors


def explanation_path(cover: Path) -> Path:
    """Return where the explanation of a cover goes: ``song.png`` → ``song.explain.png``."""
    return cover.with_name(file_name(cover.stem, ".explain.png"))


def explain_song(song: Path, segment: tuple[float, float], search: Segment | None = None) -> Explanation:
    """Measure what the picture shows of a song.

    Args:
        song: the music file.
        segment: start and end of the embedded segment, in seconds.
        search: the search that found the segment; ``None`` if it was given, so that the song is searched here.

    Raises:
        InputError: the song cannot be used.
    """
    from covergen_cli.audio import io
    from covergen_cli.audio.descriptors import describe
    from covergen_cli.audio.segment import find_segment

    clip = io.load(song, io.ANALYSIS_RATE_HZ, *segment)
    search = search or find_segment(song, SegmentConfig())
    return Explanation(segment, search, describe(clip.samples, clip.sample_rate_hz))


def write_explanation(
    job: Job, explanation: Explanation, attention: npt.NDArray[np.float32] | None, prompt: str | None = None
) -> FileSaved | Warned:
    """Write the picture beside a cover; return a warning if it cannot be written, so that the cover is not lost.

    Args:
        job: the cover.
        explanation: from :func:`explain_song`.
        attention: float32 ``(T,)``, the adapter's attention over the segment; sums to 1. ``None`` without an adapter
            that was trained.
        prompt: the words that the cover was drawn by.
    """
    path = explanation_path(job.output)
    try:
        with atomic_path(path) as temporary:
            _draw(visible_name(job.input.name), explanation, attention, prompt, temporary)
    except (OutputError, OSError, ValueError, RuntimeError) as error:
        return Warned(f"the explanation could not be written: {error}", job.input)
    return FileSaved(path, "the explanation")


def _draw(
    name: str, explanation: Explanation, attention: npt.NDArray[np.float32] | None, prompt: str | None, path: Path
) -> None:
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(9, 8.4), dpi=120, layout="constrained")
    FigureCanvasAgg(figure)
    # matplotlib would typeset a name between dollar signs as a formula.
    figure.suptitle(name.replace("$", r"\$"), fontsize=13, color=_INK)
    heights = (1, 1, 1.35) if attention is not None else (1, 1.35)
    rows = figure.subplots(len(heights), 1, height_ratios=heights)
    _draw_salience(rows[0], explanation)
    if attention is not None:
        _draw_attention(rows[1], explanation.segment, attention)
    _draw_descriptors(rows[-1], explanation.descriptors)
    if prompt:
        figure.supxlabel(textwrap.fill(prompt, 110).replace("$", r"\$"), fontsize=10, color=_INK)
    figure.savefig(os.fspath(path), format="png", metadata={"Software": None})


def _draw_salience(axes: Any, explanation: Explanation) -> None:
    (start, end), search = explanation.segment, explanation.search
    axes.axvspan(start, end, color=_ACCENT, alpha=0.2, lw=0, label=f"listened to, {_clock(start)}–{_clock(end)}")
    if len(search.scores) > 1:
        middles = search.window_starts + SegmentConfig().clip_seconds / 2
        axes.plot(middles, search.scores, color=_INK, lw=1.5, label="loudness × spectral contrast, 30 s around")
    axes.set(xlim=(0, search.duration_seconds), yticks=[], xlabel="time in the song")
    axes.set_title("How salient each part is", loc="left", fontsize=11)
    axes.legend(loc="lower right", bbox_to_anchor=(1, 1), ncols=2, fontsize=8, frameon=False)
    _clean(axes)
    axes.xaxis.set_major_formatter(lambda seconds, _place: _clock(seconds))


def _draw_attention(axes: Any, segment: tuple[float, float], attention: npt.NDArray[np.float32]) -> None:
    start, end = segment
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
