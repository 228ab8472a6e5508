"""Paint synthetic covers from the descriptors of music and its kind.

Family of forms and palette follow from the music; the seed chooses among families that suit it about equally, varies
the colours a little, and makes a few layouts. A small sketch of each layout is measured, the one that fits the music
best is painted, and the result is balanced in tone and colour. For the sources of the correspondences see
:mod:`covergen_cli.measures.qualities`.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from covergen_cli.measures.colour import Array, oklab_to_srgb
from covergen_cli.measures.qualities import busyness, hardness, uprightness
from covergen_cli.synthetic.families import FAMILIES
from covergen_cli.synthetic.kinds import KINDS, family_weights, lean_of
from covergen_cli.synthetic.palette import balance, choose_palette, tones_of
from covergen_cli.synthetic.scene import Scene, Traits

_SKETCHES = 6
_SKETCH_PIXELS = 64
_SHIFTS = np.array([0.10, 0.15, 0.15, 0.05])


@dataclass(frozen=True)
class Plan:
    """Everything but the layout.

    Args:
        family: a key of :data:`covergen_cli.synthetic.families.FAMILIES`.
        palette: OKLab colours ``(3, 3)`` of ground, form and accent.
        traits: what the music asks for.
        light: direction of the light, in radians.
        layouts: seeds of the layouts to choose from.
    """

    family: str
    palette: Array
    traits: Traits
    light: float
    layouts: tuple[int, ...]


def make_plan(descriptors: npt.NDArray[np.floating], seed: int, kinds: Array | None = None) -> Plan:
    """Return the plan of a painting; see :func:`paint`."""
    rng, traits = np.random.default_rng(seed), Traits.of(descriptors)
    weights = family_weights(descriptors) if kinds is None else kinds
    family = KINDS[int(rng.choice(len(KINDS), p=np.asarray(weights, np.float64) / float(np.sum(weights, dtype=float))))]
    shift = rng.standard_normal(4).clip(-2, 2) * _SHIFTS
    palette = choose_palette(traits, lean_of(weights), shift.astype(np.float32))
    light = float(rng.uniform(0, 2 * np.pi))
    return Plan(family, palette, traits, light, tuple(rng.integers(2**62, size=_SKETCHES).tolist()))


def _draw(plan: Plan, layout: int, size: int) -> Array:
    """Return one layout in OKLab, ``(size, size, 3)``, before balancing."""
    scene = Scene(size, layout, plan.traits, tones_of(plan.palette))
    FAMILIES[plan.family].draw(scene)
    lit = np.float32(np.cos(plan.light)) * scene.x + np.float32(np.sin(plan.light)) * scene.y
    scene.lab[..., 0] += lit * np.float32(0.015 + 0.06 * plan.traits.glow)
    return scene.lab


def _errors(plan: Plan) -> Iterator[float]:
    """Yield the squared error of a sketch of each layout in busyness, direction and hardness."""
    for layout in plan.layouts:
        sketch = _draw(plan, layout, _SKETCH_PIXELS)
        busy = np.log(busyness(sketch) / (7.5 * 3.0**plan.traits.count)) / 0.2
        upright = (uprightness(sketch) - (0.22 + 0.56 * plan.traits.tilt)) / 0.15
        hard = (hardness(sketch) - (0.12 + 0.62 * plan.traits.hardness)) / 0.15
        yield busy**2 + upright**2 + hard**2


def paint(
    descriptors: npt.NDArray[np.floating], seed: int, size: int = 256, kinds: Array | None = None
) -> npt.NDArray[np.uint8]:
    """Paint one cover as sRGB bytes ``(size, size, 3)``.

    Args:
        descriptors: ``(7,)`` in [0, 1], in the order of :data:`covergen_cli.audio.descriptors.NAMES`.
        seed: decides the layout; the same arguments give the same painting.
        size: pixels per side.
        kinds: how much each family suits the music ``(8,)``, from
            :func:`covergen_cli.synthetic.kinds.family_weights`; by default from the descriptors alone.
    """
    plan = make_plan(descriptors, seed, kinds)
    layout = plan.layouts[int(np.argmin(list(_errors(plan))))]
    return oklab_to_srgb(balance(_draw(plan, layout, size), plan.traits))
