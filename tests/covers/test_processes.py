"""Processes that listen and draw looks, and that covers do not depend on them."""

import os
import signal
import sys
import time

import pytest

from covergen_cli.config import GenerateConfig
from covergen_cli.config.resolve import resolve
from covergen_cli.covers import processes as module
from covergen_cli.covers.background import Stopped
from covergen_cli.covers.fingerprint import find_models
from covergen_cli.covers.generate import generate, plan
from covergen_cli.covers.processes import ProcessEndedError, Processes, make_processes
from covergen_cli.errors import InputError
from covergen_cli.events import CoverFailed, CoverFinished
from dataset_files import write_song


@pytest.fixture(scope="module")
def processes():
    pool = Processes(1)
    yield pool
    pool.close()


def test_a_call_is_made_in_another_process_that_stays(processes):
    first, second = processes.run(os.getpid), processes.run(os.getpid)
    assert first == second != os.getpid()


def test_what_a_call_raises_is_raised_here_and_the_process_goes_on(processes):
    number = processes.run(os.getpid)
    with pytest.raises(ZeroDivisionError):
        processes.run(divmod, 1, 0)
    assert processes.run(os.getpid) == number


def test_an_error_keeps_its_hint(processes, tmp_path):
    from covergen_cli.audio.validate import validate

    with pytest.raises(InputError, match="does not exist") as caught:
        processes.run(validate, tmp_path / "missing.mp3", 10.0)
    assert caught.value.hint


def test_what_a_call_prints_does_not_get_between_the_answers(processes):
    assert processes.run(print, "printed") is None
    assert processes.run(os.write, 1, b"written") == 7
    assert processes.run(max, 1, 2) == 2


def test_after_a_crash_the_next_call_has_a_new_process(processes):
    before = processes.run(os.getpid)
    with pytest.raises(ProcessEndedError):
        processes.run(os._exit, 3)
    assert processes.run(os.getpid) not in {before, os.getpid()}


def test_a_call_can_be_given_up_and_closing_ends_the_process():
    pool = Processes(1)
    number = pool.run(os.getpid)

    def stop():
        raise Stopped

    with pytest.raises(Stopped):
        pool.run(time.sleep, 60, check_stop=stop)
    pool.close()
    with pytest.raises(ProcessLookupError):
        os.kill(number, signal.SIGTERM)


def test_without_a_python_to_start_the_calling_thread_does_the_work(monkeypatch, tmp_path):
    monkeypatch.setattr(sys, "executable", str(tmp_path / "no-python"))
    assert Processes(1).run(os.getpid) == os.getpid()


@pytest.fixture
def songs(tmp_path_factory):
    folder = tmp_path_factory.mktemp("music")
    write_song(folder / "one.wav", seconds=6.0)
    write_song(folder / "two.wav", seconds=7.0)
    (folder / "broken.mp3").write_bytes(b"no music" * 500)
    return folder


def painter(**overrides):
    return resolve(GenerateConfig, overrides={"base": "painter", "size": 96, **overrides})


def test_covers_are_the_same_with_and_without_processes(songs, tmp_path, monkeypatch):
    started, calls = [], []
    original = Processes.run

    def run(self, work, *arguments, **settings):
        if self.count:
            calls.append(work.__name__)
        return original(self, work, *arguments, **settings)

    monkeypatch.setattr(Processes, "run", run)
    monkeypatch.setattr(module.os, "cpu_count", lambda: 2)
    outputs = []
    for least in (0, 10**12):
        monkeypatch.setattr(module, "_LEAST_BYTES", least)
        config, folder = painter(), tmp_path / str(least)
        events = list(generate(plan([songs], folder, config), config))
        started.append(list(calls))
        calls.clear()
        assert sum(isinstance(event, CoverFinished) for event in events) == 2
        (failure,) = [event for event in events if isinstance(event, CoverFailed)]
        assert "broken.mp3" in failure.error
        outputs.append({path.name: path.read_bytes() for path in folder.iterdir()})
    assert sorted(started[0]) == ["listen_alone"] * 3 + ["style_and_save"] * 2
    assert started[1] == []
    assert outputs[0] == outputs[1]


def test_a_song_whose_decoder_crashes_fails_and_the_others_get_their_covers(songs, tmp_path, monkeypatch):
    original = Processes.run

    def run(self, work, *arguments, **settings):
        if work.__name__ == "listen_alone" and arguments[0].path.name == "one.wav":
            return original(self, os._exit, 11)
        return original(self, work, *arguments, **settings)

    monkeypatch.setattr(Processes, "run", run)
    monkeypatch.setattr(module, "_LEAST_BYTES", 0)
    monkeypatch.setattr(module.os, "cpu_count", lambda: 2)
    config = painter()
    events = list(generate(plan([songs / "one.wav", songs / "two.wav"], tmp_path, config), config))
    (failure,) = [event for event in events if isinstance(event, CoverFailed)]
    assert "one.wav: the process that decoded it ended" in failure.error
    assert [event.input.name for event in events if isinstance(event, CoverFinished)] == ["two.wav"]


def test_processes_are_made_only_where_they_help(songs, monkeypatch):
    monkeypatch.setattr(module, "_LEAST_BYTES", 0)
    monkeypatch.setattr(module.os, "cpu_count", lambda: 2)
    config = painter()
    jobs = plan([songs / "one.wav", songs / "two.wav"], songs, config)
    models = find_models(config)
    assert make_processes(jobs, config, models).count == 1
    assert not make_processes(jobs[:1], config, models).count  # nothing is done meanwhile
    monkeypatch.setattr(module, "_LEAST_BYTES", 10**9)
    assert not make_processes(jobs, config, models).count
    monkeypatch.setattr(module, "_LEAST_BYTES", 0)
    monkeypatch.setattr(module.os, "cpu_count", lambda: 1)
    assert not make_processes(jobs, config, models).count
