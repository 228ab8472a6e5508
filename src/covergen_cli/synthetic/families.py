"""The forms of a painting: each family says where in the palette every point of the picture lies.

Most lay a *field* over the picture and cut it into layers, like coloured paper: each layer fades from its edge, so that
the next one stands out against it. Soft music melts the cuts into gradients, hard-hit music sharpens them and turns
curves into corners.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from covergen_cli.synthetic.scene import Scene, fold, smooth_step

if TYPE_CHECKING:
    from collections.abc import Callable

    from covergen_cli.synthetic.colour import Array

__all__ = ["FAMILIES", "Family", "Forms", "Look"]


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
    return float(0.014 + 0.50 * (1 - scene.traits.hardness) ** 1.5)


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
    traits, layers = scene.traits, round(1 + 8 * scene.traits.count)
    horizon, tones = (
        scene.uniform(-0.15, 0.3),
        _tones(round(1 + 8 * scene.traits.count) + 1, busy=0.1 + 0.8 * scene.traits.count),
    )
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
    hardness, layers = scene.traits.hardness, 1.7 + 7.3 * scene.traits.count
    phase = scene.along * np.float32(scene.uniform(1.4, 2.8)) + np.float32(scene.uniform(0, 2 * np.pi))
    bend = np.float32(scene.uniform(0.10, 0.26) * (1 - 0.25 * hardness)) * fold(phase, hardness)
    warp = scene.swell(scene.along, scene.across, 3, 0.3, 0.9) * np.float32(0.16 * (1 - 0.6 * hardness))
    fan = 1 + np.float32(scene.uniform(0.0, 0.25)) * scene.along
    field = (scene.across * fan + bend + warp + np.float32(1.3)) * np.float32(layers / 2.6)
    return _layered(scene, field.clip(0), layers, look)


def _stretched(scene: Scene, least: float, most: float) -> tuple[Array, Array]:
    """Coordinates in which circles are ellipses that lie along the lines."""
    root = np.float32(np.sqrt(scene.uniform(least, most)))
    return scene.along / root, scene.across * root


def _agate(scene: Scene, look: Look) -> Forms:
    """Rings of a cut stone around the focal point; hard-hit music breaks them into facets."""
    hardness, layers = scene.traits.hardness, 1.2 + 4.0 * scene.traits.count
    u, v = _stretched(scene, 1.7, 2.6)
    radius = np.hypot(u, v)
    sector = 2 * np.pi / int(scene.rng.integers(4, 8))
    turn = np.mod(np.arctan2(v, u) - scene.uniform(0, 2 * np.pi), sector) - sector / 2
    faceted = np.float32(0.9 * hardness**2)
    radius = (1 - faceted) * radius + faceted * radius * np.cos(turn) / np.float32(np.cos(sector / 4))
    warp = scene.swell(scene.along, scene.across, 3, 0.4, 1.0) * np.float32(0.13 * (1 - 0.5 * hardness))
    shift = scene.rng.uniform(-0.12, 0.12, 2).astype(np.float32)
    radius = radius + shift[0] * scene.along + shift[1] * scene.across + warp
    field = ((1.5 - radius) * np.float32(layers / 1.5)).clip(0).astype(np.float32)
    return _layered(scene, field, layers, look)


def _bloom(scene: Scene, look: Look) -> Forms:
    """Layers of petals around the focal point."""
    traits, layers = scene.traits, 1.2 + 2.9 * scene.traits.count
    petals = int(scene.rng.integers(4, 7)) + round(3 * traits.count)
    u, v = _stretched(scene, 1.5, 2.2)
    radius = np.hypot(u, v)
    twist = scene.rng.choice([-1, 1]) * scene.uniform(0.1, 0.9) * (1 - 0.6 * traits.hardness)
    phase = petals * (np.arctan2(v, u) + np.float32(1.05 * twist) * radius) + np.float32(scene.uniform(0, 2 * np.pi))
    wave = fold(phase.astype(np.float32), 0.9 * traits.hardness) * np.clip(radius * np.float32(2.5), 0, 1)
    radius = radius * (1 + np.float32(scene.uniform(0.18, 0.32)) * wave)
    field = ((1.5 - radius) * np.float32(layers / 1.5)).clip(0).astype(np.float32)
    return _layered(scene, field, layers, look)


def _silk(scene: Scene, look: Look) -> Forms:
    """Folds of cloth that light falls on from the side."""
    traits, layers = scene.traits, 3.0
    u, v = scene.along * np.float32(1 / scene.uniform(1.8, 2.6)), scene.across
    warp = scene.swell(u, v, 3, 0.3, 0.9)
    crease = scene.swell(u + warp * np.float32(0.25), v + warp * np.float32(0.2), 2, 0.5, 1.3)
    folds = np.float32(np.pi * (0.25 + 1.5 * traits.count))
    phase = folds * (v + np.float32(0.30) * warp + np.float32(0.12) * crease) + np.float32(scene.uniform(0, 2 * np.pi))
    field = (0.5 + 0.5 * fold(phase.astype(np.float32), 0.8 * traits.hardness)) * np.float32(0.999 * layers)
    return _layered(scene, field.astype(np.float32), layers, look)


def _mesh(scene: Scene, look: Look) -> Forms:
    """Clouds of colour that run into one another."""
    traits, count = scene.traits, 2 + round(9 * scene.traits.count)
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


def _discs(scene: Scene, look: Look) -> Forms:
    """Discs of glass, each of a colour of its own, through which those below shine."""
    traits, count = scene.traits, 2 + round(8 * scene.traits.count)
    position = np.full_like(scene.x, 0.25)
    accent = np.zeros_like(position)
    size, stretch = 0.95 / np.sqrt(count / 1.6), np.float32(scene.uniform(1.1, 1.8))
    softness = np.float32(0.014 + 0.6 * size * (1 - traits.hardness) ** 2)
    tones = np.linspace(1.2, 3.9, count)[:: scene.rng.choice([-1, 1])]
    line = np.linspace(-0.8, 0.8, count)
    scatter = 0.18 + 0.35 * traits.count
    for i in scene.rng.permutation(count):
        place = np.array([np.cos(scene.angle), np.sin(scene.angle)]) * line[i] + 0.4 * np.array(scene.focus)
        x, y = place + scene.rng.uniform(-scatter, scatter, 2)
        u, v = scene.turned(float(x), float(y))
        radius, own = np.sqrt(u * u / stretch + v * v * stretch), size * scene.uniform(0.6, 1.2)
        cover = smooth_step((np.float32(own) - radius) / softness + np.float32(0.5)) * np.float32(0.84)
        lit = np.float32(tones[i]) + np.clip((np.float32(y) - scene.y) / np.float32(own), -1, 1) * np.float32(0.55)
        position += cover * (lit - position)
        accent += cover * ((1 if look.accented and i == look.accented % count else 0) - accent)
    return Forms(position.astype(np.float32), accent.astype(np.float32), position, np.zeros_like(position))


FAMILIES: dict[str, Family] = {
    "hills": Family(_hills, share=1.3, disc=0.9, sky=True),
    "waves": Family(_waves, share=1.1, suits_hard=0.2, disc=0.5),
    "agate": Family(_agate, share=0.8, suits_hard=0.3),
    "bloom": Family(_bloom, share=0.7, suits_hard=0.5),
    "silk": Family(_silk, share=1.3, suits_hard=-0.4, disc=0.3, gloss=0.10),
    "mesh": Family(_mesh, share=1.0, suits_hard=-0.8, disc=0.4, gloss=0.045),
    "discs": Family(_discs, share=0.8, suits_hard=0.4),
}
