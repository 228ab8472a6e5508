"""Finished files, from the command line, with the model that ships."""

import json

import mutagen
import numpy as np
import pytest
from mutagen.id3 import APIC
from PIL import Image

from audio.signals import chords, write_audio
from covergen_cli.covers.motion.video import save_video
from covergen_cli.provenance import read_provenance
from covergen_cli.weights.hub import starter_folder

QUICK = ("--steps", "2", "--device", "cpu")

pytestmark = pytest.mark.skipif(not starter_folder().is_dir(), reason="the starter's weights are not in this checkout")


@pytest.fixture
def song(tmp_path):
    tags = {"title": "Paper Lanterns", "artist": "The Synthesiser"}
    return write_audio(tmp_path / "song.mp3", chords([(0, 4), (5, 4)], repeats=4), 22050, "libmp3lame", tags=tags)


def test_a_cover_for_a_file_with_text_from_tags_goes_into_the_song_and_can_be_made_again(covergen, song, tmp_path):
    out = tmp_path / "out"
    options = ("--for", "file", "--text", "tags", "--layout", "poster", "--contact-sheet", "--explain")
    ended = covergen("generate", song, "-o", out, "--write-tags", *options, *QUICK)
    assert ended.code == 0, ended.err
    cover = out / "song.jpg"
    assert ended.out.splitlines() == [str(cover)]
    assert "enlarged to 1400" in ended.err
    assert {path.name for path in out.iterdir()} == {"song.jpg", "song.explain.png", "contact-sheet.jpg"}
    made = read_provenance(cover)
    assert (made["lettering"]["title"], made["lettering"]["artist"]) == ("Paper Lanterns", "The Synthesiser")
    assert made["text_contrast"] >= 4.5
    assert (made["store"], made["size"], made["native_size"]) == ("file", 1400, 256)
    assert len(mutagen.File(song).tags.getall("APIC")) == 1
    assert song.with_name("song.mp3.orig").exists()

    assert covergen("generate", "--check", cover, "--for", "file").code == 0
    again = covergen("generate", song, "-o", out, "--write-tags", *options, *QUICK)
    assert again.code == 0
    assert "already there (unchanged)" in again.err
    assert "embedded the cover in" not in again.err

    remade = covergen("generate", "--from", cover, tmp_path, "-o", tmp_path / "again.jpg", "--device", "cpu")
    assert remade.code == 0, remade.err
    assert (tmp_path / "again.jpg").read_bytes() == cover.read_bytes()

    for_apple = ("--for", "apple", "-o", tmp_path / "apple.jpg", "--device", "cpu")
    assert covergen("generate", "--from", cover, song, *for_apple).code == 0
    with Image.open(tmp_path / "apple.jpg") as image:
        assert image.size == (3000, 3000)


def test_an_explanation_can_be_had_of_a_cover_that_is_there(covergen, song, tmp_path):
    out = tmp_path / "out"
    assert covergen("generate", song, "-o", out, *QUICK).code == 0
    before = (out / "song.png").stat().st_mtime_ns
    ended = covergen("generate", song, "-o", out, "--explain", *QUICK)
    assert ended.code == 0
    assert "saved the explanation to" in ended.err
    assert (out / "song.png").stat().st_mtime_ns == before
    assert "saved the explanation to" not in covergen("generate", song, "-o", out, "--explain", *QUICK).err


def test_a_song_with_foreign_art_is_refused_before_anything_is_drawn(covergen, song, tmp_path):
    Image.new("RGB", (16, 16)).save(tmp_path / "art.jpg")
    tags = mutagen.File(song).tags
    tags.add(APIC(mime="image/jpeg", type=3, data=(tmp_path / "art.jpg").read_bytes()))
    tags.save(song)
    ended = covergen("generate", song, "-o", tmp_path / "out", "--write-tags", *QUICK)
    assert ended.code == 1
    assert "--replace-art" in ended.err
    assert not (tmp_path / "out").exists()
    replaced = covergen(
        "generate", song, "-o", tmp_path / "out", "--write-tags", "--replace-art", "--no-backup", *QUICK
    )
    assert replaced.code == 0, replaced.err
    assert not song.with_name("song.mp3.orig").exists()


def test_text_that_cannot_be_set_is_a_warning(covergen, song, tmp_path):
    ended = covergen("generate", song, "-o", tmp_path / "a.png", "--title", "夜", "--artist", "Band", *QUICK)
    assert ended.code == 0
    assert "夜" in ended.err
    assert read_provenance(tmp_path / "a.png")["lettering"]["title"] is None


def noise(path, side, **settings):
    pixels = np.random.default_rng(0).integers(0, 256, (side, side, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(path, **settings)
    return path


def test_check_needs_no_music_and_tells_by_line_and_code(covergen, tmp_path):
    small = noise(tmp_path / "small.jpg", 700)
    good = noise(tmp_path / "good.png", 1400)
    ended = covergen("generate", "--check", small, "--for", "apple")
    assert ended.code == 1
    assert ended.out.splitlines()[:2] == [
        f"{small}: is refused (apple)",
        "  refused  size: 700 pixels; the minimum is 3000",
    ]
    assert covergen("generate", "--check", good, "--for", "bandcamp").code == 0
    assert covergen("generate", "--check", good, small, "--for", "bandcamp").code == 3
    every = covergen("generate", "--check", good)
    assert [line.split("(")[1] for line in every.out.splitlines() if line.endswith(")")] == [
        "spotify)",
        "apple)",
        "distrokid)",
        "bandcamp)",
    ]


def test_check_as_json(covergen, tmp_path):
    cover = noise(tmp_path / "a.jpg", 1400)
    (tmp_path / "b.jpg").write_bytes(b"no picture")
    ended = covergen("generate", "--check", "--json", cover, tmp_path / "b.jpg", "--for", "bandcamp")
    assert ended.code == 3
    fine, broken = (json.loads(line) for line in ended.out.splitlines())
    assert (fine["schema"], fine["store"], fine["passes"], fine["size"]) == (1, "bandcamp", True, [1400, 1400])
    assert {finding["rule"] for finding in fine["findings"]} >= {"square", "size", "format", "colour", "weight"}
    assert (broken["image"], fine["error"]) == (str(tmp_path / "b.jpg"), None)
    assert "is not an image or is damaged" in broken["error"]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--replace-art",), "--write-tags"),
        (("--write-tags", "-n", "2"), "one cover"),
        (("--for", "apple", "--size", "500"), "at least 3000"),
        (("--for", "spotifi"), "did you mean spotify"),
        (("--title", "x", "--font", "/no/font.ttf"), "font.ttf"),
    ],
)
def test_options_that_make_no_sense_are_said_at_once(covergen, song, tmp_path, options, message):
    ended = covergen("generate", song, "-o", tmp_path / "out", *options, *QUICK)
    assert ended.code == 2
    assert message in ended.err
    assert not (tmp_path / "out").exists()


def test_check_reads_videos_too(covergen, tmp_path):
    path = tmp_path / "loop.mp4"
    list(save_video(path, [np.zeros((320, 180, 3), np.uint8)] * 72, 24, {"version": "0"}, "mp4"))
    ran = covergen("generate", "--check", path, "--motion-for", "canvas", "--json")
    record = json.loads(ran.out)
    assert (ran.code, record["passes"], record["target"], record["size"]) == (0, True, "canvas", [180, 320])
    ran = covergen("generate", "--check", path, tmp_path / "none.mp4")
    assert ran.code == 1
    assert "is refused (square)" in ran.out
    assert "does not exist" in ran.err
