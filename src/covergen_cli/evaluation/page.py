"""Renders the HTML pages: each is one self-contained file, in which every value is escaped."""

from __future__ import annotations

import base64
import io
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from PIL import Image

from covergen_cli.evaluation.metrics import format_p


def render(template: str, **values: Any) -> str:
    """Return a page.

    Args:
        template: name of a file in ``templates/``.
        values: the variables of the template.
    """
    return _ENVIRONMENT.get_template(template).render(values)


def format_number(value: float | None, digits: int = 3) -> str:
    """Return a number with so many significant digits, or a dash for ``None``."""
    return "–" if value is None else f"{value:.{digits}g}".replace("-", "−")


def data_uri(path: Path, side: int = 192) -> str:
    """Return an image file, resized to ``side`` × ``side`` pixels, as a ``data:`` URI."""
    with Image.open(path, formats=("JPEG", "PNG", "WEBP")) as opened:
        small = opened.convert("RGB").resize((side, side), Image.Resampling.LANCZOS)
    out = io.BytesIO()
    small.save(out, "JPEG", quality=85)
    return f"data:image/jpeg;base64,{base64.b64encode(out.getvalue()).decode('ascii')}"


_ENVIRONMENT = Environment(
    loader=FileSystemLoader(Path(__file__).with_name("templates")),
    autoescape=True,
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
)
_ENVIRONMENT.filters |= {"number": format_number, "data_uri": data_uri, "p": format_p}
