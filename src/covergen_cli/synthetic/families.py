"""Families of forms: each maps every point of a painting to a position in the palette.

Most compute a *field* and cut it into layers, like coloured paper; each layer fades from its edge, so that the next one
stands out. Soft music blurs the cuts into gradients; percussive music sharpens them and turns curves into corners.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from covergen_cli.synthetic.scene import Scene, fold, smooth_step

if TYPE_CHECKING:
    from covergen_cli.measures.colour import Array


@dataclass(frozen=True)
class Variation:
    """Choices of the seed apart from the layout.

    Args:
        fade: how far a layer moves through the palette from its edge, in palette positions; may be negative.
        accented: number of the layer with the accent colour, from 1; 0 for none.
    """

    fade: float
    accented: int


@dataclass(frozen=True)
class Forms:
    """The drawing of a family, as maps ``(H, W)``.

    Args:
        position: position in the palette, [0, 4].
        accent: share of the accent colour, [0, 1].
        relief: height of the surface, which is lit from the side.
        front: share of the foreground, which hides the disc, [0, 1].
    """

    position: Array
    accent: Array
    relief: Array
    front: Array


@dataclass(frozen=True)
class Family:
    """A way to draw, and how often it is chosen.

    Args:
        share: relative frequency.
        suits_hard: preference for percussive (positive) or soft music (negative).
        disc: probability of a disc, a sun or a moon.
        gloss: how strongly the relief is lit.
        sky: whether the disc must be in the upper half.
    """

    draw: Callable[[Scene, Variation], Forms]
    share: float = 1.0
    suits_hard: float = 0.0
    disc: float = 0.0
    gloss: float = 0.0
    sky: bool = False


def _softness(scene: Scene) -> float:
    """Return the width of an edge; the painting is two units wide."""
    return float(0.014 + 0.36 * (1 - scene.traits.hardness) ** 1.5)


def _tones(count: int, *, busy: float) -> Array:
    """Return the palette positions of layers: a ramp with alternation that grows with ``busy``."""
    ramp = np.linspace(0.2, 3.8, max(count, 2)) + (np.arange(max(count, 2)) % 2 * 2 - 1) * (0.25 + 0.55 * busy)
    return ramp.astype(np.float32)


def _layered(scene: Scene, field: Array, layers: float, variation: Variation) -> Forms:
    """Cut a field with values from 0 to about ``layers`` into layers."""
    levels = int(np.ceil(layers)) + 2
    tones = _tones(levels - 1, busy=scene.traits.count)
    tones = np.concatenate([tones, tones[-1:], tones[-1:]])
    level = np.clip(np.floor(field).astype(np.int32), 0, len(tones) - 1)
    inside = field - np.floor(field)
    steepness = sum(float(np.abs(np.diff(field, axis=axis)).mean()) for axis in (0, 1)) * len(field) / 2
    blend = smooth_step(inside / np.float32(np.clip(0.8 * _softness(scene) * steepness, 0.03, 1.0)))
    fade = np.float32(variation.fade)
    own = tones[level] + fade * (inside - np.float32(0.5))
    before = np.where(level > 0, tones[np.maximum(level - 1, 0)] + fade / 2, own)
    accent = np.zeros_like(field)
    if variation.accented:
        which = 1 + (variation.accented - 1) % max(int(layers) - 1, 1)
        accent = np.where(level == which, blend, np.where(level == which + 1, 1 - blend, 0)) * np.float32(0.85)
    front = smooth_step((field - np.float32(0.55 * layers)) * 6 + np.float32(0.5))
    return Forms((before * (1 - blend) + own * blend).astype(np.float32), accent.astype(np.float32), field, front)


def _hills(scene: Scene, variation: Variation) -> Forms:
    """Draw ridges under a sky: flat for slow music, with peaks for fast music."""
    traits, layers = scene.traits, round(2 + 7 * scene.traits.count)
    horizon, tones = scene.uniform(-0.15, 0.3), _tones(layers + 1, busy=0.1 + 0.8 * traits.count)
    position = tones[0] + np.float32(0.6 * variation.fade) * (
        (scene.y + 1) / np.float32(1.3 + horizon) - np.float32(0.5)
    )
    height, softness = 0.05 + 0.45 * traits.tilt, 0.9 * _softness(scene) / layers**0.3
    front = np.zeros_like(position)
    for i in range(layers):
        base = horizon + (1.0 - horizon) * (i / layers) ** 1.1
        frequency = scene.uniform(1.3, 2.2) * (1 + 2.4 * traits.tilt)
        ridge = np.full_like(scene.x, base)
        for octave, share in ((1.0, 0.6), (2.3, 0.2)):
            phase = np.float32(octave * frequency) * scene.x + np.float32(scene.uniform(0, 2 * np.pi))
            ridge += np.float32(share * height * (1 - 0.35 * i / layers)) * fold(phase, traits.hardness)
        depth = scene.y - ridge
        cover = smooth_step(depth / np.float32(softness) + np.float32(0.5))
        far = np.clip(depth * np.float32(layers / (1.1 - horizon)), 0, 1.2)
        position += cover * (tones[i + 1] + np.float32(variation.fade) * (far - np.float32(0.5)) - position)
        front = np.maximum(front, cover)
    return Forms(position.astype(np.float32), np.zeros_like(position), position, front)


def _waves(scene: Scene, variation: Variation) -> Forms:
    """Draw broad bands that cross the painting and open like a fan."""
    hardness, layers = scene.traits.hardness, 2.2 + 6.8 * scene.traits.count
    phase = scene.along * np.float32(scene.uniform(1.4, 2.8)) + np.float32(scene.uniform(0, 2 * np.pi))
    bend = np.float32(scene.uniform(0.10, 0.26) * (1 - 0.25 * hardness)) * fold(phase, hardness)
    warp = scene.swell(scene.along, scene.across, 3, 0.3, 0.9) * np.float32(0.16 * (1 - 0.6 * hardness))
    fan = 1 + np.float32(scene.uniform(0.0, 0.25)) * scene.along
    field = (scene.across * fan + bend + warp + np.float32(1.3)) * np.float32(layers / 2.6)
    return _layered(scene, field.clip(0), layers, variation)


def _silk(scene: Scene, variation: Variation) -> Forms:
    """Draw folds of cloth, lit from the side."""
    traits, layers = scene.traits, 3.0
    u, v = scene.along * np.float32(1 / scene.uniform(1.8, 2.6)), scene.across
    warp = scene.swell(u, v, 3, 0.3, 0.9)
    crease = scene.swell(u + warp * np.float32(0.25), v + warp * np.float32(0.2), 2, 0.5, 1.3)
    folds = np.float32(np.pi * (0.45 + 1.3 * traits.count))
    phase = folds * (v + np.float32(0.30) * warp + np.float32(0.12) * crease) + np.float32(scene.uniform(0, 2 * np.pi))
    field = (0.5 + 0.5 * fold(phase.astype(np.float32), 0.8 * traits.hardness)) * np.float32(0.999 * layers)
    return _layered(scene, field.astype(np.float32), layers, variation)


def _mesh(scene: Scene, variation: Variation) -> Forms:
    """Draw clouds of colour that merge."""
    traits, count = scene.traits, 3 + round(8 * scene.traits.count)
    stretch, width = np.float32(scene.uniform(1.6, 2.4)), 1.15 / np.sqrt(count)
    weight = np.full_like(scene.x, 1e-3)
    total = 2 * weight
    places = scene.rng.uniform(-1.15, 1.15, (count, 2))
    for (x, y), tone in zip(places, scene.rng.permutation(np.linspace(0, 3.6, count)), strict=True):
        u, v = scene.turned(float(x), float(y))
        distance = (u * u / stretch + v * v * stretch) / np.float32(width**2)
        near = (1 - traits.hardness) * np.exp(-distance) + traits.hardness / (1 + distance) ** 2
        total += near * np.float32(tone)
        weight += near
    return _layered(scene, (total / weight).astype(np.float32), 4.0, variation)


FAMILIES: dict[str, Family] = {
    "hills": Family(_hills, share=1.3, disc=0.9, sky=True),
    "waves": Family(_waves, share=1.1, suits_hard=0.2, disc=0.5),
    "silk": Family(_silk, share=1.3, suits_hard=-0.4, disc=0.3, gloss=0.10),
    "mesh": Family(_mesh, share=1.0, suits_hard=-0.8, disc=0.4, gloss=0.045),
}
