"""Styles a drawn picture: chooses a look for the song, applies it, adds the text, and writes the cover."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from covergen_cli.covers.looks import LOOKS, choose_look, draw_look, look_svg, look_weights, palette_from, parse_look
from covergen_cli.covers.stores import max_bytes
from covergen_cli.covers.text.finish import draw_styled
from covergen_cli.covers.text.layout import draw_text
from covergen_cli.covers.text.styles import resolve_text, style_of
from covergen_cli.covers.text.vector import TEXT_SIDE, text_svg
from covergen_cli.errors import ConfigError
from covergen_cli.files import seed_from
from covergen_cli.provenance import save_cover, save_svg

if TYPE_CHECKING:
    from PIL import Image

    from covergen_cli.config import GenerateConfig
    from covergen_cli.covers.heard import Heard
    from covergen_cli.covers.looks import Look
    from covergen_cli.covers.picture_cache import RawPicture
    from covergen_cli.covers.plan import Job

    Finish = Callable[[Image.Image, int, GenerateConfig], Image.Image]
    """Returns a picture, given the seed that drew it, at the size of the file."""

AUTO = "auto"
"""Chooses a look by the music and the seed."""

PLAIN_LAYOUTS = ("corner", "centre", "poster", "line")
"""Layouts that covers without a look have had from the beginning: drawn in black or white on a veil."""

_PALETTE_SIDE = 64
"""Pixels per side of the drawing that only tells the palette of a vector cover without text."""


def resolve_look(config: GenerateConfig) -> GenerateConfig:
    """Return the settings with all parameters of the look and all colours of the palette, for covers to record.

    Raises:
        ConfigError: there is no such look or parameter, or the palette cannot be read.
    """
    look = config.look if config.look == AUTO else str(parse_look(config.look))
    palette = None if config.palette is None else str(palette_from(config.palette))
    return replace(config, look=look, palette=palette)


def must_hear(config: GenerateConfig) -> bool:
    """Return whether the look, or the model's picture when it is steered, depends on the analysis of the song."""
    return (config.look == AUTO and not config.raw) or config.steer is not None


def look_of(config: GenerateConfig, job: Job, heard: Heard | None) -> Look | None:
    """Return the look of one cover; ``None`` for the picture as the model drew it.

    With ``auto``, the song puts all looks in an order in which likely ones tend to come first, and the seed counts
    along it: the covers of one song with neighbouring seeds differ in look. For a vector file, only looks of flat
    shapes are in that order.

    Args:
        config: the settings.
        job: its seed and format are used.
        heard: analysis of the song; used with ``auto`` only.
    """
    if config.raw:
        return None
    if config.look != AUTO:
        look = parse_look(config.look)
    elif heard is None:
        return None
    else:
        order = seed_from(f"look:{sorted((name, round(value, 1)) for name, value in heard.descriptors.items())}")
        look = choose_look(heard.descriptors, order, heard.genres, variation=job.seed)
        if job.format == "svg":
            looks = [
                choose_look(heard.descriptors, order, heard.genres, variation=place) for place in range(len(LOOKS))
            ]
            vector = [one for one in dict.fromkeys(looks) if one.vector]
            look = vector[job.seed % len(vector)]
    return None if look.name == "paint" else look


def explain_look(config: GenerateConfig, job: Job, heard: Heard | None) -> list[str]:
    """Return why a cover has its look, in lines."""
    look = look_of(config, job, heard)
    if look is None or heard is None or config.look != AUTO:
        return [f"look: {look}, as asked" if look else "no look: the picture as it was drawn"]
    weights = look_weights(heard.descriptors, heard.genres)
    likely = ", ".join(f"{name} {weight:.0%}" for name, weight in sorted(weights.items(), key=lambda pair: -pair[1]))
    unusual = sorted(heard.descriptors.items(), key=lambda pair: -abs(pair[1] - 0.5))[:3]
    return [
        f"look: {look}",
        f"chosen by the song and seed {job.seed}, the next seed takes another",
        f"how likely each look was: {likely}",
        f"heard most clearly: {', '.join(f'{name} {value:.2f}' for name, value in unusual)}",
        f"genre in the tags: {', '.join(heard.genres) or 'none'}",
    ]


def check_vector(jobs: Sequence[Job], config: GenerateConfig) -> None:
    """Check that the look can be written in the file format of every cover.

    Raises:
        ConfigError: it cannot.
    """
    vector = [name for name, look in LOOKS.items() if look.vector]
    svg = next((job for job in jobs if job.format == "svg"), None)
    chosen = "paint" if config.raw else config.look.partition(":")[0]
    if svg is not None and chosen not in {AUTO, *vector}:
        raise ConfigError(
            f"the look {chosen} cannot be written as SVG ({svg.output})",
            hint=f"Use --look {', '.join(vector[:-1])} or {vector[-1]}, or another --format.",
        )


def style_and_save(
    job: Job,
    picture: RawPicture,
    provenance: dict[str, Any],
    config: GenerateConfig,
    look: Look | None,
    finish: Finish | None,
) -> None:
    """Apply the look to a picture or enlarge it, add its text, and write it to ``job.output`` with its provenance.

    Args:
        job: the cover's job.
        picture: as it was drawn.
        provenance: without what is added here: the palette, the drawn text and the size of the picture.
        config: the settings.
        look: from :func:`look_of`.
        finish: makes the cover where there is no look; not used with one.

    Raises:
        OutputError: the file cannot be written.
    """
    image, text = picture.image, provenance.get("lettering")
    provenance = {**provenance, **picture.prompts.as_provenance(), "native_size": image.width}
    palette = None if config.palette is None else palette_from(config.palette)
    if look is None:
        cover = image if finish is None else finish(image, picture.seed, config)
    else:
        size = config.size if job.format != "svg" else TEXT_SIDE if text else _PALETTE_SIDE
        cover, used = draw_look(image, look, size, seed=picture.seed, palette=palette)
        provenance |= {"look_drawn": str(look), **({"palette_drawn": str(used)} if used else {})}
    if job.format == "svg":
        if look is None:
            raise ConfigError("a cover without a look cannot be written as SVG", hint="Use --look cutout.")
        overlay = ""
        if text:
            overlay, drawn = _text_elements(cover, text, provenance, look, job.seed, config.font)
            provenance |= drawn
        save_svg(job.output, look_svg(image, look, seed=picture.seed, palette=palette, overlay=overlay), provenance)
        return
    if text:
        cover, drawn = add_text(cover, text, provenance, job.seed, config.font)
        provenance |= drawn
    save_cover(job.output, cover, provenance, job.format, max_bytes(config.store))


def _text_elements(
    image: Image.Image, text: dict[str, Any], drawn: Mapping[str, Any], look: Look, seed: int, font: str | None
) -> tuple[str, dict[str, Any]]:
    """Return the text of a vector cover as SVG elements, and what the cover records of it."""
    settled = resolve_text(text, look, seed)
    elements, contrast = text_svg(image, settled, style_of(look), drawn["palette_drawn"].split(","), own_font=font)
    return elements, _text_record(text, settled, contrast)


def _text_record(text: dict[str, Any], settled: dict[str, Any], contrast: float) -> dict[str, Any]:
    record: dict[str, Any] = {"text_contrast": round(contrast, 2)}
    if settled != text:
        record["text_drawn"] = {"layout": settled["layout"], "fonts": settled["fonts"]}
    return record


def add_text(
    image: Image.Image, text: dict[str, Any], drawn: Mapping[str, Any], seed: int, font: str | None
) -> tuple[Image.Image, dict[str, Any]]:
    """Return a cover with its text, and what the cover records of it.

    Args:
        image: the cover at its size.
        text: from :func:`covergen_cli.covers.text.wording.cover_text`.
        drawn: with ``look_drawn`` and ``palette_drawn`` if the cover has a look.
        seed: of the cover.
        font: value of ``--font``.

    Raises:
        ConfigError: a font is missing.
    """
    look = parse_look(drawn["look_drawn"]) if "look_drawn" in drawn else None
    settled = resolve_text(text, look, seed)
    if look is None and settled["layout"] in PLAIN_LAYOUTS:
        image, contrast = draw_text(image, settled, font)
    else:
        palette = str(drawn.get("palette_drawn") or "")
        hexes = palette.split(",") if palette else []
        cells = getattr(look, "cells", 128)
        image, contrast = draw_styled(image, settled, style_of(look), hexes, own_font=font, cells=cells)
    return image, _text_record(text, settled, contrast)
