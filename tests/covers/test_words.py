"""Prompts from what was heard."""

import re
from dataclasses import replace

import numpy as np
import pytest

from covergen_cli.audio.musicnn import Musicnn
from covergen_cli.audio.tags import read_tags
from covergen_cli.covers.heard import Heard, hear
from covergen_cli.covers.words import (
    MAX_TOKENS,
    _vocabulary,
    concrete_nouns,
    estimate_tokens,
    genre_of,
    plain_prompt,
    write_prompt,
)
from dataset_files import write_song
from tiny import tiny_song

MIDDLE = dict.fromkeys(("tempo", "mode", "energy", "brightness", "density", "percussiveness", "dynamics"), 0.5)


def heard(*tags, genres=(), **descriptors):
    return Heard(MIDDLE | descriptors, genres, tuple((tag, 2.0) for tag in tags))


def test_the_same_song_and_seed_give_the_same_words_and_seeds_differ():
    song = heard("jazz")
    assert write_prompt(song, seed=3) == write_prompt(song, seed=3)
    assert len({write_prompt(song, seed=seed) for seed in range(20)}) > 10


@pytest.mark.parametrize(
    ("descriptors", "key", "other"),
    [
        ({"mode": 0.1, "energy": 0.9}, "minor-intense", "major-calm"),
        ({"mode": 0.9, "energy": 0.1}, "major-calm", "minor-intense"),
    ],
)
def test_mood_follows_mode_and_energy(descriptors, key, other):
    moods = _vocabulary()["mood"]
    for seed in range(10):
        prompt = write_prompt(heard(**descriptors), seed=seed)
        assert any(f"{mood} mood" in prompt for mood in moods[key])
        assert not any(f"{mood} mood" in prompt for mood in moods[other])


def test_a_fast_song_is_not_calm_however_soft():
    moods = _vocabulary()["mood"]
    prompts = [write_prompt(heard(mode=0.1, energy=0.24, tempo=tempo), 1) for tempo in (0.1, 0.7)]
    assert [any(f"{mood} mood" in prompts[0] for mood in moods[f"minor-{level}"]) for level in ("calm", "middle")] == [
        1,
        0,
    ]
    assert [any(f"{mood} mood" in prompts[1] for mood in moods[f"minor-{level}"]) for level in ("calm", "middle")] == [
        0,
        1,
    ]


def test_palette_follows_brightness_and_composition_density():
    table = _vocabulary()
    loud = write_prompt(heard(brightness=0.9, mode=0.1, energy=0.8))
    assert any(words in loud for words in table["palette"]["loud-minor"])
    prompt = write_prompt(heard(brightness=0.9, mode=0.9, density=0.1))
    assert any(words in prompt for words in table["palette"]["light-major"])
    assert any(words in prompt for words in table["composition"]["sparse"])


def test_genre_of_the_file_counts_before_what_was_heard():
    assert genre_of(heard("metal")) == "metal"
    assert genre_of(heard("metal", genres=("Bossa Nova",))) == "jazz"
    assert genre_of(heard("metal", genres=("Post-Rock",))) == "indie"  # the longer name wins over "rock"
    assert genre_of(heard("metal", genres=("Spoken Word",))) == "metal"
    assert genre_of(heard()) is None
    assert genre_of(Heard(MIDDLE, labels=(("rock", 0.4),))) is None


def test_an_instrument_counts_half_and_a_kind_has_its_energy():
    ragtime = Heard(MIDDLE, labels=(("piano", 5.9), ("jazz", 5.4), ("classical", 4.1)))
    assert genre_of(ragtime) == "jazz"
    assert genre_of(Heard(MIDDLE, labels=(("piano", 7.0),))) == "classical"
    restless = (("chillout", 2.4), ("electronica", 1.6))
    assert genre_of(Heard(MIDDLE, labels=restless)) == "ambient"
    assert genre_of(Heard({**MIDDLE, "energy": 0.8}, labels=restless)) == "electronic"


@pytest.mark.parametrize("seed", range(30))
def test_no_prompt_is_too_long_and_medium_and_ending_stay(seed):
    table = _vocabulary()
    for genre, kind in table["genres"].items():
        song = heard(*kind["tags"][:1])
        song = replace(song, genres=(kind["names"][0],), title="Ununpentium " * 9)
        prompt = write_prompt(song, seed)
        assert estimate_tokens(prompt) <= MAX_TOKENS, genre
        assert any(prompt.startswith(medium) for medium in kind["medium"])
        assert prompt.endswith("square format")


def test_parts_are_left_out_from_the_least_important_one():
    song, count = heard("rock", tempo=0.9), lambda text: MAX_TOKENS + (text.count(",") > 6)
    full, short = write_prompt(song), write_prompt(song, count_tokens=count)
    movement = _vocabulary()["movement"]["fast"]
    assert any(words in full for words in movement)
    assert not any(words in short for words in movement)
    assert count(short) <= MAX_TOKENS < count(full)


def test_the_title_only_when_asked_for_and_never_an_artist(tmp_path):
    song = tiny_song(tmp_path / "a.flac", title="Paper Lanterns", artist="Ana Example", album="Dust")
    samples = np.zeros(22050, np.float32)
    assert hear(song, samples, 22050).title is None
    prompt = write_prompt(hear(song, samples, 22050, words="title"))
    assert '"Paper Lanterns"' in prompt
    assert "Ana" not in prompt
    assert hear(song, samples, 22050, words="title", album=True).title == "Dust"


def test_lyrics_give_a_few_things_that_can_be_painted():
    lyrics = "The river, the rivers! Moonlight over Berlin and Anna; the moon and a lighthouse, a wolf, a key, a door"
    assert concrete_nouns(lyrics) == ("river", "moon", "lighthouse", "wolf")
    assert concrete_nouns("Anna loves Berlin") == ()
    assert "river" in write_prompt(replace(heard(), nouns=("river",)))


def test_lyrics_come_from_the_tags_or_from_a_file_beside_the_song(tmp_path):
    song = write_song(tmp_path / "a.wav", seconds=3.0)
    samples = np.zeros(22050, np.float32)
    assert hear(song, samples, 22050, words="lyrics").nouns == ()
    (tmp_path / "a.lrc").write_text("[00:01.00]By the river", encoding="utf-8")
    assert hear(song, samples, 22050, words="title,lyrics").nouns == ("river",)
    assert hear(song, samples, 22050).nouns == ()
    tagged = tiny_song(tmp_path / "b.flac", lyrics="the lighthouse\nand the wolf")
    assert hear(tagged, samples, 22050, words="lyrics").nouns == ("lighthouse", "wolf")
    id3 = {"lyrics-eng": "a key"}
    assert read_tags(id3).lyrics == "a key"


def test_the_users_prompt_comes_first_and_is_never_cut():
    words = write_prompt(heard("jazz"), before="oil painting of a harbour")
    assert words.startswith("oil painting of a harbour, ")
    long = "very long " * 36
    prompt = write_prompt(heard("jazz"), before=long)
    assert prompt.startswith(long)
    assert estimate_tokens(prompt) <= MAX_TOKENS
    assert write_prompt(heard("jazz"), before="word " * 75, count_tokens=lambda text: len(text.split())) == "word " * 75
    assert plain_prompt("a harbour") == "a harbour, album cover art, square format"


def test_every_tag_in_the_vocabulary_is_one_that_the_tagger_has():
    labels = {label for name in ("msd", "mtt") for label in Musicnn.load(name).labels}
    kinds = _vocabulary()["genres"].values()
    used = [tag for kind in kinds for tag in (*kind["tags"], *kind.get("hints", ()))]
    assert set(used) <= labels
    assert len(used) == len(set(used))


def test_nobody_is_described():
    said = {key: value for key, value in _vocabulary().items() if key != "genres"}
    kinds = [(kind["medium"], kind["subject"]) for kind in _vocabulary()["genres"].values()]
    text = str((said, kinds)).casefold()
    assert not re.search(r"\b(man|men|woman|women|girl|boy|male|female|black man|face|portrait|singer)\b", text)
