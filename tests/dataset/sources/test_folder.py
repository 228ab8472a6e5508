"""A folder of tagged music as a source of pairs."""

import io
import os
import pickle
import shutil
import sys

import av
import numpy as np
import pytest
from PIL import Image

from covergen_cli.audio.io import probe, save_mp3
from covergen_cli.config import FetchConfig
from covergen_cli.dataset.fetch.run import fetch_dataset
from covergen_cli.dataset.layout import ID_PATTERN
from covergen_cli.dataset.sources.base import UnwantedError
from covergen_cli.dataset.sources.folder import FolderSource
from covergen_cli.errors import InputError
from covergen_cli.provenance import encode_jpeg
from dataset_files import read_table, write_song

RATE_HZ = 22_050


def image_bytes(colour, kind="JPEG"):
    file = io.BytesIO()
    Image.new("RGB", (200, 200), colour).save(file, kind)
    return file.getvalue()


def two_colours():
    image = Image.new("RGB", (200, 200), "red")
    image.paste("blue", (0, 0, 90, 200))
    file = io.BytesIO()
    image.save(file, "JPEG")
    return file.getvalue()


RED, BLUE = image_bytes("red"), image_bytes("blue", "PNG")


@pytest.fixture(scope="session")
def song(tmp_path_factory):
    """An mp3 of 40 s that is loud at its end."""
    time = np.arange(40 * RATE_HZ) / RATE_HZ
    path = tmp_path_factory.mktemp("songs") / "song.mp3"
    save_mp3(path, (np.sin(2 * np.pi * 330 * time) * np.where(time > 12, 0.5, 0.01)).astype(np.float32), RATE_HZ)
    return path


def put(song, path):
    path.parent.mkdir(parents=True, exist_ok=True)
    shutil.copy(song, path)
    return path


def tag(path, picture=None, **texts):
    """Tag an mp3 without a library for tags."""
    with av.open(str(path)) as source, av.open(str(path) + ".new.mp3", "w") as target:
        target.metadata.update(texts)
        track = target.add_stream_from_template(source.streams.audio[0])
        cover = None
        if picture is not None:
            cover = target.add_stream("mjpeg", rate=1)
            cover.width = cover.height = 200
            cover.pix_fmt = "yuvj420p"
            cover.disposition = av.stream.Disposition.attached_pic
            cover.metadata["comment"] = "Cover (front)"
        for packet in source.demux(source.streams.audio[0]):
            if packet.dts is not None:
                packet.stream = track
                target.mux(packet)
        if cover is not None:
            packet = av.Packet(picture)
            packet.stream, packet.pts, packet.dts = cover, 0, 0
            target.mux(packet)
    shutil.move(str(path) + ".new.mp3", path)


def obtained(source, tmp_path):
    workspace = tmp_path / "work"
    workspace.mkdir(exist_ok=True)
    return [source.obtain(item, workspace) for item in source.items()]


def content(image):
    return image if isinstance(image, bytes) else image.read_bytes()


def test_music_is_listed_in_the_order_of_names_with_ids_that_stay(song, tmp_path):
    for name in ("b/02.mp3", "b/01 Überschrift.mp3", "a.mp3", "B.flac", ".hidden.mp3", ".hidden/x.mp3", "c/notes.txt"):
        put(song, tmp_path / "music" / name)
    items = list(FolderSource(tmp_path / "music").items())
    assert [item.audio for item in items] == ["B.flac", "a.mp3", "b/01 Überschrift.mp3", "b/02.mp3"]
    assert [item.row for item in items] == [1, 2, 3, 4]
    assert all(ID_PATTERN.fullmatch(item.id) for item in items)
    assert len({item.id for item in items}) == 4
    put(song, tmp_path / "music" / "a" / "new.mp3")
    shutil.move(tmp_path / "music", tmp_path / "moved")
    later = {item.audio: item.id for item in FolderSource(tmp_path / "moved").items()}
    assert {item.audio: later[item.audio] for item in items} == {item.audio: item.id for item in items}


def test_circles_of_links_and_datasets_are_passed_over(song, tmp_path):
    music = tmp_path / "music"
    put(song, music / "album" / "song.mp3")
    (music / "album" / "circle").symlink_to(music, target_is_directory=True)
    put(song, music / "DATA" / "audio" / "copy.mp3")
    (music / "DATA" / "dataset.json").write_text("{}")
    assert [item.audio for item in FolderSource(music).items()] == ["album/song.mp3"]


def test_cover_and_facts_come_from_the_tags(song, tmp_path):
    path = put(song, tmp_path / "music" / "x.mp3")
    tag(path, picture=RED, title="One", artist="Two", album="Three", genre="Rock", date="2001-02-03")
    (path.parent / "cover.png").write_bytes(BLUE)
    (pair,) = obtained(FolderSource(tmp_path / "music"), tmp_path)
    assert content(pair.image) == RED
    assert pair.metadata == {"title": "One", "artist": "Two", "album": "Three", "genre": "Rock", "year": "2001"}
    assert pair.audio == path


@pytest.mark.parametrize(
    ("names", "chosen"),
    [
        (["front.jpg", "folder.jpg", "cover.png"], "cover.png"),
        (["Front.JPG", "Folder.png"], "Folder.png"),
        (["cover.gif", "covers.jpg", "front.webp"], "front.webp"),
        (["cover.png", "COVER.JPEG"], "COVER.JPEG"),
    ],
)
def test_the_cover_may_lie_beside_the_music(song, tmp_path, names, chosen):
    put(song, tmp_path / "music" / "x.mp3")
    for name in names:
        (tmp_path / "music" / name).write_text(name)
    (pair,) = obtained(FolderSource(tmp_path / "music"), tmp_path)
    assert content(pair.image) == chosen.encode()
    assert pair.metadata["title"] == "x"


def test_music_without_a_cover_is_unwanted(song, tmp_path):
    put(song, tmp_path / "music" / "x.mp3")
    with pytest.raises(UnwantedError, match=r"x\.mp3 has no cover inside, and there is no cover\.\*, folder") as raised:
        obtained(FolderSource(tmp_path / "music"), tmp_path)
    assert raised.value.cause == "no cover"


def test_covers_of_our_own_making_teach_nothing(song, tmp_path):
    file = put(song, tmp_path / "song.mp3")
    made = encode_jpeg(Image.new("RGB", (200, 200), "red"), {"version": "1"})
    tag(file, picture=made)
    (tmp_path / "cover.jpg").write_bytes(made)
    (item,) = FolderSource(tmp_path).items()
    with pytest.raises(UnwantedError, match="those made by covergen are ignored"):
        FolderSource(tmp_path).obtain(item, tmp_path)
    (tmp_path / "front.png").write_bytes(BLUE)
    assert FolderSource(tmp_path).obtain(item, tmp_path).image == tmp_path / "front.png"


def test_a_copy_is_the_salient_part(song, tmp_path):
    put(song, tmp_path / "music" / "x.mp3")
    (tmp_path / "music" / "cover.jpg").write_bytes(RED)
    (pair,) = obtained(FolderSource(tmp_path / "music", copy=True), tmp_path)
    assert pair.audio.parent == tmp_path / "work"
    info = probe(pair.audio)
    assert info.codec.startswith("mp3")
    assert info.duration_seconds == pytest.approx(30, abs=0.2)


def test_a_copy_is_named_for_what_it_is(tmp_path):
    write_song(tmp_path / "music" / "x.wav", seconds=6)
    (tmp_path / "music" / "cover.jpg").write_bytes(two_colours())
    *_, finished = fetch_dataset(
        FolderSource(tmp_path / "music", copy=True), tmp_path / "DATA", FetchConfig(copy=True, workers=1)
    )
    assert finished.counts["ok"] == 1
    (row,) = read_table(finished.manifest)
    assert row["audio_path"] == f"audio/{row['id']}.mp3"
    assert probe(tmp_path / "DATA" / row["audio_path"]).codec.startswith("mp3")


@pytest.mark.skipif(sys.platform != "linux", reason="other systems have no such names")
def test_names_that_tables_cannot_hold_are_copied_and_stay_apart(song, tmp_path):
    names = [b"bad\xff.mp3", b"bad\xfe.mp3", b"two\nlines\r.mp3", b"file:plain.mp3", rb"bad\udcff.mp3", b" space.mp3"]
    for number, name in enumerate(names):
        folder = tmp_path / "music" / os.fsdecode(b"\xe9t\xe9")
        write_song(folder / os.fsdecode(name), seconds=6, hertz=100.0 + 50 * number)
    (folder / "cover.jpg").write_bytes(two_colours())
    source = FolderSource(tmp_path / "music")
    *_, finished = fetch_dataset(source, tmp_path / "DATA", FetchConfig(workers=1, dedupe="none"))
    assert finished.counts["ok"] == len(names)
    rows = read_table(finished.manifest)
    assert len({row["id"] for row in rows}) == len(names)
    originals = {(folder / os.fsdecode(name)).read_bytes() for name in names}
    assert {(tmp_path / "DATA" / row["audio_path"]).read_bytes() for row in rows} == originals
    assert {row["audio_path"] for row in rows} == {f"audio/{row['id']}.mp3" for row in rows}
    assert {"badÿ", "badþ"} <= {row["title"] for row in rows}  # Latin-1, as such names mean it
    *_, again = fetch_dataset(source, tmp_path / "DATA", FetchConfig(workers=1, dedupe="none"))
    assert again.counts["ok"] == len(names)


@pytest.mark.skipif(sys.platform != "linux", reason="other systems have no such names")
def test_the_reason_of_a_name_that_is_not_utf_8(tmp_path):
    (tmp_path / "music").mkdir()
    (tmp_path / "music" / os.fsdecode(b"bad\xff.mp3")).write_bytes(b"junk")
    *_, finished = fetch_dataset(FolderSource(tmp_path / "music"), tmp_path / "DATA", FetchConfig(workers=1))
    (row,) = read_table(finished.status)
    assert row["status"] == "failed"
    assert r"bad\udcff.mp3 is not audio" in row["reason"]


def test_a_song_that_was_removed_meanwhile(song, tmp_path):
    file = put(song, tmp_path / "music" / "x.mp3")
    source = FolderSource(tmp_path / "music")
    (item,) = source.items()
    file.unlink()
    with pytest.raises(InputError, match="does not exist"):
        source.obtain(item, tmp_path)


def test_what_is_no_folder_of_music_is_told(tmp_path):
    with pytest.raises(InputError, match="no music in"):
        list(FolderSource(tmp_path).items())
    with pytest.raises(InputError, match="is not a folder"):
        list(FolderSource(tmp_path / "missing").items())


def test_it_can_be_sent_to_worker_processes(tmp_path):
    source = FolderSource(tmp_path, copy=True)
    assert pickle.loads(pickle.dumps(source)) == source  # noqa: S301 — our own
    assert source.describe() == {"kind": "folder", "name": str(tmp_path), "copy": True}
