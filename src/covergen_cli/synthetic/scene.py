"""The layout of a painting: traits of the music, coordinates, and a random generator."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from covergen_cli.audio.descriptors import NAMES

if TYPE_CHECKING:
    import numpy.typing as npt

    from covergen_cli.measures.colour import Array


@dataclass(frozen=True)
class Traits:
    """Traits of a painting, one for each descriptor, in [0, 1].

    Args:
        tilt: horizontal to vertical lines; tempo.
        warmth: blue through red to yellow; mode.
        saturation: pale and even to vivid and contrasting; energy.
        lightness: dark to light; brightness.
        count: few to many forms; density.
        hardness: soft and round to sharp and angular; percussiveness.
        glow: flat to strongly lit; dynamics.
    """

    tilt: float
    warmth: float
    saturation: float
    lightness: float
    count: float
    hardness: float
    glow: float

    @classmethod
    def of(cls, descriptors: npt.NDArray[np.floating]) -> Traits:
        """Return the traits for descriptors ``(7,)`` in the order of :data:`covergen_cli.audio.descriptors.NAMES`."""
        values = dict(zip(NAMES, np.clip(descriptors, 0, 1).tolist(), strict=True))
        return cls(
            tilt=values["tempo"],
            warmth=values["mode"],
            saturation=values["energy"],
            lightness=values["brightness"],
            count=values["density"],
            hardness=values["percussiveness"],
            glow=values["dynamics"],
        )


class Scene:
    """A layout: coordinates, a focal point and the direction of lines.

    Args:
        size: pixels per side.
        seed: seed of the random generator; a seed gives the same layout at every size.
        traits: the traits that the music asks for.

    Attributes:
        x: from left to right, ``(size, size)`` in [−1, 1].
        y: from top to bottom.
        focus: the focal point ``(x, y)``, see :meth:`spot`.
        angle: of the lines, in radians: 0 is horizontal, ±π/2 vertical.
        along: distance from the focal point along the lines.
        across: distance from the focal point across the lines.
        rng: the random generator.
    """

    def __init__(self, size: int, seed: int, traits: Traits) -> None:
        line = (np.arange(size, dtype=np.float32) + 0.5) / (size / 2) - 1
        self.x, self.y = np.meshgrid(line, line)
        self.rng, self.traits = np.random.default_rng(seed), traits
        self.focus = self.spot()
        lean = np.clip(88 * traits.tilt + self.uniform(-6, 6), 0, 90)
        self.angle = float(np.deg2rad(lean) * self.rng.choice([-1, 1]))
        self.along, self.across = self.turned(*self.focus)

    def uniform(self, low: float, high: float) -> float:
        """Return a random number in [low, high)."""
        return float(self.rng.uniform(low, high))

    def spot(self) -> tuple[float, float]:
        """Return a random point near the centre or a crossing of the thirds."""
        spots = np.array([(0, 0), (-1, -1), (1, -1), (-1, 1), (1, 1)]) / 3
        spot = spots[self.rng.integers(len(spots))] + self.rng.uniform(-0.08, 0.08, 2)
        return float(spot[0]), float(spot[1])

    def turned(self, x: float, y: float) -> tuple[Array, Array]:
        """Return coordinates along and across the lines, relative to the point ``(x, y)``."""
        right, down = self.x - np.float32(x), self.y - np.float32(y)
        cos, sin = np.float32(np.cos(self.angle)), np.float32(np.sin(self.angle))
        return right * cos + down * sin, down * cos - right * sin

    def swell(self, u: Array, v: Array, waves: int, low: float, high: float) -> Array:
        """Return a random surface, about ±1: a sum of sine waves of ``low`` to ``high`` half periods per unit."""
        total = np.zeros_like(u)
        for _ in range(waves):
            angle, frequency = self.uniform(0, 2 * np.pi), np.pi * self.uniform(low, high)
            across = np.float32(frequency * np.cos(angle)) * u + np.float32(frequency * np.sin(angle)) * v
            total += np.sin(across + np.float32(self.uniform(0, 2 * np.pi)))
        surface: Array = total / np.float32(np.sqrt(waves))
        return surface


def fold(phase: Array, hardness: float) -> Array:
    """Return a wave of period 2π and range ±1: a sine for hardness 0, a triangle for 1."""
    sine = np.sin(phase)
    zigzag = np.float32(2 / np.pi) * np.arcsin(np.clip(sine, -1, 1))
    wave: Array = ((1 - hardness) * sine + hardness * zigzag).astype(np.float32)
    return wave


def smooth_step(rise: Array) -> Array:
    """Return the smooth step 3r² − 2r³ of ``rise``, clipped to [0, 1]."""
    clipped = np.clip(rise, 0, 1).astype(np.float32)
    step: Array = clipped * clipped * (3 - 2 * clipped)
    return step
