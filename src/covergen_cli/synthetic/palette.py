"""The colours of a painting: a ramp of five, an accent, and the final balance."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from covergen_cli.measures.colour import Array, oklch

if TYPE_CHECKING:
    from covergen_cli.synthetic.scene import Traits


@dataclass(frozen=True)
class Palette:
    """Colours in OKLab.

    Args:
        ramp: ``(5, 3)``, from dark to light.
        accent: ``(3,)``.
        hue: prevailing hue of the painting, in degrees.
    """

    ramp: Array
    accent: Array
    hue: float

    def mix(self, position: Array) -> Array:
        """Interpolate the ramp at positions ``(…)`` in [0, 4] and return colours ``(…, 3)``."""
        position = np.clip(position, 0, len(self.ramp) - 1)
        low = np.minimum(position.astype(np.int32), len(self.ramp) - 2)
        part = (position - low)[..., None]
        mixed: Array = self.ramp[low] * (1 - part) + self.ramp[low + 1] * part
        return mixed


def choose_palette(rng: np.random.Generator, traits: Traits) -> Palette:
    """Return random colours that fit the music.

    As warmth rises, the hue goes from blue (258°) through violet, red and orange to yellow (430°), quickly through
    violet, where most music would be otherwise. In about a fifth of the paintings it goes through teal and green, with
    less chroma. Dark and light colours deviate from the hue in opposite directions. The accent is opposite or up to a
    third of the circle away.
    """
    warmth = 0.5 + 0.5 * np.tanh(2.6 * (traits.warmth - 0.5)) / np.tanh(1.3)
    green = bool(rng.random() < 0.22) and 0.15 < traits.warmth < 0.85
    hue = float(262 - 168 * warmth if green else 258 + 172 * warmth)
    turn = rng.uniform(15, 48) * rng.choice([1, 1, -1]) * (0.6 if green else 1.0)
    middle, spread = 0.34 + 0.36 * traits.lightness, 0.10 + 0.24 * traits.saturation
    chroma = (0.05 + 0.12 * traits.saturation) * (0.8 if green else 1.0)
    steps = np.linspace(-1, 1, 5)
    lights = np.clip(middle + 1.15 * spread * steps, 0.10, 0.96)
    ramp = [
        oklch(float(light), float(chroma * (1 - 0.3 * step**2)), float(hue + turn * step))
        for light, step in zip(lights, steps, strict=True)
    ]
    away = float((hue + rng.choice([180, 150, -150, 60, -60]) + rng.uniform(-12, 12)) % 360)
    light = float(np.clip(middle + rng.choice([-1, 1, 1, 1]) * (0.16 + 0.8 * spread), 0.18, 0.95))
    vivid = min(0.04 + 1.1 * chroma, 0.17) * (0.5 if 95 < away < 200 else 1.0)
    return Palette(np.stack(ramp), oklch(light, float(vivid), away), hue)


def balance(lab: Array, palette: Palette, traits: Traits) -> Array:
    """Adjust a painting, OKLab ``(H, W, 3)``, to the lightness, contrast, hue and chroma that fit the music.

    A gamma curve sets the mean lightness, a factor the contrast, a rotation of up to 35° the prevailing hue, and a
    factor the mean chroma.
    """
    lightness = np.clip(lab[..., 0], 0.01, 0.995)
    few, gamma, wanted = lightness[::4, ::4], 1.0, 0.33 + 0.46 * traits.lightness
    for _ in range(6):  # Newton's steps
        curved = few**gamma
        gamma = float(np.clip(gamma - (curved.mean() - wanted) / (curved * np.log(few)).mean(), 0.3, 3.5))
    lightness = lightness ** np.float32(gamma)
    stretch = np.clip((0.10 + 0.12 * traits.saturation) / max(float(lightness.std()), 0.01), 0.55, 2.6)
    lightness = lightness.mean() + (lightness - lightness.mean()) * np.float32(stretch)

    a, b = lab[..., 1], lab[..., 2]
    chroma = max(float(np.hypot(a, b).mean()), 1e-3)
    off = np.deg2rad(palette.hue) - np.arctan2(float(b.mean()), float(a.mean()))
    turn = float(np.clip((off + np.pi) % (2 * np.pi) - np.pi, -0.6, 0.6))
    scale = (0.042 + 0.105 * traits.saturation) / chroma
    cos, sin = np.float32(scale * np.cos(turn)), np.float32(scale * np.sin(turn))
    return np.stack([lightness.clip(0.03, 0.985), a * cos - b * sin, a * sin + b * cos], axis=-1).astype(np.float32)
