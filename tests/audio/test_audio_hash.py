"""What a file plays has a name that tags do not change."""

import pytest

from covergen_cli.audio.audio_hash import audio_sha256

from .signals import tone, write_audio

KINDS = [("a.mp3", "libmp3lame"), ("a.m4a", "aac"), ("a.flac", "flac"), ("a.ogg", "vorbis"), ("a.opus", "libopus")]


@pytest.mark.parametrize(("name", "codec"), KINDS)
def test_tags_do_not_count_and_sound_does(tmp_path, name, codec):
    def made(folder, hertz, **tags):
        (tmp_path / folder).mkdir()
        samples = tone(hertz, 1.0, 48000)
        return audio_sha256(write_audio(tmp_path / folder / name, samples, 48000, codec, "stereo", tags=tags))

    first = made("first", 440, title="One")
    assert made("tagged", 440, title="Two", artist="Somebody with a long name") == first
    assert made("other", 441, title="One") != first


def test_what_is_no_audio_is_named_by_its_bytes(tmp_path):
    (tmp_path / "a.mp3").write_bytes(b"no sound")
    (tmp_path / "b.mp3").write_bytes(b"no sound either")
    assert audio_sha256(tmp_path / "a.mp3") != audio_sha256(tmp_path / "b.mp3")


def test_a_missing_file_is_an_error(tmp_path):
    with pytest.raises(OSError, match="No such file"):
        audio_sha256(tmp_path / "gone.mp3")
