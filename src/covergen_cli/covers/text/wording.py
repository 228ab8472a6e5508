"""Choose the text of a cover and the font that can display it; no image is needed."""

from __future__ import annotations

import unicodedata
from pathlib import Path
from typing import TYPE_CHECKING, Any

from covergen_cli.covers.text.fonts import BUNDLED, FALLBACK, best_font, font_file, font_name, installed_font, missing

if TYPE_CHECKING:
    from covergen_cli.config import GenerateConfig

BY_LOOK = "by look 1"
"""In place of a font's name: the look chooses among the bundled fonts. The number changes with the choice."""

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
        missing("", font_file(font_name(config.font), config.font))


def cover_text(
    config: GenerateConfig, song: Path, *, album: bool = False, group: str | None = None
) -> tuple[dict[str, Any] | None, list[str]]:
    """Return the text of a cover.

    Args:
        config: ``title``, ``artist``, ``text``, ``layout``, ``font``, ``look`` and ``raw`` are used.
        song: its tags are read if ``config.text`` is ``tags``.
        album: use the tags for album and album artist.
        group: name of the artist, folder or playlist that the cover is for, which is its title in place of tags.

    Returns:
        A JSON-able dict of ``title``, ``artist`` (``None`` when absent), ``layout`` and ``fonts`` (text → font), or
        ``None`` when there is no text; and notes on what could not be done as requested. With a look, layout and fonts
        may be left to it; :func:`covergen_cli.covers.text.styles.resolve_text` then chooses them.

    Raises:
        InputError: the song cannot be read.
        ConfigError: the font cannot be read.
    """
    texts: dict[str, str | None] = {"title": config.title, "artist": config.artist}
    notes: list[str] = []
    if config.text == "tags" and group is not None:
        texts["title"] = config.title or group
    elif config.text == "tags" and not all(texts.values()):
        from covergen_cli.audio.io import probe

        info = probe(song)
        title = info.tags.album if album else info.title
        artist = info.tags.album_artist if album else None
        texts = {"title": config.title or title, "artist": config.artist or artist or info.artist}
        notes += [
            f"has no {name} in its tags; the cover gets none (give one with --{name})"
            for name, text in texts.items()
            if not text
        ]
    fonts: dict[str, str] = {}
    plain = config.raw or config.look == "paint"
    for name, text in texts.items():
        texts[name], font, new_notes = _choose_font(name, _cleaned(text or ""), config.font)
        notes += new_notes
        if texts[name]:
            fonts[name] = BY_LOOK if font == BUNDLED and config.font is None and not plain else font
    layout = "corner" if plain and config.layout == "auto" else config.layout
    return ({**texts, "layout": layout, "fonts": fonts} if fonts else None), notes


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
    names = [*([font_name(own)] if own else []), BUNDLED, FALLBACK]
    best = best_font(text, names, own)
    lost = missing(text, font_file(best, own))
    if lost and (installed := installed_font(text)):
        best, lost = font_name(str(installed)), set()
    if best != names[0]:
        lacking = _in_order(text, missing(text, font_file(names[0], own)))
        notes.append(f"{names[0]} lacks {lacking!r}; the {name} is set in {best}")
    if not lost:
        if _can_shape(text):
            return text, best, notes
        message = f"this build of Pillow does not support right-to-left text (no raqm), so the {name} is omitted"
        return None, "", [*notes, message]
    lacking = f"no font here has all characters of the {name} {text!r} (lacking: {_in_order(text, lost)})"
    kept = " ".join("".join(c for c in text if c not in lost).split())
    if any(unicodedata.category(c)[0] in "LMN" for c in lost) or not kept:
        # A title with letters missing would be another title.
        return None, "", [f"{lacking}, so it is omitted; install a font that has them, or use --font"]
    return kept, best, [*notes, f"{lacking}; it is set without"]


def _in_order(text: str, characters: set[str]) -> str:
    """Return those characters once each, in the order of the text."""
    return "".join(c for c in dict.fromkeys(text) if c in characters)


def _can_shape(text: str) -> bool:
    from PIL import features

    return bool(features.check("raqm")) or not any(unicodedata.bidirectional(c) in _SHAPED for c in text)
