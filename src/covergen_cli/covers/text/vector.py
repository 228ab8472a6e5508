"""The text of a cover as SVG paths: the outlines of its letters, whatever their font and script."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image

from covergen_cli.covers.looks.trace import closed_paths
from covergen_cli.covers.text.finish import (
    GROUND_REACH,
    GROUND_SHADE,
    LETTER_REACH,
    SHADOW_BLUR,
    SHADOW_SHIFT,
    UPRIGHT,
    typeset,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from covergen_cli.covers.text.styles import TextStyle

TEXT_SIDE = 2000
"""Pixels per side of the cover on which the text is set and its outlines are traced."""


def text_svg(
    image: Image.Image, text: dict[str, Any], style: TextStyle, palette: Sequence[str], *, own_font: str | None = None
) -> tuple[str, float]:
    """Return title and artist as elements for an SVG with a view box of 1000 × 1000.

    Args:
        image: the same cover as pixels, RGB and square, best at :data:`TEXT_SIDE`; text is placed where it is calm.
        text: from :func:`covergen_cli.covers.text.styles.resolve_text`.
        style: of the look, of any finish but ``veil`` and ``pixels``.
        palette: ``#rrggbb``, dark to light; may be empty.
        own_font: value of ``--font``.

    Returns:
        The elements, and the smallest contrast ratio as of :func:`covergen_cli.covers.text.finish.draw_styled`.
    """
    turned = text["layout"] == UPRIGHT
    if turned:
        image = image.transpose(Image.Transpose.ROTATE_270)
    text_set = typeset(image, text, style, palette, own_font, image.width)
    parts = []
    if text_set.ground is not None:
        mask, colour = text_set.ground
        parts.append(_shape("ground", mask, colour, GROUND_SHADE if style.finish == "paper" else 0, GROUND_REACH))
    parts.append(_shape("letters", text_set.letters, text_set.ink, text_set.shade, LETTER_REACH))
    body = "\n".join(parts)
    return (f'<g transform="rotate(-90 500 500)">{body}</g>' if turned else body), text_set.ratio


def _shape(name: str, mask: Image.Image, colour: tuple[int, int, int], shade: float, reach: float) -> str:
    """Return the path around a mask in a colour, over its shadow."""
    left, top, right, bottom = mask.getbbox() or (0, 0, 1, 1)
    field = np.asarray(mask.crop((left, top, right, bottom)), np.float32) / 255 - np.float32(0.5)
    # Letters end at the edge of the box, where the field has to go below 0.
    field = np.pad(field, 1, constant_values=-0.5)
    data = closed_paths(field, left - 1, top - 1, mask.width)
    path = f'<path id="{name}" fill="#{bytes(colour).hex()}" d="{data}"/>'
    if not shade:
        return path
    shift, blur = 1000 * SHADOW_SHIFT * reach, 1000 * SHADOW_BLUR * reach
    return (
        f'<filter id="shadow-{name}" filterUnits="userSpaceOnUse" x="0" y="0" width="1000" height="1000">'
        f'<feOffset in="SourceAlpha" dx="{shift:g}" dy="{shift:g}"/><feGaussianBlur stdDeviation="{blur:g}"/></filter>'
        f'<use xlink:href="#{name}" filter="url(#shadow-{name})" opacity="{shade:g}"/>\n{path}'
    )
