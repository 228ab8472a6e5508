"""The plugin of beets, run by the real program on a library of its own."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from PIL import Image

from audio.signals import chords, write_audio
from covergen_cli.provenance import read_provenance

pytest.importorskip("beets")

SETTINGS = """
directory: {place}/library
library: {place}/library.db
plugins: covergen
import: {{autotag: no, copy: yes}}
covergen:
    auto: {auto}
    generate: {generate}
"""


@pytest.fixture
def beet(tmp_path):
    """Run a command of beets; return what it wrote."""

    def run(*arguments, auto="yes", generate="{base: painter, size: 64}"):
        (tmp_path / "config.yaml").write_text(SETTINGS.format(place=tmp_path, auto=auto, generate=generate))
        done = subprocess.run(
            [sys.executable, "-m", "beets", "-v", *map(str, arguments)],
            env=os.environ | {"BEETSDIR": str(tmp_path)},
            capture_output=True,
            text=True,
            check=False,
        )
        return done.returncode, done.stdout + done.stderr

    return run


@pytest.fixture
def music(tmp_path):
    for album in ("One", "Two"):
        for number in (1, 2):
            folder = tmp_path / "new" / album
            folder.mkdir(parents=True, exist_ok=True)
            tags = {"album": album, "album_artist": "Ida", "artist": "Ida", "title": f"{album} {number}"}
            write_audio(folder / f"{number}.mp3", chords([(0, 4), (5, 4)], repeats=1), 22050, "libmp3lame", tags=tags)
    return tmp_path / "new"


def art(tmp_path):
    """Album → its art, as the library says."""
    from beets.library import Library

    library = Library(str(tmp_path / "library.db"), str(tmp_path / "library"))
    return {album.album: album.artpath and Path(os.fsdecode(album.artpath)) for album in library.albums()}


def test_an_import_fills_albums_and_the_command_the_rest(beet, music, tmp_path):
    code, text = beet("import", music / "One")
    assert code == 0, text
    first = art(tmp_path)["One"]
    assert first.parent == tmp_path / "library" / "Ida" / "One"
    assert len(read_provenance(first)["songs"]) == 2

    assert beet("import", music / "Two", auto="no")[0] == 0
    assert art(tmp_path)["Two"] is None
    before = first.read_bytes()
    code, text = beet("covergen")
    assert (code, "1 of 1 albums without art got one" in text) == (0, True), text
    assert read_provenance(art(tmp_path)["Two"])
    assert first.read_bytes() == before
    assert "0 of 0 albums" in beet("covergen")[1]
    code, text = beet("covergen", "-f", "album:One", generate="{base: painter, size: 96}")
    assert "1 of 1 albums got covers" in text
    with Image.open(art(tmp_path)["One"]) as image:
        assert image.size == (96, 96)


def test_art_beside_the_songs_is_left_alone_and_mistakes_are_one_line(beet, music, tmp_path):
    beet("import", music / "One", auto="no")
    Image.new("RGB", (30, 30), "red").save(tmp_path / "library" / "Ida" / "One" / "Folder.jpg")
    assert "0 of 0 albums" in beet("covergen")[1]
    code, text = beet("covergen", "-f", generate="{sise: 64}")
    assert code != 0
    assert "size" in text
    assert "Traceback" not in text
