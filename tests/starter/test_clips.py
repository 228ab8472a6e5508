"""Listening: synthesised and recorded jobs, files that are no music, and going on after a stop."""

import numpy as np
import pytest

from covergen_cli.audio.io import save_mp3
from covergen_cli.events import Progress, Warned
from covergen_cli.starter import clips
from covergen_cli.starter.augment import augment
from covergen_cli.starter.clips import analyse_clips, open_clips, recording_jobs, synthetic_jobs
from covergen_cli.synthetic.conditions import KINDS_PART
from covergen_cli.synthetic.kinds import KINDS

RATE_HZ = 22050


@pytest.fixture(autouse=True)
def short_clips(monkeypatch):
    monkeypatch.setattr(clips, "CLIP_SECONDS", 6.0)
    monkeypatch.setattr(clips, "_CHUNK", 2)
    monkeypatch.setattr(clips, "VERSIONS", 1)
    monkeypatch.setattr(clips, "ranked_tags", lambda *_: (("violin", 4.0),))


@pytest.fixture
def song(tmp_path):
    time = np.arange(20 * RATE_HZ) / RATE_HZ
    path = tmp_path / "song.mp3"
    save_mp3(path, (0.4 * np.sin(2 * np.pi * 220 * time) * np.exp(-3 * (2 * time % 1))).astype(np.float32), RATE_HZ)
    return path


def listen(folder, jobs):
    events = list(analyse_clips(folder, jobs, workers=1))
    return [event for event in events if isinstance(event, Warned)], [e for e in events if isinstance(e, Progress)]


def test_excerpts_are_spread_over_the_recording_and_lie_within(song):
    jobs = recording_jobs([song], 3, seed=0)
    starts = [start for _, start in jobs]
    assert [name for name, _ in jobs] == [str(song)] * 3
    assert starts == sorted(starts)
    assert starts[0] >= 0
    assert starts[-1] <= 20.1 - 6
    assert recording_jobs([song], 3, seed=0) == jobs
    assert recording_jobs([song], 3, seed=1) != jobs


def test_what_is_no_recording_gives_no_job(song, tmp_path):
    (tmp_path / "text.mp3").write_text("this is no music")
    assert {name for name, _ in recording_jobs([tmp_path / "text.mp3", tmp_path / "gone.mp3", song], 1, 0)} == {
        str(song)
    }


def test_songs_and_recordings_are_heard_and_kept_together(song, tmp_path):
    warned, _ = listen(tmp_path / "a", synthetic_jobs(1, seed=7))
    listen(tmp_path / "b", recording_jobs([song], 1, seed=0))
    heard = open_clips(tmp_path / "a", tmp_path / "b")
    assert warned == []
    assert heard.names == ["synthetic:7", str(song)]
    assert heard.embeddings.shape == (2, heard.lengths.max(), 512)
    assert heard.conditions.shape == (2, 24)
    descriptors = heard.conditions[:, :7]
    assert descriptors.min() >= 0
    assert descriptors.max() <= 1
    assert not np.allclose(descriptors[0], descriptors[1])
    kinds = heard.conditions[1, KINDS_PART]
    assert KINDS[int(kinds.argmax())] == "lines"  # what suits violins


def test_padding_is_zero_and_counts_the_real_frames(song, tmp_path, monkeypatch):
    listen(tmp_path / "long", [(str(song), 0.0)])
    monkeypatch.setattr(clips, "CLIP_SECONDS", 12.0)
    listen(tmp_path / "longer", [(str(song), 0.0)])
    heard = open_clips(tmp_path / "long", tmp_path / "longer")
    short, long = heard.lengths
    assert short < long == heard.embeddings.shape[1]
    assert not heard.embeddings[0, short:].any()
    assert heard.embeddings[0, short - 1].any()


def test_a_file_that_cannot_be_heard_is_named_and_left_out(song, tmp_path):
    bad, silent = tmp_path / "bad.mp3", tmp_path / "silent.mp3"
    bad.write_bytes(b"this is no music")
    save_mp3(silent, np.zeros(10 * RATE_HZ, np.float32), RATE_HZ)
    warned, progress = listen(tmp_path / "kept", [(str(bad), 0.0), (str(silent), 2.0), (str(song), 0.0)])
    assert [str(bad) in warned[0].message, str(silent) in warned[1].message] == [True, True]
    assert len(warned) == 2
    assert [event.done for event in progress] == [2, 3]
    assert open_clips(tmp_path / "kept").names == [str(song)]


def test_listening_goes_on_where_it_was_stopped(song, tmp_path, monkeypatch):
    jobs = [(str(song), float(start)) for start in range(4)]
    listen(tmp_path / "whole", jobs)
    listening = analyse_clips(tmp_path / "stopped", jobs, workers=1)
    next(listening)
    listening.close()
    assert len(list((tmp_path / "stopped").glob("*.npz"))) == 1
    asked = []

    def hear(job, once=clips._analyse):
        asked.append(job)
        return once(job)

    monkeypatch.setattr(clips, "_analyse", hear)
    listen(tmp_path / "stopped", jobs)
    assert asked == jobs[2:]
    whole, stopped = open_clips(tmp_path / "whole"), open_clips(tmp_path / "stopped")
    assert whole.names == stopped.names
    assert np.array_equal(whole.embeddings, stopped.embeddings)
    assert np.array_equal(whole.conditions, stopped.conditions)


def test_changed_clips_keep_their_kind_and_get_descriptors_of_their_own(song, tmp_path, monkeypatch):
    monkeypatch.setattr(clips, "VERSIONS", 3)
    monkeypatch.chdir(song.parent)  # the changes depend on the path, which is another one in every run
    listen(tmp_path / "clips", [(song.name, 0.0)])
    heard = open_clips(tmp_path / "clips")
    assert heard.names == [song.name] * 3
    assert len(np.unique(heard.conditions[:, :7].round(3), axis=0)) == 3


def test_augmenting_changes_the_sound_as_its_seed_says():
    time = np.arange(4 * RATE_HZ) / RATE_HZ
    samples = (0.4 * np.sin(2 * np.pi * 440 * time)).astype(np.float32)
    changed = [augment(samples, RATE_HZ, seed) for seed in range(12)]
    assert all(np.array_equal(a, augment(samples, RATE_HZ, seed)) for seed, a in enumerate(changed[:3]))
    assert len({one.tobytes() for one in changed}) == 12
    assert all(one.dtype == np.float32 and np.isfinite(one).all() and np.abs(one).max() <= 1 for one in changed)
    lengths = [len(one) / len(samples) for one in changed]
    assert min(lengths) < 0.95
    assert max(lengths) > 1.05
