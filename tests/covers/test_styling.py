"""Choosing and checking looks."""

import dataclasses
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from covergen_cli.config import GenerateConfig
from covergen_cli.covers.heard import Heard, mean_heard
from covergen_cli.covers.plan import Job
from covergen_cli.covers.styling import explain_look, look_of, must_hear, resolve_look
from covergen_cli.errors import ConfigError

SOUND = Heard(dict.fromkeys(("tempo", "mode", "energy", "brightness", "density", "percussiveness", "dynamics"), 0.4))
AUTO = GenerateConfig(look="auto")


def job(seed, suffix="png"):
    return Job(Path("song.mp3"), Path(f"song.{suffix}"), seed, suffix)


def test_neighbouring_seeds_differ_in_look():
    for first in (0, 7, 1000):
        names = [look_of(AUTO, job(seed), SOUND).name for seed in range(first, first + 4)]
        assert len(set(names)) == 4


def test_the_same_song_and_seed_have_the_same_look_and_songs_differ():
    assert look_of(AUTO, job(5), SOUND) == look_of(AUTO, job(5), SOUND)
    others = [
        Heard(SOUND.descriptors | {"tempo": step / 10, "energy": energy}) for step in range(10) for energy in (0.2, 0.8)
    ]
    assert len({look_of(AUTO, job(0), other).name for other in others}) >= 4


def test_genres_count():
    names = [
        [look_of(AUTO, job(0), Heard(SOUND.descriptors | {"tempo": step / 20}, genre)).name for step in range(20)]
        for genre in (("chiptune",), ("ambient",))
    ]
    assert names[0].count("dither") > names[1].count("dither")


def test_a_named_look_is_settled_with_all_its_parameters():
    config = resolve_look(GenerateConfig(look="halftone:pitch=60"))
    assert config.look.startswith("halftone:pitch=60,")
    assert look_of(config, job(0), None).pitch == 60
    assert resolve_look(config) == config
    assert resolve_look(AUTO).look == "auto"


def test_raw_and_paint_have_no_look():
    assert look_of(GenerateConfig(look="paint"), job(0), None) is None
    assert look_of(dataclasses.replace(AUTO, raw=True), job(0), SOUND) is None
    assert not must_hear(dataclasses.replace(AUTO, raw=True))
    assert must_hear(AUTO)


def test_a_palette_from_a_file_is_recorded_as_colours(tmp_path):
    rng = np.random.default_rng(0)
    Image.fromarray(rng.integers(0, 255, (32, 32, 3), dtype=np.uint8)).save(tmp_path / "p.png")
    palette = resolve_look(GenerateConfig(look="cutout", palette=str(tmp_path / "p.png"))).palette
    assert palette.startswith("#")
    assert str(tmp_path) not in palette


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"look": "cutuot"}, "no look 'cutuot'"),
        ({"look": "halftone:pich=3"}, "no parameter 'pich'"),
        ({"palette": "#12345g"}, "not a colour"),
        ({"palette": "missing.png"}, "cannot take a palette"),
    ],
)
def test_what_makes_no_sense_is_refused(settings, message):
    with pytest.raises(ConfigError, match=message):
        resolve_look(GenerateConfig(**settings))


def test_an_album_has_the_mean_of_its_songs():
    songs = [
        Heard(dict.fromkeys(SOUND.descriptors, value), ("Jazz",), (("jazz", 2.0), (label, 1.0)), title, ("river",))
        for value, label, title in ((0.2, "piano", None), (0.6, "flute", "Album"))
    ]
    heard = mean_heard(songs)
    assert set(heard.descriptors.values()) == {0.4}
    assert heard.genres == ("Jazz",)
    assert heard.labels == (("jazz", 2.0), ("piano", 0.5), ("flute", 0.5))
    assert (heard.title, heard.nouns) == ("Album", ("river",))


def test_a_look_is_explained():
    chosen = explain_look(AUTO, job(3), dataclasses.replace(SOUND, genres=("Dub",)))
    assert chosen[0] == f"look: {look_of(AUTO, job(3), dataclasses.replace(SOUND, genres=('Dub',)))}"
    assert "seed 3" in chosen[1]
    assert "%" in chosen[2]
    assert chosen[-1] == "genre in the tags: Dub"
    assert explain_look(resolve_look(GenerateConfig(look="riso")), job(0), None)[0].startswith("look: riso:")
    assert explain_look(GenerateConfig(), job(0), None) == ["no look: the picture as it was drawn"]
