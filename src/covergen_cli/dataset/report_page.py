"""The pieces of the page that shows a dataset; private to this package."""

from __future__ import annotations

import base64
import html
import io
import warnings
from bisect import bisect_right
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from itertools import pairwise
from pathlib import Path

from PIL import Image

from covergen_cli.dataset.images.clean import FORMATS, MOST_DECODED_PIXELS
from covergen_cli.dataset.images.text_area import MUCH_TEXT

CLOSE_SHEET = "</div>\n"
END = "</main></body></html>\n"

_THUMBNAIL = 112
_LONGEST_TEXT = 160
_BARS = 30
_REASONS = 25
_LENGTHS = (5, 10, 15, 20, 25, 29, 31, 35, 60, 120, 180, 240, 300, 420, 600, 1200)
_SIZES = (1, 2, 3, 4, 6, 11, 21, 51, 101)
_SHARES = (0.0, 0.01, 0.02, MUCH_TEXT, 0.08, 0.16, 0.32)
_STYLE = """
:root { color-scheme: light dark; --line: #8884; --bar: #5b7bd5; }
body { font: 15px/1.45 system-ui, sans-serif; margin: 0; }
main { max-width: 1000px; margin: 0 auto; padding: 1.5rem; }
h1 { font-size: 1.5rem; margin: 0; } h2 { font-size: 1.1rem; margin: 2rem 0 .6rem; }
h3 { font-size: .95rem; margin: 1rem 0 .4rem; font-weight: 500; overflow-wrap: anywhere; }
.facts { display: flex; flex-wrap: wrap; gap: .6rem 2rem; margin: 1rem 0; } .facts div { min-width: 5rem; }
.facts b { display: block; font-size: 1.3rem; font-weight: 600; } .facts span, .more { opacity: .7; }
table { border-collapse: collapse; width: 100%; } td, th { text-align: left; padding: .2rem .6rem .2rem 0; }
td { border-top: 1px solid var(--line); vertical-align: top; overflow-wrap: anywhere; }
td.n { text-align: right; width: 5rem; font-variant-numeric: tabular-nums; white-space: nowrap; }
td.l { width: 13rem; } .bar { background: var(--bar); height: .8rem; margin-top: .3rem; border-radius: 2px; }
.sheet { display: grid; grid-template-columns: repeat(auto-fill, minmax(112px, 1fr)); gap: .8rem; }
figure { margin: 0; font-size: .75rem; line-height: 1.3; overflow-wrap: anywhere; }
figcaption { display: -webkit-box; -webkit-box-orient: vertical; -webkit-line-clamp: 3; overflow: hidden; }
figure img, .none { width: 112px; height: 112px; display: block; border-radius: 3px; margin-bottom: .2rem; }
.none { border: 1px dashed var(--line); box-sizing: border-box; padding: .4rem; overflow: hidden; }
"""


def _text(value: str) -> str:
    """Make any text safe to stand in the page, and short."""
    value = " ".join(value.encode("utf-8", "replace").decode().split())
    return html.escape(value if len(value) <= _LONGEST_TEXT else value[: _LONGEST_TEXT - 1] + "…")


def head(name: str, source: str) -> str:
    """Begin the page; its policy forbids scripts and everything from outside."""
    came = f'<p class="more">from {_text(source)}</p>' if source else ""
    return (
        '<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta http-equiv="Content-Security-Policy" content="default-src \'none\'; img-src data:; '
        "style-src 'unsafe-inline'\">"
        f'<meta name="viewport" content="width=device-width"><title>{_text(name)}</title>'
        f"<style>{_STYLE}</style></head><body><main>\n<h1>{_text(name)}</h1>{came}\n"
    )


def facts(said: Mapping[str, str]) -> str:
    """Show numbers with their names."""
    parts = (f"<div><b>{_text(value)}</b><span>{_text(name)}</span></div>" for name, value in said.items())
    return f'<div class="facts">{"".join(parts)}</div>\n'


def reasons(rows: Sequence[tuple[str, str, int, str]]) -> str:
    """List why rows are no pairs: status, cause, how many, and one reason in full."""
    lines = (
        f'<tr><td class="n">{count:,}</td><td>{_text(status)}</td><td>{_text(cause)}</td><td>{_text(example)}</td></tr>'
        for status, cause, count, example in rows[:_REASONS]
    )
    more = f'<p class="more">and {len(rows) - _REASONS} rarer causes</p>' if len(rows) > _REASONS else ""
    header = "<tr><th></th><th>status</th><th>cause</th><th>for example</th></tr>"
    return f"<h2>Rows that gave no pair</h2><table>{header}{''.join(lines)}</table>{more}\n"


def bars(title: str, counts: Sequence[tuple[str, int]]) -> str:
    """Draw a histogram."""
    top = max((count for _, count in counts), default=1)
    total = sum(count for _, count in counts) or 1
    lines = (
        f'<tr><td class="l">{_text(name)}</td><td class="n">{count:,}</td>'
        f'<td class="n">{100 * count / total:.1f} %</td>'
        f'<td><div class="bar" style="width:{100 * count / top:.1f}%"></div></td></tr>'
        for name, count in counts
    )
    return f"<h2>{_text(title)}</h2><table>{''.join(lines)}</table>\n"


def most(counts: Counter[str]) -> list[tuple[str, int]]:
    """The most frequent values; the rest together."""
    named = [(name or "not said", count) for name, count in sorted(counts.items(), key=lambda one: (-one[1], one[0]))]
    rest = named[_BARS:]
    return named[:_BARS] + [(f"{len(rest)} others", sum(count for _, count in rest))] * bool(rest)


def lengths(seconds: Iterable[float]) -> list[tuple[str, int]]:
    """Music by length."""
    names = [f"{low}–{high} s" for low, high in pairwise((0, *_LENGTHS))]
    return _binned(seconds, _LENGTHS, [*names, f"{_LENGTHS[-1]} s or more"])


def shares(lettering: Iterable[float]) -> list[tuple[str, int]]:
    """Covers by their share of lettering."""
    names = [f"{100 * low:g}–{100 * high:g} %" for low, high in pairwise(_SHARES)]
    return _binned(lettering, _SHARES[1:], [*names, f"{100 * _SHARES[-1]:g} % or more"])


def sizes(groups: Counter[str]) -> list[tuple[str, int]]:
    """Pairs by the size of their group."""
    names = [f"{low}–{high - 1}" if high - low > 1 else f"{low}" for low, high in pairwise(_SIZES)]
    found = [0] * len(_SIZES)
    for size in groups.values():
        found[bisect_right(_SIZES, size) - 1] += size
    labels = ["alone", *(f"{name} together" for name in [*names[1:], f"{_SIZES[-1]} or more"])]
    return [(label, count) for label, count in zip(labels, found, strict=True) if count]


def _binned(values: Iterable[float], edges: Sequence[float], names: Sequence[str]) -> list[tuple[str, int]]:
    """Count values between edges; empty bins at both ends are left out."""
    found = [0] * len(names)
    for value in values:
        found[bisect_right(edges, value)] += 1
    filled = [index for index, count in enumerate(found) if count]
    span = slice(filled[0], filled[-1] + 1) if filled else slice(0)
    return list(zip(names, found, strict=True))[span]


def open_sheet(title: str, *, level: int = 2) -> str:
    """Begin a sheet of figures."""
    return f'<h{level}>{_text(title)}</h{level}><div class="sheet">\n'


def figure(path: Path | None, name: str, artist: str, fault: str | None) -> str:
    """Show a cover with its title and artist."""
    thumbnail = None if path is None else _thumbnail(path)
    picture = f'<div class="none">{_text(fault or "no picture")}</div>'
    if thumbnail is not None:
        picture = f'<img alt="" src="data:image/jpeg;base64,{base64.b64encode(thumbnail).decode()}">'
    by = f'<div class="more">{_text(artist)}</div>' if artist else ""
    return f"<figure>{picture}<figcaption>{_text(name)}</figcaption>{by}</figure>\n"


def _thumbnail(path: Path) -> bytes | None:
    """Make a small JPEG of a cover; ``None`` where it cannot be read."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            with Image.open(path, formats=FORMATS) as image:
                if image.width * image.height > MOST_DECODED_PIXELS:
                    return None
                image.draft("RGB", (_THUMBNAIL, _THUMBNAIL))
                small = image.convert("RGB")
                small.thumbnail((_THUMBNAIL, _THUMBNAIL))
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError, Image.DecompressionBombWarning):
        return None
    out = io.BytesIO()
    small.save(out, "JPEG", quality=80)
    return out.getvalue()
