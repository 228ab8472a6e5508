"""Families of forms: each composes a painting of flat regions around one focal point in the accent colour.

Denser music has more forms; faster music makes them upright and slower music level; percussive music gives edges that
are sharp, and corners in the place of curves.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from covergen_cli.synthetic.scene import Scene, fold

if TYPE_CHECKING:
    from covergen_cli.measures.colour import Array


@dataclass(frozen=True)
class Family:
    """A way to compose, and the music that it suits.

    Args:
        draw: lays the shapes on a scene.
        side: which side of the circle of hues its colours lean to at the same warmth: 1 red, −1 green.
        suits: descriptor → preference for high (positive) or low values.
        tags: labels of musicnn, any of which suggest it.
    """

    draw: Callable[[Scene], None]
    side: float
    suits: dict[str, float] = field(default_factory=dict)
    tags: tuple[str, ...] = ()


def _horizon(scene: Scene) -> None:
    """Ridges under a sun: flat for slow music, with peaks for fast music."""
    traits, layers = scene.traits, scene.number(2, 9)
    horizon = scene.uniform(-0.25, 0.15)
    x, _ = scene.focus
    scene.disc(scene.uniform(0.24, 0.36), scene.tones[4], (x, horizon - scene.uniform(0.22, 0.4)))
    pitch = 1.3 + 3.2 * traits.count
    height = min(0.9, 0.9 * scene.stretch**1.4 / pitch)
    for i in range(layers):
        base = horizon + (1.0 - horizon) * (i / layers) ** 1.1
        phase = np.float32(pitch * scene.uniform(0.85, 1.2)) * scene.x + np.float32(scene.uniform(0, 2 * np.pi))
        ridge = base + np.float32(height * (0.5 - 0.18 * i / layers)) * fold(phase, traits.hardness)
        ridge += np.float32(0.18 * height) * fold(np.float32(2.3) * phase + np.float32(1.0), traits.hardness)
        tone = _ramp(scene.tones, (i + 1) / layers)
        scene.lay(ridge - scene.y, tone + np.float32(0.8 * traits.count * (i % 2)) * (scene.tones[0] - tone), 0.7)


def _flow(scene: Scene) -> None:
    """Bands that bend as they cross the canvas, one of them in the accent colour."""
    hardness, bands = scene.traits.hardness, scene.number(3, 11)
    along, across = scene.turned(*scene.focus)
    phase = along * np.float32(scene.uniform(1.6, 3.0)) + np.float32(scene.uniform(0, 2 * np.pi))
    bend = np.float32(scene.uniform(0.10, 0.22)) * fold(phase, 0.8 * hardness)
    place = across * (1 + np.float32(scene.uniform(-0.25, 0.25)) * along) + bend
    edges = np.linspace(-1.25, 1.25, bands + 1)[1:-1] + scene.rng.uniform(-0.3, 0.3, bands - 1) / bands
    accent = int(np.argmin(np.abs(edges + 1.0 / bands)))
    for i, edge in enumerate(edges):
        colour = scene.tones[4] if i == accent else scene.tones[(2, 1, 3, 0)[i % 4]]
        scene.lay(np.float32(edge) - place, colour)


def _orbits(scene: Scene) -> None:
    """Rings around a disc, and a small moon."""
    rings = scene.number(1, 8)
    u, v = scene.stretched(*scene.focus)
    distance = np.hypot(u, v)
    radii = np.linspace(1.25, 0.34, rings + 1) * np.exp(scene.rng.uniform(-0.12, 0.12, rings + 1))
    for i, radius in enumerate(radii[:-1]):
        scene.lay(distance - np.float32(radius), scene.tones[(2, 0, 3, 1)[i % 4]])
    scene.lay(distance - np.float32(min(0.30, 0.8 * radii[-1])), scene.tones[4])
    turn, orbit = scene.uniform(0, 2 * np.pi), float(radii[-2])
    root = np.sqrt(scene.stretch)
    moon = (scene.focus[0] + orbit * np.cos(turn) / root, scene.focus[1] + orbit * np.sin(turn) * root)
    scene.disc(scene.uniform(0.07, 0.12), scene.tones[4], moon)


def _grid(scene: Scene) -> None:
    """Tiles with quarter and half circles, triangles and bars."""
    cells = scene.number(4, 36)
    columns = max(1, round(np.sqrt(cells * scene.stretch)))
    rows = max(2 if columns == 1 else 1, round(cells / columns))
    wide, high = 2 / columns, 2 / rows
    focus = (int((scene.focus[0] + 1) / wide), int((scene.focus[1] + 1) / high))
    for row in range(rows):
        for column in range(columns):
            ground, form = scene.rng.permutation([0, 0, 1, 2, 3])[:2]
            kind, corner = int(scene.rng.integers(4)), int(scene.rng.integers(4))
            u = (scene.x - np.float32(-1 + wide * (column + 0.5))) / np.float32(wide / 2)
            v = (scene.y - np.float32(-1 + high * (row + 0.5))) / np.float32(high / 2)
            unit = min(wide, high) / 2
            inside = (np.maximum(np.abs(u), np.abs(v)) - 1) * np.float32(unit)
            scene.lab[inside < 0] = scene.tones[ground]
            chosen = (column, row) == focus
            u, v = (u, v)[:: 1 - 2 * (corner % 2)]
            shape = _tile(kind, u if corner < 2 else -u, v, scene.traits.hardness)
            if kind < 3 or chosen:
                scene.lay(np.maximum(shape * np.float32(unit), inside), scene.tones[4 if chosen else form], 0.6)


def _tile(kind: int, u: Array, v: Array, hardness: float) -> Array:
    """Return the distance to a figure in a tile from −1 to 1: quarter circle, half circle or triangle, bar, disc."""
    distance: Array
    if kind == 0:
        distance = np.hypot(u + 1, v + 1) - np.float32(2)
    elif kind == 1:
        distance = u + v if hardness > 0.6 else np.maximum(np.hypot(u, v + 1) - np.float32(1), -v - 1)
    elif kind == 2:
        distance = np.abs(u) - np.float32(0.42)
    else:
        distance = np.hypot(u, v) - np.float32(0.8)
    return distance


def _shards(scene: Scene) -> None:
    """Splinters that point away from the focal point, mostly along the lines."""
    count = scene.number(2, 20)
    x, y = scene.focus
    for i in range(count + 1):
        spread = 0.35 + 0.5 * (1 - abs(2 * scene.traits.tilt - 1))
        angle = scene.angle + spread * scene.rng.standard_normal() + np.pi * (i % 2)
        last = i == count
        long, half = scene.uniform(1.0, 1.9), scene.uniform(0.10, 0.24) * (5 / count) ** 0.35
        far = 0.0 if last else scene.uniform(0.05, 0.5)
        side = scene.uniform(-0.5, 0.5)
        u, v = scene.turned(x + far * np.cos(angle) - side * np.sin(angle), y + far * np.sin(angle) + side, angle)
        slope = np.float32(half / long)
        if scene.traits.hardness > 0.35:
            distance = np.maximum(np.abs(v) - (np.float32(long) - u) * slope, -u)
        else:  # a petal
            leaf = np.float32(1.6 * half) * np.sin(np.pi * np.clip(u / np.float32(long), 0, 1))
            distance = np.maximum(np.abs(v) - leaf, np.abs(u - np.float32(long / 2)) - np.float32(long / 2))
            distance += np.float32(0.5 * scene.edge)
        scene.lay(distance, scene.tones[4] if last else scene.tones[(2, 3, 1)[i % 3]])


def _cutouts(scene: Scene) -> None:
    """Leaves and pebbles of cut paper."""
    count = scene.number(2, 20)
    side = int(np.ceil(np.sqrt(count)))
    places = [(i, j) for i in range(side) for j in range(side)]
    chosen = scene.rng.permutation(len(places))[:count]
    panel = scene.uniform(-0.5, 0.5)
    across = scene.x if scene.traits.tilt > 0.5 else scene.y
    scene.lay(np.float32(panel) - across, scene.tones[1])
    for i, place in enumerate(chosen):
        at = (np.array(places[place]) + 0.5 + scene.rng.uniform(-0.22, 0.22, 2)) * 2 / side - 1
        radius = 0.95 / side * scene.uniform(0.75, 1.1)
        scene.lay(_pebble(scene, (float(at[0]), float(at[1])), radius), scene.tones[(2, 3, 2, 0)[i % 4]])
    scene.lay(_pebble(scene, scene.focus, max(0.9 / side, 0.26)), scene.tones[4])


def _pebble(scene: Scene, at: tuple[float, float], radius: float) -> Array:
    """Return the distance to a round form with lobes, or to a polygon in percussive music."""
    u, v = scene.stretched(*at)
    angle, distance = np.arctan2(v, u) + np.float32(scene.uniform(0, 2 * np.pi)), np.hypot(u, v)
    lobes = int(scene.rng.integers(2, 6))
    if scene.traits.hardness > 0.65:
        corner = np.pi / max(lobes, 3)
        edge = np.float32(1.15 * np.cos(corner)) / np.cos((angle % np.float32(2 * corner)) - np.float32(corner))
    else:
        edge = 1 + np.float32(scene.uniform(0.1, 0.28)) * np.cos(np.float32(lobes) * angle)
    outline: Array = distance - np.float32(radius) * edge
    return outline


def _lines(scene: Scene) -> None:
    """Parallel bars of different lengths, whose tones are exchanged inside a circle."""
    bars = scene.number(2, 7)
    along, across = scene.turned(0, 0)
    places = np.linspace(-1.2, 1.2, bars + 2)[1:-1]
    gap = 2.4 / (bars + 1)
    x, y = scene.focus
    circle = np.hypot(scene.x - np.float32(x), scene.y - np.float32(y)) - np.float32(scene.uniform(0.38, 0.55))
    under = scene.lab.copy()
    scene.lab = np.broadcast_to(scene.tones[2], scene.lab.shape).astype(np.float32)
    inner = []
    for place in places:
        half, start, length = gap * scene.uniform(0.2, 0.36), scene.uniform(-0.9, 0.3), scene.uniform(0.5, 1.3)
        bar = np.maximum(np.abs(across - np.float32(place)) - np.float32(half), np.abs(along - start) - length)
        inner.append(bar)
        scene.lay(bar, scene.tones[4])
    disc, scene.lab = scene.lab, under
    for i, bar in enumerate(inner):
        scene.lay(bar, scene.tones[(2, 3)[i % 2]])
    scene.lay(circle, disc)


def _rays(scene: Scene) -> None:
    """Rays that spread from a disc."""
    rays = scene.number(3, 11)
    u, v = scene.stretched(*scene.focus)
    angle, distance = np.arctan2(v, u), np.hypot(u, v)
    turn = scene.uniform(0, 2 * np.pi)
    twist = np.float32(scene.uniform(-0.7, 0.7) * (1 - scene.traits.hardness))
    phase = np.float32(rays) * (angle + twist * distance) + np.float32(turn)
    scene.lay(np.sin(phase) * distance / np.float32(rays), scene.tones[2])
    ring = scene.uniform(0.55, 0.75)
    scene.lay(np.maximum(np.sin(phase) * distance / np.float32(rays), distance - np.float32(ring)), scene.tones[3])
    scene.lay(distance - np.float32(scene.uniform(0.24, 0.36)), scene.tones[4])


def _ramp(tones: Array, share: float) -> Array:
    """Return a tone between the grounds (0) and the forms (1)."""
    place = 1 + 2 * share
    low = min(int(place), 2)
    mixed: Array = tones[low] + np.float32(place - low) * (tones[low + 1] - tones[low])
    return mixed


FAMILIES: dict[str, Family] = {
    "horizon": Family(
        _horizon,
        0.6,
        {"energy": -0.8, "density": -0.5, "mode": 0.6},
        ("folk", "acoustic", "country", "guitar", "indian", "sitar", "oldies"),
    ),
    "flow": Family(
        _flow,
        -0.8,
        {"percussiveness": -1.0, "density": 0.3},
        ("chillout", "chill", "slow", "soft", "rnb", "soul", "flute"),
    ),
    "orbits": Family(
        _orbits,
        -0.4,
        {"energy": -1.0, "brightness": -0.6},
        ("ambient", "new age", "quiet", "experimental", "weird", "choir"),
    ),
    "grid": Family(
        _grid,
        0.3,
        {"percussiveness": 0.8, "tempo": 0.4},
        ("techno", "House", "electro", "electronic", "electronica", "beat"),
    ),
    "shards": Family(
        _shards, 1.0, {"energy": 1.2, "mode": -0.8}, ("metal", "heavy metal", "hard rock", "punk", "loud", "rock")
    ),
    "cutouts": Family(
        _cutouts, -1.0, {"mode": 0.8, "density": 0.3}, ("jazz", "blues", "funk", "easy listening", "Hip-Hop", "indie")
    ),
    "lines": Family(
        _lines,
        0.0,
        {"energy": -0.3, "percussiveness": -0.3},
        ("classical", "strings", "violin", "cello", "piano", "harpsichord", "harp", "instrumental"),
    ),
    "rays": Family(
        _rays,
        0.8,
        {"energy": 0.8, "mode": 0.8},
        ("pop", "dance", "80s", "party", "fast", "classic rock", "Progressive rock"),
    ),
}
