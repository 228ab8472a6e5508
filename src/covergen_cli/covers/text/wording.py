"""Choose the text of a cover and the font that can display it; no image is needed."""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from covergen_cli.errors import ConfigError
from covergen_cli.files import sha256_file

if TYPE_CHECKING:
    from covergen_cli.config import GenerateConfig

BUNDLED = "Inter Display 3.019"
"""The bundled font: Latin, Greek, Cyrillic; SIL Open Font License (``fonts/OFL.txt``)."""

FALLBACK = "DejaVu Sans"
"""The font of matplotlib: also Armenian, Georgian, Hebrew, Arabic and many symbols."""

MAX_CHARACTERS = 200
"""Longer texts are cut."""

_SHAPED = ("AL", "R")
"""Bidirectional classes of Unicode that only Pillow's raqm layout supports."""


def check_font(config: GenerateConfig) -> None:
    """Check that the user's font can be read.

    Raises:
        ConfigError: it cannot.
    """
    if config.font is not None:
        _characters(font_file(_font_name(config.font), config.font))


def cover_text(config: GenerateConfig, song: Path, *, album: bool = False) -> tuple[dict[str, Any] | None, list[str]]:
    """Return the text of a cover.

    Args:
        config: ``title``, ``artist``, ``text``, ``layout`` and ``font`` are used.
        song: its tags are read if ``config.text`` is ``tags``.
        album: use the tags for album and album artist.

    Returns:
        A JSON-able dict of ``title``, ``artist`` (``None`` when absent), ``layout`` and ``fonts`` (text → font), or
        ``None`` when there is no text; and notes on what could not be done as requested.

    Raises:
        InputError: the song cannot be read.
        ConfigError: the font cannot be read.
    """
    texts: dict[str, str | None] = {"title": config.title, "artist": config.artist}
    notes: list[str] = []
    if config.text == "tags" and not all(texts.values()):
        from covergen_cli.audio.io import probe

        info = probe(song)
        title = info.tags.album if album else info.title
        artist = info.tags.album_artist if album else None
        texts = {"title": config.title or title, "artist": config.artist or artist or info.artist}
        notes += [f"has no {name} in its tags; the cover gets none" for name, text in texts.items() if not text]
    fonts: dict[str, str] = {}
    for name, text in texts.items():
        texts[name], font, new_notes = _choose_font(name, _cleaned(text or ""), config.font)
        notes += new_notes
        if texts[name]:
            fonts[name] = font
    return ({**texts, "layout": config.layout, "fonts": fonts} if fonts else None), notes


def _cleaned(text: str) -> str:
    """Return a text in one line, without control characters, and composed (NFC), as fonts have composed letters."""
    printable = "".join(c if unicodedata.category(c) != "Cc" else " " for c in text)
    return unicodedata.normalize("NFC", " ".join(printable.split()))


def _choose_font(name: str, text: str, own: str | None) -> tuple[str | None, str, list[str]]:
    """Return the text that can be displayed, its font, and notes on what was changed."""
    if not text:
        return None, "", []
    notes = []
    if len(text) > MAX_CHARACTERS:
        text = text[: MAX_CHARACTERS - 1].rstrip() + "…"
        notes.append(f"the {name} is longer than {MAX_CHARACTERS} characters and was cut")
    fonts = [*([_font_name(own)] if own else []), BUNDLED, FALLBACK]
    best = best_font(text, fonts, own)
    if best != fonts[0]:
        lacking = "".join(sorted(_missing(text, fonts[0], own)))
        notes.append(f"{fonts[0]} lacks {lacking!r}; the {name} is set in {best}")
    missing = _missing(text, best, own)
    if not missing:
        if _can_shape(text):
            return text, best, notes
        message = f"this build of Pillow does not support right-to-left text (no raqm), so the {name} is omitted"
        return None, "", [*notes, message]
    lost = "".join(sorted(missing))
    kept = " ".join("".join(c for c in text if c not in missing).split())
    if any(unicodedata.category(c)[0] in "LMN" for c in lost) or not kept:
        # A title with letters missing would be another title.
        return None, "", [f"no available font has {lost!r}, so the {name} is omitted; use --font with one that has"]
    return kept, best, [*notes, f"no available font has {lost!r}; the {name} is set without"]


def best_font(text: str, fonts: Sequence[str], own: str | None = None) -> str:
    """Return the first of the fonts that lack the fewest characters of a text."""
    return min(fonts, key=lambda font: len(_missing(text, font, own)))


def _missing(text: str, font: str, own: str | None) -> set[str]:
    known = _characters(font_file(font, own))
    return {c for c in text if ord(c) not in known and not c.isspace() and unicodedata.category(c) != "Cf"}


def _font_name(font: str) -> str:
    """Return a name for the user's font from its file name and content, as its path means nothing elsewhere."""
    path = Path(font).expanduser()
    try:
        return f"{path.name} {sha256_file(path)[:16]}"
    except OSError as error:
        raise ConfigError(f"the font {font} cannot be read: {error.strerror or error}") from error


def font_file(name: str, own: str | None) -> Path:
    """Return the file of a font.

    Args:
        name: from :func:`cover_text`.
        own: path of the user's font.

    Raises:
        ConfigError: the name is that of a user's font, but ``own`` is missing or another font.
    """
    if name == BUNDLED:
        return Path(__file__).parent / "fonts" / "InterDisplay.ttf"
    if name == FALLBACK:
        import matplotlib as mpl

        return Path(mpl.get_data_path()) / "fonts" / "ttf" / "DejaVuSans-Bold.ttf"
    if own is None or _font_name(own) != name:
        raise ConfigError(f"the cover is set in the font {name}", hint="Give it with --font.")
    return Path(own).expanduser()


@cache
def _characters(path: Path) -> frozenset[int]:
    from matplotlib.ft2font import FT2Font

    try:
        return frozenset(FT2Font(str(path)).get_charmap())
    except (OSError, RuntimeError) as error:
        raise ConfigError(f"{path} is not a font or is damaged", hint="Give a TrueType or OpenType file.") from error


def _can_shape(text: str) -> bool:
    from PIL import features

    return bool(features.check("raqm")) or not any(unicodedata.bidirectional(c) in _SHAPED for c in text)
