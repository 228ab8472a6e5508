"""Vector covers: which looks, what the file holds, and that it can be made again."""

import dataclasses
import re
from pathlib import Path
from xml.etree import ElementTree as ET

import numpy as np
import pytest
from PIL import Image

from covergen_cli.config import GenerateConfig
from covergen_cli.covers.heard import Heard
from covergen_cli.covers.music_tags import TagSettings, refusals
from covergen_cli.covers.picture_cache import RawPicture
from covergen_cli.covers.plan import Job, plan
from covergen_cli.covers.styling import check_vector, look_of, style_and_save
from covergen_cli.errors import ConfigError, OutputError
from covergen_cli.provenance import read_provenance, save_svg

SVG = "{http://www.w3.org/2000/svg}"
TEXT = {"title": "Tide & <Time>", "artist": None, "layout": "label", "fonts": {"title": "by look 1"}}


@pytest.fixture(scope="module")
def picture():
    wave = np.linspace(0, 6, 48)
    field = np.sin(wave)[:, None] * np.cos(wave)[None] * 100 + 128
    pixels = np.stack([field, field.T, 255 - field], axis=2).astype(np.uint8)
    return RawPicture(Image.fromarray(pixels), 5, {})


def job(path="song.svg", seed=0):
    return Job(Path("song.mp3"), Path(path), seed, Path(path).suffix[1:])


def save(path, picture, look, text=None):
    config = GenerateConfig(look=look, format="svg")
    provenance = {"version": "1", "base": {"name": "starter"}, **({"lettering": text} if text else {})}
    style_and_save(job(path), picture, provenance, config, look_of(config, job(path), None), None)
    return path.read_text()


@pytest.mark.parametrize("look", ["cutout", "poster", "contour"])
def test_the_file_is_sound_small_and_needs_no_other(picture, tmp_path, look):
    text = save(tmp_path / "a.svg", picture, look, TEXT)
    root = ET.fromstring(text)  # noqa: S314 — written here
    assert root.tag == f"{SVG}svg"
    assert len(text) < 2_000_000
    assert all(target.startswith("#") for target in re.findall(r'href="([^"]*)"', text))
    assert all(target.startswith("#") for target in re.findall(r"url\(([^)]*)\)", text))
    assert not root.findall(f".//{SVG}image") + root.findall(f".//{SVG}text") + root.findall(f".//{SVG}script")
    (letters,) = [path for path in root.iter(f"{SVG}path") if path.get("id") == "letters"]
    assert len(letters.get("d")) > 1000, "the text is there as paths"


def test_a_vector_file_says_how_it_was_made(picture, tmp_path):
    text = save(tmp_path / "a.svg", picture, "cutout", TEXT)
    made = read_provenance(tmp_path / "a.svg")
    assert made["lettering"] == TEXT
    assert made["look_drawn"].startswith("cutout:")
    assert len(made["palette_drawn"].split(",")) >= 4
    assert made["text_contrast"] >= 3
    assert made["native_size"] == 48
    assert "digitalsourcetype/trainedAlgorithmicMedia" in text
    with (tmp_path / "a.svg").open("rb") as file:
        assert read_provenance(file) == made
    (tmp_path / "a.svg").write_text("<svg xmlns='http://www.w3.org/2000/svg'/>")
    assert read_provenance(tmp_path / "a.svg") is None


def test_the_same_settings_give_the_same_file(picture, tmp_path):
    first, again = (save(tmp_path / name, picture, "contour") for name in ("a.svg", "b.svg"))
    assert first == again


def test_a_file_that_would_be_too_large_is_not_written(tmp_path):
    with pytest.raises(OutputError, match=r"would weigh 2\.1 MB"):
        save_svg(tmp_path / "a.svg", f"<svg>{' ' * 2_100_000}</svg>", {})
    assert not list(tmp_path.iterdir())


def test_auto_chooses_among_the_looks_that_can(picture):
    sound = Heard(
        dict.fromkeys(("tempo", "mode", "energy", "brightness", "density", "percussiveness", "dynamics"), 0.4)
    )
    config = GenerateConfig(look="auto")
    names = [look_of(config, job(seed=seed), sound).name for seed in range(6)]
    assert sorted(names[:3]) == ["contour", "cutout", "poster"]
    assert names[:3] == names[3:]


@pytest.mark.parametrize("look", ["paint", "halftone:pitch=60", "riso"])
def test_other_looks_are_refused_by_name(look):
    with pytest.raises(ConfigError, match=f"the look {look.partition(':')[0]} cannot be written as SVG") as caught:
        check_vector([job()], GenerateConfig(look=look))
    assert "cutout, poster or contour" in caught.value.hint
    check_vector([job("song.png")], GenerateConfig(look=look))
    with pytest.raises(ConfigError):
        check_vector([job()], GenerateConfig(look="cutout", raw=True))


def test_music_files_cannot_hold_one():
    with pytest.raises(ConfigError, match="cannot hold the vector file"):
        refusals([job()], TagSettings())


def test_the_suffix_asks_for_it(tmp_path):
    song = tmp_path / "song.mp3"
    song.write_bytes(b"x")
    assert plan([song], tmp_path / "a.svg", GenerateConfig())[0].format == "svg"
    assert plan([song], tmp_path / "out", GenerateConfig(format="svg"))[0].output == tmp_path / "out" / "song.svg"
    with pytest.raises(ConfigError, match="is no jpg file"):
        plan([song], tmp_path / "a.svg", dataclasses.replace(GenerateConfig(), format="jpg"), format_given=True)
