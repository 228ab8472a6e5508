"""Covers in music files: every format, nothing lost, the sound untouched."""

import io
import os
import stat
from pathlib import Path

import av
import mutagen
import numpy as np
import pytest
from mutagen.flac import FLAC, Picture
from mutagen.id3 import APIC, ID3, TIT2
from PIL import Image

from audio.signals import tone, write_audio
from covergen_cli.covers import music_tags as tagging
from covergen_cli.covers.music_tags import TagSettings, art_jpeg, refusals, with_art, write_art
from covergen_cli.covers.plan import Job
from covergen_cli.covers.tag_pictures import open_tags
from covergen_cli.errors import ConfigError, InputError, OutputError
from covergen_cli.events import ArtWritten, CoverFailed, CoverFinished, CoverSkipped, Warned
from covergen_cli.provenance import read_provenance, save_cover

KINDS = {
    "song.mp3": "libmp3lame",
    "song.m4a": "aac",
    "song.flac": "flac",
    "song.ogg": "vorbis",
    "song.opus": "libopus",
}
TAGS = {"title": "A Title", "artist": "Somebody"}
BARE = TagSettings(backup=False)


@pytest.fixture(params=KINDS)
def song(request, tmp_path):
    return write_song(tmp_path, request.param)


def write_song(folder, name):
    return write_audio(folder / name, tone(440, 2.0, 48000), 48000, KINDS[name], "stereo", tags=TAGS)


@pytest.fixture
def cover(tmp_path):
    pixels = np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8)
    save_cover(tmp_path / "cover.png", Image.fromarray(pixels), {"version": "1.2", "seed": 4}, "png")
    return tmp_path / "cover.png"


def packets(path):
    with av.open(str(path)) as container:
        return [bytes(packet) for packet in container.demux(audio=0)]


def decoded(path):
    with av.open(str(path)) as container:
        return np.concatenate([frame.to_ndarray() for frame in container.decode(audio=0)], axis=1)


def test_the_picture_is_in_the_sound_and_the_tags_are_as_before(song, cover):
    sound, samples = packets(song), decoded(song)
    jpeg = art_jpeg(cover)
    assert write_art(song, jpeg, BARE) == ArtWritten(song, None, len(jpeg))
    assert open_tags(song).pictures() == [jpeg]
    assert packets(song) == sound
    assert np.array_equal(decoded(song), samples)
    easy = mutagen.File(song, easy=True)
    assert (easy["title"], easy["artist"]) == (["A Title"], ["Somebody"])


def test_ffmpeg_finds_the_picture_too(song, cover):
    write_art(song, art_jpeg(cover), BARE)
    with av.open(str(song)) as container:
        (stream,) = container.streams.video
        assert (stream.codec_context.name, stream.width, stream.height) == ("mjpeg", 64, 64)


def test_the_same_picture_is_not_written_twice(song, cover):
    jpeg = art_jpeg(cover)
    write_art(song, jpeg, BARE)
    before = song.stat()
    assert write_art(song, jpeg, BARE) is None
    after = song.stat()  # without the time of the last access, which reading may change
    assert (after.st_ino, after.st_mtime_ns, after.st_size) == (before.st_ino, before.st_mtime_ns, before.st_size)


def test_our_own_art_is_renewed(song, cover):
    write_art(song, art_jpeg(cover), BARE)
    save_cover(cover, Image.new("RGB", (64, 64)), {"version": "1.2"}, "png")
    newer = art_jpeg(cover)
    assert write_art(song, newer, BARE) is not None
    assert open_tags(song).pictures() == [newer]


def put(song, jpeg):
    copy = song.with_name("copy")
    open_tags(song).write(copy, jpeg, (32, 32))
    copy.replace(song)


def foreign_jpeg():
    buffer = io.BytesIO()
    Image.new("RGB", (32, 32), "red").save(buffer, format="JPEG")
    return buffer.getvalue()


def test_foreign_art_stays_unless_told(song, cover):
    foreign = foreign_jpeg()
    put(song, foreign)
    before = song.read_bytes()
    with pytest.raises(OutputError, match="did not write") as caught:
        write_art(song, art_jpeg(cover), TagSettings())
    assert "--replace-art" in caught.value.hint
    assert song.read_bytes() == before
    assert not song.with_name(song.name + ".orig").exists()
    write_art(song, art_jpeg(cover), TagSettings(replace=True, backup=False))
    assert open_tags(song).pictures() == [art_jpeg(cover)]


def test_only_missing_leaves_any_art_and_fills_the_rest(tmp_path, cover):
    settings = TagSettings(backup=False, only_missing=True)
    with_art_already, without = write_song(tmp_path, "song.mp3"), write_song(tmp_path, "song.flac")
    put(with_art_already, foreign_jpeg())
    assert write_art(with_art_already, art_jpeg(cover), settings) is None
    assert open_tags(with_art_already).pictures() == [foreign_jpeg()]
    assert write_art(without, art_jpeg(cover), settings) is not None
    assert open_tags(without).pictures() == [art_jpeg(cover)]


def test_the_original_is_kept_and_the_oldest_one_stays(song, cover):
    original = song.read_bytes()
    backup = song.with_name(song.name + ".orig")
    assert write_art(song, art_jpeg(cover), TagSettings()).backup == backup
    assert backup.read_bytes() == original
    save_cover(cover, Image.new("RGB", (64, 64)), {"version": "1.2"}, "png")
    write_art(song, art_jpeg(cover), TagSettings())
    assert backup.read_bytes() == original


def test_permissions_stay_and_nothing_else_is_left(song, cover):
    song.chmod(0o640)
    os.utime(song, (1_000_000_000, 1_000_000_000))
    write_art(song, art_jpeg(cover), BARE)
    assert stat.S_IMODE(song.stat().st_mode) == 0o640
    assert song.stat().st_mtime > 1_000_000_000, "players see that the file changed"
    assert {path.name for path in song.parent.iterdir()} == {song.name, "cover.png"}


def test_a_link_is_followed(tmp_path, cover):
    song = write_song(tmp_path, "song.flac")
    link = tmp_path / "link.flac"
    link.symlink_to(song)
    write_art(link, art_jpeg(cover), BARE)
    assert link.is_symlink()
    assert open_tags(song).pictures() == [art_jpeg(cover)]


def test_a_sound_that_would_change_stops_it(tmp_path, cover, monkeypatch):
    song = write_song(tmp_path, "song.flac")
    before = song.read_bytes()
    monkeypatch.setattr(tagging, "audio_sha256", str)
    with pytest.raises(OutputError, match="was not changed"):
        write_art(song, art_jpeg(cover), TagSettings())
    assert song.read_bytes() == before
    assert {path.name for path in tmp_path.iterdir()} == {"song.flac", "cover.png"}


def test_a_failing_write_leaves_the_song(tmp_path, cover, monkeypatch):
    song = write_song(tmp_path, "song.flac")
    before = song.read_bytes()

    def fail(*_):
        raise OSError(28, "disk full")

    monkeypatch.setattr(tagging, "_write_copy", fail)
    with pytest.raises(OutputError, match=r"cannot write .*song\.flac: disk full"):
        write_art(song, art_jpeg(cover), TagSettings())
    assert song.read_bytes() == before
    assert {path.name for path in tmp_path.iterdir()} == {"song.flac", "cover.png"}


def test_a_read_only_song_is_refused(tmp_path, cover, monkeypatch):
    song = write_song(tmp_path, "song.flac")
    # Said by the system rather than by chmod: root may write everywhere.
    monkeypatch.setattr(os, "access", lambda _path, how: how != os.W_OK)
    with pytest.raises(OutputError, match="read-only"):
        write_art(song, art_jpeg(cover), TagSettings())


@pytest.mark.parametrize("version", [3, 4])
def test_the_version_of_an_id3_tag_stays_and_so_do_other_pictures(tmp_path, cover, version):
    song = write_song(tmp_path, "song.mp3")
    tags = ID3()
    tags.add(TIT2(encoding=1, text=["Tïtle"]))
    tags.add(APIC(encoding=0, mime="image/jpeg", type=4, desc="back", data=foreign_jpeg()))
    tags.save(song, v2_version=version)
    write_art(song, art_jpeg(cover), BARE)
    after = ID3(song, translate=False)
    assert after.version[1] == version
    assert str(after["TIT2"]) == "Tïtle"
    assert sorted((frame.type, frame.desc) for frame in after.getall("APIC")) == [(3, ""), (4, "back")]


def test_an_mp3_without_tags_gets_one(tmp_path, cover):
    song = write_song(tmp_path, "song.mp3")
    ID3(song).delete()
    write_art(song, art_jpeg(cover), BARE)
    assert ID3(song, translate=False).version[1] == 3
    assert open_tags(song).pictures() == [art_jpeg(cover)]


def test_other_pictures_in_a_flac_stay(tmp_path, cover):
    song = write_song(tmp_path, "song.flac")
    file, back = FLAC(song), Picture()
    back.type, back.mime, back.data = 4, "image/jpeg", foreign_jpeg()
    file.add_picture(back)
    file.save()
    write_art(song, art_jpeg(cover), BARE)
    assert [picture.type for picture in FLAC(song).pictures] == [3, 4]


def test_a_large_cover_is_made_small_and_keeps_its_provenance(tmp_path):
    pixels = np.random.default_rng(0).integers(0, 256, (1500, 1500, 3), dtype=np.uint8)
    save_cover(tmp_path / "big.png", Image.fromarray(pixels), {"version": "1.2", "seed": 4}, "png")
    jpeg = art_jpeg(tmp_path / "big.png")
    assert len(jpeg) <= 2_000_000
    with Image.open(io.BytesIO(jpeg)) as image:
        assert (image.size, image.mode) == ((1400, 1400), "RGB")
        assert b"trainedAlgorithmicMedia" in image.info["xmp"]
    assert read_provenance(io.BytesIO(jpeg))["seed"] == 4


def test_a_wav_and_rubbish_are_refused_with_what_can_be_done(tmp_path, cover):
    wav = write_audio(tmp_path / "a.wav", tone(440, 0.5), 22050, "pcm_s16le")
    (tmp_path / "b.mp3").write_bytes(b"rubbish")
    with pytest.raises(InputError, match=r"a\.wav") as caught:
        write_art(wav, art_jpeg(cover), BARE)
    assert "flac" in caught.value.hint
    with pytest.raises(InputError, match=r"b\.mp3"):
        write_art(tmp_path / "b.mp3", art_jpeg(cover), BARE)


def test_a_damaged_picture_in_tags_is_named(tmp_path, cover):
    song = write_song(tmp_path, "song.opus")
    file = mutagen.File(song)
    file["metadata_block_picture"] = ["!!! no base64"]
    file.save()
    with pytest.raises(InputError, match=r"picture in .* is damaged"):
        write_art(song, art_jpeg(cover), BARE)


@pytest.mark.parametrize("text", ["!!!", "AAAA", "AAAAAwAAAAo="])
def test_a_damaged_picture_can_be_replaced(tmp_path, cover, text):
    for name in ("metadata_block_picture", "coverart"):
        song = write_song(tmp_path, "song.opus")
        file = mutagen.File(song)
        file[name] = [text if name != "coverart" else "x"]
        file.save()
        write_art(song, art_jpeg(cover), TagSettings(replace=True, backup=False))
        assert open_tags(song).pictures() == [art_jpeg(cover)]


def test_owner_and_extended_attributes_stay(song, cover):
    if os.geteuid() == 0:
        os.chown(song, 1234, 1235)
    try:
        os.setxattr(song, "user.rating", b"5")
    except (OSError, AttributeError):
        pytest.skip("the file system has no extended attributes")
    before = song.stat()
    write_art(song, art_jpeg(cover), TagSettings())
    assert (song.stat().st_uid, song.stat().st_gid) == (before.st_uid, before.st_gid)
    assert os.getxattr(song, "user.rating") == b"5"


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() != 0, reason="only root gives files away")
def test_a_song_whose_owner_cannot_be_kept_is_not_changed(tmp_path, cover, monkeypatch):
    song = write_song(tmp_path, "song.flac")
    os.chown(song, 1234, 1235)
    before = song.read_bytes()

    def refuse(*_):
        raise PermissionError(1, "not permitted")

    monkeypatch.setattr(os, "chown", refuse)
    with pytest.raises(OutputError, match="owner or group"):
        write_art(song, art_jpeg(cover), TagSettings())
    assert song.read_bytes() == before


def test_a_backup_of_another_file_is_neither_named_nor_replaced(song, cover):
    other = song.with_name(song.name + ".orig")
    other.write_bytes(b"another recording")
    before = song.read_bytes()
    backup = write_art(song, art_jpeg(cover), TagSettings()).backup
    assert backup == song.with_name(song.name + ".orig.2")
    assert backup.read_bytes() == before
    assert other.read_bytes() == b"another recording"


def test_other_names_of_a_song_keep_the_file_and_that_is_reported(tmp_path, cover):
    song = write_song(tmp_path, "song.flac")
    other = tmp_path / "other.flac"
    os.link(song, other)
    before = other.read_bytes()
    finished = CoverFinished(song, cover, 0, (0.0, 1.0), 1.0, 64)
    *_, warned = with_art((event for event in [finished]), TagSettings())
    assert "hard link" in warned.message
    assert other.read_bytes() == before
    assert other.stat().st_nlink == 1, "the backup is a copy"


def test_a_song_of_an_album_that_cannot_be_written_is_left_out(tmp_path, cover):
    fine, full = write_song(tmp_path, "song.flac"), write_song(tmp_path, "song.mp3")
    put(full, foreign_jpeg())
    broken = tmp_path / "broken.mp3"
    broken.write_bytes(b"rubbish")
    songs = (broken, full, fine)
    job = Job(broken, tmp_path / "a.png", 0, songs=songs)
    assert refusals([job], TagSettings()) == ([job], [])
    finished = CoverFinished(broken, cover, 0, None, 1.0, 64, songs)
    got = list(with_art((event for event in [finished]), BARE))
    assert [type(event) for event in got] == [CoverFinished, Warned, Warned, ArtWritten]
    assert [event.path for event in got[1:3]] == [broken, full]
    assert open_tags(fine).pictures() == [art_jpeg(cover)]
    assert open_tags(full).pictures() == [foreign_jpeg()]


def test_songs_with_foreign_art_are_parted_off_before_anything_is_drawn(tmp_path):
    fine, full = write_song(tmp_path, "song.flac"), write_song(tmp_path, "song.mp3")
    put(full, foreign_jpeg())
    jobs = [Job(path, path.with_suffix(".png"), 0) for path in (fine, full, tmp_path / "gone.mp3")]
    kept, refused = refusals(jobs, TagSettings())
    assert [job.input for job in kept] == [fine, tmp_path / "gone.mp3"], "a missing song is not for tags to report"
    assert [event.input for event in refused] == [full]
    assert refusals(jobs, TagSettings(replace=True)) == (jobs, [])


def test_one_cover_per_song():
    jobs = [Job(Path("a.mp3"), Path(f"a-{number}.png"), number) for number in (1, 2)]
    with pytest.raises(ConfigError, match="one cover"):
        refusals(jobs, TagSettings())


def test_finished_and_present_covers_go_into_their_songs_and_a_failure_says_so(tmp_path, cover):
    drawn, present = write_song(tmp_path, "song.flac"), write_song(tmp_path, "song.mp3")
    broken = tmp_path / "broken.mp3"
    broken.write_bytes(b"rubbish")
    events = (
        event
        for event in [
            CoverFinished(drawn, cover, 0, (0.0, 1.0), 1.0, 64),
            CoverSkipped(present, cover, 0, "unchanged"),
            CoverFinished(broken, cover, 0, (0.0, 1.0), 1.0, 64),
        ]
    )
    got = list(with_art(events, BARE))
    assert [type(event) for event in got] == [CoverFinished, ArtWritten, CoverSkipped, ArtWritten, CoverFailed]
    assert got[-1].output == cover
    for song in (drawn, present):
        assert open_tags(song).pictures() == [art_jpeg(cover)]
