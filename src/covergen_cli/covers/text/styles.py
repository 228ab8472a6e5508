"""How text belongs to a look: the font, the finish of the letters, and the layouts that suit it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from covergen_cli.covers.text.fonts import BUNDLED, FONTS, font_file, missing
from covergen_cli.covers.text.wording import BY_LOOK

if TYPE_CHECKING:
    from covergen_cli.covers.looks import Look


@dataclass(frozen=True)
class TextStyle:
    """The text of a look.

    Args:
        font: name of a bundled font.
        layouts: those that ``auto`` chooses from by the seed, the best one first.
        finish: flat ``ink``; letters of ``paper`` that throw a shadow; letters of square ``pixels``; or flat letters on
            a ``veil``, a soft light or shade in a colour of the palette, where the others have a flat ground.
    """

    font: str
    layouts: tuple[str, ...]
    finish: Literal["ink", "paper", "pixels", "veil"] = "ink"


_STYLES = {
    "cutout": TextStyle("anton", ("giant", "label", "corner"), "paper"),
    "poster": TextStyle("inter", ("band", "giant", "edge")),
    "contour": TextStyle("dm-serif-display", ("label", "edge", "band")),
    "fluted": TextStyle("dm-serif-display", ("centre", "edge", "label"), "veil"),
    "halftone": TextStyle("anton", ("giant", "band", "label")),
    "riso": TextStyle("inter", ("label", "band", "edge")),
    "dither": TextStyle("jersey-10", ("label", "band", "giant"), "pixels"),
    "engraving": TextStyle("dm-serif-display", ("label", "band", "edge")),
    "grain": TextStyle("inter", ("corner", "label", "edge"), "veil"),
}
_PLAIN = TextStyle("inter", ("corner",), "veil")


def style_of(look: Look | None) -> TextStyle:
    """Return the style of the text of a look; ``None`` is the picture as the model drew it."""
    return _PLAIN if look is None else _STYLES.get(look.name, _PLAIN)


def resolve_text(text: dict[str, Any], look: Look | None, seed: int) -> dict[str, Any]:
    """Return the text of a cover with a layout instead of ``auto``, and fonts instead of ``by look``.

    Args:
        text: from :func:`covergen_cli.covers.text.wording.cover_text`.
        look: of the cover.
        seed: of the cover; neighbouring seeds have different layouts.
    """
    style = style_of(look)
    layout = text["layout"]
    if layout == "auto":
        layout = style.layouts[seed % len(style.layouts)]
    fonts = {name: _font(text[name], style) if font == BY_LOOK else font for name, font in text["fonts"].items()}
    return {**text, "layout": layout, "fonts": fonts}


def _font(text: str, style: TextStyle) -> str:
    """Return the style's font, or Inter where that lacks a character."""
    name = FONTS[style.font].name
    return BUNDLED if missing(text, font_file(name, None)) else name
