"""The forms of a painting: each family says where in the palette every point of the picture lies.

Most lay a *field* over the picture and cut it into layers, like coloured paper: each layer fades from its edge, so that
the next one stands out against it. Soft music melts the cuts into gradients, hard-hit music sharpens them and turns
curves into corners.
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
class Look:
    """What the seed decides apart from the layout.

    Args:
        fade: how far through the palette a layer goes from its edge on, in palette colours; negative downwards.
        accented: which layer, from 1, takes the accent colour; 0 for none.
    """

    fade: float
    accented: int


@dataclass(frozen=True)
class Forms:
    """What a family drew.

    Args:
        position: of every point in the palette, ``(H, W)`` in [0, 4].
        accent: how much of the accent colour it takes, ``(H, W)`` in [0, 1].
        relief: height of the surface, ``(H, W)``, which light falls on from the side.
        front: what lies in front of a disc in the background, ``(H, W)`` in [0, 1].
    """

    position: Array
    accent: Array
    relief: Array
    front: Array


@dataclass(frozen=True)
class Family:
    """How a family is drawn, and when.

    Args:
        draw: draws the forms.
        share: how often it is chosen, relative to the others.
        suits_hard: how much it suits hard-hit music (positive) or soft music (negative).
        disc: chance of a disc, a sun or a moon, to look at.
        gloss: how strongly its relief is lit.
        sky: whether the disc belongs into the upper half.
    """

    draw: Callable[[Scene, Look], Forms]
    share: float = 1.0
    suits_hard: float = 0.0
    disc: float = 0.0
    gloss: float = 0.0
    sky: bool = False


def _softness(scene: Scene) -> float:
    """Width of an edge in the picture's units, of which there are two to a side."""
    return float(0.014 + 0.36 * (1 - scene.traits.hardness) ** 1.5)


def _tones(count: int, *, busy: float) -> Array:
    """Palette positions of layers: a ramp, in which they alternate the more the busier the music is."""
    ramp = np.linspace(0.2, 3.8, max(count, 2)) + (np.arange(max(count, 2)) % 2 * 2 - 1) * (0.25 + 0.55 * busy)
    return ramp.astype(np.float32)


def _layered(scene: Scene, field: Array, layers: float, look: Look) -> Forms:
    """Cut a field, which goes from 0 to about ``layers``, into layers."""
    levels = int(np.ceil(layers)) + 2
    tones = _tones(levels - 1, busy=scene.traits.count)
    tones = np.concatenate([tones, tones[-1:], tones[-1:]])
    level = np.clip(np.floor(field).astype(np.int32), 0, len(tones) - 1)
    inside = field - np.floor(field)
    steepness = sum(float(np.abs(np.diff(field, axis=axis)).mean()) for axis in (0, 1)) * len(field) / 2
    blend = smooth_step(inside / np.float32(np.clip(0.8 * _softness(scene) * steepness, 0.03, 1.0)))
    fade = np.float32(look.fade)
    own = tones[level] + fade * (inside - np.float32(0.5))
    before = np.where(level > 0, tones[np.maximum(level - 1, 0)] + fade / 2, own)
    accent = np.zeros_like(field)
    if look.accented:
        which = 1 + (look.accented - 1) % max(int(layers) - 1, 1)
        accent = np.where(level == which, blend, np.where(level == which + 1, 1 - blend, 0)) * np.float32(0.85)
    front = smooth_step((field - np.float32(0.55 * layers)) * 6 + np.float32(0.5))
    return Forms((before * (1 - blend) + own * blend).astype(np.float32), accent.astype(np.float32), field, front)


def _hills(scene: Scene, look: Look) -> Forms:
    """Ridges before ridges under a sky; calm ones lie, quick ones rise to peaks."""
    traits, layers = scene.traits, round(2 + 7 * scene.traits.count)
    horizon, tones = scene.uniform(-0.15, 0.3), _tones(layers + 1, busy=0.1 + 0.8 * traits.count)
    position = tones[0] + np.float32(0.6 * look.fade) * ((scene.y + 1) / np.float32(1.3 + horizon) - np.float32(0.5))
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
        position += cover * (tones[i + 1] + np.float32(look.fade) * (far - np.float32(0.5)) - position)
        front = np.maximum(front, cover)
    return Forms(position.astype(np.float32), np.zeros_like(position), position, front)


def _waves(scene: Scene, look: Look) -> Forms:
    """Broad bands that flow across the picture and open like a fan."""
    hardness, layers = scene.traits.hardness, 2.2 + 6.8 * scene.traits.count
    phase = scene.along * np.float32(scene.uniform(1.4, 2.8)) + np.float32(scene.uniform(0, 2 * np.pi))
    bend = np.float32(scene.uniform(0.10, 0.26) * (1 - 0.25 * hardness)) * fold(phase, hardness)
    warp = scene.swell(scene.along, scene.across, 3, 0.3, 0.9) * np.float32(0.16 * (1 - 0.6 * hardness))
    fan = 1 + np.float32(scene.uniform(0.0, 0.25)) * scene.along
    field = (scene.across * fan + bend + warp + np.float32(1.3)) * np.float32(layers / 2.6)
    return _layered(scene, field.clip(0), layers, look)


def _silk(scene: Scene, look: Look) -> Forms:
    """Folds of cloth that light falls on from the side."""
    traits, layers = scene.traits, 3.0
    u, v = scene.along * np.float32(1 / scene.uniform(1.8, 2.6)), scene.across
    warp = scene.swell(u, v, 3, 0.3, 0.9)
    crease = scene.swell(u + warp * np.float32(0.25), v + warp * np.float32(0.2), 2, 0.5, 1.3)
    folds = np.float32(np.pi * (0.45 + 1.3 * traits.count))
    phase = folds * (v + np.float32(0.30) * warp + np.float32(0.12) * crease) + np.float32(scene.uniform(0, 2 * np.pi))
    field = (0.5 + 0.5 * fold(phase.astype(np.float32), 0.8 * traits.hardness)) * np.float32(0.999 * layers)
    return _layered(scene, field.astype(np.float32), layers, look)


def _mesh(scene: Scene, look: Look) -> Forms:
    """Clouds of colour that run into one another."""
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
    return _layered(scene, (total / weight).astype(np.float32), 4.0, look)


FAMILIES: dict[str, Family] = {
    "hills": Family(_hills, share=1.3, disc=0.9, sky=True),
    "waves": Family(_waves, share=1.1, suits_hard=0.2, disc=0.5),
    "silk": Family(_silk, share=1.3, suits_hard=-0.4, disc=0.3, gloss=0.10),
    "mesh": Family(_mesh, share=1.0, suits_hard=-0.8, disc=0.4, gloss=0.045),
}
