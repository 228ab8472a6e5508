"""Palettes: a few colours that stand for a picture, graded so that neighbours differ and sRGB can show them all."""

from __future__ import annotations

import io
import os
import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image

from covergen_cli.errors import ConfigError
from covergen_cli.measures.colour import oklab_to_srgb, oklch, srgb_to_oklab
from covergen_cli.provenance import without_png_text

if TYPE_CHECKING:
    from covergen_cli.covers.looks.arrays import Array

LEAST, MOST = 2, 8
"""Bounds of the number of colours in a palette that the user gives."""
LEAST_STEP = 0.07
"""Smallest difference in OKLab lightness between neighbours in a graded palette."""
_COUNT = 6
_DARKEST, _LIGHTEST = 0.18, 0.955
_LESS_DARK, _LESS_LIGHT = 0.14, 0.08
"""How much flat pictures lack at both ends of the range, so that the contrast of covers still follows the music."""
_MEAN_LIGHTNESS = (0.42, 0.8)
_YELLOW = np.deg2rad(95)
_MAINS = np.deg2rad([0, 30, 60, 100, 145, 195, 250, 290, 330])
_ACCENTS = np.deg2rad(
    [
        [72, 200, 45],
        [80, 205, 235],
        [235, 200, 350],
        [250, 20, 200],
        [350, 85, 40],
        [40, 350, 85],
        [72, 38, 5],
        [85, 40, 170],
        [60, 85, 190],
    ]
)
"""For each main hue those of its accent: what is cool gets a warm one, yellow and orange get the sky."""
_ACCENT_LIGHTNESS = 0.6
_ACCENT_SHARE = 0.2
"""Largest share of the picture that a colour may have which becomes an accent."""
AXES = np.array([1.0, 1.8, 1.8], dtype=np.float32)
"""Weights of L, a and b when colours are clustered: hue separates forms better than shade does."""


@dataclass(frozen=True)
class Palette:
    """Colours from dark to light.

    Args:
        hexes: the colours, ``#rrggbb`` in lower case.
    """

    hexes: tuple[str, ...]

    def __str__(self) -> str:
        return ",".join(self.hexes)

    @property
    def rgb(self) -> Array:
        """SRGB float32 ``(n, 3)`` in [0, 1]."""
        return np.array([[int(text[i : i + 2], 16) for i in (1, 3, 5)] for text in self.hexes], dtype=np.float32) / 255

    @property
    def lab(self) -> Array:
        """OKLab float32 ``(n, 3)``."""
        return srgb_to_oklab(np.rint(self.rgb * 255).astype(np.uint8))


def palette_of(lab: Array) -> Palette:
    """Return OKLab colours ``(n, 3)`` as a palette, sorted by lightness; duplicates stay."""
    return Palette(hexes_of(lab[np.argsort(lab[:, 0], kind="stable")]))


def hexes_of(lab: Array) -> tuple[str, ...]:
    """Return OKLab colours ``(n, 3)`` as ``#rrggbb``."""
    return tuple("#" + bytes(colour).hex() for colour in oklab_to_srgb(lab))


def palette_from(source: str | os.PathLike[str], count: int = _COUNT) -> Palette:
    """Return the palette of a list of colours or of a picture.

    Args:
        source: ``"#0b132b,#1c2541"`` (also ``#rgb``), 2 to 8 colours, which are kept as they are; or the path of an
            image, whose colours are clustered and graded as those of a cover are.
        count: how many colours to find in an image.

    Raises:
        ConfigError: when a colour has another form, there are too few or too many, or the image cannot be read.
    """
    text = os.fspath(source).strip()
    if not text.startswith("#"):
        return _palette_of_file(Path(source), count)
    hexes = {_full_hex(part.strip()): None for part in text.split(",") if part.strip()}
    if not LEAST <= len(hexes) <= MOST:
        raise ConfigError(f"a palette has {LEAST} to {MOST} different colours, not {len(hexes)}")
    rgb = Palette(tuple(hexes)).rgb
    return palette_of(srgb_to_oklab(np.rint(rgb * 255).astype(np.uint8)))


def _full_hex(text: str) -> str:
    if not re.fullmatch(r"#([0-9a-fA-F]{3}){1,2}", text):
        raise ConfigError(f"{text!r} is not a colour", hint="write colours as #rrggbb, separated by commas")
    return text.lower() if len(text) == 7 else "#" + "".join(2 * digit for digit in text[1:].lower())


def _palette_of_file(path: Path, count: int) -> Palette:
    try:
        data = without_png_text(path.read_bytes())
        with Image.open(io.BytesIO(data), formats=("JPEG", "PNG", "WEBP")) as image:
            small = image.convert("RGB").resize((64, 64), Image.Resampling.BOX)
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
        hint = "give colours such as '#0b132b,#1c2541', or a JPEG, PNG or WebP file"
        reason = getattr(error, "strerror", None) or "it is not an image, or is damaged"
        raise ConfigError(f"cannot take a palette from {path}: {reason}", hint=hint) from None
    centres, shares = cluster(srgb_to_oklab(np.asarray(small)).reshape(-1, 3), count)
    return palette_of(grade(centres, shares))


def cluster(points: Array, count: int) -> tuple[Array, Array]:
    """Cluster OKLab colours by k-means, which starts from the colours that are farthest apart.

    No chance is involved, so that one picture has one palette.

    Args:
        points: ``(n, 3)``.
        count: number of clusters.

    Returns:
        the centres ``(count, 3)`` from dark to light, and the share of the points that each has, which sums to 1.
    """
    scaled = points * AXES
    centres = [np.median(scaled, axis=0)]
    nearest = ((scaled - centres[0]) ** 2).sum(1)
    for _ in range(count - 1):
        # The 99.5th percentile instead of the maximum: a stray pixel is no colour of the picture.
        far = np.argsort(nearest, kind="stable")[int(0.995 * (len(nearest) - 1))]
        centres.append(scaled[far])
        nearest = np.minimum(nearest, ((scaled - scaled[far]) ** 2).sum(1))
    middle = np.array(centres, dtype=np.float32)
    for _ in range(12):
        owner = nearest_colour(scaled, middle)
        for index in range(count):
            if (own := owner == index).any():
                middle[index] = scaled[own].mean(0)
    shares = np.bincount(nearest_colour(scaled, middle), minlength=count).astype(np.float32) / len(points)
    order = np.argsort(middle[:, 0], kind="stable")
    return (middle / AXES)[order], shares[order]


def nearest_colour(points: Array, colours: Array) -> np.ndarray:
    """Return the index ``(…)`` of the colour ``(n, 3)`` that is nearest to each of the points ``(…, 3)``."""
    distance = np.stack([((points - colour) ** 2).sum(-1) for colour in colours])
    return np.asarray(distance.argmin(0))


def owners(lab: Array, centres: Array) -> np.ndarray:
    """Return for each pixel ``(h, w, 3)`` the cluster that it belongs to, as :func:`cluster` measures distance."""
    return nearest_colour(lab * AXES, centres * AXES)


def grade(centres: Array, shares: Array, contrast: float = 1.0) -> Array:
    """Grade the colours of a picture for print: the whole range of lightness, more chroma, warm lights and deep darks.

    The mean lightness stays near that of the picture, and more chroma stays more, so that a cover keeps its mood. Where
    all colours are of one hue, a small light one becomes an accent.

    Args:
        centres: OKLab ``(n, 3)`` from dark to light.
        shares: of the picture, ``(n,)``.
        contrast: of the picture, from 0 (flat) to 1; flat ones get three quarters of the range.

    Returns:
        OKLab ``(n, 3)`` inside sRGB, neighbours at least :data:`LEAST_STEP` apart in lightness.
    """
    lightness = _spread(centres[:, 0], shares, contrast)
    chroma = np.hypot(centres[:, 1], centres[:, 2])
    mean_hue = np.arctan2((shares * centres[:, 2]).sum(), (shares * centres[:, 1]).sum())
    # Near grey, the hue of a single cluster is noise.
    hue = np.where(chroma > 0.012, np.arctan2(centres[:, 2], centres[:, 1]), mean_hue)
    lifted = 1.5 * chroma + 0.012
    lifted, hue = _with_accent(lifted, hue, lightness, shares)
    height = 2 * (lightness - lightness.min()) / max(float(np.ptp(lightness)), 1e-6) - 1
    # Dark yellow is mud: yellows darken to red, all other colours to blue.
    yellow = np.abs(np.angle(np.exp(1j * (hue - _YELLOW)))) < np.deg2rad(32)
    target = np.where(height > 0, _YELLOW, np.where(yellow, np.deg2rad(25), np.deg2rad(285)))
    most = np.deg2rad(np.where(height > 0, 16, np.where(yellow, 55, 22))) * np.abs(height)
    hue = _towards(hue, target, most)
    return np.stack([oklch(*map(float, one)) for one in zip(lightness, lifted, np.rad2deg(hue), strict=True)])


def _with_accent(chroma: Array, hue: Array, lightness: Array, shares: Array) -> tuple[Array, Array]:
    """Give a small light colour a hue that goes with the main one where all have that; return chroma and hue."""
    weight = shares * chroma
    main = np.angle((weight * np.exp(1j * hue)).sum())
    away = np.abs(np.angle(np.exp(1j * (hue - main))))
    count = len(hue)
    # Not the lightest, which some looks take as their ground.
    candidates = [
        i for i in range(count // 2, count - 1) if shares[i] < _ACCENT_SHARE and lightness[i] > _ACCENT_LIGHTNESS
    ]
    if count < 4 or not candidates or float((weight * (away > np.deg2rad(50))).sum()) > 0.06 * float(weight.sum()):
        return chroma, hue
    accent = min(candidates, key=lambda i: abs(lightness[i] - 0.8))
    chroma, hue = chroma.copy(), hue.copy()
    accents = _ACCENTS[int(np.argmin(np.abs(np.angle(np.exp(1j * (_MAINS - main))))))]
    # Any digit that differs between pictures, so that not all blue ones get the same accent.
    hue[accent] = accents[int(1e4 * shares.max()) % len(accents)]
    chroma[accent] = np.clip(0.7 * chroma.max(), chroma[accent], 0.14)
    return chroma, hue


def _spread(lightness: Array, shares: Array, contrast: float) -> Array:
    """Return lightnesses over the whole range, half evenly spaced, bent so that the mean stays where it was."""
    count = len(lightness)
    darkest, lightest = _DARKEST + _LESS_DARK * (1 - contrast), _LIGHTEST - _LESS_LIGHT * (1 - contrast)
    even = np.linspace(0, 1, count)
    place = 0.45 * (lightness - lightness[0]) / max(float(lightness[-1] - lightness[0]), 1e-3) + 0.55 * even
    place /= place[-1]
    aim = float(np.clip((shares * lightness).sum(), *_MEAN_LIGHTNESS))
    low, high = 0.5, 2.0
    for _ in range(12):
        bend = (low + high) / 2
        bent = darkest + (lightest - darkest) * place**bend
        low, high = (bend, high) if (shares * bent).sum() > aim else (low, bend)
    step = min(1.15 * LEAST_STEP, (lightest - darkest) / max(count - 1, 1))
    for index in range(1, count):
        bent[index] = max(bent[index], bent[index - 1] + step)
    for index in range(count - 1, -1, -1):
        bent[index] = min(bent[index], lightest - (count - 1 - index) * step)
    return np.asarray(bent.astype(np.float32))


def _towards(hue: Array, target: Array, most: Array) -> Array:
    """Turn hues towards a target by at most ``most``, all in radians."""
    away = np.angle(np.exp(1j * (target - hue)))
    return np.asarray(hue + np.sign(away) * np.minimum(np.abs(away), most))
