"""--safety: no picture is written that the safety checker of the base flags."""

import dataclasses
import shutil
from pathlib import Path

import pytest

from covergen_cli.config import GenerateConfig
from covergen_cli.covers.generate import generate, plan
from covergen_cli.errors import ConfigError, ModelError
from covergen_cli.events import CoverFailed, CoverFinished, CoverSkipped
from covergen_cli.provenance import read_provenance
from tiny import tiny_base, tiny_safety_checker, tiny_sd_base, tiny_song


@pytest.fixture(scope="module")
def sd(tmp_path_factory):
    return tiny_sd_base(tmp_path_factory.mktemp("models") / "sd")


@pytest.fixture
def song(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    tiny_song(tmp_path / "song.mp3")
    return tmp_path / "song.mp3"


def draw(song, base, **settings):
    config = GenerateConfig(**{"base": str(base), "steps": 1, "size": 64, "device": "cpu", "safety": True, **settings})
    events = list(generate(plan([song], Path("cover.png"), config), config))
    return next(event for event in events if isinstance(event, (CoverFinished, CoverFailed, CoverSkipped)))


@pytest.fixture
def base(sd, tmp_path):
    return shutil.copytree(sd, tmp_path / "sd")


def test_a_picture_that_is_not_flagged_is_written_and_says_that_it_was_checked(song, base):
    tiny_safety_checker(base, flags=False)
    assert isinstance(draw(song, base), CoverFinished)
    assert read_provenance(Path("cover.png"))["safety"] is True


def test_a_flagged_picture_is_not_written(song, base):
    tiny_safety_checker(base, flags=True)
    failed = draw(song, base)
    assert isinstance(failed, CoverFailed)
    assert "safety checker of sd" in failed.error
    assert "--seed" in failed.hint
    assert not Path("cover.png").exists()


def test_a_picture_drawn_without_the_check_is_checked_once_it_is_asked_for(song, base):
    tiny_safety_checker(base, flags=True)
    assert isinstance(draw(song, base, safety=False), CoverFinished)
    before = Path("cover.png").read_bytes()
    assert isinstance(draw(song, base), CoverFailed)
    assert Path("cover.png").read_bytes() == before


def test_a_refiner_without_a_checker_leaves_it_to_that_of_the_base(song, base, tmp_path, sd):
    tiny_safety_checker(base, flags=True)
    failed = draw(song, base, refine=True, refiner=str(sd), refine_steps=1)
    assert "safety checker of sd" in failed.error


def test_a_base_without_a_checker_is_refused_before_anything_is_drawn(song, base, tmp_path):
    with pytest.raises(ModelError, match="comes without a safety checker"):
        draw(song, base)
    with pytest.raises(ModelError, match="comes without a safety checker"):
        draw(song, tiny_base(tmp_path / "flow"), adapter="starter")


@pytest.mark.parametrize("engine", [{"base": "painter"}, {"picture": "song.png", "base": None}])
def test_without_a_model_there_is_nothing_to_check_with(song, engine, tmp_path):
    from PIL import Image

    Image.new("RGB", (64, 64)).save(tmp_path / "song.png")
    config = dataclasses.replace(GenerateConfig(), safety=True, **engine)
    with pytest.raises(ConfigError, match="--safety needs a base"):
        list(generate(plan([song], Path("cover.png"), config), config))


def test_a_damaged_checker_is_named(song, base):
    tiny_safety_checker(base, flags=False)
    (base / "safety_checker" / "model.safetensors").write_bytes(b"damaged")
    with pytest.raises(ModelError, match="safety_checker cannot be loaded"):
        draw(song, base)
