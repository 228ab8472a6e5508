from __future__ import annotations

from io import BytesIO

import numpy as np
import pytest
from PIL import Image

from covergen_cli.audio import io
from covergen_cli.errors import CovergenError, InputError

from .signals import noise, tone, write_audio

FORMATS = [
    ("song.mp3", "libmp3lame", 44100),
    ("song.m4a", "aac", 44100),
    ("song.flac", "flac", 44100),
    ("song.ogg", "vorbis", 44100),
    ("song.opus", "libopus", 48000),
    ("song.wav", "pcm_s16le", 44100),
    ("deep.wav", "pcm_s24le", 96000),
    ("bytes.wav", "pcm_u8", 8000),
    ("float.wav", "pcm_f32le", 44100),
    ("song.mka", "libopus", 48000),
]


def strongest_hertz(samples, rate_hz):
    return np.argmax(np.abs(np.fft.rfft(samples))) * rate_hz / samples.size


@pytest.mark.parametrize(("name", "codec", "rate_hz"), FORMATS)
def test_every_format_gives_the_same_tone(tmp_path, name, codec, rate_hz):
    path = write_audio(tmp_path / name, tone(1000, 3, rate_hz), rate_hz, codec, "stereo")
    clip = io.load(path, 22050)
    assert clip.samples.dtype == np.float32
    assert clip.samples.ndim == 1
    assert clip.samples.size == pytest.approx(3 * 22050, abs=0.1 * 22050)
    assert strongest_hertz(clip.samples, 22050) == pytest.approx(1000, abs=2)
    assert np.sqrt(np.mean(clip.samples**2)) == pytest.approx(0.3 / np.sqrt(2), rel=0.06)
    assert clip.warnings == ()


@pytest.mark.parametrize(("name", "codec", "rate_hz"), FORMATS)
def test_part_equals_the_same_part_of_the_whole(tmp_path, name, codec, rate_hz):
    sound = tone(400, 16, rate_hz) * np.linspace(0, 1, 16 * rate_hz, dtype=np.float32)
    path = write_audio(tmp_path / name, sound, rate_hz, codec, "stereo")
    whole = io.load(path, 22050).samples
    part = io.load(path, 22050, 9.3, 12.1)
    expected = whole[round(9.3 * 22050) : round(12.1 * 22050)]
    assert part.samples.shape == expected.shape
    # AAC fills holes in the spectrum with random noise, so it never repeats exactly.
    assert np.abs(part.samples - expected).max() < (0.01 if codec == "aac" else 1e-4)
    assert part.warnings == ()


@pytest.mark.parametrize("rate_hz", [8000, 16000, 22050, 48000])
def test_stream_is_the_load_in_blocks(tmp_path, rate_hz):
    path = write_audio(tmp_path / "a.flac", noise(3.7, 44100), 44100, "flac")
    blocks = list(io.stream(path, rate_hz, block_seconds=1.0))
    assert [block.size for block in blocks[:-1]] == [rate_hz] * 3
    np.testing.assert_array_equal(np.concatenate(blocks), io.load(path, rate_hz).samples)


def test_channels_are_averaged(tmp_path):
    left, right = tone(500, 1, 44100), tone(1500, 1, 44100)
    path = write_audio(tmp_path / "a.wav", np.stack([left, right]), 44100, "pcm_f32le", "stereo")
    np.testing.assert_allclose(io.load(path, 44100).samples, (left + right) / 2, atol=1e-6)


def test_surround_at_96_khz(tmp_path):
    channels = np.stack([tone(300, 1, 96000, amplitude=level) for level in (0.1, 0.2, 0.3, 0.0, 0.1, 0.2)])
    path = write_audio(tmp_path / "a.wav", channels, 96000, "pcm_f32le", "5.1")
    assert io.probe(path).channels == 6
    np.testing.assert_allclose(io.load(path, 96000).samples, channels.mean(axis=0), atol=1e-6)


def test_video_with_sound(tmp_path):
    path = write_audio(tmp_path / "clip.mp4", tone(700, 2, 44100), 44100, "aac", picture="mpeg4")
    assert strongest_hertz(io.load(path, 22050).samples, 22050) == pytest.approx(700, abs=2)


def test_numbers_that_are_none_and_overshoot_are_tamed(tmp_path):
    samples = tone(200, 1, 22050)
    samples[100], samples[200], samples[300] = np.nan, np.inf, -7
    path = write_audio(tmp_path / "a.wav", samples, 22050, "pcm_f32le")
    got = io.load(path, 22050).samples
    assert np.isfinite(got).all()
    assert np.abs(got).max() <= 1


def test_probe_reads_tags_and_duration(tmp_path):
    tags = {"title": "Sea", "artist": "Ann Ö"}
    info = io.probe(write_audio(tmp_path / "a.mp3", tone(440, 4, 44100), 44100, "libmp3lame", tags=tags))
    assert (info.title, info.artist, info.sample_rate_hz, info.channels) == ("Sea", "Ann Ö", 44100, 1)
    assert info.duration_seconds == pytest.approx(4, abs=0.1)
    assert "mp3" in info.codec


def test_probe_without_tags(tmp_path):
    path = write_audio(tmp_path / "a.ogg", tone(440, 1, 44100), 44100, "vorbis", "stereo", tags={"title": " "})
    info = io.probe(path)
    assert info.title is None
    assert info.artist is None


@pytest.mark.parametrize("name", ["http:x.wav", "concat:a|b.wav", "-.wav", "töne %d.wav"])
def test_odd_file_names_are_only_names(tmp_path, monkeypatch, name):
    write_audio(tmp_path / "a.wav", tone(440, 1), 22050, "pcm_s16le").rename(tmp_path / name)
    monkeypatch.chdir(tmp_path)
    assert io.load(name, 22050).samples.size == 22050


def bad_files(folder):
    (folder / "text.mp3").write_text("These are words.\n" * 100, encoding="utf-8")
    (folder / "empty.mp3").touch()
    (folder / "random.ogg").write_bytes(np.random.default_rng(0).bytes(5000))
    secret = write_audio(folder / "secret.wav", tone(440, 3), 22050, "pcm_s16le")
    (folder / "list.mp3").write_text(
        f"#EXTM3U\n#EXT-X-TARGETDURATION:3\n#EXTINF:3,\nfile://{secret}\n#EXT-X-ENDLIST\n", encoding="utf-8"
    )
    (folder / "concat.mp3").write_text("ffconcat version 1.0\nfile secret.wav\n", encoding="utf-8")
    Image.new("RGB", (32, 32), "red").save(folder / "picture.png")
    (folder / "picture.png").rename(folder / "picture.mp3")
    (folder / "album").mkdir()
    whole = write_audio(folder / "whole.wav", tone(440, 1), 22050, "pcm_s16le").read_bytes()
    (folder / "header.wav").write_bytes(whole[: whole.index(b"data") + 8])


@pytest.mark.parametrize(
    ("name", "word"),
    [
        ("missing.mp3", "does not exist"),
        ("album", "folder"),
        ("empty.mp3", "empty"),
        ("text.mp3", "not audio"),
        ("random.ogg", "no"),
        ("list.mp3", "no"),
        ("concat.mp3", "no"),
        ("picture.mp3", "picture"),
        ("header.wav", "no sound"),
    ],
)
def test_bad_files_are_named_with_a_way_out(tmp_path, capfd, name, word):
    bad_files(tmp_path)
    for attempt in (lambda path: io.load(path, 22050), lambda path: list(io.stream(path, 22050))):
        with pytest.raises(InputError, match=word) as caught:
            attempt(tmp_path / name)
        assert name in caught.value.message
        assert caught.value.hint
    assert capfd.readouterr().err == ""


def test_silent_video_has_no_audio_stream(tmp_path):
    import av

    with av.open(str(tmp_path / "mute.mp4"), "w") as container:
        video = container.add_stream("mpeg4", rate=1)
        video.width, video.height, video.pix_fmt = 64, 64, "yuv420p"
        container.mux(video.encode(av.VideoFrame.from_ndarray(np.zeros((64, 64, 3), np.uint8), format="rgb24")))
        container.mux(video.encode(None))
    with pytest.raises(InputError, match="without sound"):
        io.probe(tmp_path / "mute.mp4")


@pytest.mark.parametrize(("name", "codec"), [("a.mp3", "libmp3lame"), ("a.flac", "flac")])
def test_truncated_file_is_used_with_a_warning(tmp_path, capfd, name, codec):
    path = write_audio(tmp_path / name, noise(8, 44100), 44100, codec)
    data = path.read_bytes()
    path.write_bytes(data[: len(data) // 2])
    clip = io.load(path, 22050)
    assert clip.samples.size == pytest.approx(4 * 22050, abs=22050)
    assert any("incomplete" in warning and name in warning for warning in clip.warnings)
    blocks = io.stream(path, 22050)
    assert sum(block.size for block in blocks) == clip.samples.size
    assert blocks.warnings == clip.warnings
    assert capfd.readouterr().err == ""


def test_damage_in_the_middle_is_left_out_with_a_warning(tmp_path, capfd):
    path = write_audio(tmp_path / "a.mp3", noise(8, 44100), 44100, "libmp3lame")
    data = bytearray(path.read_bytes())
    middle = len(data) // 2
    data[middle : middle + 3000] = np.random.default_rng(1).bytes(3000)
    path.write_bytes(data)
    clip = io.load(path, 22050)
    assert clip.samples.size > 6 * 22050
    assert any("damaged" in warning for warning in clip.warnings)
    assert capfd.readouterr().err == ""


def test_part_outside_the_file(tmp_path):
    path = write_audio(tmp_path / "a.wav", tone(440, 3), 22050, "pcm_s16le")
    with pytest.raises(InputError, match="no sound at 60 s") as caught:
        io.load(path, 22050, 60)
    assert "3.0 s" in caught.value.hint
    with pytest.raises(InputError, match="from 2 s"):
        io.load(path, 22050, 2, 1)
    assert io.load(path, 22050, 2, 99).samples.size == 22050


def test_cover_picture_inside_the_file_is_no_video(tmp_path):
    """An mp3 with an ID3v2 picture frame, made by hand: size fields as the standard asks."""
    song = write_audio(tmp_path / "plain.mp3", tone(440, 2, 44100), 44100, "libmp3lame").read_bytes()
    picture = bytes_of_a_picture()
    body = b"\x00image/png\x00\x03\x00" + picture
    frame = b"APIC" + len(body).to_bytes(4, "big") + b"\x00\x00" + body
    size = bytes((len(frame) >> shift) & 0x7F for shift in (21, 14, 7, 0))
    path = tmp_path / "covered.mp3"
    path.write_bytes(b"ID3\x03\x00\x00" + size + frame + song[10 + id3_size(song) :])
    assert strongest_hertz(io.load(path, 22050).samples, 22050) == pytest.approx(440, abs=2)
    path.write_bytes(b"ID3\x03\x00\x00" + size + frame)
    with pytest.raises(InputError):
        io.load(path, 22050)


def bytes_of_a_picture():
    file = BytesIO()
    Image.new("RGB", (16, 16), "blue").save(file, "PNG")
    return file.getvalue()


def id3_size(data):
    assert data[:3] == b"ID3"
    return sum(byte << shift for byte, shift in zip(data[6:10], (21, 14, 7, 0), strict=True))


def test_truncated_wav_gives_what_is_there(tmp_path):
    path = write_audio(tmp_path / "a.wav", tone(440, 4), 22050, "pcm_s16le")
    path.write_bytes(path.read_bytes()[: 2 * 22050 * 2 + 44])
    assert io.load(path, 22050).samples.size == pytest.approx(2 * 22050, abs=100)


def test_silence():
    assert io.is_silent(np.zeros(100, np.float32))
    assert io.is_silent(np.zeros(0, np.float32))
    assert not io.is_silent(tone(440, 0.1, amplitude=0.001))


@pytest.mark.parametrize("rate_hz", [22050, 44100, 96000, 10000])
def test_saved_mp3_sounds_the_same(tmp_path, rate_hz):
    path = tmp_path / "new" / "clip.mp3"
    io.save_mp3(path, tone(600, 2, rate_hz), rate_hz)
    clip = io.load(path, 22050)
    assert clip.samples.size == pytest.approx(2 * 22050, abs=2000)
    assert strongest_hertz(clip.samples, 22050) == pytest.approx(600, abs=2)
    assert [file.name for file in path.parent.iterdir()] == ["clip.mp3"]


def test_mp3_that_cannot_be_written_leaves_nothing(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(CovergenError):
        io.save_mp3(tmp_path / "file" / "clip.mp3", tone(600, 1), 22050)


def test_a_name_too_long_for_the_disk_is_a_missing_file(tmp_path):
    with pytest.raises(InputError, match="does not exist"):
        io.probe(tmp_path / ("z" * 300 + ".mp3"))
