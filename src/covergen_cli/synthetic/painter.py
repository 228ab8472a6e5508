"""Paint a cover from what was heard: the picture half of the synthetic world.

The seed chooses a family of forms, a palette and a few layouts, and sketches each layout small; the sketch that says
best how busy and how quick the music is gets painted, and the whole is then balanced in tone and colour. Sources of
what matches what: see :mod:`covergen_cli.measures.qualities`.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from covergen_cli.measures.colour import Array, oklab_to_srgb
from covergen_cli.measures.qualities import busyness, hardness, uprightness
from covergen_cli.synthetic.families import FAMILIES, Family, Forms, Look
from covergen_cli.synthetic.palette import Palette, balance, choose_palette
from covergen_cli.synthetic.scene import Scene, Traits, smooth_step

_SKETCHES = 8
_SKETCH_PIXELS = 80


@dataclass(frozen=True)
class _Idea:
    """Everything but the layout.

    Args:
        family: of forms.
        palette: colours.
        traits: what the music asks for.
        look: accent and fades.
        rising: whether the palette goes from dark to light through the forms, or back.
        disc: radius of the disc, 0 for none.
        light: where light falls on the relief from, and on the whole, radians.
    """

    family: Family
    palette: Palette
    traits: Traits
    look: Look
    rising: bool
    disc: float
    light: tuple[float, float]


def _have_idea(rng: np.random.Generator, traits: Traits) -> _Idea:
    families = list(FAMILIES.values())
    lean = [family.share * np.exp(1.4 * family.suits_hard * (traits.hardness - 0.5)) for family in families]
    family = families[int(rng.choice(len(families), p=np.array(lean) / sum(lean)))]
    rising = bool(rng.random() < 0.5)
    fade = rng.uniform(0.7, 1.5) * rng.choice([1, -1, -1])
    return _Idea(
        family=family,
        palette=choose_palette(rng, traits),
        traits=traits,
        look=Look(float(fade), int(rng.integers(1, 9)) if rng.random() < 0.45 else 0),
        rising=rising,
        disc=float(rng.uniform(0.22, 0.42)) if rng.random() < family.disc else 0.0,
        light=(float(rng.uniform(0, 2 * np.pi)), float(rng.uniform(0, 2 * np.pi))),
    )


def _disc(scene: Scene, lab: Array, forms: Forms, idea: _Idea) -> Array:
    """Hang a disc of the accent colour with a glow, a sun or a moon, behind what lies in front."""
    x, y = scene.spot()
    if idea.family.sky:
        y = min(-0.8 * abs(y) - 0.1, y)
    distance = np.hypot(scene.x - np.float32(x), scene.y - np.float32(y))
    inside, accent = np.float32(idea.disc) - distance, idea.palette.accent
    width = np.float32(0.012 + 0.10 * (1 - idea.traits.hardness) ** 1.5)
    glow = np.exp(np.minimum(inside, 0) / np.float32(0.30)) * np.float32(0.10 + 0.40 * idea.traits.glow)
    cover = np.maximum(smooth_step(inside / width + np.float32(0.5)), glow) * (1 - forms.front)
    lit = np.clip((np.float32(y) - scene.y) / np.float32(idea.disc), -1, 1) * np.float32(0.09)
    colour = np.stack([accent[0] + lit, np.full_like(lit, accent[1]), np.full_like(lit, accent[2])], axis=-1)
    mixed: Array = lab + cover[..., None] * (colour - lab)
    return mixed


def _lit(height: Array, direction: float, strength: float) -> Array:
    """Light and shade on a surface, from one side."""
    down, right = np.gradient(height, np.float32(2 / len(height)))
    facing = right * np.float32(np.cos(direction)) + down * np.float32(np.sin(direction))
    shade: Array = np.tanh(np.float32(0.22) * facing) * np.float32(strength)
    return shade


def _draw(idea: _Idea, layout: int, size: int) -> Array:
    """Draw one layout in OKLab, ``(size, size, 3)``, not yet balanced."""
    scene = Scene(size, layout, idea.traits)
    forms = idea.family.draw(scene, idea.look)
    lab = idea.palette.mix(forms.position if idea.rising else 4 - forms.position)
    lab = lab + forms.accent[..., None] * np.float32(0.9) * (idea.palette.accent - lab)
    if idea.family.gloss:
        lab[..., 0] += _lit(forms.relief, idea.light[0], idea.family.gloss * (0.5 + idea.traits.glow))
    if idea.disc:
        lab = _disc(scene, lab, forms, idea)
    towards = np.float32(np.cos(idea.light[1])) * scene.x + np.float32(np.sin(idea.light[1])) * scene.y
    lab[..., 0] += towards * np.float32(0.03 + 0.06 * idea.traits.glow)
    return lab.astype(np.float32)


def _misses(idea: _Idea, layouts: list[int]) -> Iterator[float]:
    """How far a sketch of each layout is from the busyness, direction and hardness that the music asks for."""
    for layout in layouts:
        sketch = _draw(idea, layout, _SKETCH_PIXELS)
        busy = (busyness(sketch) - (6.0 + 8.5 * idea.traits.count)) / 1.8
        upright = (uprightness(sketch) - (0.22 + 0.56 * idea.traits.tilt)) / 0.15
        hard = (hardness(sketch) - (0.12 + 0.62 * idea.traits.hardness)) / 0.15
        yield busy**2 + upright**2 + hard**2


def paint(descriptors: npt.NDArray[np.floating], seed: int, size: int = 256) -> npt.NDArray[np.uint8]:
    """Paint one cover.

    Args:
        descriptors: what was heard, ``(7,)`` in [0, 1], in the order of :data:`covergen_cli.audio.descriptors.NAMES`.
        seed: decides family, palette and layout; the same seed and descriptors give the same picture.
        size: pixels per side.

    Returns:
        sRGB bytes ``(size, size, 3)``.
    """
    rng, traits = np.random.default_rng(seed), Traits.of(descriptors)
    idea = _have_idea(rng, traits)
    layouts = rng.integers(2**62, size=_SKETCHES).tolist()
    layout = layouts[int(np.argmin(list(_misses(idea, layouts))))]
    return oklab_to_srgb(balance(_draw(idea, layout, size), idea.palette, traits))
