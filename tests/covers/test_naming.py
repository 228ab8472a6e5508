"""Paths made from tags: what fields give, what is refused, and that no tag leads out of the folder."""

import os
from pathlib import Path

import pytest

from covergen_cli.audio.tags import Tags
from covergen_cli.covers import naming
from covergen_cli.covers.naming import Template, fields, is_template, safe_name
from covergen_cli.errors import ConfigError

FULL = Tags("Song", "Band", "Record", "Various", 3, 2, "2011", "Dub")


def fill(text, tags=FULL, path="x/01 raw.mp3", folder="live/1999", **settings):
    values = fields(tags, Path(path), Path(folder))
    settings = {"seed": 7, "number": 1, "numbers": 1, "ext": "png", **settings}
    return Template(text).fill(values, **settings).as_posix()


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("{artist}/{album}/cover.{ext}", "Band/Record/cover.png"),
        ("art/{albumartist} - {title}.{ext}", "art/Various - Song.png"),
        ("{disc}-{track}.jpg", "2-03.jpg"),
        ("{track:d}.png", "3.png"),
        ("{track:03}.png", "003.png"),
        ("{year} {genre}/{stem}.{ext}", "2011 Dub/01 raw.png"),
        ("{folder}/{stem}.{ext}", "live/1999/01 raw.png"),
        ("{folder}-{stem}.{ext}", "live/1999-01 raw.png"),
        ("{title:.2}-{seed}.{ext}", "So-7.png"),
        ("{{x}}/{n}.{ext}", "{x}/1.png"),
        ("/abs/{title}.{ext}", "/abs/Song.png"),
        ("../{title}.{ext}", "../Song.png"),
    ],
)
def test_fields(text, expected):
    assert fill(text) == expected


def test_missing_tags_have_a_fallback():
    text = "{artist}|{albumartist}|{album}|{title}|{track}|{disc}|{year}|{genre}.png"
    assert fill(text, Tags()) == (
        "Unknown artist|Unknown artist|Unknown album|01 raw|00|1|Unknown year|Unknown genre.png"
    )
    assert fill("{artist}/{albumartist}.png", Tags(artist="Band")) == "Band/Band.png"
    assert fill("{artist}.png", Tags(album_artist="Various")) == "Various.png"


def test_folders_that_exist_keep_their_names():
    assert fill("{folder}/cover.{ext}", folder="Other, The/2nd: Album?/Vol.") == "Other, The/2nd: Album?/Vol./cover.png"


def test_an_empty_folder_does_not_lead_to_the_root():
    assert fill("{folder}/{stem}.{ext}", folder="") == "01 raw.png"


@pytest.mark.parametrize(
    ("tag", "name"),
    [
        ("AC/DC", "AC_DC"),
        ("..", "Unknown artist"),
        ("../../etc", "_.._.._etc"),
        ("...And You", "_...And You"),
        ("C:\\x", "C__x"),
        ("What?", "What_"),
        ("ends. ", "ends"),
        (" \t ", "Unknown artist"),
        ("nul", "_nul"),
        ("Con.x", "_Con.x"),
        ("a\x00b\nc", "a_b c"),
        ("e\u0301", "é"),
        ("{title}", "{title}"),
    ],
)
def test_a_tag_is_one_name_on_every_system(tag, name):
    assert fill("{artist}/x.{ext}", Tags(artist=tag)) == f"{name}/x.png"


def test_long_names_fit_and_keep_their_suffix():
    path = Path(fill("{artist}/{title}.{ext}", Tags(artist="ä" * 300, title="b" * 300), numbers=2, number=2))
    assert len(path.parent.name.encode()) <= 255
    assert len(path.name.encode()) <= 255
    assert path.suffix == ".png"


def test_variations_get_a_number_unless_the_template_has_one():
    assert fill("{title}.{ext}", number=2, numbers=3) == "Song-2.png"
    assert fill("{title}_{n:02}.{ext}", number=2, numbers=3) == "Song_02.png"
    assert fill("{title}_{seed}.{ext}", number=2, numbers=3) == "Song_7.png"
    long = Path(fill("{title}.{ext}", Tags(title="b" * 300), number=2, numbers=3))
    assert long.name != Path(fill("{title}.{ext}", Tags(title="b" * 300), number=3, numbers=3)).name


@pytest.mark.parametrize(
    ("text", "message", "hint"),
    [
        ("{artst}/x.png", "unknown field {artst}", "did you mean artist?"),
        ("{}/x.png", "unknown field {}", "known fields"),
        ("{artist.upper}/x.png", "unknown field", ""),
        ("{artist!r}/x.png", "takes only a format", ""),
        ("{artist:{n}}/x.png", "takes only a format", ""),
        ("{artist:03d}/x.png", "Unknown format code", ""),
        ("{artist/x.png", "expected '}'", "braces"),
        ("art/{artist}", "names no picture", ".{ext}"),
        ("art/{artist}.webp", "names no picture", ".{ext}"),
    ],
)
def test_refused(text, message, hint):
    with pytest.raises(ConfigError) as error:
        Template(text)
    assert message in error.value.message
    assert hint in (error.value.hint or "")


def test_a_folder_that_bears_the_name_is_no_template(tmp_path):
    (tmp_path / "{x}").mkdir()
    assert not is_template(tmp_path / "{x}")
    assert is_template(tmp_path / "{y}")
    assert not is_template(None)
    assert safe_name(".") == ""


def test_long_and_undecodable_names_stay_apart():
    long = [f"{'é' * 120}{end}" for end in ("a" * 20, "b" * 20)]
    names = [naming.file_name(stem, "-1.png") for stem in long]
    assert names[0] != names[1]
    assert all(len(os.fsencode(name)) <= 255 and name.endswith("-1.png") for name in names)
    assert naming.file_name("short", ".png") == "short.png"
    broken = [os.fsdecode(b"caf\xe9"), os.fsdecode(b"caf\xe8")]
    assert [os.fsencode(naming._fitted(naming.safe_name(name))) for name in broken] == [b"caf\xe9", b"caf\xe8"]
    assert [naming.visible_name(name) for name in broken] == [r"caf\xe9", r"caf\xe8"]
    assert naming.safe_name("a\ud800") == "a_"
