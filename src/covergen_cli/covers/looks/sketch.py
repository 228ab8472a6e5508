"""What every look draws from: the picture at a small, fixed size, its tones, its palette and its regions."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
from PIL import Image

from covergen_cli.covers.looks.palette import AXES, Palette, cluster, grade, owners, palette_of
from covergen_cli.covers.looks.raster import blur, components, edge, enlarge, filled, mix
from covergen_cli.measures.colour import oklab_to_srgb, srgb_to_oklab

if TYPE_CHECKING:
    from covergen_cli.covers.looks.arrays import Array

SIDE = 256
"""Side of the fields that forms are drawn from."""
_FINE = 512
_DARK = 0.57
"""Mean lightness below which a picture is dark."""
_FLAT, _STRONG = 0.07, 0.21
"""Standard deviations of lightness of pictures without and with full contrast."""
_ENOUGH = 0.16
"""Range of lightness from which on a picture has enough forms of its own."""


@dataclass(frozen=True)
class Sketch:
    """A picture, ready to be drawn.

    Args:
        lab: the picture in OKLab, float32 ``(512, 512, 3)``, as it came.
        tone: float32 ``(256, 256)`` from 0 (dark) to 1 (light), smooth, using its whole range evenly.
        palette: the colours to draw with.
        locked: whether the palette is another one than the picture's.
        labels: the palette's colour of each pixel, ``(256, 256)``, without small islands.
        points: the picture in OKLab, ``(256, 256, 3)``, smooth, its lightness stretched to [0, 1].
        centres: of the clusters that the palette's colours stand for, ``(k, 3)``, among the points.
    """

    lab: Array
    tone: Array
    palette: Palette
    locked: bool
    labels: npt.NDArray[np.integer]
    points: Array
    centres: Array

    def layer(self, index: int, softness: float) -> Array:
        """Return a smooth field ``(256, 256)``, above 0 where the palette's colour is ``index`` or lighter.

        Args:
            index: of the colour.
            softness: how far corners are rounded, as a share of the side.
        """
        return np.asarray(blur((self.labels >= index).astype(np.float32), softness) - np.float32(0.5))

    def plate(self, values: Array, side: int, softness: float = 0.008) -> Array:
        """Return ``(c, side, side)`` with the values ``(k, c)`` of the palette's colours in their regions, crisp."""
        plate = filled(values[0], side, side)
        for index in range(1, len(values)):
            mix(plate, values[index], edge(self.layer(index, softness), side, 0, side))
        return plate

    @cached_property
    def graded(self) -> Array:
        """The picture in sRGB, float32 ``(512, 512, 3)``, its lightness and chroma graded."""
        lab = _recoloured(self.tone, self.palette) if self.locked else _graded(self.lab, self.points[..., 0])
        return oklab_to_srgb(lab).astype(np.float32) / 255

    @property
    def is_dark(self) -> bool:
        """Whether the picture in the colours of the palette is dark, so that lines on it had better be light."""
        return float(self.shares @ self.palette.lab[:, 0]) < _DARK

    @property
    def shares(self) -> Array:
        """Share of the picture that each colour of the palette has, ``(k,)``."""
        counts = np.bincount(self.labels.ravel(), minlength=len(self.palette.hexes))
        return (counts / self.labels.size).astype(np.float32)

    @property
    def still(self) -> Sketch:
        """The sketch of the cover, of which this is a moment of a loop, or this one itself."""
        return self

    @property
    def phase(self) -> float:
        """Share of a loop that has passed, in [0, 1)."""
        return 0.0

    def between(self, side: int) -> tuple[npt.NDArray[np.integer], npt.NDArray[np.integer], Array]:
        """Return for each of ``(side, side)`` places the nearest colour, the next one, and how near that is.

        The last is 0 at the nearest colour and 0.5 halfway to the next.
        """
        points = np.stack([resized(self.points[..., i], side) for i in range(3)], axis=-1)
        distance = np.stack([np.sqrt(((points - centre) ** 2 * AXES).sum(-1)) for centre in self.centres])
        order = np.argsort(distance, axis=0, kind="stable")
        first, second = order[0], order[1]
        near, far = (np.take_along_axis(distance, which[None], 0)[0] for which in (first, second))
        return first, second, near / np.maximum(near + far, 1e-6)


def resized(field: Array, side: int) -> Array:
    """Return a field ``(n, n)`` as ``(side, side)``; areas are averaged where it gets smaller."""
    filter_ = Image.Resampling.BOX if side < len(field) else Image.Resampling.BICUBIC
    return np.asarray(Image.fromarray(np.ascontiguousarray(field)).resize((side, side), filter_))


def sketch_of(picture: Image.Image, seed: int, count: int, palette: Palette | None = None) -> Sketch:
    """Prepare a picture for a look.

    A picture with hardly any contrast is helped: what is there is stretched, and where that is not enough, hills and a
    disc that the seed places are blended in, so that no cover is empty.

    Args:
        picture: any size; the centre square is used.
        seed: of the forms that help a flat picture.
        count: how many colours to find.
        palette: colours to use instead of the picture's; the darkest stands for what is darkest in the picture.
    """
    fine = srgb_to_oklab(np.asarray(_square(picture)))
    lab = fine.reshape(SIDE, 2, SIDE, 2, 3).mean(axis=(1, 3))
    tone = _helped(lab[..., 0], seed)
    smooth = np.stack([tone, *(blur(lab[..., i], 0.007) for i in (1, 2))], axis=-1)
    count = len(palette.hexes) if palette else count
    centres, shares = cluster(smooth[2::4, 2::4].reshape(-1, 3), count)
    contrast = float(np.clip((lab[..., 0].std() - _FLAT) / (_STRONG - _FLAT), 0, 1))
    colours = palette or palette_of(grade(_in_place(centres, shares, lab[..., 0]), shares, contrast))
    labels = components(owners(smooth, centres), 0.004)
    return Sketch(fine, _even(tone), colours, palette is not None, labels, smooth, centres)


def _square(picture: Image.Image) -> Image.Image:
    rgb = picture.convert("RGB")
    side = min(rgb.size)
    left, top = (rgb.width - side) // 2, (rgb.height - side) // 2
    box = (left, top, left + side, top + side)
    return rgb.resize((_FINE, _FINE), Image.Resampling.LANCZOS, box=box, reducing_gap=3)


def _helped(lightness: Array, seed: int) -> Array:
    """Return the lightness stretched to [0, 1], smooth, with forms that the seed places where it is nearly flat."""
    smooth = blur(lightness, 0.006)
    low, high = np.percentile(smooth, [1, 99])
    stretched = np.clip((smooth - low) / max(high - low, 0.03), -0.05, 1.05)
    lack = float(np.clip(1.25 - (high - low) / _ENOUGH * 1.25, 0, 1))
    if lack == 0:
        return np.asarray(stretched)
    return np.asarray((1 - 0.85 * lack) * stretched + 0.85 * lack * _hills(seed))


def _hills(seed: int) -> Array:
    """Return a plain composition in [0, 1]: three ranges of hills, the nearest the darkest, under a light disc."""
    rng = np.random.default_rng([seed, 7])
    y, x = np.mgrid[0:SIDE, 0:SIDE].astype(np.float32) / SIDE
    field = np.float32(0.72) - 0.3 * np.abs(y - 0.35)
    centre, radius = rng.uniform(0.25, 0.75), rng.uniform(0.12, 0.2)
    field[np.hypot(x - centre, y - rng.uniform(0.28, 0.42)) < radius] = 1
    for level in (0.45, 0.25, 0.0):
        phase, swing = rng.uniform(0, 6.3, 2), rng.uniform(0.03, 0.08, 2)
        ridge = 0.85 - 0.62 * level + swing[0] * np.sin(5 * x + phase[0]) + 0.4 * swing[1] * np.sin(13 * x + phase[1])
        field = np.where(y > ridge, level + 0.1 * (y - ridge), field).astype(np.float32)
    return blur(field, 0.006)


def _in_place(centres: Array, shares: Array, lightness: Array) -> Array:
    """Return the clusters with a lightness around the picture's own mean, which the grading keeps."""
    moved = centres.copy()
    moved[:, 0] += lightness.mean() - (shares * centres[:, 0]).sum()
    return np.asarray(moved)


def _even(tone: Array) -> Array:
    """Return tones that use [0, 1] half as evenly as if they were sorted."""
    order = np.searchsorted(np.sort(tone.ravel()), tone.ravel()).reshape(tone.shape).astype(np.float32)
    return np.clip(0.5 * np.clip(tone, 0, 1) + 0.5 * order / tone.size, 0, 1).astype(np.float32)


def _graded(lab: Array, tone: Array) -> Array:
    """Return the picture ``(512, 512, 3)`` with the given tones, bent around its mean, and more chroma."""
    aim = 0.16 + 0.81 * np.clip(enlarge(tone, _FINE, 0, _FINE), 0, 1)
    mean = float(np.clip(lab[..., 0].mean(), 0.42, 0.78))
    aim = aim ** (np.log(mean) / np.log(float(aim.mean())))
    # The fine structure is not in the tones, which are smooth.
    lightness = np.clip(aim + lab[..., 0] - blur(lab[..., 0], 0.006), 0.06, 0.98)
    return np.concatenate([lightness[..., None], 1.3 * lab[..., 1:]], axis=-1).astype(np.float32)


def _recoloured(tone: Array, palette: Palette) -> Array:
    """Return the picture ``(512, 512, 3)`` with the colours of a palette, blended from dark to light."""
    place = enlarge(tone, _FINE, 0, _FINE)
    steps = np.linspace(0, 1, len(palette.hexes))
    colours = np.stack([np.interp(place, steps, palette.lab[:, i]) for i in range(3)], axis=-1)
    return np.asarray(colours, dtype=np.float32)
