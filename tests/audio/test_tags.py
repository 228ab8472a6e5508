"""Tags as formats name them, and as people write them."""

import pytest

from covergen_cli.audio.io import probe
from covergen_cli.audio.tags import Tags, read_tags
from tiny import tiny_song


@pytest.mark.parametrize(
    ("metadata", "expected"),
    [
        ({}, Tags()),
        (
            {"TITLE": " A\n song ", "artist": "", "ALBUM ARTIST": "Various"},
            Tags(title="A song", album_artist="Various"),
        ),
        ({"albumartist": "V", "album": "LP"}, Tags(album_artist="V", album="LP")),
        ({"track": "3/12", "disc": "2"}, Tags(track=3, disc=2)),
        ({"tracknumber": "A1", "discnumber": "-1"}, Tags()),
        ({"track": "9" * 5000}, Tags(track=999999)),
        ({"date": "2011-03-04"}, Tags(year="2011")),
        ({"date": "04.03.2011"}, Tags(year="2011")),
        ({"date": "soon", "genre": "Dub"}, Tags(genre="Dub")),
    ],
)
def test_reading(metadata, expected):
    assert read_tags(metadata) == expected


def test_tags_of_a_file(tmp_path):
    song = tiny_song(tmp_path / "s.flac", title="T", album="LP", album_artist="V", track="3/12", date="2011-03-04")
    info = probe(song)
    assert info.tags == Tags(title="T", album="LP", album_artist="V", track=3, year="2011")
    assert (info.title, info.artist) == ("T", "V")
