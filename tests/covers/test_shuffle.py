from pathlib import Path

import pytest

from covergen_cli.config import GenerateConfig
from covergen_cli.covers.plan import Job
from covergen_cli.covers.shuffle import donors
from covergen_cli.errors import ConfigError

JOBS = [Job(Path(f"{number}.mp3"), Path(f"{number}.png"), 0) for number in range(7)]


def given(jobs=JOBS, seed=0):
    return donors(jobs, GenerateConfig(shuffle=True, seed=seed))


@pytest.mark.parametrize("seed", range(20))
def test_every_song_gets_another_one_and_each_is_given_once(seed):
    found = given(seed=seed)
    assert list(found) == [job.input for job in JOBS]
    assert sorted(job.input for job in found.values()) == list(found)
    assert all(song != job.input for song, job in found.items())


def test_the_seed_decides():
    assert given(seed=1) == given(seed=1)
    assert len({tuple(job.input for job in given(seed=seed).values()) for seed in range(20)}) > 10


def test_variations_are_one_song():
    assert given([JOBS[0], JOBS[0], JOBS[1]]) == {JOBS[0].input: JOBS[1], JOBS[1].input: JOBS[0]}


def test_one_song_cannot_be_shuffled():
    with pytest.raises(ConfigError, match="single song"):
        given(JOBS[:1] * 3)


def test_nobody_asked():
    assert donors(JOBS, GenerateConfig()) == {}
