"""Draw the text of a look: in colours of its palette, on the picture where that is calm and else on a flat ground."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image, ImageChops, ImageDraw, ImageFilter

from covergen_cli.covers.text.contrast import AIM, contrast_ratio, luminance, near_text
from covergen_cli.covers.text.layout import busyness_of, cost_of, veil_mask
from covergen_cli.covers.text.placement import LAYOUTS, Placement, bounds
from covergen_cli.covers.text.typesetting import Face
from covergen_cli.measures.colour import srgb_to_oklab

if TYPE_CHECKING:
    import numpy.typing as npt

    from covergen_cli.covers.text.styles import TextStyle

    Colour = tuple[int, int, int]

WHITE, BLACK = (255, 255, 255), (12, 12, 12)
_LARGE = 0.085
"""Font size, as a share of the side, from which letters have an outline as their ground instead of a strip."""
SAFE = 0.05
"""Width of the border that no letter enters, as a share of the side."""
_ALWAYS = ("band", "label")
"""Layouts that have a ground on any picture."""
_STEPS, _SOME = 10, 23
"""How many strengths a veil has, and of how many pixels one is looked at first."""
_LONG = 40
"""Number of characters from which on letters of squares are small."""
UPRIGHT = "edge"
"""The layout whose text is drawn on a cover that is turned clockwise, and turned back with it."""
_FLAT = (*_ALWAYS, UPRIGHT, "giant")
"""Layouts whose ground is never a veil."""
GROUND_SHADE = 0.5
"""Strength of the shadow of a ground of paper."""
GROUND_REACH, LETTER_REACH = 0.008, 0.006
SHADOW_SHIFT, SHADOW_BLUR = 0.7, 0.6
"""How far shadows fall and how soft they are: factors on the reach, which is a share of the side."""


def draw_styled(
    image: Image.Image,
    text: dict[str, Any],
    style: TextStyle,
    palette: Sequence[str],
    *,
    own_font: str | None = None,
    cells: int = 128,
) -> tuple[Image.Image, float]:
    """Draw title and artist in the style of a look; the same arguments give the same pixels.

    Args:
        image: RGB, square.
        text: from :func:`covergen_cli.covers.text.styles.resolve_text`.
        style: of the look.
        palette: ``#rrggbb``, dark to light; may be empty.
        own_font: value of ``--font``.
        cells: pixels per side of the look ``dither``; letters of ``pixels`` have squares of half that size, or of a
            third for long texts.

    Returns:
        The cover, and the smallest contrast ratio between the letters and any pixel in or near them, at least
        :data:`covergen_cli.covers.text.contrast.CONTRAST`.
    """
    turned = text["layout"] == UPRIGHT
    if turned:
        image = image.transpose(Image.Transpose.ROTATE_270)
    text_set = typeset(image, text, style, palette, own_font, cells)
    drawn = Image.composite(Image.new("RGB", image.size, text_set.ink), text_set.below, text_set.letters)
    return (drawn.transpose(Image.Transpose.ROTATE_90) if turned else drawn), text_set.ratio


def place(
    image: Image.Image, text: dict[str, Any], own_font: str | None = None, *, side: int, pixels: bool = False
) -> Placement:
    """Return the calmest place of the text in a square of ``side`` pixels; for ``edge`` before it is turned."""
    busyness = busyness_of(image)
    for shrink in (1.0, 0.85, 0.7, 0.55, 0.4):
        texts = {name: (text[name], Face(font, own_font, pixels, shrink)) for name, font in text["fonts"].items()}
        candidates = list(LAYOUTS[text["layout"]](texts, side))
        if fitting := [one for one in candidates if _is_inside(one, side)]:
            break
    return min(fitting or candidates, key=lambda placed: cost_of(placed, busyness, side))


def _is_inside(placement: Placement, side: int) -> bool:
    left, top, right, bottom = bounds(placement)
    return min(left, top) >= SAFE * side and max(right, bottom) <= (1 - SAFE) * side


@dataclass(frozen=True)
class Typeset:
    """The text of a cover, ready to be drawn; before it is turned if it is upright.

    Args:
        letters: mask of kind ``L``.
        ink: colour of the letters.
        ground: mask, and the colour that is laid there under the letters; ``None`` where the picture is the ground.
        shade: strength of the letters' shadow, 0 to 1.
        below: the cover with ground and shadows, without the letters.
        ratio: smallest contrast between the letters and any pixel in or near them.
    """

    letters: Image.Image
    ink: Colour
    ground: tuple[Image.Image, Colour] | None
    shade: float
    below: Image.Image
    ratio: float


def typeset(
    image: Image.Image, text: dict[str, Any], style: TextStyle, palette: Sequence[str], own_font: str | None, cells: int
) -> Typeset:
    """Place the text of a cover and choose its colours; arguments as for :func:`draw_styled`."""
    pixels = style.finish == "pixels"
    colours = [_rgb(one) for one in palette]
    long = sum(len(text[name]) for name in text["fonts"]) > _LONG
    side = (3 if long else 2) * cells if pixels else image.width
    placement = place(image, text, own_font, side=side, pixels=pixels)
    letters, mask = letters_of(placement, side), _ground(placement, side, text["layout"])
    letters, mask = (one.resize(image.size, Image.Resampling.NEAREST) for one in (letters, mask))
    near = near_text(letters)
    behind = np.asarray(image)[near]
    ink = _ink(luminance(behind), colours) if text["layout"] not in _ALWAYS else None
    ground, shade = None, 0.0
    if ink is None:
        below, ink = _pair(colours, behind)
        if style.finish == "veil" and text["layout"] not in _FLAT:
            _, top, _, bottom = (edge * image.width / side for edge in bounds(placement))
            mask, below, ink = _soft_ground(image.width, top, bottom, near, behind, colours)
        elif style.finish == "paper":
            image = _shaded(image, mask, GROUND_SHADE, GROUND_REACH)
        image = Image.composite(Image.new("RGB", image.size, below), image, mask)
        ground = mask, below
    if style.finish == "paper":
        image, shade = _raised(image, letters, near, ink)
    return Typeset(letters, ink, ground, shade, image, _contrast(np.asarray(image)[near], ink))


def letters_of(placement: Placement, side: int, stroke: float = 0, smallest: float = 0) -> Image.Image:
    """Return the mask of the letters, made thicker by ``stroke`` pixels, of blocks from a font size on."""
    mask = Image.new("L", (side, side))
    draw = ImageDraw.Draw(mask)
    for placed in placement:
        if placed.block.font.size >= smallest:
            placed.block.draw(draw, placed.x, placed.y, placed.align, stroke)
    return mask


def _ground(placement: Placement, side: int, layout: str) -> Image.Image:
    """Return the mask of a flat ground: a band, a label, an outline of large letters, or a strip behind small ones."""
    mask = Image.new("L", (side, side))
    draw = ImageDraw.Draw(mask)
    left, top, right, bottom = bounds(placement)
    pad = 0.035 * side
    if layout in {"band", "edge", "line"}:
        first = 0 if layout != "band" and top < side / 2 else top - pad
        last = side if layout != "band" and top >= side / 2 else bottom + pad
        draw.rectangle((0, round(first), side, round(last)), fill=255)
    elif layout == "label":
        draw.rectangle((round(left - pad), round(top - pad), round(right + pad), round(bottom + pad)), fill=255)
    else:
        mask = letters_of(placement, side, max(2, round(0.013 * side)), _LARGE * side)
        # FreeType leaves holes where the outlines of a letter's strokes meet.
        mask.paste(255, mask=Image.fromarray(near_text(letters_of(placement, side, 0, _LARGE * side), 1.5)))
        draw = ImageDraw.Draw(mask)
        for placed in placement:
            if placed.block.font.size < _LARGE * side:
                pad = max(0.014 * side, 0.32 * placed.block.font.size)
                x, y, block = placed.x, placed.y, placed.block
                box = (x - pad, y - pad, x + block.width + pad, y + block.height + pad)
                draw.rectangle([round(edge) for edge in box], fill=255)
    return mask


def _rgb(text: str) -> Colour:
    return int(text[1:3], 16), int(text[3:5], 16), int(text[5:7], 16)


def _contrast(pixels: npt.NDArray[Any], ink: Colour) -> float:
    """Return the smallest contrast between pixels ``(…, 3)`` and an ink."""
    return float(contrast_ratio(luminance(pixels), luminance(np.array(ink))).min())


def _ink(behind: npt.NDArray[np.float64], palette: Sequence[Colour]) -> Colour | None:
    """Return the colour that is legible on all these luminances, from the palette if possible; ``None`` if none is."""
    for inks in (palette, (WHITE, BLACK)):
        ratios = {ink: float(contrast_ratio(behind, luminance(np.array(ink))).min()) for ink in inks}
        if max(ratios.values(), default=0) >= AIM:
            legible = [ink for ink in inks if ratios[ink] >= AIM]
            return max(legible, key=lambda ink: min(ratios[ink], 9) / 9 + 2 * _chroma(ink))
    return None


def _pair(palette: Sequence[Colour], behind: npt.NDArray[Any]) -> tuple[Colour, Colour]:
    """Return the colours of a ground and its ink, from the palette if two of it differ enough."""
    around = srgb_to_oklab(behind.reshape(-1, 3)).mean(0)
    for colours in (palette, (*palette, WHITE, BLACK)):
        scores = {}
        for below, ink in itertools.permutations(dict.fromkeys(colours), 2):
            ratio = _contrast(np.array(below), ink)
            if ratio >= AIM:
                apart = float(np.linalg.norm(srgb_to_oklab(np.array([below], np.uint8))[0] - around))
                scores[below, ink] = min(ratio, 10) / 10 + 2 * _chroma(below) + _chroma(ink) + 0.5 * apart
        if scores:
            return max(scores, key=lambda pair: scores[pair])
    return BLACK, WHITE


def _chroma(colour: Colour) -> float:
    return float(np.hypot(*srgb_to_oklab(np.array([colour], np.uint8))[0, 1:]))


def _soft_ground(
    side: int, top: float, bottom: float, near: npt.NDArray[np.bool_], behind: npt.NDArray[Any], palette: list[Colour]
) -> tuple[Image.Image, Colour, Colour]:
    """Return a veil that suffices, weak and in a colour near the picture's, with that colour and the ink."""
    veil = veil_mask(side, top, bottom)
    strength = np.asarray(veil, np.float32)[near]

    def suffices(step: int, below: Colour, ink: Colour, every: int = 1) -> bool:
        share = (np.floor(strength[::every] * (step / _STEPS)) / 255)[:, None]
        return _contrast(behind[::every] * (1 - share) + np.array(below, np.float32) * share, ink) >= AIM

    around = srgb_to_oklab(behind[::_SOME].reshape(-1, 3)).mean(0)
    pairs = [pair for pair in itertools.permutations(palette, 2) if _contrast(np.array(pair[0]), pair[1]) >= AIM]
    found = []
    for pair in pairs or [(BLACK, WHITE)]:
        apart = float(np.linalg.norm(srgb_to_oklab(np.array([pair[0]], np.uint8))[0] - around))
        # Some of the pixels are enough for the choice; the strength is then raised until it suffices for all.
        step = next((step for step in range(1, _STEPS) if suffices(step, *pair, every=_SOME)), _STEPS)
        found.append((step * (0.25 + apart), step, pair))
    _, step, (below, ink) = min(found)
    while step < _STEPS and not suffices(step, below, ink):
        step += 1
    return veil.point(lambda value: value * step // _STEPS), below, ink


def _shaded(image: Image.Image, mask: Image.Image, strength: float, reach: float) -> Image.Image:
    """Return an image with the shadow of a mask, which falls down and to the right."""
    shift = max(1, round(SHADOW_SHIFT * reach * image.width))
    moved = ImageChops.offset(mask, shift, shift)
    moved.paste(0, (0, 0, shift, image.height))
    moved.paste(0, (0, 0, image.width, shift))
    shadow = moved.filter(ImageFilter.GaussianBlur(SHADOW_BLUR * reach * image.width)).point(
        lambda value: int(value * strength)
    )
    return Image.composite(Image.new("RGB", image.size, (10, 8, 12)), image, shadow)


def _raised(
    image: Image.Image, letters: Image.Image, near: npt.NDArray[np.bool_], ink: Colour
) -> tuple[Image.Image, float]:
    """Return an image with the strongest shadow of the letters that leaves enough contrast, and its strength."""
    for strength in (0.55, 0.4, 0.25, 0.12):
        shaded = _shaded(image, letters, strength, LETTER_REACH)
        if _contrast(np.asarray(shaded)[near], ink) >= AIM:
            return shaded, strength
    return image, 0.0
