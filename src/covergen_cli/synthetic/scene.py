"""What a painting is laid out in: what the music asks of it, coordinates, and the seed's dice."""

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
    """What the music asks of the picture, one trait for each descriptor; every value in [0, 1].

    Args:
        tilt: from lines that lie to lines that stand; tempo.
        warmth: from blue through red to yellow; mode.
        saturation: pale and even to vivid and full of contrast; energy.
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
        """Read the traits off descriptors ``(7,)`` in the order of :data:`covergen_cli.audio.descriptors.NAMES`."""
        heard = dict(zip(NAMES, np.clip(descriptors, 0, 1).tolist(), strict=True))
        return cls(
            tilt=heard["tempo"],
            warmth=heard["mode"],
            saturation=heard["energy"],
            lightness=heard["brightness"],
            count=heard["density"],
            hardness=heard["percussiveness"],
            glow=heard["dynamics"],
        )


class Scene:
    """One layout: coordinates, a focal point, the direction that lines take, and dice.

    Args:
        size: pixels per side.
        seed: of the dice; the same seed lays out the same picture at every size.
        traits: what the music asks for.

    Attributes:
        x: from left to right, ``(size, size)`` in [−1, 1].
        y: from top to bottom.
        focus: the focal point ``(x, y)``: the centre or a crossing of the thirds, with a little play.
        angle: of the lines, in radians: 0 lies, ±π/2 stands.
        along: distance from the focal point along the lines.
        across: distance from the focal point across them.
        rng: the dice.
        traits: as given.
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
        """Draw from the seed's dice, uniformly in [low, high)."""
        return float(self.rng.uniform(low, high))

    def spot(self) -> tuple[float, float]:
        """Draw a good place for something to look at: the centre or a crossing of the thirds, with a little play."""
        spots = np.array([(0, 0), (-1, -1), (1, -1), (-1, 1), (1, 1)]) / 3
        spot = spots[self.rng.integers(len(spots))] + self.rng.uniform(-0.08, 0.08, 2)
        return float(spot[0]), float(spot[1])

    def turned(self, x: float, y: float) -> tuple[Array, Array]:
        """Coordinates along and across the lines, from the point ``(x, y)``."""
        right, down = self.x - np.float32(x), self.y - np.float32(y)
        cos, sin = np.float32(np.cos(self.angle)), np.float32(np.sin(self.angle))
        return right * cos + down * sin, down * cos - right * sin

    def swell(self, u: Array, v: Array, waves: int, low: float, high: float) -> Array:
        """Sum a few sine waves of ``low`` to ``high`` half periods per unit: a smooth random surface, about ±1."""
        total = np.zeros_like(u)
        for _ in range(waves):
            angle, frequency = self.uniform(0, 2 * np.pi), np.pi * self.uniform(low, high)
            across = np.float32(frequency * np.cos(angle)) * u + np.float32(frequency * np.sin(angle)) * v
            total += np.sin(across + np.float32(self.uniform(0, 2 * np.pi)))
        surface: Array = total / np.float32(np.sqrt(waves))
        return surface


def fold(phase: Array, hardness: float) -> Array:
    """A wave of period 2π and range ±1 that goes from a sine (0) to a zigzag (1)."""
    sine = np.sin(phase)
    zigzag = np.float32(2 / np.pi) * np.arcsin(np.clip(sine, -1, 1))
    wave: Array = ((1 - hardness) * sine + hardness * zigzag).astype(np.float32)
    return wave


def smooth_step(rise: Array) -> Array:
    """Go from 0 to 1 as ``rise`` does, without corners."""
    clipped = np.clip(rise, 0, 1).astype(np.float32)
    step: Array = clipped * clipped * (3 - 2 * clipped)
    return step
