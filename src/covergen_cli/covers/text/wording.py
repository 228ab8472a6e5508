"""Which words a cover shall bear, and which font can write them: everything about text that needs no picture."""

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
"""The font that ships: SIL Open Font License, beside it in ``fonts/OFL.txt``; Latin, Greek, Cyrillic."""

FALLBACK = "DejaVu Sans"
"""Comes with matplotlib; has, besides, Armenian, Georgian, Hebrew, Arabic and many symbols."""

MAX_CHARACTERS = 200
"""Longer texts are cut: no cover can show them."""

_SHAPED = ("AL", "R")
"""Directions (Unicode's bidirectional classes) that only Pillow's raqm layout sets rightly."""


def check_font(config: GenerateConfig) -> None:
    """Find out before anything is drawn that the user's font can be read.

    Raises:
        ConfigError: it cannot.
    """
    if config.font is not None:
        _characters(font_file(_named(config.font), config.font))


def wanted_lettering(
    config: GenerateConfig, song: Path, *, album: bool = False
) -> tuple[dict[str, Any] | None, list[str]]:
    """Settle the words of a cover.

    Args:
        config: ``title``, ``artist``, ``text``, ``layout`` and ``font`` count.
        song: its tags are read with ``text: tags``.
        album: the cover is for the whole album of the song, so that its title and artist are meant.

    Returns:
        JSON-able: ``title``, ``artist`` (``None`` when absent), ``layout`` and ``fonts``, the font of each; or ``None``
        when there is nothing to set. Then, what could not be done as asked.

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
        notes += [f"has no {name} in its tags; none is set" for name, text in texts.items() if not text]
    fonts: dict[str, str] = {}
    for name, text in texts.items():
        texts[name], font, note = _settable(name, text, config.font)
        notes += note
        if texts[name]:
            fonts[name] = font
    if not fonts:
        return None, notes
    return {**texts, "layout": config.layout, "fonts": fonts}, notes


def _settable(name: str, text: str | None, font: str | None) -> tuple[str | None, str, list[str]]:
    """Return the text as it can be set, the font that can, and what had to be given up."""
    # Controls and line ends have no place on a cover; composed letters are what fonts have.
    cleaned = " ".join("".join(c if unicodedata.category(c) != "Cc" else " " for c in text or "").split())
    cleaned = unicodedata.normalize("NFC", cleaned)
    notes = []
    if len(cleaned) > MAX_CHARACTERS:
        cleaned = cleaned[: MAX_CHARACTERS - 1].rstrip() + "…"
        notes.append(f"the {name} is longer than {MAX_CHARACTERS} characters and was cut")
    if not cleaned:
        return None, "", notes
    candidates = [_named(font)] if font else []
    candidates += [BUNDLED, FALLBACK]
    missing = {candidate: _missing(cleaned, candidate, font) for candidate in candidates}
    best = best_font(cleaned, candidates, font)
    lost = "".join(sorted(missing[best]))
    if best != candidates[0]:
        notes.append(f"{candidates[0]} lacks {''.join(sorted(missing[candidates[0]]))!r}; the {name} is set in {best}")
    if not lost:
        return (cleaned, best, notes) if _can_shape(cleaned) else (None, "", [*notes, _unshaped(name)])
    kept = " ".join("".join(c for c in cleaned if c not in missing[best]).split())
    if any(unicodedata.category(c)[0] in "LMN" for c in lost) or not kept:
        # A title with letters missing would be another title.
        return None, "", [f"no font at hand has {lost!r}, so the {name} is left off; give one that has with --font"]
    return kept, best, [*notes, f"no font at hand has {lost!r}; the {name} is set without"]


def best_font(text: str, fonts: Sequence[str], own: str | None = None) -> str:
    """Return the first of the fonts that lacks fewest of a text's characters."""
    return min(fonts, key=lambda font: len(_missing(text, font, own)))


def _missing(text: str, font: str, own: str | None) -> set[str]:
    known = _characters(font_file(font, own))
    return {c for c in text if ord(c) not in known and not c.isspace() and unicodedata.category(c) != "Cf"}


def _named(font: str) -> str:
    """Name a font of the user's by its file's name and content, as its place means nothing elsewhere."""
    path = Path(font).expanduser()
    try:
        return f"{path.name} {sha256_file(path)[:16]}"
    except OSError as error:
        raise ConfigError(f"the font {font} cannot be read: {error.strerror or error}") from error


def font_file(name: str, own: str | None) -> Path:
    """Find the file of a font that :func:`wanted_lettering` named; ``own`` is the user's, where there is one.

    Raises:
        ConfigError: it is the user's, and that is another or missing.
    """
    if name == BUNDLED:
        return Path(__file__).parent / "fonts" / "InterDisplay.ttf"
    if name == FALLBACK:
        import matplotlib as mpl

        return Path(mpl.get_data_path()) / "fonts" / "ttf" / "DejaVuSans-Bold.ttf"
    if own is None or _named(own) != name:
        raise ConfigError(f"the cover is set in the font {name}", hint="Give it with --font.")
    return Path(own).expanduser()


@cache
def _characters(path: Path) -> frozenset[int]:
    from matplotlib.ft2font import FT2Font

    try:
        return frozenset(FT2Font(str(path)).get_charmap())
    except (OSError, RuntimeError) as error:
        raise ConfigError(f"{path} is no font, or is damaged", hint="Give a TrueType or OpenType file.") from error


def _can_shape(text: str) -> bool:
    from PIL import features

    return bool(features.check("raqm")) or not any(unicodedata.bidirectional(c) in _SHAPED for c in text)


def _unshaped(name: str) -> str:
    return f"this build of Pillow cannot set right-to-left text (no raqm), so the {name} is left off"
