"""The length of a loop, a whole number of bars, and how far each part of the picture has moved at each frame."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import scipy

from covergen_cli.covers.motion.drift import Moment
from covergen_cli.covers.motion.rhythm import BANDS, FRAME_HZ, Rhythm

if TYPE_CHECKING:
    import numpy.typing as npt

    Array = npt.NDArray[np.float32]

_BEATS_PER_BAR = 4
_REST = 0.2
"""Speed between onsets, as a share of the mean speed."""
_RELEASE_SECONDS = 0.12
"""Time in which the speed after an onset falls to a third."""


@dataclass(frozen=True)
class Loop:
    """A seamless loop: the frame after the last is the first.

    Args:
        fps: frames per second.
        beats: number of beats, a whole number of bars where the music allows it.
        phases: of the low, middle and high part of the spectrum, float32 ``(3, frames)``: the share of its way that
            what this part moves has gone, 0 at the first frame, below 1 at the last.
        speed: how fast all of it moves at each frame, float32 ``(frames,)``; the mean is 1.
    """

    fps: int
    beats: int
    phases: Array
    speed: Array

    @property
    def frames(self) -> int:
        """Number of frames."""
        return int(self.phases.shape[1])

    def moment(self, frame: int, strength: float = 1.0) -> Moment:
        """Return the moment of a frame."""
        low, middle, high = self.phases[:, frame].tolist()
        return Moment((low, middle, high), strength)

    @property
    def seconds(self) -> float:
        """Duration."""
        return self.frames / self.fps


def make_loop(rhythm: Rhythm, fps: int, shortest_seconds: float, longest_seconds: float) -> Loop:
    """Return the loop of a clip.

    It has the number of bars of four beats whose duration is nearest to the middle of what is allowed; where no number
    of bars fits, it has a number of beats.

    Args:
        rhythm: of the clip.
        fps: frames per second.
        shortest_seconds: the loop is at least so long.
        longest_seconds: the loop is at most so long.
    """
    beat = 60 / rhythm.bpm
    middle = (shortest_seconds + longest_seconds) / 2
    fitting = [
        beats
        for step in (_BEATS_PER_BAR, 1)
        for beats in range(step, int(longest_seconds / beat) + 1, step)
        if beats * beat >= shortest_seconds
    ]
    bars = [beats for beats in fitting if beats % _BEATS_PER_BAR == 0]
    beats = min(bars or fitting, key=lambda count: abs(count * beat - middle))
    frames = max(2, min(round(beats * beat * fps), int(longest_seconds * fps)))
    speeds = np.stack([_speed(band, rhythm, beats * beat, frames, fps) for band in rhythm.onsets])
    return Loop(fps, beats, _phases(speeds), speeds.mean(axis=0))


def _speed(onsets: Array, rhythm: Rhythm, seconds: float, frames: int, fps: int) -> Array:
    """Return the speed at each frame, mean 1: that of onsets, averaged over all repetitions in the clip, which fade."""
    starts = rhythm.beats if len(rhythm.beats) else np.zeros(1, np.float32)
    within = (np.arange(frames) + 0.5) / frames * seconds
    times = np.arange(len(onsets)) / FRAME_HZ
    last = times[-1] if len(times) else 0.0
    whole = [start for start in _every(starts, seconds) if start + seconds <= last] or [float(starts[0])]
    # Onsets are shorter than a frame, which must not miss any.
    wide = scipy.ndimage.maximum_filter1d(onsets, int(2 * FRAME_HZ / fps) | 1)
    folded = np.mean([np.interp(start + within, times, wide, right=0.0) for start in whole], axis=0)
    held = np.array(folded, dtype=np.float64)
    fade = np.exp(-1 / (_RELEASE_SECONDS * fps))
    for _ in range(2):  # twice around, so that the end runs into the beginning
        for index in range(frames):
            held[index] = max(held[index], held[index - 1] * fade)
    mean = held.mean()
    driven = held / mean if mean > 0 else np.ones(frames)
    return np.asarray(_REST + (1 - _REST) * driven, dtype=np.float32)


def _every(beats: Array, seconds: float) -> list[float]:
    """Return the beats at which a repetition of the loop starts."""
    starts = [float(beats[0])]
    while (later := beats[beats >= starts[-1] + 0.98 * seconds]).size:
        starts.append(float(later[0]))
    return starts


def _phases(speeds: Array) -> Array:
    """Return the way gone before each frame as a share of the whole, ``(3, frames)``."""
    gone = np.cumsum(speeds, axis=1, dtype=np.float64)
    before = np.concatenate([np.zeros((BANDS, 1)), gone[:, :-1]], axis=1)
    return np.asarray(before / gone[:, -1:], dtype=np.float32)
