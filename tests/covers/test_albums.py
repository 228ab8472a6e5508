"""Which songs make an album, and how their embeddings become one."""

from pathlib import Path

import numpy as np
import pytest

from covergen_cli.audio.tags import Tags
from covergen_cli.covers.albums import POOLED_FRAMES, albums, groups, interleave, subsample_frames
from covergen_cli.covers.inputs import Song
from tiny import tiny_embedding


def grouped(*rows):
    """Rows of path, album, album artist, track → names and songs of the albums."""
    songs = [
        (Song(Path(path), Path(path).parent), Tags(album=album, album_artist=artist, track=track))
        for path, album, artist, track in rows
    ]
    return {album.name: [song.path.as_posix() for song in album.songs] for album in albums(songs)}


def test_tags_hold_an_album_together_across_folders():
    assert grouped(("b/2.mp3", "Day", "Ida", 2), ("a/1.mp3", "DAY", "ida", 1)) == {"DAY": ["a/1.mp3", "b/2.mp3"]}


def test_albums_of_the_same_name_by_others_are_others():
    found = albums(
        (Song(Path(path)), Tags(album="Hits", album_artist=artist))
        for path, artist in (("a/1.mp3", "Ida"), ("a/2.mp3", "Bo"), ("b/3.mp3", None), ("c/4.mp3", None))
    )
    assert [[song.path.as_posix() for song in album.songs] for album in found] == [
        ["a/1.mp3"],
        ["a/2.mp3"],
        ["b/3.mp3"],
        ["c/4.mp3"],
    ]


def test_loose_songs_are_no_album():
    assert grouped(("a/2.mp3", None, None, None), ("a/1.mp3", None, "Ida", None), ("a/3.mp3", "D", None, 1)) == {
        "2": ["a/2.mp3"],
        "1": ["a/1.mp3"],
        "D": ["a/3.mp3"],
    }


def test_a_file_that_cannot_be_read_belongs_to_the_only_album_of_its_folder():
    day, bad = (Song(Path("a/1.mp3")), Tags(album="Day", album_artist="Ida")), (Song(Path("a/0.mp3")), None)
    other = Song(Path("a/3.mp3")), Tags(album="Night")
    (album,) = albums([bad, day])
    assert (album.name, album.tags.album_artist) == ("Day", "Ida")
    assert [song.path.name for song in album.songs] == ["0.mp3", "1.mp3"]
    assert [album.name for album in albums([bad, day, other])] == ["0", "Day", "Night"]


def test_songs_stand_in_the_order_of_their_tracks_and_the_rest_follows():
    rows = (("a/x.mp3", "D", "I", None), ("a/y.mp3", "D", "I", 10), ("a/z.mp3", "D", "I", 9))
    assert grouped(*rows) == {"D": ["a/z.mp3", "a/y.mp3", "a/x.mp3"]}


def test_the_folder_of_an_album_holds_all_its_songs():
    songs = [
        (Song(Path(f"m/{place}/1.mp3"), Path(place)), Tags(album="D", album_artist="I")) for place in ("a/x", "a/y")
    ]
    (album,) = albums(songs)
    assert album.folder == Path("a")


def test_songs_are_grouped_by_artist_or_folder_too():
    rows = [
        ("x/1.mp3", Tags(artist="Ida", album="A")),
        ("y/2.mp3", Tags(artist="Bo", album_artist="IDA", album="B")),
        ("y/3.mp3", Tags(artist="Bo")),
        ("y/4.mp3", None),
        ("5.mp3", Tags(artist="Bo")),
    ]
    songs = [(Song(Path(path), Path(path).parent), tags) for path, tags in rows]

    def names(per):
        return {album.name: [song.path.as_posix() for song in album.songs] for album in groups(songs, per)}

    assert names("artist") == {"Ida": ["x/1.mp3", "y/2.mp3"], "Bo": ["5.mp3", "y/3.mp3"], "4": ["y/4.mp3"]}
    assert names("folder") == {
        "x": ["x/1.mp3"],
        "y": ["y/2.mp3", "y/3.mp3", "y/4.mp3"],
        Path.cwd().name: ["5.mp3"],
    }
    assert names("album") == {album.name: [song.path.as_posix() for song in album.songs] for album in albums(songs)}


def test_an_album_of_one_song_is_that_song():
    song = tiny_embedding(1, frames=40)
    assert np.array_equal(interleave([subsample_frames(song, 1)]), song)


def test_every_song_has_the_same_say_at_the_same_time():
    short, long = np.full((2, 3), 1.0, np.float32), np.arange(12, dtype=np.float32).reshape(4, 3)
    pooled = interleave([short, long])
    assert pooled.shape == (8, 3)
    assert np.array_equal(pooled[1::2], long)
    assert np.all(pooled[::2] == 1)


@pytest.mark.parametrize("songs", [2, 100, POOLED_FRAMES * 2])
def test_an_album_is_bounded_whatever_its_size(songs):
    thinned = subsample_frames(tiny_embedding(frames=3000), songs)
    assert 1 <= len(thinned) <= max(1, POOLED_FRAMES // songs)
    assert thinned.dtype == np.float32


def test_a_playlist_keeps_its_order_and_what_none_names_is_one_list():
    lists = [("b.mp3", "x/Party.m3u"), ("a.mp3", "x/Party.m3u"), ("b.mp3", "x/Rest.m3u8"), ("c.mp3", None)]
    songs = [(Song(Path(path), playlist=playlist and Path(playlist)), None) for path, playlist in lists]
    found = [(album.name, [song.path.as_posix() for song in album.songs]) for album in groups(songs, "playlist")]
    assert found == [("Party", ["b.mp3", "a.mp3"]), ("Rest", ["b.mp3"]), ("playlist", ["c.mp3"])]
