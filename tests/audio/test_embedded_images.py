"""Pictures and tags of every format, written by another library than the one that reads them."""

import base64

import av
import numpy as np
import pytest

from covergen_cli.audio.embedded_images import read_pictures
from covergen_cli.audio.io import probe
from covergen_cli.audio.tags import Tags
from covergen_cli.errors import InputError

mutagen = pytest.importorskip("mutagen")

FRONT, BACK = b"\xff\xd8\xff front", b"\x89PNG\r\n\x1a\n back"
FRONT_COVER, BACK_COVER = 3, 4
FORMATS = {"mp3": "libmp3lame", "m4a": "aac", "flac": "flac", "ogg": "libopus", "opus": "libopus"}


def write_tone(path, seconds=1.0, rate_hz=48_000):
    time = np.arange(round(seconds * rate_hz)) / rate_hz
    sound = (0.3 * np.sin(2 * np.pi * 330 * time)).astype(np.float32)
    with av.open(str(path), "w") as container:
        track = container.add_stream(FORMATS[path.suffix[1:]], rate=rate_hz, layout="mono")
        resampler = av.AudioResampler(format=track.codec_context.format, layout="mono", rate=rate_hz)
        frame = av.AudioFrame.from_ndarray(sound[None], format="fltp", layout="mono")
        frame.sample_rate = rate_hz
        for piece in (*resampler.resample(frame), *resampler.resample(None)):
            container.mux(track.encode(piece))
        container.mux(track.encode(None))
    return path


def block(data, kind, mime):
    from mutagen.flac import Picture

    picture = Picture()
    picture.type, picture.data, picture.mime = kind, data, mime
    picture.width = picture.height = 300
    return picture


def write_id3(path):
    from mutagen.id3 import APIC, ID3, TALB, TCON, TDRC, TIT2, TPE1

    tags = ID3()
    for frame, text in ((TIT2, "Tïtle"), (TPE1, "Artist"), (TALB, "Album"), (TCON, "Rock"), (TDRC, "1999-05-02")):
        tags.add(frame(encoding=3, text=text))
    tags.add(APIC(encoding=3, mime="image/png", type=BACK_COVER, desc="back", data=BACK))
    tags.add(APIC(encoding=3, mime="image/jpeg", type=FRONT_COVER, desc="front", data=FRONT))
    tags.save(path)


def write_mp4(path):
    from mutagen.mp4 import MP4, MP4Cover

    tags = MP4(path)
    for name, text in (("nam", "Tïtle"), ("ART", "Artist"), ("alb", "Album"), ("gen", "Rock"), ("day", "1999-05-02")):
        tags[f"\xa9{name}"] = text
    tags["covr"] = [MP4Cover(FRONT, MP4Cover.FORMAT_JPEG), MP4Cover(BACK, MP4Cover.FORMAT_PNG)]
    tags.save()


def write_comments(path):
    tags = mutagen.File(path)
    for name, text in (("title", "Tïtle"), ("artist", "Artist"), ("album", "Album"), ("genre", "Rock")):
        tags[name] = text
    tags["date"] = "1999-05-02"
    pictures = [block(BACK, BACK_COVER, "image/png"), block(FRONT, FRONT_COVER, "image/jpeg")]
    if path.suffix == ".flac":
        for picture in pictures:
            tags.add_picture(picture)
    else:
        tags["metadata_block_picture"] = [base64.b64encode(picture.write()).decode() for picture in pictures]
    tags.save()


WRITERS = {".mp3": write_id3, ".m4a": write_mp4}


@pytest.mark.parametrize("suffix", FORMATS)
def test_tags_and_pictures_of_every_format(tmp_path, suffix):
    path = write_tone(tmp_path / f"song.{suffix}")
    WRITERS.get(path.suffix, write_comments)(path)
    assert probe(path).tags == Tags(title="Tïtle", artist="Artist", album="Album", genre="Rock", year="1999")
    assert read_pictures(path) == (FRONT, BACK)


@pytest.mark.parametrize("suffix", FORMATS)
def test_a_file_without_tags_says_nothing(tmp_path, suffix):
    path = write_tone(tmp_path / f"song.{suffix}")
    assert probe(path).tags == Tags()
    assert read_pictures(path) == ()


def test_the_pictures_of_a_film_are_no_covers(tmp_path):
    path = tmp_path / "film.mkv"
    with av.open(str(path), "w") as container:
        sound = container.add_stream("pcm_s16le", rate=8000, layout="mono")
        video = container.add_stream("mpeg4", rate=1)
        video.width, video.height, video.pix_fmt = 64, 64, "yuv420p"
        image = av.VideoFrame.from_ndarray(np.full((64, 64, 3), 90, np.uint8), format="rgb24")
        frame = av.AudioFrame.from_ndarray(np.zeros((1, 8000), np.int16), format="s16", layout="mono")
        frame.sample_rate = 8000
        for stream, what in ((video, image), (sound, frame)):
            container.mux(stream.encode(what))
            container.mux(stream.encode(None))
    assert read_pictures(path) == ()


def test_what_is_no_audio_is_an_error(tmp_path):
    path = tmp_path / "song.mp3"
    path.write_text("no music")
    with pytest.raises(InputError):
        read_pictures(path)
