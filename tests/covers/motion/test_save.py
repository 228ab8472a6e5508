"""generate --motion: a loop beside the cover, written once, of the cover that is there."""

import dataclasses
from pathlib import Path

import av
import numpy as np
import pytest
from PIL import Image

from covergen_cli.audio.io import save_mp3
from covergen_cli.config import GenerateConfig
from covergen_cli.covers.generate import generate, plan
from covergen_cli.covers.motion import frame_bank, save
from covergen_cli.covers.motion.due import check_motion
from covergen_cli.covers.motion.targets import load_targets
from covergen_cli.errors import ConfigError
from covergen_cli.events import CoverFinished, CoverSkipped, FileSaved, Progress, Warned
from covergen_cli.provenance import read_provenance
from covers.motion.conftest import clicks

CONFIG = GenerateConfig(base="painter", look="paint", size=64, motion="mp4")


@pytest.fixture
def song(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    save_mp3(tmp_path / "song.mp3", clicks(120, 6.0, 44100), 44100)
    return tmp_path / "song.mp3"


@pytest.fixture(autouse=True)
def small(monkeypatch):
    """Frames of 64 pixels, drawn in this process, ten a second."""
    targets = {name: dataclasses.replace(target, width=64, height=64) for name, target in load_targets().items()}
    monkeypatch.setattr(save, "load_targets", lambda: targets)
    monkeypatch.setattr(save, "FPS", 10)
    for module in (save, frame_bank):
        monkeypatch.setattr(module, "_PROCESSES", 1)


def run(song, **settings):
    config = dataclasses.replace(CONFIG, **settings)
    return list(generate(plan([song], Path("cover.png"), config), config))


def first_frame(path):
    with av.open(str(path)) as container:
        return next(container.decode(video=0)).to_ndarray(format="rgb24").astype(float)


def test_the_loop_of_a_cover_begins_with_it_and_says_the_same(song):
    events = run(song)
    kinds = [type(event) for event in events if not isinstance(event, Progress)]
    assert kinds[-2:] == [CoverFinished, FileSaved]
    assert any(isinstance(event, Progress) and event.task == "motion" and event.total for event in events)
    with Image.open("cover.png") as cover:
        assert np.abs(first_frame("cover.mp4") - np.asarray(cover)).mean() < 8
    made = read_provenance(Path("cover.mp4"))
    assert made["fingerprint"] == read_provenance(Path("cover.png"))["fingerprint"]
    assert (made["motion"], made["motion_for"]) == ("mp4", "square")


def test_a_loop_is_written_once_and_again_when_it_or_the_cover_changed(song):
    run(song)
    cover, loop = Path("cover.png").stat().st_mtime_ns, Path("cover.mp4").stat().st_mtime_ns
    assert not any(isinstance(event, FileSaved) for event in run(song))
    Path("cover.mp4").unlink()
    again = run(song)
    assert any(isinstance(event, CoverSkipped) for event in again)
    assert any(isinstance(event, FileSaved) for event in again)
    assert Path("cover.png").stat().st_mtime_ns == cover
    assert Path("cover.mp4").stat().st_mtime_ns > loop
    run(song, motion_for="canvas")
    assert read_provenance(Path("cover.mp4"))["motion_for"] == "canvas"
    run(song, seed=1)
    assert read_provenance(Path("cover.mp4"))["seed"] == 1


def test_with_overwrite_skip_only_missing_loops_are_written(song):
    run(song, motion=None)
    assert not Path("cover.mp4").exists()
    assert any(isinstance(event, FileSaved) for event in run(song, overwrite="skip"))
    assert not any(isinstance(event, FileSaved) for event in run(song, overwrite="skip", motion_for="canvas"))
    Path("cover.mp4").unlink()
    other = run(song, overwrite="skip", seed=5)  # its loop would not be that of the cover
    assert not any(isinstance(event, FileSaved) for event in other)


def test_the_same_song_and_seed_give_the_same_loop(song):
    run(song, motion="webp")
    first = Path("cover.webp").read_bytes()
    Path("cover.webp").unlink()
    run(song, motion="webp")
    assert Path("cover.webp").read_bytes() == first


def test_a_file_of_another_program_is_kept(song):
    Path("cover.mp4").write_bytes(b"a film")
    events = run(song)
    assert any(isinstance(event, CoverFinished) for event in events)
    (warning,) = [event for event in events if isinstance(event, Warned)]
    assert "was not made by covergen" in warning.message
    assert Path("cover.mp4").read_bytes() == b"a film"


def test_title_and_artist_stand_still_on_the_loop_but_not_on_a_canvas(song):
    run(song, title="X", artist="Y", layout="band", size=128)
    assert (Path("cover.png")).exists()
    lettered = first_frame("cover.mp4")
    run(song, title="X", artist="Y", layout="band", size=128, motion_for="canvas")
    assert np.abs(lettered - first_frame("cover.mp4")).max() > 60


def test_a_video_of_the_whole_song_has_its_length_and_its_sound(song):
    run(song, motion_for="youtube")
    with av.open("cover.mp4") as container:
        picture, sound = container.streams.video[0], container.streams.audio[0]
        assert float(picture.duration * picture.time_base) == pytest.approx(6.0, abs=0.2)
        assert float(sound.duration * sound.time_base) == pytest.approx(6.0, abs=0.2)
    assert list((frame_bank._banks()).iterdir()) == []


def test_an_interrupted_video_goes_on_with_the_frames_that_it_has(song, monkeypatch):
    config = dataclasses.replace(CONFIG, motion_for="youtube")
    running = generate(plan([song], Path("cover.png"), config), config)
    for event in running:
        if isinstance(event, Progress) and event.task == "motion" and event.done >= 12:
            break
    running.close()
    assert not Path("cover.mp4").exists()
    (bank,) = frame_bank._banks().iterdir()
    kept = {path.name for path in bank.iterdir()}
    assert len(kept) >= 10
    drawn = []
    real = frame_bank.draw_frames
    monkeypatch.setattr(frame_bank, "draw_frames", lambda *a, **k: (drawn.append(1) or one for one in real(*a, **k)))
    run(song, motion_for="youtube")
    assert Path("cover.mp4").exists()
    assert drawn
    with av.open("cover.mp4") as container:
        assert container.streams.video[0].frames == pytest.approx(60, abs=2)
    assert len(drawn) <= 60 - 10


@pytest.mark.parametrize("settings", [{"motion_for": "youtube", "motion": "webp"}, {"format": "svg", "look": "cutout"}])
def test_settings_that_give_no_loop(settings):
    with pytest.raises(ConfigError):
        check_motion(dataclasses.replace(CONFIG, **settings))


def test_every_target_says_where_its_rules_were_read():
    for target in load_targets().values():
        assert target.width % 2 == target.height % 2 == 0
        assert target.sources
        assert all(source.date for source in target.sources)
