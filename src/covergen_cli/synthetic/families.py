"""The forms of a painting: each family lays a field over the picture, whose levels become layers of coloured paper."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from covergen_cli.audio.descriptors import NAMES

if TYPE_CHECKING:
    from collections.abc import Callable

    import numpy.typing as npt

    from covergen_cli.synthetic.colour import Array

__all__ = ["FAMILIES", "SOFT", "SUITS_HARD", "Scene", "Traits"]


@dataclass(frozen=True)
class Traits:
    """What the music asks of the picture; every value in [0, 1].

    Args:
        warmth: from blue through violet, red and orange to yellow; faster and major is warmer.
        lightness: dark to light; brighter, major, calm music is lighter.
        saturation: grey to vivid; energy.
        contrast: how far the lightest and the darkest colour lie apart; energy and dynamics.
        count: few to many forms; density.
        hardness: soft and round to sharp and angular; percussiveness.
        tilt: lying to leaning; tempo.
        glow: flat to strongly lit; dynamics.
    """

    warmth: float
    lightness: float
    saturation: float
    contrast: float
    count: float
    hardness: float
    tilt: float
    glow: float

    @classmethod
    def of(cls, descriptors: npt.NDArray[np.floating]) -> Traits:
        """Read the traits off descriptors ``(7,)`` in the order of :data:`covergen_cli.audio.descriptors.NAMES`."""
        heard = dict(zip(NAMES, np.clip(descriptors, 0, 1).tolist(), strict=True))
        return cls(
            warmth=0.55 * heard["mode"] + 0.45 * heard["tempo"],
            lightness=float(
                np.clip(0.62 * heard["brightness"] + 0.38 * heard["mode"] + 0.12 - 0.2 * heard["energy"], 0, 1)
            ),
            saturation=heard["energy"],
            contrast=0.85 * heard["energy"] + 0.15 * heard["dynamics"],
            count=heard["density"],
            hardness=heard["percussiveness"],
            tilt=heard["tempo"],
            glow=heard["dynamics"],
        )


@dataclass(frozen=True)
class Scene:
    """What a family needs to lay out one picture: coordinates in [−1, 1] (y down), the seed's dice, the traits."""

    x: Array
    y: Array
    rng: np.random.Generator
    traits: Traits

    def uniform(self, low: float, high: float) -> float:
        """Draw from the seed's dice, uniformly in [low, high)."""
        return float(self.rng.uniform(low, high))

    def focus(self) -> tuple[float, float]:
        """Draw a focal point: the centre or a crossing of the thirds, with a little play."""
        spots = np.array([(0, 0), (-1, -1), (1, -1), (-1, 1), (1, 1)]) / 3
        spot = spots[self.rng.integers(len(spots))] + self.rng.uniform(-0.08, 0.08, 2)
        return float(spot[0]), float(spot[1])

    def swell(self, u: Array, v: Array, waves: int, roughness: float) -> Array:
        """Sum a few long sine waves over two coordinates: a smooth random surface, about ±1."""
        total = np.zeros_like(u)
        for _ in range(waves):
            angle, frequency = self.uniform(0, 2 * np.pi), self.uniform(0.6, 1.2 + 1.4 * roughness)
            along = frequency * np.pi * (u * np.float32(np.cos(angle)) + v * np.float32(np.sin(angle)))
            total += np.sin(along + np.float32(self.uniform(0, 2 * np.pi)))
        surface: Array = total / np.float32(np.sqrt(waves))
        return surface


def _fold(phase: Array, hardness: float) -> Array:
    """A wave of period 2π and range ±1 that goes from a sine (0) to a zigzag (1)."""
    sine = np.sin(phase)
    zigzag = (2 / np.pi) * np.arcsin(np.clip(sine, -1, 1))
    wave: Array = ((1 - hardness) * sine + hardness * zigzag).astype(np.float32)
    return wave


def _radius(u: Array, v: Array, hardness: float, corners: int, turn: float) -> Array:
    """Distance from the origin whose circles go from round (0) to polygons with ``corners`` sides (1)."""
    round_ = np.hypot(u, v)
    sector = 2 * np.pi / corners
    angle = np.mod(np.arctan2(v, u) - turn, sector) - sector / 2
    straight = round_ * np.cos(angle) / np.cos(sector / 4)
    radius: Array = ((1 - hardness) * round_ + hardness * straight).astype(np.float32)
    return radius


def _hills(scene: Scene) -> tuple[Array, float]:
    """Ridges behind ridges under a sky: the field counts the ridges that lie above a point."""
    traits, layers = scene.traits, round(2 + 8 * scene.traits.count)
    horizon = scene.uniform(-0.25, 0.3)
    field = np.zeros_like(scene.x)
    lean = scene.uniform(-1, 1) * 0.35 * traits.tilt
    for i in range(layers):
        top = horizon + (1.02 - horizon) * (i / layers) ** 1.15
        ridge = np.full_like(scene.x, top) + np.float32(lean) * scene.x
        for octave in range(2):
            height = 0.20 * (1 - 0.5 * i / layers) / (1 + 1.6 * octave)
            phase = (1 + 1.1 * octave) * scene.uniform(1.5, 3.2) * scene.x + scene.uniform(0, 2 * np.pi)
            ridge += np.float32(height) * _fold(phase.astype(np.float32), traits.hardness)
        depth = (scene.y - ridge) * np.float32(layers / (1.0 - horizon) * 0.75)
        field = np.where(depth > 0, i + 1 + np.minimum(depth, 0.98), field)
    return field.astype(np.float32), float(layers)


def _rings(scene: Scene) -> tuple[Array, float]:
    """Rings around a focal point, each a little off the last."""
    traits, (cx, cy) = scene.traits, scene.focus()
    layers = 2.5 + 7 * traits.count
    u, v = scene.x - np.float32(cx), scene.y - np.float32(cy)
    shift = scene.rng.uniform(-0.14, 0.14, 2)
    far = np.hypot(u, v)
    bend = scene.swell(scene.x, scene.y, 3, 0.2) * np.float32(0.10 * (1 - traits.hardness))
    corners = int(scene.rng.integers(3, 7))
    radius = _radius(u + shift[0] * far, v + shift[1] * far, traits.hardness**1.5, corners, scene.uniform(0, np.pi))
    return ((1.55 - radius - bend) / 1.55 * layers).clip(0).astype(np.float32), layers


def _bands(scene: Scene) -> tuple[Array, float]:
    """Marbled bands that flow across the picture."""
    traits = scene.traits
    layers = 3 + 11 * traits.count
    angle = np.pi / 2 + scene.rng.choice([-1, 1]) * scene.uniform(0.25, 1.0) * (0.15 + 0.75 * traits.tilt)
    along = np.float32(np.cos(angle)) * scene.x + np.float32(np.sin(angle)) * scene.y
    across = np.float32(-np.sin(angle)) * scene.x + np.float32(np.cos(angle)) * scene.y
    wave = _fold((across * np.float32(scene.uniform(1.5, 3.5)) + np.float32(scene.uniform(0, 6.28))), traits.hardness)
    warp = scene.swell(scene.x, scene.y, 4, 0.5) * np.float32(0.16 * (1 - 0.7 * traits.hardness))
    field = (along + np.float32(0.20) * wave + warp + 1.3) / 2.6 * np.float32(layers)
    return field.clip(0).astype(np.float32), layers


def _rays(scene: Scene) -> tuple[Array, float]:
    """Rays that turn around a focal point; light and dark alternate."""
    traits, (cx, cy) = scene.traits, scene.focus()
    u, v = scene.x - np.float32(cx), scene.y - np.float32(cy * 1.4 + 0.2)
    rays = round(4 + 14 * traits.count)
    radius = np.hypot(u, v)
    twist = scene.rng.choice([-1, 1]) * scene.uniform(0.4, 2.2) * (1 - 0.8 * traits.hardness)
    phase = np.arctan2(v, u) * rays + np.float32(twist * np.sqrt(rays)) * radius + np.float32(scene.uniform(0, 6.28))
    wave = 0.5 + 0.5 * _fold(phase.astype(np.float32), 0.0)
    edge = np.clip(wave * np.float32(rays) * np.clip(radius, 0.08, 1) * 2.2 - np.float32(rays * 0.6), -9, 9)
    split = 1 / (1 + np.exp(-edge * np.float32(1.2 + 3 * traits.hardness)))
    field = 0.6 + split * 2.2 + np.clip(0.9 - radius, 0, 1) * np.float32(1.4)
    return field.astype(np.float32), 5.0


def _arches(scene: Scene) -> tuple[Array, float]:
    """Nested arches that stand on the lower edge."""
    traits = scene.traits
    layers = 2.5 + 7 * traits.count
    cx, cy = scene.uniform(-0.4, 0.4), scene.uniform(-0.05, 0.45)
    u, v = scene.x - np.float32(cx), np.minimum(scene.y - np.float32(cy), 0)
    lean = scene.uniform(-1, 1) * 0.5 * traits.tilt
    u = u + np.float32(lean) * (scene.y - np.float32(cy))
    radius = _radius(u, v, 0.8 * traits.hardness**1.5, 4, np.pi / 4 if scene.rng.random() < 0.5 else 0.0)
    wobble = scene.swell(scene.x, scene.y, 3, 0.2) * np.float32(0.05 * (1 - traits.hardness))
    return ((1.35 - radius - wobble) / 1.35 * layers).clip(0).astype(np.float32), layers


def _dunes(scene: Scene) -> tuple[Array, float]:
    """Contours of a smooth landscape seen from above."""
    traits = scene.traits
    layers = 2 + 6 * traits.count
    stretch = 0.7 + scene.uniform(0, 0.6)
    surface = scene.swell(scene.x * np.float32(stretch), scene.y * np.float32(0.8), 4, 0.5 * traits.count)
    creased = (1 - traits.hardness) * surface + traits.hardness * np.abs(surface) * np.sign(surface.mean() + 0.01) * 1.3
    field = (creased - creased.min()) / max(float(np.ptp(creased)), 1e-3) * layers
    return field.astype(np.float32), layers


def _mesh(scene: Scene) -> tuple[Array, float]:
    """A soft mesh of colour with hardly any edge; the number of lobes grows with the count."""
    traits = scene.traits
    frequency = np.float32(0.45 + 2.0 * traits.count)
    warp = scene.swell(scene.x, scene.y, 2, 0.3) * np.float32(0.3)
    surface = scene.swell((scene.x + warp) * frequency, (scene.y - warp) * frequency, 4, 0.5)
    field = (surface - surface.min()) / max(float(np.ptp(surface)), 1e-3) * 4
    return field.astype(np.float32), 4.0


FAMILIES: dict[str, Callable[[Scene], tuple[Array, float]]] = {
    "hills": _hills,
    "rings": _rings,
    "bands": _bands,
    "rays": _rays,
    "arches": _arches,
    "dunes": _dunes,
    "mesh": _mesh,
}

SOFT = frozenset({"mesh", "rays"})
"""Families whose field is painted as it is, without cutting it into layers."""

SUITS_HARD = {"hills": 0.0, "rings": 0.5, "bands": 0.2, "rays": 1.6, "arches": 0.6, "dunes": -0.8, "mesh": -2.0}
"""How much a family suits hard-hit music (positive) or soft music (negative)."""
