"""The picture of what was heard."""

import numpy as np
import pytest
from PIL import Image

from audio.signals import chords, write_audio
from covergen_cli.covers.explain import explain_song, explanation_path, write_explanation
from covergen_cli.covers.plan import Job
from covergen_cli.events import FileSaved, Warned


@pytest.fixture(scope="module")
def song(tmp_path_factory):
    quiet = 0.2 * chords([(0, 4), (5, 4)], repeats=10)
    loud = chords([(0, 4), (7, 4)], repeats=16)
    path = tmp_path_factory.mktemp("music") / "a $song$.mp3"
    return write_audio(path, np.concatenate([quiet, loud]), 22050, "libmp3lame")


@pytest.fixture(scope="module")
def heard(song):
    return explain_song(song, (22.0, 52.0))


def test_what_is_heard_is_the_curve_of_the_whole_song_and_the_sound_of_the_part(heard):
    assert heard.segment == (22.0, 52.0)
    assert heard.search.duration_seconds == pytest.approx(52, abs=0.2)
    assert len(heard.search.scores) == len(heard.search.window_starts) > 20
    assert heard.search.window_starts[int(np.argmax(heard.search.scores))] > 15
    assert 0.5 < heard.descriptors.mode < 1


def attention():
    weights = np.full(40, 0.5 / 39, np.float32)
    weights[10] = 0.5
    return weights


def test_a_picture_is_drawn_beside_the_cover(song, heard, tmp_path):
    job = Job(song, tmp_path / "song.png", 0)
    assert write_explanation(job, heard, attention()) == FileSaved(tmp_path / "song.explain.png", "the explanation")
    with Image.open(tmp_path / "song.explain.png") as image:
        pixels = np.asarray(image.convert("RGB")).astype(int)
    assert min(image.size) > 600
    reddish = pixels[..., 0] - pixels[..., 1] > 60
    assert 0.005 < reddish.mean() < 0.4


def test_the_picture_shows_the_attention_and_the_same_facts_give_the_same_picture(song, heard, tmp_path):
    job = Job(song, tmp_path / "song.png", 0)
    pictures = []
    for weights in (attention(), attention(), attention()[::-1]):
        write_explanation(job, heard, weights)
        pictures.append(explanation_path(job.output).read_bytes())
    assert pictures[0] == pictures[1] != pictures[2]


def test_a_place_that_cannot_be_written_to_is_a_warning(song, heard, tmp_path):
    (tmp_path / "song.explain.png").mkdir()
    event = write_explanation(Job(song, tmp_path / "song.png", 0), heard, attention())
    assert isinstance(event, Warned)
    assert event.path == song


def test_every_descriptor_has_its_poles():
    from covergen_cli.audio.descriptors import ENDS, NAMES

    assert tuple(ENDS) == NAMES


def test_the_cover_itself_and_the_reasons_are_shown(song, heard, tmp_path):
    job, pictures = Job(song, tmp_path / "song.png", 0), []
    for colour, reasons in (((0, 200, 90), ()), ((0, 200, 90), ("look: riso",)), (None, ())):
        job.output.unlink(missing_ok=True)
        if colour:
            Image.new("RGB", (64, 64), colour).save(job.output)
        assert isinstance(write_explanation(job, heard, attention(), None, reasons), FileSaved)
        with Image.open(explanation_path(job.output)) as image:
            pictures.append(np.asarray(image.convert("RGB")).astype(int))
    green = [(np.abs(pixels - (0, 200, 90)).max(axis=2) < 8).mean() for pixels in pictures]
    assert min(green[:2]) > 0.05
    assert green[2] == 0
    assert np.abs(pictures[0] - pictures[1])[:400, 400:].max() > 100, "the reasons"
