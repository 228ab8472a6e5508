from pathlib import Path

import pytest

from covergen_cli.errors import ConfigError
from covergen_cli.generation.shuffle import donors

SONGS = [Path(f"{number}.mp3") for number in range(7)]


@pytest.mark.parametrize("seed", range(20))
def test_every_song_gets_another_one_and_each_is_given_once(seed):
    given = donors(SONGS, seed)
    assert list(given) == SONGS
    assert sorted(given.values()) == SONGS
    assert all(song != donor for song, donor in given.items())


def test_the_seed_decides():
    assert donors(SONGS, 1) == donors(SONGS, 1)
    assert len({tuple(donors(SONGS, seed).values()) for seed in range(20)}) > 10


def test_variations_are_one_song():
    assert donors([SONGS[0], SONGS[0], SONGS[1]], 0) == {SONGS[0]: SONGS[1], SONGS[1]: SONGS[0]}


def test_one_song_cannot_be_shuffled():
    with pytest.raises(ConfigError, match="one song"):
        donors(SONGS[:1] * 3, 0)
