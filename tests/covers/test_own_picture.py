"""Covers from a picture that the user brings."""

import dataclasses
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from covergen_cli.config import GenerateConfig
from covergen_cli.config.resolve import resolve
from covergen_cli.covers import generate as batch
from covergen_cli.covers import loading
from covergen_cli.covers.own_picture import open_own_picture
from covergen_cli.covers.reproduce import check_models, read_settings
from covergen_cli.errors import ConfigError, InputError
from covergen_cli.events import CoverFailed, CoverFinished, CoverPlanned, CoverSkipped, Progress
from covergen_cli.provenance import read_provenance
from tiny import tiny_song


@pytest.fixture
def mine(tmp_path):
    """A picture of 90 × 60 with a red, a green and a blue third."""
    pixels = np.zeros((60, 90, 3), np.uint8)
    for third in range(3):
        pixels[:, third * 30 : third * 30 + 30, third] = 220
    path = tmp_path / "mine.png"
    Image.fromarray(pixels).save(path)
    return path


@pytest.fixture
def config(ear, monkeypatch):
    monkeypatch.setattr(loading, "_load", lambda *_: pytest.fail("a model was loaded"))
    return GenerateConfig(size=64)


def run(folder, config, **settings):
    config = dataclasses.replace(config, **settings)
    events = batch.generate(batch.plan([folder], Path("out"), config), config)
    return [event for event in events if not isinstance(event, Progress)]


def test_the_picture_becomes_the_cover_without_a_model(music, config, ear, mine):
    (event,) = run(music(a="a"), config, picture=str(mine))
    assert isinstance(event, CoverFinished)
    assert (event.segment, event.base, event.look, event.native_size) == (None, "picture", None, 60)
    with Image.open("out/a.png") as image:
        pixels = np.asarray(image.convert("RGB")).astype(int)
    assert pixels.shape == (64, 64, 3)
    assert np.abs(pixels[32, 32] - (0, 220, 0)).max() < 4, "the centre square"
    assert pixels[32, 2].argmax() == 0
    assert pixels[32, 61].argmax() == 2
    assert ear.asked == [], "nothing has to be listened to"


def test_a_cover_says_that_its_picture_was_brought(music, config, mine):
    run(music(a="a"), config, picture=str(mine), title="Title")
    made = read_provenance(Path("out/a.png"))
    assert made["picture"]["name"] == "mine.png"
    assert made["base"]["fingerprint"] == made["picture"]["sha256"]
    assert str(mine.parent) not in str(made)
    assert b"DigitalSourceType" not in Path("out/a.png").read_bytes()


def test_looks_text_and_variations_apply(music, config, mine):
    songs = music(a="a")
    run(songs, config, picture=str(mine), look="riso", title="Title", variations=2)
    first, second = (Path(f"out/a-{number}.png").read_bytes() for number in (1, 2))
    assert first != second, "paper and grain follow the seed"
    made = read_provenance(Path("out/a-1.png"))
    assert made["look_drawn"].startswith("riso")
    assert made["text_contrast"] > 3


def test_it_is_decided_by_content_whether_a_cover_is_there(tmp_path, monkeypatch, config, mine):
    monkeypatch.chdir(tmp_path)
    songs = tiny_song(Path("music/a.flac"))
    run(songs, config, picture=str(mine))
    moved = mine.rename(mine.with_name("moved.png"))
    assert isinstance(run(songs, config, picture=str(moved))[0], CoverSkipped)
    Image.new("RGB", (60, 60)).save(moved)
    changed = dataclasses.replace(config, picture=str(moved))
    assert CoverPlanned in map(type, batch.dry_run(batch.plan([songs], Path("out"), changed), changed))
    assert isinstance(run(songs, config, picture=str(moved))[0], CoverFinished)


def test_a_cover_is_reproduced_from_the_same_picture_only(music, config, mine, monkeypatch):
    run(music(a="a"), config, picture=str(mine), look="cutout", artist="Me")
    stored = read_settings(Path("out/a.png"))
    monkeypatch.chdir(mine.parent)
    again = resolve(GenerateConfig, overrides=stored.settings)
    assert (again.picture, again.look.partition(":")[0], again.artist, again.size) == ("mine.png", "cutout", "Me", 64)
    check_models(stored, again, ())
    before = Path("out/a.png").read_bytes()
    run(Path("music"), again, overwrite="force")
    assert Path("out/a.png").read_bytes() == before
    Image.new("RGB", (60, 60)).save(mine)
    with pytest.raises(InputError, match="another picture than"):
        check_models(stored, again, ("picture",))
    mine.unlink()
    with pytest.raises(InputError) as caught:
        check_models(stored, again, ())
    assert "--picture" in caught.value.hint


def test_the_default_is_the_picture_as_it_is(mine):
    assert resolve(GenerateConfig, overrides={"picture": str(mine)}).look == "paint"


@pytest.mark.parametrize(
    ("settings", "error", "message"),
    [
        ({"picture": "gone.png"}, InputError, "cannot be read"),
        ({"base": "sd15"}, ConfigError, "--base chooses how"),
        ({"prompt": "a cat"}, ConfigError, "--prompt chooses how"),
        ({"shuffle": True}, ConfigError, "--shuffle chooses how"),
    ],
)
def test_what_cannot_be_done_with_a_picture(music, config, mine, settings, error, message):
    songs = music(a="a", b="b")
    with pytest.raises(error, match=message):
        run(songs, config, **{"picture": str(mine), **settings})


def test_a_file_that_is_no_picture_fails(music, config, tmp_path):
    (tmp_path / "text.png").write_text("no picture")
    (failed,) = run(music(a="a"), config, picture=str(tmp_path / "text.png"))
    assert isinstance(failed, CoverFailed)
    assert "not an image" in failed.error


@pytest.mark.parametrize(
    ("name", "mode", "settings"),
    [
        ("a.jpg", "RGB", {}),
        ("a.jpg", "CMYK", {}),
        ("a.webp", "RGBA", {"lossless": True}),
        ("a.png", "P", {}),
        ("a.png", "LA", {}),
        ("a.png", "I;16", {}),
    ],
)
def test_kinds_of_pictures(tmp_path, name, mode, settings):
    image = (
        Image.new("I;16", (40, 30), 40000)
        if mode == "I;16"
        else Image.new("RGB", (40, 30), (200, 60, 60)).convert(mode)
    )
    image.save(tmp_path / name, **settings)
    found = open_own_picture(tmp_path / name)
    assert (found.mode, found.size) == ("RGB", (30, 30))
    if mode != "I;16":
        assert abs(found.getpixel((15, 15))[0] - (200 if mode != "LA" else 102)) < 12


def test_transparent_parts_are_white_and_turned_pictures_upright(tmp_path):
    Image.new("RGBA", (20, 20), (0, 0, 0, 0)).save(tmp_path / "clear.png")
    assert open_own_picture(tmp_path / "clear.png").getpixel((5, 5)) == (255, 255, 255)
    image = Image.new("RGB", (20, 20))
    image.paste((255, 255, 255), (0, 0, 20, 10))
    exif = Image.Exif()
    exif[0x0112] = 3
    image.save(tmp_path / "turned.png", exif=exif)
    assert open_own_picture(tmp_path / "turned.png").getpixel((5, 5)) == (0, 0, 0)


def test_a_bomb_is_refused(tmp_path, monkeypatch):
    Image.new("RGB", (400, 400)).save(tmp_path / "a.png")
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 100_000)
    with pytest.raises(InputError, match="more pixels"):
        open_own_picture(tmp_path / "a.png")
