"""The layout of a painting: traits of the music, coordinates, a random generator, and shapes laid over each other."""

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
        warmth: blue to yellow; mode.
        saturation: pale and even to vivid and contrasting; energy.
        lightness: dark to light; brightness.
        count: few to many forms; density.
        hardness: soft to sharp edges, curves to corners; percussiveness.
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
    """A layout, on which a family of forms lays its shapes.

    The canvas reaches from −1 to 1 in both directions. Distances to the outline of a shape are negative inside.

    Args:
        size: pixels per side.
        seed: seed of the random generator; a seed gives the same layout at every size.
        traits: the traits that the music asks for.
        tones: OKLab colours ``(5, 3)``: ground, second ground, form, second form, accent.

    Attributes:
        x: from left to right, ``(size, size)`` in [−1, 1].
        y: from top to bottom.
        focus: the focal point ``(x, y)``, near a crossing of the thirds or the centre.
        angle: of the lines, in radians: 0 is horizontal, ±π/2 vertical.
        stretch: by how much forms are taller than wide; below 1 for wide ones.
        edge: width of an edge.
        rng: the random generator.
        lab: the canvas, OKLab ``(size, size, 3)``.
    """

    def __init__(self, size: int, seed: int, traits: Traits, tones: Array) -> None:
        line = (np.arange(size, dtype=np.float32) + 0.5) / (size / 2) - 1
        self.x, self.y = np.meshgrid(line, line)
        self.rng, self.traits, self.tones = np.random.default_rng(seed), traits, tones
        spots = np.array([(0, 0), (-1, -1), (1, -1), (-1, 1), (1, 1)]) / 3.2
        spot = spots[self.rng.integers(len(spots))] + self.rng.uniform(-0.06, 0.06, 2)
        self.focus = (float(spot[0]), float(spot[1]))
        lean = np.clip(90 * traits.tilt + self.uniform(-5, 5), 0, 90)
        self.angle = float(np.deg2rad(lean) * self.rng.choice([-1, 1]))
        self.stretch = float(np.exp(1.5 * (traits.tilt - 0.5)))
        self.edge = 0.008 + 0.12 * (1 - traits.hardness) ** 2
        self.lab = np.broadcast_to(tones[0], (size, size, 3)).astype(np.float32)

    def uniform(self, low: float, high: float) -> float:
        """Return a random number in [low, high)."""
        return float(self.rng.uniform(low, high))

    def number(self, few: float, many: float) -> int:
        """Return how many forms there are, ``few`` to ``many`` as the music gets denser."""
        wanted: float = few * (many / few) ** self.traits.count
        return max(1, round(wanted))

    def turned(self, x: float, y: float, angle: float | None = None) -> tuple[Array, Array]:
        """Return coordinates along and across an angle, by default that of the lines, relative to ``(x, y)``."""
        angle = self.angle if angle is None else angle
        right, down = self.x - np.float32(x), self.y - np.float32(y)
        cos, sin = np.float32(np.cos(angle)), np.float32(np.sin(angle))
        return right * cos + down * sin, down * cos - right * sin

    def stretched(self, x: float, y: float) -> tuple[Array, Array]:
        """Return coordinates relative to ``(x, y)`` in which forms that are stretched on the canvas are round."""
        root = np.float32(np.sqrt(self.stretch))
        return (self.x - np.float32(x)) * root, (self.y - np.float32(y)) / root

    def lay(self, distance: Array, colour: Array, softer: float = 1.0) -> None:
        """Lay a shape over the canvas.

        Args:
            distance: to its outline, ``(size, size)``.
            colour: OKLab ``(3,)`` or ``(size, size, 3)``.
            softer: factor for the width of its edge.
        """
        cover = smooth_step(np.float32(0.5) - distance / np.float32(self.edge * softer))[..., None]
        self.lab += cover * (colour - self.lab)

    def disc(self, radius: float, colour: Array, at: tuple[float, float] | None = None) -> None:
        """Lay a disc, at the focal point unless a point is given."""
        x, y = self.focus if at is None else at
        self.lay(np.hypot(self.x - np.float32(x), self.y - np.float32(y)) - np.float32(radius), colour)


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
