"""Which words get onto a cover, and in which font."""

from pathlib import Path

import pytest
from fontTools.fontBuilder import FontBuilder
from fontTools.pens.ttGlyphPen import TTGlyphPen
from matplotlib import get_data_path
from PIL import Image

from audio.signals import tone, write_audio
from covergen_cli.config import GenerateConfig
from covergen_cli.covers.text.fonts import BUNDLED, FALLBACK, FONTS, font_file, missing
from covergen_cli.covers.text.layout import draw_text
from covergen_cli.covers.text.wording import MAX_CHARACTERS, cover_text
from covergen_cli.errors import ConfigError

NO_SONG = Path("unread.mp3")
MONO = Path(get_data_path()) / "fonts" / "ttf" / "DejaVuSansMono.ttf"


def words(**settings):
    return cover_text(GenerateConfig(**settings), NO_SONG)


def test_nothing_is_set_unless_asked():
    assert words() == (None, [])
    assert words(layout="poster") == (None, [])


def test_what_was_given_is_set_as_it_is():
    text, notes = words(title="  Über\n allen  Gipfeln ", artist="Ωmega & Жук", layout="line")
    assert text == {
        "title": "Über allen Gipfeln",
        "artist": "Ωmega & Жук",
        "layout": "line",
        "fonts": {"title": BUNDLED, "artist": BUNDLED},
    }
    assert notes == []


def test_decomposed_letters_are_composed():
    text, _ = words(title="Cafe\u0301")
    assert text["title"] == "Café"


def test_tags_are_read_and_given_words_go_before_them(tmp_path):
    song = write_audio(tmp_path / "a.flac", tone(440, 0.5), 22050, "flac", tags={"TITLE": "Tagged", "ARTIST": "Band"})
    text, notes = cover_text(GenerateConfig(text="tags", artist="Given"), song)
    assert (text["title"], text["artist"], notes) == ("Tagged", "Given", [])


def test_missing_tags_are_said(tmp_path):
    song = write_audio(tmp_path / "a.flac", tone(440, 0.5), 22050, "flac", tags={"TITLE": "Tagged"})
    text, notes = cover_text(GenerateConfig(text="tags"), song)
    assert text["artist"] is None
    assert notes == ["has no artist in its tags; the cover gets none (give one with --artist)"]


def test_another_script_is_set_in_another_font_with_a_note():
    text, notes = words(title="Հայաստան", artist="Band")
    assert text["fonts"] == {"title": FALLBACK, "artist": BUNDLED}
    assert len(notes) == 1
    assert FALLBACK in notes[0]


@pytest.fixture(autouse=True)
def fonts_here(tmp_path_factory, monkeypatch):
    """An empty folder instead of those of this machine's fonts."""
    folder = tmp_path_factory.mktemp("fonts")
    monkeypatch.setattr("covergen_cli.covers.text.fonts.font_folders", lambda: [folder])
    return folder


def font_with(text, path):
    """Write a font whose every glyph is a square."""
    names = [".notdef", *(f"u{ord(c):x}" for c in text)]
    pen = TTGlyphPen(None)
    pen.moveTo((0, 0))
    for corner in ((0, 600), (600, 600), (600, 0)):
        pen.lineTo(corner)
    pen.closePath()
    glyph = pen.glyph()
    builder = FontBuilder(1000, isTTF=True)
    builder.setupGlyphOrder(names)
    builder.setupCharacterMap({ord(c): f"u{ord(c):x}" for c in text})
    builder.setupGlyf(dict.fromkeys(names, glyph))
    builder.setupHorizontalMetrics(dict.fromkeys(names, (700, 0)))
    builder.setupHorizontalHeader(ascent=800, descent=-200)
    builder.setupNameTable({"familyName": "Squares"})
    builder.setupPost()
    builder.save(path)


def test_letters_that_no_font_has_leave_the_line_off():
    text, notes = words(title="夜に駆ける", artist="Band")
    assert text["title"] is None
    assert text["artist"] == "Band"
    assert "'夜に駆ける'" in notes[0]
    assert "--font" in notes[0]
    assert words(title="夜")[0] is None


def test_letters_that_an_installed_font_has_are_set_in_it(fonts_here):
    (fonts_here / "sub").mkdir()
    (fonts_here / "damaged.ttf").write_bytes(b"no font")
    font_with("夜に", fonts_here / "a-part.ttf")
    font_with("夜に駆ける", fonts_here / "sub" / "squares.ttf")
    text, notes = words(title="夜に駆ける", artist="Band")
    name = text["fonts"]["title"]
    assert text["title"] == "夜に駆ける"
    assert name.startswith("squares.ttf ")
    assert text["fonts"]["artist"] == BUNDLED
    assert "set in squares.ttf" in notes[0]
    assert font_file(name, None) == fonts_here / "sub" / "squares.ttf"
    drawn = [draw_text(Image.new("RGB", (200, 200)), text)[0].tobytes() for _ in range(2)]
    assert drawn[0] == drawn[1] != bytes(200 * 200 * 3)
    (fonts_here / "sub" / "squares.ttf").unlink()
    with pytest.raises(ConfigError, match="not installed"):
        font_file(name, None)


def test_a_symbol_that_no_font_has_is_left_out():
    text, notes = words(title="Fire 🪩 Walk")
    assert text["title"] == "Fire Walk"
    assert "'Fire 🪩 Walk'" in notes[-1]


def test_a_bundled_font_can_be_named():
    for short, font in FONTS.items():
        assert words(title="Title", font=short)[0]["fonts"] == {"title": font.name}


def test_the_user_s_font_goes_first_and_is_named_by_content():
    text, notes = words(title="Title", font=str(MONO))
    name = text["fonts"]["title"]
    assert name.startswith("DejaVuSansMono.ttf ")
    assert notes == []
    assert font_file(name, str(MONO)) == MONO
    with pytest.raises(ConfigError, match="set in the font"):
        font_file(name, None)


@pytest.mark.parametrize("content", [None, b"no font"])
def test_a_font_that_cannot_be_read_is_an_error(tmp_path, content):
    font = tmp_path / "a.ttf"
    if content is not None:
        font.write_bytes(content)
    with pytest.raises(ConfigError, match=r"a\.ttf"):
        words(title="Title", font=str(font))


def test_a_novel_is_cut():
    text, notes = words(title="word " * 100)
    assert len(text["title"]) <= MAX_CHARACTERS
    assert text["title"].endswith("…")
    assert "was cut" in notes[0]


def test_the_bundled_fonts_are_small_and_come_with_their_licences():
    files = [font_file(font.name, None) for font in FONTS.values()]
    assert sum(file.stat().st_size for file in files) < 1_000_000
    licences = [path.read_text(encoding="utf-8") for path in files[0].parent.glob("*OFL.txt")]
    assert len(licences) == len(files)
    assert all("SIL OPEN FONT LICENSE" in licence for licence in licences)


def test_the_bundled_fonts_have_the_letters_of_europe():
    for font in FONTS.values():
        assert not missing("Åéßłőşčđøñæ ÀÖŻŐŠ “Don’t” – 1984 & more…?!", font_file(font.name, None))
