"""Paint synthetic covers from the descriptors of music.

The seed chooses a family of forms, a palette and a few layouts. A small sketch of each layout is measured, the one that
fits the music best is painted, and the result is balanced in tone and colour. For the sources of the correspondences
see :mod:`covergen_cli.measures.qualities`.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from covergen_cli.measures.colour import Array, oklab_to_srgb
from covergen_cli.measures.qualities import busyness, hardness, uprightness
from covergen_cli.synthetic.families import FAMILIES, Family, Forms, Variation
from covergen_cli.synthetic.palette import Palette, balance, choose_palette
from covergen_cli.synthetic.scene import Scene, Traits, smooth_step

_SKETCHES = 8
_SKETCH_PIXELS = 80


@dataclass(frozen=True)
class _Plan:
    """Everything but the layout.

    Args:
        rising: whether the palette runs from dark to light through the forms.
        disc: radius of the disc, 0 for none.
        light: directions of the light on the relief and on the painting, in radians.
    """

    family: Family
    palette: Palette
    traits: Traits
    variation: Variation
    rising: bool
    disc: float
    light: tuple[float, float]


def _plan(rng: np.random.Generator, traits: Traits) -> _Plan:
    families = list(FAMILIES.values())
    lean = [family.share * np.exp(1.4 * family.suits_hard * (traits.hardness - 0.5)) for family in families]
    family = families[int(rng.choice(len(families), p=np.array(lean) / sum(lean)))]
    rising = bool(rng.random() < 0.5)
    fade = rng.uniform(0.7, 1.5) * rng.choice([1, -1, -1])
    return _Plan(
        family=family,
        palette=choose_palette(rng, traits),
        traits=traits,
        variation=Variation(float(fade), int(rng.integers(1, 9)) if rng.random() < 0.45 else 0),
        rising=rising,
        disc=float(rng.uniform(0.22, 0.42)) if rng.random() < family.disc else 0.0,
        light=(float(rng.uniform(0, 2 * np.pi)), float(rng.uniform(0, 2 * np.pi))),
    )


def _disc(scene: Scene, lab: Array, forms: Forms, plan: _Plan) -> Array:
    """Add a disc of the accent colour with a glow, a sun or a moon, behind the foreground."""
    x, y = scene.spot()
    if plan.family.sky:
        y = min(-0.8 * abs(y) - 0.1, y)
    distance = np.hypot(scene.x - np.float32(x), scene.y - np.float32(y))
    inside, accent = np.float32(plan.disc) - distance, plan.palette.accent
    width = np.float32(0.012 + 0.10 * (1 - plan.traits.hardness) ** 1.5)
    glow = np.exp(np.minimum(inside, 0) / np.float32(0.30)) * np.float32(0.10 + 0.40 * plan.traits.glow)
    cover = np.maximum(smooth_step(inside / width + np.float32(0.5)), glow) * (1 - forms.front)
    lit = np.clip((np.float32(y) - scene.y) / np.float32(plan.disc), -1, 1) * np.float32(0.09)
    colour = np.stack([accent[0] + lit, np.full_like(lit, accent[1]), np.full_like(lit, accent[2])], axis=-1)
    mixed: Array = lab + cover[..., None] * (colour - lab)
    return mixed


def _lit(height: Array, direction: float, strength: float) -> Array:
    """Return the shading of a surface that is lit from one side."""
    down, right = np.gradient(height, np.float32(2 / len(height)))
    facing = right * np.float32(np.cos(direction)) + down * np.float32(np.sin(direction))
    shade: Array = np.tanh(np.float32(0.22) * facing) * np.float32(strength)
    return shade


def _draw(plan: _Plan, layout: int, size: int) -> Array:
    """Return one layout in OKLab, ``(size, size, 3)``, before balancing."""
    scene = Scene(size, layout, plan.traits)
    forms = plan.family.draw(scene, plan.variation)
    lab = plan.palette.mix(forms.position if plan.rising else 4 - forms.position)
    lab = lab + forms.accent[..., None] * np.float32(0.9) * (plan.palette.accent - lab)
    if plan.family.gloss:
        lab[..., 0] += _lit(forms.relief, plan.light[0], plan.family.gloss * (0.5 + plan.traits.glow))
    if plan.disc:
        lab = _disc(scene, lab, forms, plan)
    towards = np.float32(np.cos(plan.light[1])) * scene.x + np.float32(np.sin(plan.light[1])) * scene.y
    lab[..., 0] += towards * np.float32(0.03 + 0.06 * plan.traits.glow)
    return lab.astype(np.float32)


def _errors(plan: _Plan, layouts: list[int]) -> Iterator[float]:
    """Yield the squared error of a sketch of each layout in busyness, direction and hardness."""
    for layout in layouts:
        sketch = _draw(plan, layout, _SKETCH_PIXELS)
        busy = (busyness(sketch) - (6.0 + 8.5 * plan.traits.count)) / 1.8
        upright = (uprightness(sketch) - (0.22 + 0.56 * plan.traits.tilt)) / 0.15
        hard = (hardness(sketch) - (0.12 + 0.62 * plan.traits.hardness)) / 0.15
        yield busy**2 + upright**2 + hard**2


def paint(descriptors: npt.NDArray[np.floating], seed: int, size: int = 256) -> npt.NDArray[np.uint8]:
    """Paint one cover as sRGB bytes ``(size, size, 3)``.

    Args:
        descriptors: ``(7,)`` in [0, 1], in the order of :data:`covergen_cli.audio.descriptors.NAMES`.
        seed: decides family, palette and layout; the same seed and descriptors give the same painting.
        size: pixels per side.
    """
    rng, traits = np.random.default_rng(seed), Traits.of(descriptors)
    plan = _plan(rng, traits)
    layouts = rng.integers(2**62, size=_SKETCHES).tolist()
    layout = layouts[int(np.argmin(list(_errors(plan, layouts))))]
    return oklab_to_srgb(balance(_draw(plan, layout, size), plan.palette, traits))
