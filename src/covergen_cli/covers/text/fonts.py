"""Find fonts: the bundled ones, the user's file, and those installed on this machine."""

from __future__ import annotations

import os
import sys
import unicodedata
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from covergen_cli.errors import ConfigError
from covergen_cli.files import sha256_file


@dataclass(frozen=True)
class BundledFont:
    """A font that comes with covergen, under the SIL Open Font License (``fonts/*OFL.txt``).

    Args:
        name: family and version, as covers record it.
        file: name in ``fonts/``.
        scale: factor on font sizes, so that all fonts look equally large.
        leading: distance between two baselines, in font sizes.
        unit: font size, in pixels, at which its squares are pixels; ``None`` if it is no pixel font.
    """

    name: str
    file: str
    scale: float = 1.0
    leading: float = 1.08
    unit: float | None = None


FONTS = {
    "inter": BundledFont("Inter Display 3.019", "InterDisplay.ttf"),
    "dm-serif-display": BundledFont("DM Serif Display 5.200", "DMSerifDisplay.ttf", scale=1.1, leading=1.06),
    "anton": BundledFont("Anton 2.116", "Anton.ttf", scale=1.12, leading=1.3),
    "jersey-10": BundledFont("Jersey 10 1.001", "Jersey10.ttf", scale=2.2, leading=0.86, unit=1400 / 75),
}
"""Bundled fonts by the name that ``--font`` takes: Inter has Latin, Greek and Cyrillic letters, the others Latin."""

BUNDLED = FONTS["inter"].name
"""The default font."""

FALLBACK = "DejaVu Sans"
"""The font of matplotlib: also Armenian, Georgian, Hebrew, Arabic and many symbols."""

_BY_NAME = {font.name: font for font in FONTS.values()}
_SUFFIXES = (".ttf", ".otf", ".ttc", ".otc")
_PREFERRED = ("notosanscjk", "sourcehansans", "notosans", "hiragino", "applesdgothic", "pingfang", "yugoth", "msyh")
"""Beginnings of file names of fonts with many letters in a plain style, without spaces and hyphens."""


def bundled(name: str) -> BundledFont | None:
    """Return the bundled font that a cover records as ``name``."""
    return _BY_NAME.get(name)


def font_name(font: str) -> str:
    """Return the name that covers record for a value of ``--font``: of a file, its name and the hash of its content.

    Raises:
        ConfigError: the file cannot be read.
    """
    if font in FONTS:
        return FONTS[font].name
    path = Path(font).expanduser()
    try:
        return _file_name(path)
    except OSError as error:
        known = ", ".join(FONTS)
        raise ConfigError(
            f"the font {font} cannot be read: {error.strerror or error}", hint=f"Give a font file, or one of {known}."
        ) from error


def _file_name(path: Path) -> str:
    return f"{path.name} {sha256_file(path)[:16]}"


def font_file(name: str, own: str | None) -> Path:
    """Return the file of a font.

    Args:
        name: as covers record it.
        own: value of ``--font``.

    Raises:
        ConfigError: it is neither a bundled font, nor ``own``, nor installed.
    """
    if name in _BY_NAME:
        return Path(__file__).parent / "fonts" / _BY_NAME[name].file
    if name == FALLBACK:
        import matplotlib as mpl

        return Path(mpl.get_data_path()) / "fonts" / "ttf" / "DejaVuSans-Bold.ttf"
    if own is not None and own not in FONTS and font_name(own) == name:
        return Path(own).expanduser()
    for path in installed_fonts():
        if name.startswith(f"{path.name} ") and _file_name(path) == name:
            return path
    raise ConfigError(f"the cover is set in the font {name}, which is not installed", hint="Give it with --font.")


def font_folders() -> list[Path]:
    """Return the folders in which this system keeps fonts, those of the user first."""
    home = Path.home()
    if sys.platform == "win32":
        local, windows = os.environ.get("LOCALAPPDATA", home), os.environ.get("WINDIR", "C:/Windows")
        return [Path(local, "Microsoft/Windows/Fonts"), Path(windows, "Fonts")]
    if sys.platform == "darwin":
        return [home / "Library/Fonts", Path("/Library/Fonts"), Path("/System/Library/Fonts")]
    shared = [Path("/usr/local/share/fonts"), Path("/usr/share/fonts")]
    return [home / ".fonts", home / ".local/share/fonts", *shared]


def installed_fonts() -> Iterator[Path]:
    """Yield the font files of this system, those with many letters in a plain style first."""
    paths = [
        Path(folder, name)
        for top in font_folders()
        for folder, _, names in os.walk(top)
        for name in names
        if name.lower().endswith(_SUFFIXES)
    ]
    yield from sorted(paths, key=_preference)


def _preference(path: Path) -> tuple[int, bool, str, str]:
    plain = path.name.lower().replace("-", "").replace(" ", "")
    rank = next((index for index, start in enumerate(_PREFERRED) if plain.startswith(start)), len(_PREFERRED))
    return rank, "bold" not in plain or "italic" in plain, path.name, str(path)


def installed_font(text: str) -> Path | None:
    """Return an installed font that can draw all of a text in one colour, ``None`` if there is none."""
    return next((path for path in installed_fonts() if _can_draw(path, text)), None)


def _can_draw(path: Path, text: str) -> bool:
    from PIL import ImageFont

    try:
        if missing(text, path):
            return False
        # Fonts of coloured bitmaps, as for emoji, exist in one size only.
        left, top, right, bottom = ImageFont.truetype(str(path), 40).getbbox(text)
    except (ConfigError, OSError, ValueError):
        return False
    return right > left and bottom > top


def best_font(text: str, names: Sequence[str], own: str | None = None) -> str:
    """Return the first of the fonts that lack the fewest characters of a text."""
    return min(names, key=lambda name: len(missing(text, font_file(name, own))))


def missing(text: str, path: Path) -> set[str]:
    """Return the visible characters of a text that a font lacks.

    Raises:
        ConfigError: the font cannot be read.
    """
    known = _characters(path)
    return {c for c in text if ord(c) not in known and not c.isspace() and unicodedata.category(c) != "Cf"}


@cache
def _characters(path: Path) -> frozenset[int]:
    from matplotlib.ft2font import FT2Font

    try:
        return frozenset(FT2Font(str(path)).get_charmap())
    except (OSError, RuntimeError) as error:
        raise ConfigError(f"{path} is not a font or is damaged", hint="Give a TrueType or OpenType file.") from error
