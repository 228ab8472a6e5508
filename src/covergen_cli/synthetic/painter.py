"""Paint a cover from what was heard: the picture half of the synthetic world.

A painting is a *field* over the picture (hills, rings, flowing bands, rays, arches, dunes, a mesh of colour), cut into
layers like coloured paper, each layer shaded where the next one lies on it, in a palette of one temperature with one
accent. The music decides colour, contrast, number of layers and how sharp and angular they are; the seed decides the
layout. Sources of the
matches: see
:mod:`covergen_cli.synthetic.qualities`.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from covergen_cli.synthetic.colour import Array, oklab_to_srgb, oklch
from covergen_cli.synthetic.families import FAMILIES, SOFT, SUITS_HARD, Scene, Traits

__all__ = ["FAMILIES", "paint"]


def _choose_family(rng: np.random.Generator, traits: Traits) -> str:
    """Hard-hit music leans to rays and rings, soft music to meshes and dunes; every family stays possible."""
    lean = np.array([SUITS_HARD[name] * (traits.hardness - 0.5) * 1.6 for name in FAMILIES])
    weights = np.exp(lean)
    return str(rng.choice(list(FAMILIES), p=weights / weights.sum()))


def _palette(rng: np.random.Generator, traits: Traits) -> tuple[Array, Array]:
    """Choose five colours ``(5, 3)`` from dark to light and an accent ``(3,)``, all OKLab.

    The hue runs from blue (232°) through violet, red and orange to yellow (422°) as warmth rises, and hurries through
    violet, where most music would end up otherwise; the way through green looks sickly. Lighter colours turn towards
    yellow and darker ones towards blue, as they do in daylight.
    """
    warmth = 0.5 + 0.5 * np.tanh(3.2 * (traits.warmth - 0.5)) / np.tanh(1.6)
    hue = 232 + 190 * warmth + rng.uniform(-12, 12)
    turn = rng.uniform(12, 36) * rng.choice([1, 1, -0.6])
    middle = 0.36 + 0.40 * traits.lightness
    spread = 0.07 + 0.31 * traits.contrast
    chroma = 0.045 + 0.135 * traits.saturation
    steps = np.linspace(-1, 1, 5)
    lights = np.clip(middle + spread * steps, 0.10, 0.965)
    colours = [
        oklch(float(light), chroma * (1 - 0.25 * abs(step)), hue + turn * step)
        for light, step in zip(lights, steps, strict=True)
    ]
    away = rng.choice([150, 180, -60, 60]) + rng.uniform(-12, 12)
    light = float(np.clip(middle + rng.choice([-1, 1, 1]) * (0.14 + spread * 0.8), 0.15, 0.95))
    garish = 0.55 if 95 < (hue + away) % 360 < 200 else 1.0
    return np.stack(colours), oklch(light, garish * min(0.03 + chroma, 0.18), hue + away)


def _cut(field: Array, layers: float, softness: float) -> tuple[Array, Array]:
    """Cut a field into layers: the level of each pixel, and the shade that each layer casts on the one below."""
    level = np.floor(field)
    inside = field - level
    blend = np.clip(inside / np.float32(softness), 0, 1)
    blend = blend * blend * (3 - 2 * blend)
    shade = np.exp(-np.maximum(1 - inside, 0) * np.float32(3.2)) * np.clip((1 - inside) / np.float32(softness), 0, 1)
    shade = np.where(level >= np.ceil(layers) + 1, 0, shade)
    return (level - 1 + blend).astype(np.float32), shade.astype(np.float32)


def _mix(colours: Array, position: Array) -> Array:
    """Interpolate a palette ``(n, 3)`` at positions in [0, n − 1]: ``(…, 3)``."""
    position = np.clip(position, 0, len(colours) - 1)
    low = np.minimum(position.astype(np.int32), len(colours) - 2)
    part = (position - low)[..., None]
    mixed: Array = colours[low] * (1 - part) + colours[low + 1] * part
    return mixed


def _order(rng: np.random.Generator, levels: int, count: float) -> Array:
    """Choose which palette colour each layer takes.

    A ramp up or down, or light against dark, likelier the busier the music.
    """
    ramp = np.linspace(0, 4, max(levels, 2))
    if rng.random() < 0.5:
        ramp = ramp[::-1]
    if rng.random() < 0.05 + 0.9 * count:
        ramp = np.where(np.arange(max(levels, 2)) % 2 == 0, 0.4 + ramp * 0.25, 3.6 - (4 - ramp) * 0.25)
    return ramp.astype(np.float32)


def _disc(scene: Scene, lab: Array, accent: Array, family: str) -> Array:
    """Hang a disc of the accent colour with a soft glow: the focal point of hills, and now and then of the others."""
    chance = {"hills": 0.9, "mesh": 0.55, "dunes": 0.35, "bands": 0.35, "arches": 0.3, "rays": 0.75, "rings": 0.0}[
        family
    ]
    if scene.rng.random() >= chance:
        return lab
    cx, cy = scene.focus()
    if family == "hills":
        cy = -abs(cy) - 0.12
    size = scene.uniform(0.16, 0.34) * (1.25 if family in SOFT else 1.0)
    distance = np.hypot(scene.x - np.float32(cx), scene.y - np.float32(cy))
    width = 0.02 + 0.05 * (1 - scene.traits.hardness)
    cover = np.clip((size - distance) / np.float32(width) + 0.5, 0, 1)
    glow = np.exp(-np.maximum(distance - size, 0) / np.float32(0.22)) * np.float32(0.10 + 0.35 * scene.traits.glow)
    alpha = np.maximum(cover, glow)[..., None]
    lit = accent + np.array([0.05, 0, 0], dtype=np.float32) * np.clip(-(scene.y - cy) / size, -1, 1)[..., None]
    mixed: Array = lab * (1 - alpha) + lit.astype(np.float32) * alpha
    return mixed


def paint(descriptors: npt.NDArray[np.floating], seed: int, size: int = 256) -> npt.NDArray[np.uint8]:
    """Paint one cover.

    Args:
        descriptors: what was heard, ``(7,)`` in [0, 1], in the order of :data:`covergen_cli.audio.descriptors.NAMES`.
        seed: decides the layout; the same seed and descriptors give the same picture.
        size: pixels per side.

    Returns:
        sRGB bytes ``(size, size, 3)``.
    """
    rng, traits = np.random.default_rng(seed), Traits.of(descriptors)
    line = (np.arange(size, dtype=np.float32) + 0.5) / (size / 2) - 1
    x, y = np.meshgrid(line, line)
    scene = Scene(x, y, rng, traits)
    family = _choose_family(rng, traits)
    colours, accent = _palette(rng, traits)
    field, layers = FAMILIES[family](scene)
    levels = int(np.ceil(layers)) + 2
    if family in SOFT:
        lab = _mix(colours, field * np.float32(4 / max(float(field.max()), 1e-3)))
    else:
        position, shade = _cut(field, layers, softness=0.10 + 0.5 * (1 - traits.hardness) ** 2)
        lab = _mix(_mix(colours, _order(rng, levels, traits.count)), position.clip(-1) + 1)
        lab = lab - shade[..., None] * np.array([0.03 + 0.09 * traits.contrast, 0, 0], dtype=np.float32)
    if family == "hills":
        sky = np.clip((y + 1) / 1.4, 0, 1)
        backdrop = _mix(colours, 4 - sky * 2.2 if rng.random() < 0.5 else 0.3 + sky * 2.2)
        backdrop = _disc(scene, backdrop, accent, family)
        edge = np.clip(field[..., None] * np.float32(14), 0, 1)
        lab = backdrop * (1 - edge) + lab * edge
    else:
        lab = _disc(scene, lab, accent, family)
    light = scene.uniform(0, 2 * np.pi)
    slope = (np.float32(np.cos(light)) * x + np.float32(np.sin(light)) * y) * np.float32(0.02 + 0.07 * traits.glow)
    lab = lab + np.stack([slope, np.zeros_like(slope), np.zeros_like(slope)], axis=-1)
    return oklab_to_srgb(lab.astype(np.float32))
