"""A file is decoded to its end, and what is wrong with it is found."""

import wave

import av
import numpy as np
import pytest

from covergen_cli.audio.io import load, save_mp3
from covergen_cli.audio.validate import validate
from covergen_cli.errors import InputError

RATE_HZ = 16000


def tone(seconds, level=0.5):
    return (level * np.sin(2 * np.pi * 330 * np.arange(round(seconds * RATE_HZ)) / RATE_HZ)).astype(np.float32)


def write_wav(path, samples, width):
    with wave.open(str(path), "wb") as file:
        file.setparams((1, width, RATE_HZ, 0, "NONE", ""))
        if width == 1:
            file.writeframes((samples * 127 + 128).round().astype(np.uint8).tobytes())
        else:
            file.writeframes((samples * 32767).round().astype("<i2").tobytes())


def write_flac(path, samples):
    with av.open(str(path), "w") as container:
        track = container.add_stream("flac", rate=RATE_HZ, layout="mono")
        frame = av.AudioFrame.from_ndarray((samples * 32767).astype("<i2")[None], format="s16", layout="mono")
        frame.sample_rate = RATE_HZ
        container.mux(track.encode(frame))
        container.mux(track.encode(None))


@pytest.mark.parametrize("width", [1, 2])
@pytest.mark.parametrize(("level", "silent"), [(0.5, False), (0.0, True)])
def test_length_and_silence(tmp_path, width, level, silent):
    write_wav(tmp_path / "x.wav", tone(6, level), width)
    found = validate(tmp_path / "x.wav", 60)
    assert (found.seconds, found.silent, found.warnings) == (6.0, silent, ())


def test_it_says_what_load_says(tmp_path):
    save_mp3(tmp_path / "x.mp3", tone(7), RATE_HZ)
    found = validate(tmp_path / "x.mp3", 60)
    assert found.codec.startswith("mp3")
    assert found.seconds == pytest.approx(load(tmp_path / "x.mp3", RATE_HZ).samples.size / RATE_HZ, abs=0.01)


def test_a_file_that_ends_early(tmp_path):
    write_flac(tmp_path / "x.flac", tone(8) + 0.1 * np.random.default_rng(0).standard_normal(8 * RATE_HZ))
    data = (tmp_path / "x.flac").read_bytes()
    (tmp_path / "x.flac").write_bytes(data[: len(data) // 2])
    assert any("incomplete" in text for text in validate(tmp_path / "x.flac", 60).warnings)


def test_only_so_much_is_decoded(tmp_path):
    write_wav(tmp_path / "x.wav", tone(30), 2)
    found = validate(tmp_path / "x.wav", 10)
    assert 10 < found.seconds < 12
    assert not found.warnings, "that it goes on is no fault"


@pytest.mark.parametrize("content", [b"", b"Dear diary, this is no music. " * 100])
def test_what_is_no_music(tmp_path, content):
    (tmp_path / "x.mp3").write_bytes(content)
    with pytest.raises(InputError):
        validate(tmp_path / "x.mp3", 60)
