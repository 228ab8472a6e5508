"""Draw title and artist on a cover: where the image is calm, inside the margins, and always legible.

Every layout has several positions; the one with the calmest background is used. The text is white or black, whichever
stands out more, on a soft veil of the opposite colour that is only as strong as needed for a contrast of 4.5 to 1 at
every pixel near the letters (WCAG 2.2, success criterion 1.4.3).
"""

from __future__ import annotations

import bisect
from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image, ImageDraw

from covergen_cli.covers.text.contrast import AIM, contrast_ratio, luminance, near_text
from covergen_cli.covers.text.placement import LAYOUTS, Placement, bounds
from covergen_cli.covers.text.typesetting import Face

if TYPE_CHECKING:
    import numpy.typing as npt

    Floats = npt.NDArray[np.float64]

_WHITE, _BLACK = 255, 12
_MAP_SIDE = 128
_STEPS = 50
"""How many strengths a veil has."""


def draw_text(image: Image.Image, text: dict[str, Any], own_font: str | None = None) -> tuple[Image.Image, float]:
    """Draw title and artist on a cover; the same arguments give the same pixels.

    Args:
        image: RGB, square.
        text: from :func:`covergen_cli.covers.text.wording.cover_text`.
        own_font: path of the user's font, if ``text`` names it.

    Returns:
        The cover, and the smallest contrast ratio between the letters and any pixel in or near them, at least
        :data:`covergen_cli.covers.text.contrast.CONTRAST`.

    Raises:
        ConfigError: the font is missing.
    """
    side = image.width
    texts = {name: (text[name], Face(font, own_font)) for name, font in text["fonts"].items()}
    busyness = busyness_of(image)
    placement = min(LAYOUTS[text["layout"]](texts, side), key=lambda placed: cost_of(placed, busyness, side))
    mask = Image.new("L", (side, side))
    draw = ImageDraw.Draw(mask)
    for placed in placement:
        placed.block.draw(draw, placed.x, placed.y, placed.align)
    _, top, _, bottom = bounds(placement)
    return _compose(image, mask, veil_mask(side, top, bottom))


def busyness_of(image: Image.Image) -> Floats:
    """Return how much every cell of a 128 × 128 map varies: the slope of its brightness, 0 to about 1."""
    small = np.asarray(image.convert("L").resize((_MAP_SIDE, _MAP_SIDE), Image.Resampling.BOX), np.float64) / 255
    down, across = np.gradient(small)
    slope: Floats = np.hypot(down, across) * 8 + np.abs(small - small.mean()) * 0.05
    return slope


def cost_of(placement: Placement, busyness: Floats, side: int) -> float:
    """Return how busy the picture is behind a placement."""
    left, top, right, bottom = (round(edge * _MAP_SIDE / side) for edge in bounds(placement))
    return float(busyness[top : max(bottom, top + 1), left : max(right, left + 1)].mean())


def veil_mask(side: int, top: float, bottom: float) -> Image.Image:
    """Return a mask that is full behind the text and fades out above and below it.

    It spans the cover and does not fade towards an edge near the text, so that it looks like light and shade of the
    image rather than a label.
    """
    fade = 0.16 * side
    rows = np.arange(side, dtype=np.float64)
    above = np.clip((rows - (top - 0.03 * side - fade)) / fade, 0, 1)
    below = np.clip(((bottom + 0.03 * side + fade) - rows) / fade, 0, 1)
    if top < side - bottom and top < 0.25 * side:
        above[:] = 1
    elif side - bottom < 0.25 * side:
        below[:] = 1
    eased = np.minimum(above, below)
    eased = eased**2 * (3 - 2 * eased)
    return Image.fromarray(np.repeat(np.round(255 * eased).astype(np.uint8)[:, None], side, axis=1))


def _compose(image: Image.Image, mask: Image.Image, veil: Image.Image) -> tuple[Image.Image, float]:
    """Lay the weakest sufficient veil over the image, and the text over it; also return the contrast."""
    near = near_text(mask)
    behind = np.asarray(image)[near]
    strength = np.asarray(veil, np.float64)[near] / 255
    candidates = []
    for ink in (_WHITE, _BLACK):
        amount, ratio = _least_veil(behind, strength, ink)
        # A white veil looks milky where a dark one looks like shade, so black ink has to be clearly better.
        candidates.append((amount * (1 if ink == _WHITE else 1.5), -ratio, amount, ink))
    _, _, amount, ink = min(candidates)
    scaled = veil.point(lambda value: round(value * amount))
    veiled = Image.composite(Image.new("RGB", image.size, (_opposite(ink),) * 3), image, scaled)
    ratio = float(contrast_ratio(luminance(np.asarray(veiled)[near]), luminance(np.full(3, ink))).min())
    return Image.composite(Image.new("RGB", image.size, (ink,) * 3), veiled, mask), ratio


def _opposite(ink: int) -> int:
    return 0 if ink == _WHITE else 255


def _least_veil(behind: npt.NDArray[Any], strength: Floats, ink: int) -> tuple[float, float]:
    """Return the veil that this ink needs, 0 to 1 in steps of 1/50, and the contrast without a veil."""

    def contrast(step: int) -> float:
        # Rounded down to the bytes of the mask, so that the contrast holds for the pixels that are written.
        share = (np.floor(strength * 255 * step / _STEPS) / 255)[:, None]
        veiled = behind * (1 - share) + _opposite(ink) * share
        return float(contrast_ratio(luminance(veiled), luminance(np.full(3, ink))).min())

    step = bisect.bisect_left(range(_STEPS), AIM, key=contrast)
    return step / _STEPS, contrast(0)
