"""What was written is decoded again: frames, speed, colours, sound, provenance."""

import av
import numpy as np
import pytest
from PIL import Image

from covergen_cli.audio.io import save_mp3
from covergen_cli.covers.motion import video
from covergen_cli.covers.motion.video import save_video, video_encoder
from covergen_cli.errors import CovergenError, OutputError
from covergen_cli.provenance import read_provenance
from covers.motion.conftest import clicks

MADE = {"version": "0", "seed": 7, "title": "Grüße & <x>", "base": {"name": "starter"}}


def frames(count=10, width=96, height=64):
    """A square that goes around, on two colours."""
    for index in range(count):
        frame = np.full((height, width, 3), (30, 60, 160), np.uint8)
        frame[height // 2 :] = (200, 90, 40)
        x = round(width / 2 + width / 4 * np.cos(2 * np.pi * index / count))
        frame[20:40, x - 8 : x + 8] = (240, 240, 230)
        yield frame


def decoded(path):
    with av.open(str(path)) as container:
        return [frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)]


def test_an_mp4_holds_every_frame_in_its_colours(tmp_path):
    path = tmp_path / "loop.mp4"
    assert list(save_video(path, frames(), 24, MADE, "mp4")) == list(range(1, 11))
    with av.open(str(path)) as container:
        (stream,) = container.streams
        assert (stream.codec_context.name, stream.codec_context.pix_fmt) == ("h264", "yuv420p")
        assert (stream.average_rate, stream.frames) == (24, 10)
        assert float(container.duration / av.time_base) == pytest.approx(10 / 24, abs=0.05)
    seen, given = decoded(path), list(frames())
    assert len(seen) == 10
    assert np.abs(seen[0].astype(float) - given[0]).mean() < 6
    assert np.abs(seen[5].astype(float) - given[5]).mean() < 6
    data = path.read_bytes()
    assert data.index(b"moov") < data.index(b"mdat")  # players start before all of it is there
    assert b"trainedAlgorithmicMedia" in data


@pytest.mark.parametrize("kind", ["mp4", "webp", "gif"])
def test_a_loop_says_how_it_was_made(tmp_path, kind):
    path = tmp_path / f"loop.{kind}"
    list(save_video(path, frames(4), 12, MADE, kind))
    assert read_provenance(path) == {**MADE, "generator": "covergen"}


@pytest.mark.parametrize(("kind", "milliseconds"), [("webp", 83), ("gif", 80)])
def test_an_animation_repeats_for_ever(tmp_path, kind, milliseconds):
    path = tmp_path / f"loop.{kind}"
    list(save_video(path, frames(12), 12, MADE, kind))
    with Image.open(path) as image:
        assert (image.n_frames, image.size, image.info["loop"]) == (12, (96, 64), 0)
        image.load()
        assert image.info["duration"] == pytest.approx(milliseconds, abs=1)
        image.seek(6)
        assert np.abs(np.asarray(image.convert("RGB")).astype(float) - list(frames(12))[6]).mean() < 8


def test_an_odd_size_is_refused_in_one_line_and_leaves_nothing(tmp_path):
    with pytest.raises(OutputError, match=r"cannot write .*loop\.mp4"):
        list(save_video(tmp_path / "loop.mp4", frames(3, 95, 63), 24, MADE, "mp4"))
    assert list(tmp_path.iterdir()) == []


def test_a_loop_that_is_stopped_leaves_nothing(tmp_path):
    writing = save_video(tmp_path / "loop.mp4", frames(), 24, MADE, "mp4")
    next(writing)
    writing.close()
    assert list(tmp_path.iterdir()) == []


def test_another_encoder_takes_the_place_of_a_missing_one(tmp_path, monkeypatch):
    assert video_encoder() == "libx264"
    monkeypatch.setattr(video, "_ENCODERS", {"libnone": {}, "mpeg4": {"qscale": "3"}})
    assert video_encoder() == "mpeg4"
    list(save_video(tmp_path / "loop.mp4", frames(), 24, MADE, "mp4"))
    assert len(decoded(tmp_path / "loop.mp4")) == 10
    monkeypatch.setattr(video, "_ENCODERS", {"libnone": {}})
    with pytest.raises(CovergenError, match="no encoder"):
        video_encoder()


def test_the_sound_is_where_it_was_in_the_song(tmp_path):
    song = tmp_path / "song.mp3"
    save_mp3(song, clicks(60, 6.0, 44100, first=0.5), 44100)
    path = tmp_path / "video.mp4"
    list(save_video(path, frames(6 * 24), 24, MADE, "mp4", song=song))
    with av.open(str(path)) as container:
        sound = container.streams.audio[0]
        assert (sound.codec_context.name, sound.rate, sound.channels) == ("aac", 48000, 2)
        resampler = av.AudioResampler(format="flt", layout="mono", rate=48000)
        parts = [(frame.time, part) for frame in container.decode(sound) for part in resampler.resample(frame)]
    heard = np.concatenate([part.to_ndarray().ravel() for _, part in parts])
    assert parts[0][0] == pytest.approx(0, abs=0.03)
    assert len(heard) / 48000 == pytest.approx(6.0, abs=0.1)
    loud = np.flatnonzero(np.abs(heard) > 0.3 * np.abs(heard).max()) / 48000
    starts = loud[np.concatenate([[True], np.diff(loud) > 0.5])]
    assert np.allclose(starts, 0.5 + np.arange(len(starts)), atol=1 / 24)
    assert len(starts) >= 5
