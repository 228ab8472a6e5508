"""Random tags before and after a cover is written differ only in the front cover; the audio packets are identical."""

# ruff: noqa: S311 — these numbers are for tests

import base64
import io
import random
import shutil
import struct

import mutagen
import pytest
from mutagen.flac import FLAC, Picture
from mutagen.id3 import ID3
from mutagen.mp4 import MP4, MP4Cover
from PIL import Image

from audio.signals import tone, write_audio
from covergen_cli.audio.audio_hash import audio_sha256
from covergen_cli.covers.tag_pictures import open_tags

CODECS = {"mp3": "libmp3lame", "m4a": "aac", "flac": "flac", "ogg": "vorbis", "opus": "libopus"}
SEEDS = range(6)


def jpeg(side):
    buffer = io.BytesIO()
    Image.effect_noise((side, side), 90).convert("RGB").save(buffer, format="JPEG", quality=95)
    return buffer.getvalue()


SMALL, LARGE = jpeg(16), jpeg(400)


@pytest.fixture(scope="module")
def plain(tmp_path_factory):
    folder = tmp_path_factory.mktemp("plain")
    return {
        suffix: write_audio(folder / f"song.{suffix}", tone(440, 1.5, 48000), 48000, codec, "stereo")
        for suffix, codec in CODECS.items()
    }


def text(dice):
    return "".join(dice.choices("abc xyz/;=äß夜\u0301\U0001f3b5", k=dice.randint(1, 30)))


def block(dice, kind, data):
    picture = Picture()
    picture.type, picture.mime, picture.desc, picture.data = kind, "image/png", text(dice), data
    return picture


def written(song, target):
    """Write a large and then a small cover; return the file, checked for cover and audio."""
    before = audio_sha256(song)
    for art in (LARGE, SMALL):
        tags = open_tags(song)
        tags.write(target, art, (16, 16))
        assert open_tags(target).pictures() == [art]
        assert audio_sha256(target) == before
        assert open_tags(target).sha256_without_art() == tags.sha256_without_art()
        shutil.copyfile(target, song)
    return target


def synchsafe(number):
    return bytes(number >> 7 * index & 127 for index in (3, 2, 1, 0))


def frames(dice, version):
    """Return random frames, some with unknown names, a back cover, and a front cover in half of the cases."""
    names = ["TT2", "TP1", "ULT", "XXX"] if version == 2 else ["TIT2", "TPE1", "PRIV", "XYZW", "TYER"]
    count = dice.randint(0, 8)
    found = [(dice.choice(names), b"\0" + dice.randbytes(dice.choice([1, 40, 200, 300]))) for _ in range(count)]
    name, mime = ("PIC", b"PNG") if version == 2 else ("APIC", b"image/png\0")
    found.append((name, b"\1" + mime + b"\4\xff\xfeb\0\0\0" + SMALL))
    if dice.random() < 0.5:
        found.append((name, b"\1" + mime + b"\3\xff\xfe\0\1\0\0" + LARGE))
    dice.shuffle(found)
    return found


def frame_bytes(name, content, version, bits):
    if version == 2:
        return name.encode() + struct.pack(">I", len(content))[1:] + content
    size = synchsafe(len(content)) if bits == 7 else struct.pack(">I", len(content))
    return name.encode() + size + bytes(2) + content


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("version", [2, 3, 4])
@pytest.mark.parametrize("v1", [False, True])
def test_every_other_byte_of_an_id3_tag_stays(plain, tmp_path, version, v1, seed):
    dice = random.Random(f"{version} {seed}")
    bits = 7 if version == 4 and seed % 3 else 8
    raw = [frame_bytes(*frame, version, bits) for frame in frames(dice, version)]
    padding = bytes(dice.choice([0, 5, 1000]))
    body = b"".join(raw) + padding
    audio = b"\xff" + open_tags(plain["mp3"]).path.read_bytes().split(b"\xff", 1)[1]
    end = b"TAG" + "Ёлка".encode("cp1251").ljust(30, b"\0") + dice.randbytes(95) if v1 else b""
    song = tmp_path / "song.mp3"
    song.write_bytes(b"ID3" + bytes([version, 0, 0]) + synchsafe(len(body)) + body + audio + end)
    after = written(song, tmp_path / "out.mp3").read_bytes()

    new = b"\0JPG\3\0" if version == 2 else b"\0image/jpeg\0\3\0"
    new = frame_bytes("PIC" if version == 2 else "APIC", new + SMALL, version, bits)
    assert after.count(new) == 1
    others = b"".join(part for part in raw if LARGE not in part) + padding
    assert after.replace(new, b"") == b"ID3" + bytes([version, 0, 0]) + after[6:10] + others + audio + end
    assert int.from_bytes(after[6:10], "big") == int.from_bytes(synchsafe(len(others) + len(new)), "big")


def test_unsynchronised_tags_stay_so(plain, tmp_path):
    from mutagen.id3._util import unsynch

    audio = b"\xff" + plain["mp3"].read_bytes().split(b"\xff", 1)[1]
    for version in (2, 3, 4):
        other = frame_bytes("PRV" if version == 2 else "PRIV", b"a\0\xff\xfe\xff\0b", version, 7)
        body = other if version == 4 else unsynch.encode(other)
        song = tmp_path / "song.mp3"
        song.write_bytes(b"ID3" + bytes([version, 0, 0x80]) + synchsafe(len(body)) + body + audio)
        after = written(song, tmp_path / "out.mp3").read_bytes()
        assert after[:6] == b"ID3" + bytes([version, 0, 0x80])
        assert after[10:].startswith(body)
        (found,) = ID3(tmp_path / "out.mp3").getall("APIC")
        assert found.data == SMALL


@pytest.mark.parametrize("v1", [False, True])
def test_nothing_is_invented_in_an_mp3_without_an_id3v2_tag(plain, tmp_path, v1):
    audio = b"\xff" + plain["mp3"].read_bytes().split(b"\xff", 1)[1]
    end = b"TAG" + "Ёлка".encode("cp1251").ljust(125, b"\0") if v1 else b""
    song = tmp_path / "song.mp3"
    song.write_bytes(audio + end)
    after = written(song, tmp_path / "out.mp3")
    assert after.read_bytes().endswith(audio + end)
    assert list(ID3(after, load_v1=False)) == ["APIC:"]


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("suffix", ["flac", "ogg", "opus"])
def test_every_other_comment_and_block_stays(plain, tmp_path, suffix, seed):
    dice = random.Random(seed)
    song = shutil.copyfile(plain[suffix], tmp_path / f"song.{suffix}")
    file = mutagen.File(song)
    for _ in range(dice.randint(0, 12)):
        file.tags.append((dice.choice(["ARTIST", "title", "X-Y Z"]), text(dice) * dice.choice([1, 1, 400])))
    pictures = [block(dice, 4, SMALL)] + [block(dice, 3, LARGE)] * dice.randint(0, 1)
    if suffix == "flac":
        for picture in pictures:
            file.add_picture(picture)
    else:
        file["metadata_block_picture"] = [base64.b64encode(picture.write()).decode() for picture in pictures]
    file.save()
    before = mutagen.File(song)
    after = mutagen.File(written(song, tmp_path / f"out.{suffix}"))
    if suffix == "flac":
        assert list(after.tags) == list(before.tags)
        parts = [[part.write() for part in f.metadata_blocks if part.code not in (1, 4, 6)] for f in (before, after)]
        assert parts[0] == parts[1]
        assert sorted(picture.type for picture in after.pictures) == [3, 4]
    else:
        name = "METADATA_BLOCK_PICTURE"
        kept = [[tag for tag in f.tags if tag[0].upper() != name] for f in (before, after)]
        assert kept[0] == kept[1]
        found = [Picture(base64.b64decode(value)) for value in after.tags["metadata_block_picture"]]
        assert sorted(picture.type for picture in found) == [3, 4]
    assert after.info.length == before.info.length


def test_comments_that_are_not_utf8_stay(plain, tmp_path):
    for suffix in ("flac", "opus"):
        song = shutil.copyfile(plain[suffix], tmp_path / f"song.{suffix}")
        file = mutagen.File(song)
        file.tags.append(("TITLE", "QQQQ"))
        file.save()
        other = tmp_path / f"other.{suffix}"
        open_tags(song).write(other, SMALL, (16, 16))
        raw = other.read_bytes()
        assert b"TITLE=QQQQ" in raw
    # FLAC has no checksum over its blocks.
    song = tmp_path / "song.flac"
    song.write_bytes(song.read_bytes().replace(b"TITLE=QQQQ", b"TITLE=\xcb\xe8\xff\xfe"))
    assert b"TITLE=\xcb\xe8\xff\xfe" in written(song, tmp_path / "out.flac").read_bytes()


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("options", [{}, {"movflags": "faststart"}, {"movflags": "frag_keyframe+empty_moov"}])
def test_every_other_atom_stays(plain, tmp_path, options, seed):
    import av

    dice = random.Random(seed)
    song = tmp_path / "song.m4a"
    with av.open(str(plain["m4a"])) as source, av.open(str(song), "w", format="mp4", options=options) as copy:
        track = copy.add_stream_from_template(source.streams.audio[0])
        for packet in source.demux(source.streams.audio[0]):
            if packet.dts is not None:
                packet.stream = track
                copy.mux(packet)
    if not options or seed:
        file = MP4(song)
        if file.tags is None:
            file.add_tags()
        file["\xa9nam"] = [text(dice) for _ in range(dice.randint(1, 3))]
        file["----:com.apple.iTunes:X Y"] = [dice.randbytes(50), text(dice).encode()]
        file["trkn"] = [(dice.randint(1, 9), 9)]
        if dice.random() < 0.5:
            file["covr"] = [MP4Cover(LARGE), MP4Cover(SMALL)]
        file.save()
    before = dict(MP4(song).tags or {})
    kept = boxes(song.read_bytes())
    target = written(song, tmp_path / "out.m4a")
    after = dict(MP4(target).tags)
    assert [bytes(picture) for picture in after.pop("covr")] == [SMALL]
    before.pop("covr", None)
    assert after == before
    assert boxes(target.read_bytes()) == kept
    with av.open(str(target), metadata_errors="surrogateescape") as container:
        assert sum(frame.samples for frame in container.decode(audio=0)) > 48000


def boxes(data):
    """Return the names of the top-level atoms, and the content of ``mdat``."""
    found, position = [], 0
    while position < len(data):
        size, name = struct.unpack_from(">I4s", data, position)
        found.append((name, data[position : position + size] if name == b"mdat" else None))
        position += size
    return found


def test_pictures_over_16_mib_are_read_and_replaced(plain, tmp_path):
    song = shutil.copyfile(plain["flac"], tmp_path / "song.flac")
    file = FLAC(song)
    file.add_picture(block(random.Random(0), 3, SMALL))
    file.save()
    raw = song.read_bytes()
    old = file.pictures[0].write()
    big = old[: -len(SMALL) - 4] + struct.pack(">I", (1 << 24) + 9) + bytes((1 << 24) + 9)
    start = raw.index(old)
    size = (len(big) & 0xFFFFFF).to_bytes(3, "big")
    song.write_bytes(raw[: start - 3] + size + big + raw[start + len(old) :])
    assert open_tags(song).pictures() == [bytes((1 << 24) + 9)]
    tags = open_tags(song)
    tags.write(tmp_path / "out.flac", SMALL, (16, 16))
    assert [picture.data for picture in FLAC(tmp_path / "out.flac").pictures] == [SMALL]
