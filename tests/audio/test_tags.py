"""Tags as formats name them, and as people write them."""

import struct

import numpy as np
import pytest

from covergen_cli.audio.io import probe
from covergen_cli.audio.tags import Tags, read_tags
from tiny import tiny_song

from .signals import tone, write_audio


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


LATIN = {"title": "Café", "artist": "Bjørk…"}


def test_bytes_that_are_not_utf8_are_cp1252(tmp_path):
    song = write_audio(tmp_path / "a.mp3", tone(440, 1, 44100), 44100, "libmp3lame").read_bytes()
    title, artist = (text.encode("cp1252").ljust(30, b"\0") for text in LATIN.values())
    (tmp_path / "a.mp3").write_bytes(song[10 + id3_size(song) :] + b"TAG" + title + artist + bytes(65))
    assert (probe(tmp_path / "a.mp3").title, probe(tmp_path / "a.mp3").artist) == ("Café", "Bjørk…")


def test_riff_info_is_cp1252(tmp_path):
    path = write_audio(tmp_path / "a.wav", tone(440, 1), 22050, "pcm_s16le")
    info = b"INFO" + b"".join(
        name + struct.pack("<I", len(text)) + text
        for name, text in ((b"INAM", "Café\0\0".encode("cp1252")), (b"IART", "Bjørk…".encode("cp1252")))
    )
    data = path.read_bytes() + b"LIST" + struct.pack("<I", len(info)) + info
    path.write_bytes(data[:4] + struct.pack("<I", len(data) - 8) + data[8:])
    assert (probe(path).title, probe(path).artist) == ("Café", "Bjørk…")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Caf\udce9", "Café"),
        ("It\x92s", "It’s"),
        ("Caf\ufffd", "Caf"),
        ("Björk – Jóga", "Björk – Jóga"),
        ("\udcff\udcfe", "ÿþ"),
        ("日本", "日本"),
    ],
)
def test_text_is_decoded_by_the_rules_of_the_field(text, expected):
    assert read_tags({"title": text}).title == expected


def id3v2(version, frames, encoding=3):
    """An ID3v2 tag of text frames, each a list of values."""
    codec, end = (("cp1252", b"\0"), ("utf-16", b"\0\0"), ("utf-16-be", b"\0\0"), ("utf-8", b"\0"))[encoding]
    body = b""
    for name, values in frames.items():
        text = bytes([encoding]) + end.join(value.encode(codec) for value in values)
        size = syncsafe(len(text)) if version == 4 else len(text).to_bytes(3 if version == 2 else 4, "big")
        body += name + size + (b"" if version == 2 else b"\0\0") + text
    body += bytes(64)
    return b"ID3" + bytes([version, 0, 0]) + syncsafe(len(body)) + body


def syncsafe(number):
    return bytes((number >> shift) & 0x7F for shift in (21, 14, 7, 0))


def id3_size(data):
    assert data[:3] == b"ID3"
    return sum(byte << shift for byte, shift in zip(data[6:10], (21, 14, 7, 0), strict=True))


def ape(items):
    body = b""
    for key, values in items.items():
        text = "\0".join(values).encode()
        body += struct.pack("<II", len(text), 0) + key.encode() + b"\0" + text
    return body + b"APETAGEX" + struct.pack("<IIII", 2000, len(body) + 32, len(items), 0) + bytes(8)


def atom(name, *contents):
    return struct.pack(">I4s", 8 + sum(map(len, contents)), name) + b"".join(contents)


ARTISTS = ["Ana", "Bén"]


@pytest.mark.parametrize(("version", "encoding"), [(2, 1), (3, 1), (3, 0), (4, 0), (4, 1), (4, 2), (4, 3)])
def test_several_artists_of_id3(tmp_path, version, encoding):
    song = write_audio(tmp_path / "a.mp3", tone(440, 1, 44100), 44100, "libmp3lame").read_bytes()
    artist, album_artist = (b"TP1", b"TP2") if version == 2 else (b"TPE1", b"TPE2")
    tag = id3v2(version, {artist: ARTISTS, album_artist: ["Various"]}, encoding)
    (tmp_path / "a.mp3").write_bytes(tag + song[10 + id3_size(song) :])
    tags = probe(tmp_path / "a.mp3").tags
    assert (tags.artist, tags.album_artist) == ("Ana, Bén", "Various")


@pytest.mark.parametrize(("name", "codec", "order"), [("a.wav", "pcm_s16le", "<"), ("a.aiff", "pcm_s16be", ">")])
def test_several_artists_of_an_id3_chunk(tmp_path, name, codec, order):
    path = write_audio(tmp_path / name, tone(440, 1), 22050, codec)
    tag = id3v2(4, {b"TPE1": ARTISTS})
    tag += bytes(len(tag) % 2)
    data = path.read_bytes() + (b"id3 " if order == "<" else b"ID3 ") + struct.pack(f"{order}I", len(tag)) + tag
    path.write_bytes(data[:4] + struct.pack(f"{order}I", len(data) - 8) + data[8:])
    assert probe(path).artist == "Ana, Bén"


@pytest.mark.parametrize("behind", [b"", b"TAG" + b"x" * 125])
def test_several_artists_of_ape(tmp_path, behind):
    path = write_audio(tmp_path / "a.wv", tone(440, 1), 22050, "wavpack")
    sound = path.read_bytes()
    path.write_bytes(sound[: sound.rindex(b"APETAGEX", 0, -32)] + ape({"Artist": ARTISTS, "Title": ["T"]}) + behind)
    assert probe(path).artist == "Ana, Bén"


def test_several_artists_of_mp4(tmp_path):
    path = write_audio(tmp_path / "a.m4a", tone(440, 1), 22050, "aac")
    data = [atom(b"data", struct.pack(">II", 1, 0), artist.encode()) for artist in ARTISTS]
    handler = atom(b"hdlr", bytes(8), b"mdirappl", bytes(9))
    meta = atom(b"meta", bytes(4), handler, atom(b"ilst", atom(b"\xa9ART", *data)))
    sound = path.read_bytes()
    at = sound.index(b"moov") - 4
    size = int.from_bytes(sound[at : at + 4], "big")
    end = sound.find(b"udta", at, at + size)
    end = at + size if end < 0 else end - 4
    moov = atom(b"moov", sound[at + 8 : end], atom(b"udta", meta))
    path.write_bytes(sound[:at] + moov)
    assert probe(path).artist == "Ana, Bén"


@pytest.mark.parametrize(("name", "codec"), [("a.flac", "flac"), ("a.opus", "libopus")])
def test_several_artists_of_vorbis_comments(tmp_path, name, codec):
    path = write_audio(tmp_path / name, tone(440, 1, 48000), 48000, codec, tags={"artist": "Ana;Bén"})
    assert probe(path).artist == "Ana, Bén"


def test_damaged_tags_do_no_harm(tmp_path):
    song = write_audio(tmp_path / "a.mp3", tone(440, 1, 44100), 44100, "libmp3lame").read_bytes()
    tag = id3v2(4, {b"TPE1": ARTISTS})
    random = np.random.default_rng(0)
    for _ in range(100):
        damaged = bytearray(tag)
        damaged[int(random.integers(10, len(tag)))] = int(random.integers(256))
        (tmp_path / "a.mp3").write_bytes(bytes(damaged) + song[10 + id3_size(song) :])
        artist = probe(tmp_path / "a.mp3").artist
        assert artist is None or "\ufffd" not in artist
