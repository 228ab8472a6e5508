"""Prompts from what was heard."""

import re

import pytest

from covergen_cli.audio.descriptors import Descriptors
from covergen_cli.audio.musicnn import Musicnn
from covergen_cli.audio.tags import Tags
from covergen_cli.covers.words import (
    MAX_TOKENS,
    Heard,
    _vocabulary,
    concrete_nouns,
    estimate_tokens,
    genre_of,
    write_prompt,
)

MIDDLE = dict.fromkeys(("tempo", "mode", "energy", "brightness", "density", "percussiveness", "dynamics"), 0.5)


def heard(*tags, **descriptors):
    return Heard(Descriptors(**MIDDLE | descriptors), tuple((tag, 2.0) for tag in tags))


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


def test_palette_follows_brightness_and_composition_density():
    table = _vocabulary()
    prompt = write_prompt(heard(brightness=0.9, mode=0.9, density=0.1))
    assert any(words in prompt for words in table["palette"]["light-major"])
    assert any(words in prompt for words in table["composition"]["sparse"])


def test_genre_of_the_file_counts_before_what_was_heard():
    assert genre_of(heard("metal")) == "metal"
    assert genre_of(heard("metal"), Tags(genre="Bossa Nova")) == "jazz"
    assert genre_of(heard("metal"), Tags(genre="Post-Rock")) == "indie"  # the longer name wins over "rock"
    assert genre_of(heard("metal"), Tags(genre="Spoken Word")) == "metal"
    assert genre_of(heard()) is None
    assert genre_of(Heard(Descriptors(**MIDDLE), (("rock", 0.4),))) is None


@pytest.mark.parametrize("seed", range(30))
def test_no_prompt_is_too_long_and_medium_and_ending_stay(seed):
    table = _vocabulary()
    for genre, kind in table["genres"].items():
        song = heard(*kind["tags"][:1])
        prompt = write_prompt(song, Tags(genre=kind["names"][0], title="Ununpentium " * 9), seed=seed, title=True)
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


def test_the_title_only_when_asked_for_and_never_an_artist():
    tags = Tags(title="Paper Lanterns", artist="Ana Example", genre="folk")
    assert "Paper Lanterns" not in write_prompt(heard(), tags)
    assert '"Paper Lanterns"' in write_prompt(heard(), tags, title=True)
    assert "Ana" not in write_prompt(heard(), tags, title=True)


def test_lyrics_give_a_few_things_that_can_be_painted():
    lyrics = "The river, the rivers! Moonlight over Berlin and Anna; the moon and a lighthouse, a wolf, a key, a door"
    assert concrete_nouns(lyrics) == ("river", "moon", "lighthouse", "wolf")
    assert concrete_nouns("Anna loves Berlin") == ()
    assert "river" in write_prompt(heard(), nouns=("river",))


def test_every_tag_in_the_vocabulary_is_one_that_the_tagger_has():
    labels = {label for name in ("msd", "mtt") for label in Musicnn.load(name).labels}
    used = [tag for kind in _vocabulary()["genres"].values() for tag in kind["tags"]]
    assert set(used) <= labels
    assert len(used) == len(set(used))


def test_nobody_is_described():
    said = {key: value for key, value in _vocabulary().items() if key != "genres"}
    kinds = [(kind["medium"], kind["subject"]) for kind in _vocabulary()["genres"].values()]
    text = str((said, kinds)).casefold()
    assert not re.search(r"\b(man|men|woman|women|girl|boy|male|female|black man|face|portrait|singer)\b", text)
