"""Pieces of an HTML page that stands alone: everything inside, nothing fetched, every text escaped."""

from __future__ import annotations

import base64
import html
import io
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from PIL import Image

_STYLE = Path(__file__).with_name("style.css")
_POLICY = "default-src 'none'; img-src data:; style-src 'unsafe-inline'"


def text(value: object) -> str:
    """Escape for HTML, attributes included."""
    return html.escape(str(value), quote=True)


def number(value: float | None, digits: int = 3) -> str:
    """A number with so many significant digits; a dash for none."""
    if value is None:
        return "–"
    plain = f"{value:.{digits}g}"
    return plain.replace("-", "−")


def plus_minus(estimate: Mapping[str, float] | None, key: str = "value") -> str:
    """``0.113 <span>0.108 to 0.118</span>``: an estimate with its interval."""
    if estimate is None:
        return "–"
    interval = f"{number(estimate['low'])} to {number(estimate['high'])}"
    return f'{number(estimate[key])} <span class="interval">{interval}</span>'


def table(head: Sequence[str], rows: Iterable[Sequence[str]], caption: str = "") -> str:
    """A table; cells are HTML, the first of each row is its heading."""
    top = "".join(f'<th scope="col">{cell}</th>' for cell in head)
    body = "".join(
        f'<tr><th scope="row">{row[0]}</th>{"".join(f"<td>{cell}</td>" for cell in row[1:])}</tr>' for row in rows
    )
    said = f"<caption>{caption}</caption>" if caption else ""
    return f'<div class="wide"><table>{said}<thead><tr>{top}</tr></thead><tbody>{body}</tbody></table></div>'


def section(title: str, *parts: str) -> str:
    """A section with a heading; title and parts are HTML."""
    return f"<section><h2>{title}</h2>{''.join(parts)}</section>"


def figure(svg: str | None, caption: str) -> str:
    """A plot with its caption; nothing when there is no plot."""
    return "" if svg is None else f"<figure>{svg}<figcaption>{caption}</figcaption></figure>"


def picture(path: Path, description: str, side: int = 192) -> str:
    """An image file, reduced and put inside the page.

    Args:
        path: any picture that Pillow reads as JPEG, PNG or WebP.
        description: for who cannot see it; plain text.
        side: pixels per side.
    """
    with Image.open(path, formats=("JPEG", "PNG", "WEBP")) as opened:
        small = opened.convert("RGB").resize((side, side), Image.Resampling.LANCZOS)
    out = io.BytesIO()
    small.save(out, "JPEG", quality=85)
    data = base64.b64encode(out.getvalue()).decode("ascii")
    return f'<img src="data:image/jpeg;base64,{data}" alt="{text(description)}" width="{side}" height="{side}">'


def page(title: str, *parts: str) -> str:
    """A whole page; the title is plain text, the parts are HTML."""
    style = _STYLE.read_text(encoding="utf-8")
    return (
        '<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8">'
        f'<meta http-equiv="Content-Security-Policy" content="{_POLICY}">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{text(title)}</title><style>{style}</style></head><body><main>{''.join(parts)}</main></body></html>\n"
    )
