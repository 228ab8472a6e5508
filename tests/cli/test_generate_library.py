"""Filling the gaps of a music library, from the command line."""

import io
import json
import shlex

import pytest
from PIL import Image

from audio.signals import tone, write_audio
from covergen_cli.provenance import read_provenance

QUICK = ("--base", "painter", "--size", "64")


@pytest.fixture
def library(tmp_path):
    top = tmp_path / "music"
    for album, hertz in (("A", 330), ("B", 440), ("C", 550)):
        (top / album).mkdir(parents=True)
        for number in (1, 2):
            tags = {"album": album, "album_artist": "Somebody", "title": f"{album}{number}"}
            write_audio(top / album / f"{number}.mp3", tone(hertz, 6.0, 22050), 22050, "libmp3lame", tags=tags)
    Image.new("RGB", (9, 9), "red").save(top / "B" / "Folder.png")
    return top


def test_one_command_fills_the_gaps_and_the_next_finds_none(covergen, library):
    line = ("generate", library, "--per", "album", "--in-place", "--only-missing", *QUICK)
    foreseen = covergen(*line, "--dry-run")
    assert foreseen.code == 0, foreseen.err
    wanted = [str(library / album / "cover.jpg") for album in "AC"]
    assert foreseen.out.splitlines() == wanted
    assert "2 covers planned, 1 already there" in foreseen.err
    assert not (library / "A" / "cover.jpg").exists()

    done = covergen(*line)
    assert (done.code, done.out.splitlines()) == (0, wanted), done.err
    assert f"{library / 'B'}: has art (Folder.png)" in done.err
    assert read_provenance(library / "A" / "cover.jpg")["songs"]
    assert sorted(path.name for path in (library / "B").iterdir()) == ["1.mp3", "2.mp3", "Folder.png"]

    again = covergen(*line, "--json")
    assert again.code == 0
    records = [json.loads(line) for line in again.out.splitlines()]
    assert [record["status"] for record in records] == ["skipped"] * 3
    assert [record["output"].rpartition("/")[2] for record in records] == ["cover.jpg", "Folder.png", "cover.jpg"]


def test_the_name_beside_the_songs_can_be_chosen(covergen, library):
    done = covergen("generate", library / "A", "--per", "folder", "--in-place", "-o", "folder.jpg", *QUICK)
    assert done.out.splitlines() == [str(library / "A" / "folder.jpg")], done.err


def test_songs_with_art_in_their_tags_are_skipped_and_not_refused(covergen, library, tmp_path):
    line = ("generate", library / "A", "-o", tmp_path / "art", "--write-tags", "--no-backup", "--only-missing", *QUICK)
    first = covergen(*line)
    assert first.code == 0, first.err
    assert first.err.count("embedded the cover in") == 2
    again = covergen(*line)
    assert (again.code, again.out) == (0, "")
    assert "1.mp3: has art (in the tags)" in again.err


def test_the_commands_of_the_gallery_make_a_cover_again_and_another(covergen, library, tmp_path):
    out = tmp_path / "art"
    first = covergen("generate", library / "A" / "1.mp3", "-o", out, "--gallery", *QUICK)
    assert "saved a gallery of 1 cover to" in first.err
    page = (out / "gallery.html").read_text(encoding="utf-8")
    (cover,) = json.loads(page.partition('id="data">')[2].partition("</script>")[0])
    for _, line in cover["commands"][:2]:
        done = covergen(*shlex.split(line)[1:])
        assert done.code == 0, done.err
    assert (out / "1-again.png").read_bytes() == (out / "1.png").read_bytes()
    assert read_provenance(out / "1-seed-1.png")["seed"] == 1


def test_covers_of_artists_and_folders_are_named_after_them(covergen, library, tmp_path):
    by_folder = covergen("generate", library, "-o", tmp_path / "f", "--per", "folder", "--dry-run", *QUICK)
    assert by_folder.out.splitlines() == [str(tmp_path / "f" / f"{name}.png") for name in "ABC"]
    by_artist = covergen("generate", library, "-o", tmp_path / "a", "--per", "artist", "--dry-run", *QUICK)
    assert by_artist.out.splitlines() == [str(tmp_path / "a" / "Somebody.png")]


def test_a_cover_for_every_playlist_and_one_for_a_list_on_stdin(covergen, library, tmp_path, monkeypatch):
    party, rest = library / "Party.m3u", library / "Rest.m3u8"
    party.write_text("#EXTM3U\nA/1.mp3\nB/2.mp3\n")
    rest.write_bytes("A/1.mp3\r\nC/1.mp3\r\n".encode("utf-16"))  # the first song is that of the other, too
    out = tmp_path / "art"
    line = ("generate", party, rest, "-o", out, "--per", "playlist", "--text", "tags", *QUICK)
    done = covergen(*line)
    assert (done.code, done.out.splitlines()) == (0, [str(out / "Party.png"), str(out / "Rest.png")]), done.err
    made = [read_provenance(out / name) for name in ("Party.png", "Rest.png")]
    assert [[song["input"] for song in one["songs"]] for one in made] == [["1.mp3", "2.mp3"], ["1.mp3", "1.mp3"]]
    assert [one["lettering"]["title"] for one in made] == ["Party", "Rest"]
    assert covergen(*line).err.count("already there (unchanged)") == 2

    paths = "".join(f"{library / name}\n" for name in ("B/1.mp3", "A/2.mp3"))
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(paths.encode())))
    listed = covergen("generate", "-", "-o", out, "--per", "playlist", *QUICK)
    assert listed.out.splitlines() == [str(out / "playlist.png")], listed.err
