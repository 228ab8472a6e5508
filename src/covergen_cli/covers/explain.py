"""The picture that explains a cover: why it looks so, and what was heard where in the song."""

from __future__ import annotations

import os
import textwrap
from collections.abc import Sequence
from dataclasses import astuple, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from PIL import Image

from covergen_cli.audio.descriptors import ENDS
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

_INK, _FAINT, _ACCENT = "#222222", "#c9c9c9", "#d1495b"
_COVER_SIDE = 480


@dataclass(frozen=True)
class Explanation:
    """What the picture shows of a song."""

    segment: tuple[float, float]  # start and end, in seconds, of the embedded segment
    search: Segment  # the search for the most salient segment, with the scores of all windows
    descriptors: Descriptors  # the sound of the embedded segment


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
    job: Job,
    explanation: Explanation,
    attention: npt.NDArray[np.float32] | None,
    prompt: str | None = None,
    reasons: Sequence[str] = (),
) -> FileSaved | Warned:
    """Write the picture beside a cover; return a warning if it cannot be written, so that the cover is not lost.

    Args:
        job: the cover.
        explanation: from :func:`explain_song`.
        attention: float32 ``(T,)``, the adapter's attention over the segment; sums to 1. ``None`` without an adapter
            that was trained.
        prompt: the words that the cover was drawn by.
        reasons: why the cover has its look, in lines.
    """
    path = explanation_path(job.output)
    try:
        with atomic_path(path) as temporary:
            _draw(job, explanation, attention, prompt, reasons, temporary)
    except (OutputError, OSError, ValueError, RuntimeError) as error:
        return Warned(f"the explanation could not be written: {error}", job.input)
    return FileSaved(path, "the explanation")


def _draw(
    job: Job,
    explanation: Explanation,
    attention: npt.NDArray[np.float32] | None,
    prompt: str | None,
    reasons: Sequence[str],
    path: Path,
) -> None:
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    heights = (1.6, 1, 1, 1.35) if attention is not None else (1.6, 1, 1.35)
    figure = Figure(figsize=(9, 2.3 * sum(heights)), dpi=120, layout="constrained")
    FigureCanvasAgg(figure)
    figure.suptitle(_plain(visible_name(job.input.name)), fontsize=13, color=_INK)
    grid = figure.add_gridspec(len(heights), 2, height_ratios=heights, width_ratios=(1, 1.5))
    _draw_cover(figure.add_subplot(grid[0, 0]), job.output)
    _draw_reasons(figure.add_subplot(grid[0, 1]), reasons)
    _draw_salience(figure.add_subplot(grid[1, :]), explanation)
    if attention is not None:
        _draw_attention(figure.add_subplot(grid[2, :]), explanation.segment, attention)
    _draw_descriptors(figure.add_subplot(grid[-1, :]), explanation.descriptors)
    if prompt:
        figure.supxlabel(_plain(textwrap.fill(prompt, 110)), fontsize=10, color=_INK)
    figure.savefig(os.fspath(path), format="png", metadata={"Software": None})


def _plain(text: str) -> str:
    """Return a text that matplotlib does not typeset as a formula, which it does between dollar signs."""
    return text.replace("$", r"\$")


def _draw_cover(axes: Any, cover: Path) -> None:
    axes.set_axis_off()
    try:
        with Image.open(cover, formats=("PNG", "JPEG")) as image:
            image.draft("RGB", (_COVER_SIDE, _COVER_SIDE))
            axes.imshow(image.convert("RGB").resize((_COVER_SIDE, _COVER_SIDE), Image.Resampling.LANCZOS))
    except (OSError, ValueError, SyntaxError):  # a vector file, or one that could not be written
        axes.text(0.5, 0.5, _plain(visible_name(cover.name)), ha="center", va="center", fontsize=9, color=_INK)


def _draw_reasons(axes: Any, reasons: Sequence[str]) -> None:
    axes.set_axis_off()
    axes.set_title("Why it looks so", loc="left", fontsize=11)
    text = "\n".join(textwrap.fill(line, 62) for line in reasons)
    axes.text(0, 0.97, _plain(text), ha="left", va="top", fontsize=9, color=_INK, linespacing=1.5)


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
    values = dict(zip(ENDS, astuple(sounds), strict=True))
    for row, (name, value) in enumerate(values.items()):
        axes.plot([0, 1], [row, row], color=_FAINT, lw=2, solid_capstyle="round", zorder=1)
        axes.plot([value], [row], "o", color=_ACCENT, ms=9, zorder=2)
        low, high = ENDS[name]
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
