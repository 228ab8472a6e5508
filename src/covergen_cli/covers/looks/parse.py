"""Looks by name, and their text form: ``halftone:pitch=60,angle=15``."""

from __future__ import annotations

import typing
from dataclasses import fields

from covergen_cli.config.coerce import coerce, nearest
from covergen_cli.covers.looks.contour import Contour
from covergen_cli.covers.looks.cutout import Cutout
from covergen_cli.covers.looks.dither import Dither
from covergen_cli.covers.looks.engraving import Engraving
from covergen_cli.covers.looks.fluted import Fluted
from covergen_cli.covers.looks.grain import Grain
from covergen_cli.covers.looks.halftone import Halftone
from covergen_cli.covers.looks.paint import Paint
from covergen_cli.covers.looks.poster import Poster
from covergen_cli.covers.looks.riso import Riso
from covergen_cli.errors import ConfigError

if typing.TYPE_CHECKING:
    from collections.abc import Mapping

    from covergen_cli.covers.looks.base import Look

LOOKS: dict[str, type[Look]] = {
    look.name: look for look in (Paint, Cutout, Poster, Contour, Fluted, Halftone, Riso, Dither, Engraving, Grain)
}


def parse_look(text: str) -> Look:
    """Return the look that a text names, such as ``cutout`` or ``halftone:pitch=60,angle=15``.

    Raises:
        ConfigError: when there is no such look or parameter, or a value is out of bounds.
    """
    name, _, settings = text.strip().partition(":")
    if name not in LOOKS:
        raise ConfigError(f"there is no look {name!r}", hint=nearest(name, list(LOOKS), "looks"))
    values: dict[str, object] = {}
    for setting in filter(None, settings.split(",")):
        key, equals, value = (part.strip() for part in setting.partition("="))
        if not equals:
            raise ConfigError(f"{setting.strip()!r} is not a parameter", hint=f"write {name}:key=value,key=value")
        values[key] = value
    return make_look(LOOKS[name], values)


def make_look(kind: type[Look], values: Mapping[str, object]) -> Look:
    """Return a look with the given parameters, each checked against its bounds; the others keep their defaults.

    Raises:
        ConfigError: as :func:`parse_look`.
    """
    hints = typing.get_type_hints(kind, include_extras=True)
    known = [field.name for field in fields(kind)]
    for key in values:
        if key not in known:
            hint = nearest(key, known, "parameters") if known else f"{kind.name} has no parameters"
            raise ConfigError(f"the look {kind.name} has no parameter {key!r}", hint=hint)
    return kind(**{key: coerce(value, hints[key], f"{kind.name}:{key}") for key, value in values.items()})
