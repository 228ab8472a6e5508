"""Where each part of a picture is at a moment of a loop: smooth displacements that start and end at nothing."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
import scipy

from covergen_cli.covers.looks.raster import blur, enlarge
from covergen_cli.covers.looks.sketch import SIDE, Sketch

if TYPE_CHECKING:
    import numpy.typing as npt

    Array = npt.NDArray[np.float32]

_ORBIT, _SWAY, _BREATH = 0.045, 0.07, 0.03
"""Furthest that the nearest layer moves: all of it, each part for itself, and outwards; shares of the side."""
_LIGHT = 0.06
"""How much lighter or darker tones become."""
_FAR = 0.3
"""Movement of the farthest layer as a share of that of the nearest."""


@dataclass(frozen=True)
class Moment:
    """A moment of a loop.

    Args:
        phases: of the low, middle and high part of the spectrum, each in [0, 1).
        strength: how far everything moves; 1 is usual, 0 is the cover as it is.
    """

    phases: tuple[float, float, float]
    strength: float = 1.0

    @property
    def is_still(self) -> bool:
        """Whether nothing has moved."""
        return self.strength == 0 or not any(self.phases)


STILL = Moment((0.0, 0.0, 0.0))
"""The cover as it is."""


class Drift:
    """The displacements of one cover.

    The low part of the spectrum drives an outward movement from the middle, the middle one an orbit of all layers, the
    nearer the further, and the high one a swaying of every region for itself.

    Args:
        seed: decides directions and regions.
    """

    def __init__(self, seed: int) -> None:
        rng = np.random.default_rng([seed, 2])
        self._direction = float(rng.uniform(0, 2 * np.pi))
        self._turn = float(rng.choice([-1, 1]))
        self._regions = np.stack([_region(rng) for _ in range(4)])

    def displacement(self, moment: Moment, depth: float) -> Array:
        """Return where each point comes from, as an offset ``(2, 256, 256)`` down and right in shares of the side.

        Args:
            moment: the moment.
            depth: 0 for the farthest layer, 1 for the nearest.
        """
        low, middle, high = (2 * np.pi * phase for phase in moment.phases)
        near = (_FAR + (1 - _FAR) * depth) * moment.strength
        line = (np.arange(SIDE, dtype=np.float32) + 0.5) / SIDE - 0.5
        place = np.stack([np.broadcast_to(line[:, None], (SIDE, SIDE)), np.broadcast_to(line[None, :], (SIDE, SIDE))])
        breath = -_BREATH * (1 - np.cos(low)) * place
        orbit = (
            _ORBIT * self._turn * np.array([_circle(self._direction, middle, 1), _circle(self._direction, middle, 0)])
        )
        first, second = np.sin(high), 1 - np.cos(high)
        sway = _SWAY * 0.5 * (first * self._regions[:2] + second * self._regions[2:])
        return np.asarray(near * (breath + orbit[:, None, None] + sway), dtype=np.float32)

    def light(self, moment: Moment) -> Array:
        """Return what a band of light that crosses the picture once adds to its tones, ``(256, 256)``."""
        line = np.arange(SIDE, dtype=np.float32) / SIDE
        across = line[:, None] * np.sin(self._direction) + line[None, :] * np.cos(self._direction)
        angle = 2 * np.pi * (across - moment.phases[1])
        wave = np.cos(angle) - np.cos(2 * np.pi * across)
        return np.asarray(_LIGHT * moment.strength * wave, dtype=np.float32)


def _circle(start: float, angle: float, axis: int) -> float:
    """Return how far a point on the unit circle has moved along one axis since ``start``."""
    wave = np.sin if axis else np.cos
    return float(wave(start + angle) - wave(start)) / 2


def _region(rng: np.random.Generator) -> Array:
    """Return smooth random values ``(256, 256)``, at most about ±1."""
    field = blur(rng.standard_normal((SIDE, SIDE)).astype(np.float32), 0.14)
    return np.asarray(field / max(float(np.abs(field).max()), 1e-6), dtype=np.float32)


class Scene:
    """A sketch that can be had at any moment of a loop.

    Args:
        sketch: the sketch of the cover.
        drift: its movement.
    """

    def __init__(self, sketch: Sketch, drift: Drift) -> None:
        self.sketch = sketch
        self._drift = drift
        self._splines: dict[object, Array] = {}

    def at(self, moment: Moment) -> Sketch:
        """Return the sketch at a moment, from which looks draw as from any other."""
        if moment.is_still:
            return self.sketch
        sketch, shift = self.sketch, self._drift.displacement(moment, 0.5)
        return _MovedSketch(
            lab=sketch.lab,
            tone=self._moved("tone", sketch.tone, shift) + self._drift.light(moment),
            palette=sketch.palette,
            locked=sketch.locked,
            labels=_nearest(sketch.labels, shift),
            points=np.stack([self._moved(("points", i), sketch.points[..., i], shift) for i in range(3)], axis=-1),
            centres=sketch.centres,
            scene=self,
            moment=moment,
        )

    def layer(self, index: int, softness: float, moment: Moment) -> Array:
        """Return the field of a layer at a moment; the lighter its colour, the nearer it is."""
        depth = index / max(len(self.sketch.palette.hexes) - 1, 1)
        key = ("layer", index, softness)
        if key not in self._splines:
            self._splines[key] = _spline(self.sketch.layer(index, softness))
        return _sampled(self._splines[key], self._drift.displacement(moment, depth))

    def graded(self, moment: Moment) -> Array:
        """Return the graded picture, sRGB ``(512, 512, 3)``, at a moment."""
        side = len(self.sketch.graded)
        shift = np.stack([enlarge(one, side, 0, side) for one in self._drift.displacement(moment, 0.5)])
        picture = self.sketch.graded
        return np.stack([self._moved(("graded", i), picture[..., i], shift) for i in range(3)], axis=-1)

    def _moved(self, key: object, field: Array, shift: Array) -> Array:
        if key not in self._splines:
            self._splines[key] = _spline(field)
        return _sampled(self._splines[key], shift)


@dataclass(frozen=True)
class _MovedSketch(Sketch):
    """A sketch at a moment of a loop."""

    scene: Scene
    moment: Moment

    def layer(self, index: int, softness: float) -> Array:
        return self.scene.layer(index, softness, self.moment)

    @cached_property
    def graded(self) -> Array:
        return self.scene.graded(self.moment)

    # What decides about colours must not change from frame to frame.

    @property
    def is_dark(self) -> bool:
        return self.scene.sketch.is_dark

    @property
    def shares(self) -> Array:
        return self.scene.sketch.shares

    @property
    def still(self) -> Sketch:
        return self.scene.sketch

    @property
    def phase(self) -> float:
        return self.moment.phases[0]


def _spline(field: Array) -> Array:
    """Return the coefficients of a cubic spline through a field."""
    return np.asarray(scipy.ndimage.spline_filter(field, 3, mode="nearest"), dtype=np.float32)


def _places(shift: Array) -> Array:
    """Return the rows and columns ``(2, n, n)`` that points come from."""
    side = shift.shape[1]
    return np.asarray(np.indices((side, side), dtype=np.float32) + shift * side)


def _sampled(spline: Array, shift: Array) -> Array:
    moved = scipy.ndimage.map_coordinates(spline, _places(shift), order=3, mode="nearest", prefilter=False)
    return np.asarray(moved, dtype=np.float32)


def _nearest(labels: npt.NDArray[np.integer], shift: Array) -> npt.NDArray[np.integer]:
    return np.asarray(scipy.ndimage.map_coordinates(labels, _places(shift), order=0, mode="nearest"))
