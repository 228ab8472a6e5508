"""Files whose time stamps or declared durations cannot be trusted, and files with something behind the sound."""

from __future__ import annotations

import numpy as np
import pytest

from covergen_cli.audio import decode
from covergen_cli.audio.container import open_audio
from covergen_cli.audio.decode import Damage
from covergen_cli.audio.io import load, probe, stream
from covergen_cli.audio.validate import validate
from covergen_cli.errors import InputError

from .signals import noise, tone, write_audio

STEPS = [400 + 200 * step for step in range(8)]


def steps(rate_hz):
    """Eight seconds, each of them 200 Hz higher than the one before."""
    return np.concatenate([tone(hertz, 1, rate_hz) for hertz in STEPS])


def chained(folder, name, codec, rates_hz=(48000, 48000)):
    """Six seconds of 300 Hz and then :func:`steps`, two complete files in one."""
    parts = (tone(300, 6, rates_hz[0]), steps(rates_hz[1]))
    data = [
        write_audio(folder / f"{number}-{name}", part, rate_hz, codec, "stereo").read_bytes()
        for number, (part, rate_hz) in enumerate(zip(parts, rates_hz, strict=True))
    ]
    path = folder / name
    path.write_bytes(b"".join(data))
    return path


def strongest_hertz(samples, rate_hz):
    return np.argmax(np.abs(np.fft.rfft(samples))) * rate_hz / samples.size


CHAINS = [("c.opus", "libopus"), ("c.ogg", "vorbis"), ("c.oga", "flac"), ("c.flac", "flac"), ("c.mp3", "libmp3lame")]


@pytest.mark.parametrize(("name", "codec"), CHAINS)
def test_a_part_of_a_chained_file_is_the_part_that_was_asked_for(tmp_path, name, codec):
    path = chained(tmp_path, name, codec)
    for step in (1, 6):
        clip = load(path, 22050, 6.3 + step, 6.8 + step)
        assert clip.samples.size == 11025
        assert strongest_hertz(clip.samples, 22050) == pytest.approx(STEPS[step], abs=3)
        assert clip.warnings == ()


@pytest.mark.parametrize(("name", "codec"), CHAINS)
def test_the_duration_of_a_chained_file_is_that_of_its_sound(tmp_path, name, codec):
    path = chained(tmp_path, name, codec)
    assert validate(path, 60).seconds == pytest.approx(14, abs=0.15)
    assert validate(path, 60).warnings == ()
    blocks = stream(path, 8000)
    assert sum(block.size for block in blocks) / 8000 == pytest.approx(14, abs=0.15)
    with pytest.raises(InputError, match="no sound at 20 s") as caught:
        load(path, 8000, 20, 25)
    assert caught.value.hint.startswith(("It ends after 14", "It ends after 13.9"))


def test_parts_after_a_change_of_sample_rate(tmp_path):
    path = chained(tmp_path, "c.flac", "flac", (44100, 48000))
    assert strongest_hertz(load(path, 22050, 8.3, 8.8).samples, 22050) == pytest.approx(STEPS[2], abs=3)


def test_a_chained_ogg_declares_no_duration_and_a_plain_one_does(tmp_path):
    path = chained(tmp_path, "c.opus", "libopus")
    assert probe(path).duration_seconds is None
    assert probe(tmp_path / "1-c.opus").duration_seconds == pytest.approx(8, abs=0.1)


@pytest.mark.parametrize("codec", ["adpcm_ima_wav", "adpcm_ms"])
def test_a_part_of_adpcm_is_the_part_that_was_asked_for(tmp_path, codec):
    path = write_audio(tmp_path / "a.wav", steps(44100), 44100, codec, "stereo")
    clip = load(path, 22050, 6.3, 6.8)
    assert strongest_hertz(clip.samples, 22050) == pytest.approx(STEPS[6], abs=3)
    assert clip.samples.size == 11025


@pytest.mark.parametrize(("name", "codec"), [("a.wav", "pcm_s16le"), ("a.mp3", "libmp3lame"), ("a.m4a", "aac")])
def test_where_the_position_is_exact_the_beginning_is_not_decoded(tmp_path, monkeypatch, name, codec):
    path = write_audio(tmp_path / name, steps(44100), 44100, codec)
    damage = Damage()
    with open_audio(path) as (container, audio):
        frames = []
        monkeypatch.setattr(decode, "decoded_frames", counted(decode.decoded_frames, frames))
        size = sum(block.size for _, block in decode.mono_blocks(container, audio, damage, 7 * 44100))
    assert size == pytest.approx(44100, rel=0.1)
    assert sum(frames) < 1.5 * 44100


def counted(decoded_frames, frames):
    def counting(*args):
        for frame in decoded_frames(*args):
            frames.append(frame.samples)
            yield frame

    return counting


HALVES = [
    ("a.wav", "pcm_s16le"),
    ("a.wav", "pcm_s24le"),
    ("a.wav", "pcm_u8"),
    ("a.wav", "pcm_f32le"),
    ("a.w64", "pcm_s16le"),
    ("a.caf", "pcm_s16be"),
    ("a.aiff", "pcm_s16be"),
    ("a.au", "pcm_s16be"),
    ("a.ogg", "vorbis"),
    ("a.oga", "flac"),
    ("a.opus", "libopus"),
    ("a.flac", "flac"),
    ("a.mp3", "libmp3lame"),
    ("a.tta", "tta"),
    ("a.wv", "wavpack"),
    ("a.mka", "libopus"),
]


@pytest.mark.parametrize(("name", "codec"), HALVES)
def test_half_a_file_is_noticed(tmp_path, name, codec):
    path = write_audio(tmp_path / name, noise(4, 48000), 48000, codec, "stereo")
    assert load(path, 8000).warnings == validate(path, 60).warnings == ()
    data = path.read_bytes()
    path.write_bytes(data[: len(data) // 2 + 1])
    clip = load(path, 8000)
    assert 0.9 < clip.samples.size / 8000 < 2.5
    assert any("incomplete" in text for text in clip.warnings)
    assert any("incomplete" in text for text in validate(path, 60).warnings)


@pytest.mark.parametrize("size", [0, 0xFFFFFFFF, 0x7FFFFFFF, 0x7FFFF000])
def test_a_wav_that_was_written_to_a_pipe_is_complete(tmp_path, size):
    path = write_audio(tmp_path / "a.wav", noise(2), 22050, "pcm_s16le")
    data = bytearray(path.read_bytes())
    at = data.index(b"data") + 4
    data[at : at + 4] = size.to_bytes(4, "little")
    path.write_bytes(data)
    clip = load(path, 22050)
    assert clip.samples.size == pytest.approx(2 * 22050, abs=10)
    assert clip.warnings == ()


APE = b"APETAGEX" + (2000).to_bytes(4, "little") + (64).to_bytes(4, "little") + bytes(16) + b"x" * 32
TRAILERS = {
    "ID3v1": b"TAG" + b"x" * 125,
    "zeros": bytes(417),
    "ID3v2.4": b"ID3\x04\x00\x10\x00\x00\x00\x7f" + bytes(127) + b"3DI\x04\x00\x10\x00\x00\x00\x7f",
    "Lyrics3": b"LYRICSBEGININD0000200LYR00100" + b"x" * 100 + b"000137LYRICS200TAG" + b"x" * 125,
    "APE": APE,
}


@pytest.mark.parametrize("trailer", TRAILERS)
@pytest.mark.parametrize(
    ("name", "codec"), [("a.mp3", "libmp3lame"), ("a.flac", "flac"), ("a.ogg", "vorbis"), ("a.wv", "wavpack")]
)
def test_what_follows_the_last_frame_is_no_damage(tmp_path, name, codec, trailer):
    path = write_audio(tmp_path / name, noise(2, 44100), 44100, codec, "stereo")
    seconds = validate(path, 60).seconds
    path.write_bytes(path.read_bytes() + TRAILERS[trailer])
    checked = validate(path, 60)
    assert checked.warnings == load(path, 22050).warnings == ()
    assert checked.seconds == pytest.approx(seconds, abs=0.06)


def test_a_last_frame_that_is_cut_off_is_damage(tmp_path):
    path = write_audio(tmp_path / "a.aac", noise(2, 44100), 44100, "aac")
    path.write_bytes(path.read_bytes()[:-100])
    assert any("damaged in 1 places" in text for text in validate(path, 60).warnings)
