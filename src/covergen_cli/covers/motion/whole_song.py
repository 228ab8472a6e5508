"""The moments of a video that is as long as its song: the loop on the beat, moving further where the song is louder."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from covergen_cli.covers.motion.rhythm import FRAME_HZ

if TYPE_CHECKING:
    import numpy.typing as npt

    from covergen_cli.covers.motion.drift import Moment
    from covergen_cli.covers.motion.loop import Loop
    from covergen_cli.covers.motion.rhythm import Rhythm

    Array = npt.NDArray[np.float64]

STRENGTHS = (0.4, 0.6, 0.8, 1.0)
"""How far everything moves during one repetition of the loop, from the quietest to the loudest ones.

They are few, so that only so many times the frames of the loop are drawn, however long the song is.
"""


def song_moments(rhythm: Rhythm, loop: Loop, seconds: float) -> list[Moment]:
    """Return the moment of each frame of a video of a whole song.

    The song's beats, not the clock, say where in the loop a frame is, so that a changing tempo is followed. The
    strength changes only where the loop begins, when nothing has moved. The first frame is the cover as it is.

    Args:
        rhythm: of the whole song.
        loop: made from it.
        seconds: duration of the song.
    """
    times = np.arange(max(2, round(seconds * loop.fps))) / loop.fps
    repetition, place = np.divmod(_beats_passed(rhythm, times) / loop.beats, 1)
    loud = np.interp(times, np.arange(len(rhythm.level)) / FRAME_HZ, rhythm.level)
    counts = np.bincount(repetition.astype(int))
    levels = np.bincount(repetition.astype(int), loud) / np.maximum(counts, 1)
    low, high = np.percentile(levels, [10, 90])
    ranks = np.clip((levels - low) / max(high - low, 1e-6), 0, 1) * (len(STRENGTHS) - 1)
    strengths = np.take(STRENGTHS, np.rint(ranks).astype(int))
    return [
        loop.moment(int(share * loop.frames), float(strengths[int(number)]))
        for number, share in zip(repetition.tolist(), place.tolist(), strict=True)
    ]


def _beats_passed(rhythm: Rhythm, times: Array) -> Array:
    """Return the number of beats since the first of some times; they go on before the first beat and after the last."""
    beat = 60 / rhythm.bpm
    beats = rhythm.beats.astype(np.float64) if len(rhythm.beats) > 1 else np.array([0.0, beat])
    before = np.arange(beats[0] - beat, times[0] - 2 * beat, -beat)[::-1]
    after = np.arange(beats[-1] + beat, times[-1] + 2 * beat, beat)
    every = np.concatenate([before, beats, after])
    passed = np.interp(times, every, np.arange(len(every)))
    return np.asarray(passed - passed[0])
