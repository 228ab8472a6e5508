"""Patterns and playlists: which files they mean, and which are refused."""

import os
import unicodedata
from pathlib import Path

import pytest

from covergen_cli.audio.io import probe
from covergen_cli.covers.inputs import Song, expand, find_songs, input_fault, read_list, read_playlist
from covergen_cli.errors import InputError


@pytest.fixture
def files(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)

    def make(*names):
        for name in names:
            Path(name).parent.mkdir(parents=True, exist_ok=True)
            Path(name).write_bytes(b"x")

    return make


@pytest.mark.parametrize(
    ("pattern", "expected"),
    [
        ("m/*.mp3", ["m/a.mp3", "m/b.mp3"]),
        ("m/*", ["m/a.mp3", "m/b.mp3", "m/list.m3u8", "m/sub"]),
        ("m/**/*.ogg", ["m/sub/c.ogg"]),
        ("m/?.mp3", ["m/a.mp3", "m/b.mp3"]),
        ("m/x[1].mp3", ["m/x[1].mp3"]),
        ("m/a.mp3", ["m/a.mp3"]),
        ("m", ["m"]),
        ("gone.mp3", ["gone.mp3"]),
    ],
)
def test_a_pattern_gives_the_music_that_fits_it(files, pattern, expected):
    files("m/a.mp3", "m/b.mp3", "m/a.segment.mp3", "m/cover.jpg", "m/.hidden.mp3", "m/sub/c.ogg", "m/list.m3u8")
    if "[" in pattern:
        files("m/x[1].mp3", "m/x1.mp3")
    assert [path.as_posix() for path in expand(pattern)] == expected


def test_a_pattern_that_nothing_fits(files):
    files("m/cover.jpg")
    with pytest.raises(InputError, match=r"no music matches m/\*"):
        expand("m/*")


def playlist(data, name="list.m3u"):
    Path(name).write_bytes(data if isinstance(data, bytes) else data.encode())
    return [path.as_posix() for path in read_playlist(Path(name))]


def test_a_playlist_names_files_as_seen_from_its_folder(files):
    files("m/lists/a.m3u8")
    Path("m/lists/a.m3u8").write_text("#EXTM3U\n\n#EXTINF:12,A - B\n../one.mp3\r\n  two.mp3  \n/abs/three.mp3\n")
    paths = read_playlist(Path("m/lists/a.m3u8"))
    assert [path.as_posix() for path in paths] == ["m/lists/../one.mp3", "m/lists/two.mp3", "/abs/three.mp3"]


@pytest.mark.parametrize(
    "data",
    [
        "\ufeffBlá.mp3\n".encode(),
        "Blá.mp3\n".encode(),
        "Blá.mp3\n".encode("cp1252"),
        "\ufeffBlá.mp3\r\n".encode("utf-16-le"),
        "\ufeff#EXTM3U\nBlá.mp3".encode("utf-16-be"),
        b"Bl%C3%A1.mp3".replace(b"Bl", b"file:///PLACE/Bl"),
    ],
    ids=["bom", "utf-8", "cp1252", "utf-16-le", "utf-16-be", "file"],
)
def test_encodings_of_a_playlist(files, tmp_path, data):
    files("Blá.mp3")
    (path,) = playlist(data.replace(b"/PLACE", str(tmp_path).encode()))
    assert os.path.samefile(path, "Blá.mp3")  # noqa: PTH121


@pytest.mark.skipif(os.name == "nt", reason="there it is no question")
def test_folders_that_windows_wrote(files):
    files("Live/one.mp3", "odd\\name.mp3")
    assert playlist("Live\\one.mp3\nodd\\name.mp3\n") == ["Live/one.mp3", "odd\\name.mp3"]


@pytest.mark.parametrize("entry", ["http://radio/live", "HTTPS://x/y.mp3", "rtsp://x", "ftp://x/a.mp3"])
def test_addresses_on_the_network_fail_alone(files, entry):
    files("a.mp3")
    good, bad = playlist(f"#EXTM3U\na.mp3\n{entry}\n")
    assert (good, input_fault(Path(good))) == ("a.mp3", None)
    assert input_fault(Path(bad)).message == f"{entry} is not a local file"


def test_a_listed_name_is_read_literally_first_then_decoded(files):
    nfd, nfc = unicodedata.normalize("NFD", "Ž/é.mp3"), unicodedata.normalize("NFC", "ö.mp3")
    files("100%25.mp3", "100%.mp3", "a b.mp3", nfd, nfc)
    lines = ["100%25.mp3", "a%20b.mp3", unicodedata.normalize("NFC", nfd), unicodedata.normalize("NFD", nfc)]
    expected = [Path("100%25.mp3"), Path("a b.mp3"), Path(nfd), Path(nfc)]
    assert read_list("\r\n".join(lines).encode()) == expected
    Path("100%25.mp3").unlink()
    assert read_list(b"\xef\xbb\xbf100%25.mp3\n") == [Path("100%.mp3")]
    with pytest.raises(InputError, match="separated by NUL"):
        read_list(b"a.mp3\0b.mp3\0")


def test_inputs_that_cannot_be_used_fail_alone(files):
    files("a.mp3")
    Path("empty").mkdir()
    Path("loop").symlink_to("loop")
    os.mkfifo("pipe")
    bad = [Path(name) for name in ("gone.m3u", "empty", "y" * 300, "loop", "pipe", "a\0b")]
    songs = find_songs([*bad, Path("a.mp3")])
    assert [song.path for song in songs] == [*bad, Path("a.mp3")]
    assert [input_fault(song.path) is None for song in songs] == [False] * 6 + [True]
    assert input_fault(Path("empty")).message == "no music in empty"
    assert "too long" in input_fault(Path("y" * 300)).message
    assert "not a regular file" in input_fault(Path("pipe")).message


def test_playlists_that_cannot_be_used(files, monkeypatch):
    files("empty.m3u")
    Path("empty.m3u").write_text("#EXTM3U\n")
    with pytest.raises(InputError, match=r"no music in empty\.m3u"):
        find_songs([Path("empty.m3u")])
    with pytest.raises(InputError, match="does not exist"):
        find_songs([Path("gone.m3u")])
    monkeypatch.setattr("covergen_cli.covers.inputs._PLAYLIST_BYTES", 10)
    with pytest.raises(InputError, match="too large"):
        playlist("a-long-name.mp3\n")


def test_every_song_comes_once_by_the_first_input_that_names_it(files):
    files("m/live/a.mp3", "b.mp3")
    playlist("m/live/a.mp3\nb.mp3\n")
    songs = find_songs([Path("m"), Path("list.m3u"), Path("b.mp3")])
    listed = Song(Path("b.mp3"), playlist=Path("list.m3u"))
    assert songs == [Song(Path("m/live/a.mp3"), Path("live"), Path("covers")), listed]


def test_a_folder_that_cannot_be_read_is_named_among_the_songs(tmp_path, monkeypatch):
    def walk(top, onerror):
        onerror(PermissionError(13, "Permission denied", str(tmp_path / "closed")))
        yield str(top), [], ["song.mp3"]

    monkeypatch.setattr("covergen_cli.covers.inputs.os.walk", walk)
    assert [song.path for song in find_songs([tmp_path])] == [tmp_path / "song.mp3", tmp_path / "closed"]


def test_why_it_cannot_be_read_is_said(tmp_path, monkeypatch):
    # Root may read anything, so the system's answer is replaced.
    monkeypatch.setattr("covergen_cli.audio.container.os.access", lambda *_: False)
    with pytest.raises(InputError, match="cannot be read"):
        probe(tmp_path)
