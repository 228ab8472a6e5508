"""Which songs have art already, by their tags or by a picture beside them."""

import io

import mutagen
import pytest
from mutagen.id3 import APIC
from PIL import Image

from audio.signals import tone, write_audio
from covergen_cli.covers.plan import Job
from covergen_cli.covers.present_art import find_art, split_missing


def picture(path):
    Image.new("RGB", (8, 8), "navy").save(path)
    return path


def song(folder, name="song.mp3", *, art=False):
    folder.mkdir(parents=True, exist_ok=True)
    path = write_audio(folder / name, tone(440, 0.5, 22050), 22050, "libmp3lame")
    if art:
        data = io.BytesIO()
        Image.new("RGB", (8, 8), "navy").save(data, "JPEG")
        file = mutagen.File(path)
        if file.tags is None:
            file.add_tags()
        file.tags.add(APIC(0, "image/jpeg", 3, "", data.getvalue()))
        file.save()
    return path


@pytest.mark.parametrize("name", ["cover.jpg", "Folder.JPG", "front.png", "AlbumArt.jpeg", "song.webp"])
def test_a_picture_beside_a_song_counts_under_the_names_that_players_know(tmp_path, name):
    path = song(tmp_path / name.replace(".", "-"))
    assert find_art(path) is None
    found = picture(path.with_name(name))
    split_missing([])  # forgets what was in the folder before
    assert find_art(path) == found


@pytest.mark.parametrize("name", ["back.jpg", "other.png", "cover.txt", "covers.jpg"])
def test_other_files_do_not_count(tmp_path, name):
    path = song(tmp_path / "album")
    (path.with_name(name)).write_bytes(b"something")
    assert find_art(path) is None


def test_an_empty_picture_does_not_count(tmp_path):
    path = song(tmp_path / "empty")
    path.with_name("cover.jpg").touch()
    assert find_art(path) is None


def test_a_picture_in_the_tags_counts(tmp_path):
    path = song(tmp_path, art=True)
    assert find_art(path) == path


def test_a_picture_above_the_folder_of_a_disc_counts_and_above_others_not(tmp_path):
    disc, live = song(tmp_path / "Box" / "CD 2"), song(tmp_path / "Box" / "Live")
    above = picture(tmp_path / "Box" / "cover.jpg")
    assert find_art(disc) == above
    assert find_art(live) is None


def test_an_album_has_art_when_all_its_songs_have(tmp_path):
    one, two = song(tmp_path / "a", "1.mp3", art=True), song(tmp_path / "a", "2.mp3")
    three = song(tmp_path / "b", "3.mp3", art=True)
    broken = tmp_path / "c" / "4.mp3"
    broken.parent.mkdir()
    broken.write_bytes(b"no music")
    jobs = [
        Job(one, tmp_path / "a.png", 0, songs=(one, two)),
        Job(three, tmp_path / "b.png", 5),
        Job(broken, tmp_path / "c.png", 0),
    ]
    seen = []
    missing, present = split_missing(jobs, lambda event: seen.append(event.done))
    assert [job.input for job in missing] == [one, broken]
    (event,) = present
    assert (event.input, event.output, event.seed) == (three, None, 5)
    assert seen == [1, 2, 3]
