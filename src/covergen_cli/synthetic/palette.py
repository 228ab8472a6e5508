"""The three colours of a painting, which follow from the music, and the final balance."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from covergen_cli.measures.colour import Array, oklch

if TYPE_CHECKING:
    from covergen_cli.synthetic.scene import Traits

COLOURS = 3
"""Colours of a palette: ground, form, accent."""

_LOUDEST = (
    (0, 20, 40, 95, 120, 165, 200, 230, 262, 285, 335, 360),
    (0.12, 0.17, 0.18, 0.15, 0.11, 0.10, 0.11, 0.13, 0.15, 0.08, 0.09, 0.12),
)
"""Hue in degrees, and the chroma from which it looks like neon: soonest for greens and purples."""


def choose_palette(traits: Traits, lean: float, shift: Array) -> Array:
    """Return the colours ``(3, 3)`` of ground, form and accent in OKLab; they change smoothly with all arguments.

    Warmth decides the height on the circle of hues, between blue and yellow. Whether ground and form are on its red or
    on its green side, each, follows from the kind of music and the other traits. The ground is light in bright music.

    Args:
        traits: what the music asks for.
        lean: of the kind of music, to the green (−1) or the red side (1).
        shift: small deviations ``(4,)``, which the seed chooses: of warmth, both sides and lightness; 0 for none.
    """
    warmth = float(np.sin(np.pi / 2 * np.clip(2.1 * (traits.warmth - 0.5) + shift[0], -0.97, 0.97)))
    rest = np.array([traits.glow, traits.tilt, traits.count, traits.hardness, traits.saturation]) * 2 - 1
    sides = (
        np.tanh(2.2 * (0.9 * lean + rest @ (0.9, 0.5, -0.5, 0.2, 0.3) + shift[1])),
        np.tanh(2.2 * (-0.5 * lean + rest @ (-0.4, 0.8, 0.7, -0.3, 0.4) + shift[2])),
    )
    light = np.tanh(4.0 * (traits.lightness - 0.5 + shift[3]))
    spread = 0.17 + 0.13 * traits.saturation
    middle = 0.40 + 0.32 * traits.lightness
    chroma = 0.035 + 0.10 * traits.saturation
    form_light = middle - spread * (light if abs(light) > 0.35 else 0.35 * np.sign(light + 1e-6))
    ground = _colour(middle + 0.8 * spread * light, 0.85 * chroma, warmth, float(sides[0]))
    form = _colour(float(form_light), 1.15 * chroma, warmth + 0.25 * (1 if warmth < 0 else -1), float(sides[1]))
    accent_light = np.clip(middle + (0.22 if light < 0.2 else -0.02), 0.35, 0.9)
    accent_side = -float(np.tanh(1.5 * (sides[0] + 0.4 * sides[1])))
    accent = _colour(float(accent_light), 0.10 + 0.07 * traits.saturation, 0.55 - 0.75 * warmth, accent_side)
    return np.stack([ground, form, accent])


def _colour(light: float, chroma: float, warmth: float, side: float) -> Array:
    """Return the colour with a sine of hue of ``warmth``, on the green (−1) to the red side (1) of the circle.

    Between blue and red there are violet and plum, of which covers have enough: the red side is narrow there.
    """
    warmth = float(np.clip(warmth + 0.15 * max(side, 0.0) * (1 - warmth**2), -0.99, 0.99))
    across = side * np.sqrt(1 - warmth**2) * (0.2 if side > 0 and warmth < 0 else 1.0)
    hue = np.rad2deg(np.arctan2(warmth, across)) % 360
    return oklch(float(np.clip(light, 0.13, 0.95)), min(chroma, float(np.interp(hue, *_LOUDEST))), float(hue))


def tones_of(palette: Array) -> Array:
    """Return the five tones ``(5, 3)`` of a painting: ground, second ground, form, second form, accent."""
    ground, form, accent = palette
    away = np.sign(form[0] - ground[0]) or 1.0
    second = form + np.array([0.10 * away, 0, 0], np.float32)
    second[1:] = 0.7 * form[1:] + 0.3 * accent[1:]
    return np.stack([ground, ground + 0.38 * (form - ground), form, second, accent]).astype(np.float32)


def balance(lab: Array, traits: Traits) -> Array:
    """Adjust a painting, OKLab ``(H, W, 3)``, to the lightness, contrast and chroma that fit the music.

    A gamma curve sets the mean lightness, a factor the contrast and another the mean chroma.
    """
    lightness = np.clip(lab[..., 0], 0.01, 0.995)
    few, gamma, wanted = lightness[::4, ::4], 1.0, 0.34 + 0.44 * traits.lightness
    for _ in range(6):  # Newton's steps
        curved = few**gamma
        gamma = float(np.clip(gamma - (curved.mean() - wanted) / (curved * np.log(few)).mean(), 0.3, 3.5))
    lightness = lightness ** np.float32(gamma)
    stretch = np.clip((0.12 + 0.11 * traits.saturation) / max(float(lightness.std()), 0.01), 0.6, 3.0)
    lightness = lightness.mean() + (lightness - lightness.mean()) * np.float32(stretch)
    chroma = max(float(np.hypot(lab[..., 1], lab[..., 2]).mean()), 1e-3)
    scale = np.float32(np.clip((0.045 + 0.10 * traits.saturation) / chroma, 0.5, 2.0))
    return np.stack([lightness.clip(0.04, 0.985), lab[..., 1] * scale, lab[..., 2] * scale], axis=-1).astype(np.float32)
