"""A cover tells how to make it again, and what is missing is said."""

import dataclasses
from pathlib import Path

import pytest
from PIL import Image

from audio.signals import tone, write_audio
from covergen_cli.audio.audio_hash import audio_sha256
from covergen_cli.config import GenerateConfig
from covergen_cli.config.resolve import resolve
from covergen_cli.covers.cover_provenance import cover_provenance
from covergen_cli.covers.fingerprint import find_models
from covergen_cli.covers.plan import Job
from covergen_cli.covers.reproduce import check_models, find_song, read_settings
from covergen_cli.errors import InputError, ModelError
from covergen_cli.files import sha256_file
from covergen_cli.provenance import save_cover
from tiny import tiny_adapter, tiny_base, tiny_refiner, tiny_sd_base

WORDS = {"title": "A Title", "artist": None, "layout": "poster", "fonts": {"title": "Inter Display 3.019"}}


@pytest.fixture(scope="module")
def adapter(tmp_path_factory):
    folder = tmp_path_factory.mktemp("models")
    return tiny_adapter(folder / "adapter", tiny_base(folder / "base"))


@pytest.fixture
def song(tmp_path):
    (tmp_path / "music").mkdir()
    return write_audio(tmp_path / "music" / "song.flac", tone(440, 1.0), 22050, "flac", tags={"title": "One"})


def config_for(adapter, **settings):
    return GenerateConfig(adapter=str(adapter), **{"seed": 7, "steps": 3, "guidance": 2.0, "size": 96, **settings})


def made(adapter, song, config, words=None, **changes):
    job = Job(song, song.parent.parent / "cover.png", config.seed, config.format)
    facts = cover_provenance(job, audio_sha256(song), config, find_models(config), text=words)
    facts |= {"input": song.name, "segment": [0.0, 1.0], "native_size": 16, **changes}
    save_cover(job.output, Image.new("RGB", (8, 8)), facts, "png")
    return job.output


def test_the_provenance_has_every_setting_that_decides_the_picture(adapter, song):
    config = config_for(adapter, segment=(1.0, 9.5), store="spotify", format="jpg", grain=0.0, scheduler="euler")
    stored = read_settings(made(adapter, song, config, WORDS))
    again = resolve(GenerateConfig, preset="default", overrides={**stored.settings, "adapter": str(adapter)})
    expected = dataclasses.replace(config, base="base", title="A Title", layout="poster")
    assert again == expected
    assert stored.warnings == ()


def test_the_same_settings_give_the_same_fingerprint(adapter, song):
    config = config_for(adapter)
    cover = made(adapter, song, config)
    settings = {**read_settings(cover).settings, "adapter": str(adapter), "base": None}
    again = resolve(GenerateConfig, preset="default", overrides=settings)
    job = Job(song, cover, again.seed, again.format)
    models = find_models(again)
    digest = audio_sha256(song)
    assert cover_provenance(job, digest, again, models) == cover_provenance(job, digest, config, models)


def test_a_refined_cover_names_its_refiner(adapter, song, tmp_path):
    refiner = tiny_refiner(tmp_path / "refiner")
    config = config_for(adapter, refine=True, refiner=str(refiner), refine_prompt="a sleeve", refine_strength=0.3)
    stored = read_settings(made(adapter, song, config))
    settings = {**stored.settings, "adapter": str(adapter), "refiner": str(refiner)}
    again = resolve(GenerateConfig, preset="default", overrides=settings)
    assert again == dataclasses.replace(config, base="base")
    other = dataclasses.replace(config, refiner=str(tiny_refiner(tmp_path / "other", seed=1)))
    with pytest.raises(ModelError, match="another refiner refiner"):
        check_models(stored, other, ())
    check_models(stored, other, ("refiner",))


def test_words_are_given_back_and_so_is_their_absence(tmp_path, song):
    adapter = tiny_adapter(tmp_path / "sd adapter", tiny_sd_base(tmp_path / "sd"))
    settings = {"prompt": "a", "negative": None, "audio_scale": 0.5, "dtype": "bf16"}
    given = read_settings(made(adapter, song, config_for(adapter, **settings))).settings
    assert {name: given.get(name) for name in settings} == settings
    assert "negative" in given


def test_another_version_is_noted(adapter, song):
    (note,) = read_settings(made(adapter, song, config_for(adapter), version="0.0.1")).warnings
    assert "0.0.1" in note


@pytest.mark.parametrize("content", ["picture", "text", "sheet", "missing"])
def test_what_says_nothing_is_refused(tmp_path, content):
    cover = tmp_path / "cover.png"
    if content == "picture":
        Image.new("RGB", (8, 8)).save(cover)
    elif content == "text":
        cover.write_text("no picture")
    elif content == "sheet":
        save_cover(cover, Image.new("RGB", (8, 8)), {"kind": "contact sheet", "version": "1"}, "png")
    with pytest.raises(InputError, match=r"cover\.png"):
        read_settings(cover)


def test_the_song_is_found_by_its_sound_under_another_name_and_tag(adapter, song, tmp_path):
    stored = read_settings(made(adapter, song, config_for(adapter)))
    assert find_song(stored, [song]) == song
    moved = tmp_path / "elsewhere"
    moved.mkdir()
    write_audio(moved / "song.flac", tone(300, 1.0), 22050, "flac")
    write_audio(moved / "b.flac", tone(440, 1.0), 22050, "flac", tags={"title": "Another"})
    assert find_song(stored, [moved]) == moved / "b.flac"


def test_a_cover_that_recorded_the_whole_file_is_understood(adapter, song):
    stored = read_settings(made(adapter, song, config_for(adapter), input_sha256=sha256_file(song)))
    assert find_song(stored, [song]) == song


def test_another_song_is_refused_by_name(adapter, song, tmp_path):
    stored = read_settings(made(adapter, song, config_for(adapter)))
    other = write_audio(tmp_path / "other.flac", tone(300, 1.0), 22050, "flac")
    with pytest.raises(InputError, match=r"made from song\.flac, which sounds different from .*other\.flac"):
        find_song(stored, [other])
    with pytest.raises(InputError, match="not among the 2 songs"):
        find_song(stored, [other, other])
    with pytest.raises(InputError, match="cannot be read"):
        find_song(stored, [Path("gone.flac")])


def test_another_adapter_or_base_is_refused_unless_asked_for(adapter, song, tmp_path):
    stored = read_settings(made(adapter, song, config_for(adapter)))
    check_models(stored, config_for(adapter), set())
    base = tiny_base(tmp_path / "base2", seed=5)
    other = config_for(tiny_adapter(tmp_path / "adapter2", base, seed=3))
    with pytest.raises(ModelError, match="another adapter adapter") as caught:
        check_models(stored, other, set())
    assert "--adapter" in caught.value.hint
    with pytest.raises(ModelError, match="another base"):
        check_models(stored, other, {"adapter"})
    check_models(stored, other, {"adapter", "base"})


def test_a_model_that_is_not_there_says_how_to_give_it(adapter, song):
    stored = read_settings(made(adapter, song, config_for(adapter)))
    with pytest.raises(ModelError) as caught:
        check_models(stored, config_for("/no/such/adapter"), set())
    assert "--adapter" in caught.value.hint


@pytest.mark.parametrize(
    ("changes", "message"),
    [({"songs": []}, "cover of an album"), ({"shuffled_sha256": "0" * 64}, "sound of another song")],
)
def test_what_was_not_made_from_one_song_is_refused(adapter, song, changes, message):
    cover = made(adapter, song, config_for(adapter), **changes)
    with pytest.raises(InputError, match=message):
        read_settings(cover)
