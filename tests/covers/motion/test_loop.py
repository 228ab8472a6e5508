"""A loop is a whole number of bars, and what moves moves on the beat."""

from itertools import pairwise

import numpy as np
import pytest

from covergen_cli.covers.motion.loop import make_loop
from covergen_cli.covers.motion.rhythm import FRAME_HZ, RATE_HZ, Rhythm, analyse_rhythm
from covergen_cli.covers.motion.whole_song import STRENGTHS, song_moments
from covers.motion.conftest import clicks


@pytest.fixture(scope="module")
def at_100():
    return analyse_rhythm(clicks(100, 24))


def even(bpm, seconds=20.0):
    frames = round(seconds * FRAME_HZ)
    return Rhythm(bpm, np.arange(0, seconds, 60 / bpm, dtype=np.float32), np.ones((3, frames)), np.ones(frames))


def test_clicks_are_heard_as_beats(at_100):
    assert at_100.bpm == pytest.approx(100, abs=1)
    assert np.median(np.diff(at_100.beats)) == pytest.approx(0.6, abs=0.03)


@pytest.mark.parametrize("seconds", [3, 12])
def test_silence_and_a_short_song_still_have_a_loop(seconds):
    rhythm = analyse_rhythm(np.zeros(seconds * RATE_HZ, np.float32))
    loop = make_loop(rhythm, 24, 3, 8)
    assert 3 <= loop.seconds <= 8
    assert np.allclose(np.diff(loop.phases), np.diff(loop.phases)[0, 0], atol=1e-5)


@pytest.mark.parametrize(("bpm", "beats"), [(60, 4), (90, 8), (120, 12), (160, 16), (200, 20)])
def test_a_loop_has_the_number_of_bars_that_is_nearest_to_the_middle(bpm, beats):
    loop = make_loop(even(bpm), 24, 3, 8)
    assert loop.beats == beats
    assert loop.seconds == pytest.approx(beats * 60 / bpm, abs=1 / 24)


def test_where_no_bar_fits_a_loop_has_beats():
    loop = make_loop(even(50), 24, 1.0, 3.0)
    assert loop.beats == 2
    assert loop.seconds == pytest.approx(2.4, abs=1 / 24)


def test_everything_starts_where_it_is_and_goes_once_around(at_100):
    loop = make_loop(at_100, 24, 3, 8)
    assert (loop.phases[:, 0] == 0).all()
    assert (np.diff(loop.phases) > 0).all()
    closing = 1 - loop.phases[:, -1]
    assert (closing > 0).all()
    assert (closing < 0.1).all()


def test_what_moves_moves_on_the_beat(at_100):
    loop = make_loop(at_100, 24, 3, 8)
    within = (np.arange(loop.frames) / loop.frames * loop.beats) % 1
    on, off = loop.speed[within < 0.3].mean(), loop.speed[within > 0.6].mean()
    assert on > 1.3 * off


def test_a_video_of_a_song_follows_its_beats_when_the_tempo_changes():
    beats = np.concatenate([np.arange(0, 10, 0.5), np.arange(10, 20, 0.4)]).astype(np.float32)
    frames = round(20 * FRAME_HZ)
    rhythm = Rhythm(120, beats, np.ones((3, frames), np.float32), np.ones(frames, np.float32))
    loop = make_loop(rhythm, 24, 3, 8)
    moments = song_moments(rhythm, loop, 20.0)
    assert len(moments) == 480
    starts = [i / 24 for i in range(1, 480) if moments[i].phases[0] < moments[i - 1].phases[0]]
    expected = beats[loop.beats :: loop.beats]
    assert np.allclose(starts[: len(expected)], expected, atol=1 / 24 + 1e-6)


def test_a_louder_part_moves_further_and_the_change_is_where_nothing_has_moved():
    frames = round(60 * FRAME_HZ)
    level = np.where(np.arange(frames) < frames / 2, 0.1, 1.0).astype(np.float32)
    rhythm = Rhythm(120, np.arange(0, 60, 0.5, dtype=np.float32), np.ones((3, frames), np.float32), level)
    moments = song_moments(rhythm, make_loop(rhythm, 24, 3, 8), 60.0)
    assert moments[0].is_still
    strengths = [moment.strength for moment in moments]
    assert (strengths[24], strengths[-24]) == (STRENGTHS[0], STRENGTHS[-1])
    for before, after in pairwise(moments):
        if before.strength != after.strength:
            assert max(after.phases) < 0.1
            assert min(before.phases) > 0.9


def test_a_long_song_needs_no_more_frames_than_a_short_one():
    rhythm, long = even(120, 60.0), even(120, 600.0)
    loop = make_loop(rhythm, 24, 3, 8)
    assert len(set(song_moments(long, make_loop(long, 24, 3, 8), 600.0))) <= loop.frames * len(STRENGTHS)
