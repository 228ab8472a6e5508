"""Styles a drawn picture: chooses its look by what was heard, applies it, adds the text, and writes the cover."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from covergen_cli.covers.looks import choose_look, draw_look, palette_from, parse_look
from covergen_cli.covers.stores import max_bytes
from covergen_cli.covers.text.finish import draw_styled
from covergen_cli.covers.text.layout import draw_text
from covergen_cli.covers.text.styles import settle_text, style_of
from covergen_cli.files import seed_from
from covergen_cli.provenance import save_cover

if TYPE_CHECKING:
    from PIL import Image

    from covergen_cli.config import GenerateConfig
    from covergen_cli.covers.heard import Heard
    from covergen_cli.covers.looks import Look
    from covergen_cli.covers.plan import Job

AUTO = "auto"
"""Chooses a look by the music and the seed."""


PLAIN_LAYOUTS = ("corner", "centre", "poster", "line")
"""Layouts that covers without a look have had from the beginning: drawn in black or white on a veil."""


def settle_look(config: GenerateConfig) -> GenerateConfig:
    """Return the settings with look and palette in their full form, so that covers can record them.

    Raises:
        ConfigError: there is no such look or parameter, or the palette cannot be read.
    """
    look = config.look if config.look == AUTO else str(parse_look(config.look))
    palette = None if config.palette is None else str(palette_from(config.palette))
    return replace(config, look=look, palette=palette)


def must_hear(config: GenerateConfig) -> bool:
    """Return whether the look depends on what is heard."""
    return config.look == AUTO and not config.raw


def look_of(config: GenerateConfig, seed: int, heard: Heard | None) -> Look | None:
    """Return the look of one cover; ``None`` for the picture as the model drew it.

    With ``auto``, the song puts all looks in an order in which likely ones tend to come first, and the seed counts
    along it: the covers of one song with neighbouring seeds differ in look.

    Args:
        config: the settings.
        seed: of the cover.
        heard: what was heard; used with ``auto`` only.
    """
    if config.raw:
        return None
    if config.look != AUTO:
        look = parse_look(config.look)
    elif heard is None:
        return None
    else:
        order = seed_from(f"look:{sorted((name, round(value, 1)) for name, value in heard.descriptors.items())}")
        look = choose_look(heard.descriptors, order, heard.genres, variation=seed)
    return None if look.name == "paint" else look


def style(picture: Image.Image, look: Look, seed: int, config: GenerateConfig) -> tuple[Image.Image, dict[str, str]]:
    """Return a picture in a look at ``config.size``, and what the cover records of it.

    Args:
        picture: as it was drawn, at any size.
        look: from :func:`look_of`.
        seed: of paper, grain and all else that is chance.
        config: the settings.
    """
    palette = None if config.palette is None else palette_from(config.palette)
    image, used = draw_look(picture, look, config.size, seed=seed, palette=palette)
    return image, {"look_drawn": str(look), **({"palette_drawn": str(used)} if used else {})}


def write_cover(job: Job, image: Image.Image, metadata: dict[str, Any], config: GenerateConfig) -> None:
    """Add the text of a cover, and write it to ``job.output`` with its provenance.

    Raises:
        OutputError: the file cannot be written.
    """
    if text := metadata.get("lettering"):
        image, drawn = add_text(image, text, metadata, job.seed, config.font)
        metadata = {**metadata, **drawn}
    save_cover(job.output, image, metadata, job.format, max_bytes(config.store))


def add_text(
    image: Image.Image, text: dict[str, Any], drawn: Mapping[str, Any], seed: int, font: str | None
) -> tuple[Image.Image, dict[str, Any]]:
    """Return a cover with its text, and what the cover records of it.

    Args:
        image: the cover at its size.
        text: from :func:`covergen_cli.covers.text.wording.cover_text`.
        drawn: ``look_drawn`` and ``palette_drawn`` from :func:`style`, if the cover has a look.
        seed: of the cover.
        font: value of ``--font``.

    Raises:
        ConfigError: a font is missing.
    """
    look = parse_look(drawn["look_drawn"]) if "look_drawn" in drawn else None
    settled = settle_text(text, look, seed)
    if look is None and settled["layout"] in PLAIN_LAYOUTS:
        image, contrast = draw_text(image, settled, font)
    else:
        palette = str(drawn.get("palette_drawn") or "")
        hexes = palette.split(",") if palette else []
        cells = getattr(look, "cells", 128)
        image, contrast = draw_styled(image, settled, style_of(look), hexes, own_font=font, cells=cells)
    record = {"text_contrast": round(contrast, 2)}
    if settled == text:
        return image, record
    return image, {**record, "text_drawn": {"layout": settled["layout"], "fonts": settled["fonts"]}}
