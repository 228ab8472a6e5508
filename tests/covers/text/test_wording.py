"""Which words get onto a cover, and in which font."""

from pathlib import Path

import pytest
from matplotlib import get_data_path

from audio.signals import tone, write_audio
from covergen_cli.config import GenerateConfig
from covergen_cli.covers.text.fonts import BUNDLED, FALLBACK, font_file
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
    assert notes == ["has no artist in its tags; the cover gets none"]


def test_another_script_is_set_in_another_font_with_a_note():
    text, notes = words(title="Հայաստան", artist="Band")
    assert text["fonts"] == {"title": FALLBACK, "artist": BUNDLED}
    assert len(notes) == 1
    assert FALLBACK in notes[0]


def test_letters_that_no_font_has_leave_the_line_off():
    text, notes = words(title="夜に駆ける", artist="Band")
    assert text["title"] is None
    assert text["artist"] == "Band"
    assert "夜" in notes[0]
    assert "--font" in notes[0]
    assert words(title="夜")[0] is None


def test_a_symbol_that_no_font_has_is_left_out():
    text, notes = words(title="Fire 🪩 Walk")
    assert text["title"] == "Fire Walk"
    assert "🪩" in notes[-1]


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


def test_the_bundled_font_is_small_and_comes_with_its_licence():
    font = font_file(BUNDLED, None)
    assert font.stat().st_size < 1_000_000
    assert "SIL OPEN FONT LICENSE" in (font.parent / "OFL.txt").read_text(encoding="utf-8")
