"""Load the part of a music file that is embedded: all of a preview, the salient segment of a song (§3.4.1)."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from covergen_cli.audio.io import is_silent, load, probe
from covergen_cli.audio.segment import find_segment
from covergen_cli.config import SegmentConfig
from covergen_cli.errors import InputError

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    from covergen_cli.audio.io import Resample

MAX_PREVIEW_SECONDS = 35.0
"""Files up to this duration are previews, of which everything is embedded; of longer ones, the salient segment is."""


@dataclass(frozen=True)
class Excerpt:
    """The part of a file that is embedded.

    Args:
        samples: mono float32 ``(n,)`` in [−1, 1].
        sample_rate_hz: their rate.
        segment: start and end in the file, in seconds.
        warnings: sentences about what is wrong with the file; empty when nothing is.
    """

    samples: npt.NDArray[np.float32]
    sample_rate_hz: int
    segment: tuple[float, float]
    warnings: tuple[str, ...]


def load_excerpt(path: str | os.PathLike[str], sample_rate_hz: int, resample: Resample | None = None) -> Excerpt:
    """Load what is embedded of a file; memory does not grow with its duration.

    Args:
        path: a local audio file.
        sample_rate_hz: sample rate of the excerpt.
        resample: see :func:`covergen_cli.audio.io.load`.

    Raises:
        InputError: the file cannot be used (see :func:`covergen_cli.audio.io.load`), or is silent.
    """
    path = Path(path)
    declared = probe(path).duration_seconds
    if declared is None or declared <= MAX_PREVIEW_SECONDS:
        # The declared duration can be wrong; one second more than the maximum tells a preview from a song.
        clip = load(path, sample_rate_hz, 0.0, MAX_PREVIEW_SECONDS + 1, resample)
        if clip.samples.size <= MAX_PREVIEW_SECONDS * sample_rate_hz:
            if is_silent(clip.samples):
                raise InputError(f"{path} is silent", hint="Give a file with audible sound.")
            return Excerpt(clip.samples, sample_rate_hz, (0.0, clip.samples.size / sample_rate_hz), clip.warnings)
    found = find_segment(path, SegmentConfig())
    clip = load(path, sample_rate_hz, found.start_seconds, found.end_seconds, resample)
    end = min(found.end_seconds, found.start_seconds + clip.samples.size / sample_rate_hz)
    warnings = tuple(dict.fromkeys((*found.warnings, *clip.warnings)))
    return Excerpt(clip.samples, sample_rate_hz, (found.start_seconds, end), warnings)
