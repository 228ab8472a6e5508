"""The whole way with the model that ships: a song goes in, a picture comes out, nothing is replaced by a stand-in."""

import json

import numpy as np
import pytest
from PIL import Image

from covergen_cli.audio.io import save_mp3
from covergen_cli.weights.hub import starter_folder

RATE_HZ = 22050
QUICK = ("--steps", "2", "--device", "cpu")

pytestmark = pytest.mark.skipif(not starter_folder().is_dir(), reason="the starter's weights are not in this checkout")


def tune(base_hz, beats_hz):
    """Six seconds of a chord that is struck again and again."""
    time = np.arange(6 * RATE_HZ) / RATE_HZ
    chord = sum(np.sin(2 * np.pi * base_hz * ratio * time) for ratio in (1.0, 1.25, 1.5, 2.0))
    return (0.2 * chord * np.exp(-4 * (time * beats_hz % 1.0))).astype(np.float32)


@pytest.fixture
def music(tmp_path):
    folder = tmp_path / "music"
    (folder / "album").mkdir(parents=True)
    save_mp3(folder / "slow.mp3", tune(110.0, 1.0), RATE_HZ)
    save_mp3(folder / "album" / "fast one.mp3", tune(330.0, 3.0), RATE_HZ)
    return folder


def test_a_folder_of_music_becomes_covers_and_a_second_run_leaves_them(covergen, music, tmp_path):
    out = tmp_path / "art"
    (music / "broken.mp3").write_bytes(b"this is no music")
    ended = covergen("generate", music, "-o", out, "--json", *QUICK)
    assert ended.code == 3, ended.err
    assert "broken.mp3" in ended.err
    records = {record["status"]: record for record in map(json.loads, ended.out.splitlines())}
    assert records["ok"]["segment"][1] > records["ok"]["segment"][0]
    covers = [out / "slow.png", out / "album" / "fast one.png"]
    for cover in covers:
        with Image.open(cover) as image:
            assert (image.format, image.size, image.mode) == ("PNG", (512, 512), "RGB")
            assert np.asarray(image).std() > 5, "a cover is not one flat colour"
    assert covers[0].read_bytes() != covers[1].read_bytes()

    written = [cover.stat().st_mtime_ns for cover in covers]
    (music / "broken.mp3").unlink()
    again = covergen("generate", music, "-o", out, *QUICK)
    assert again.code == 0
    assert sorted(again.out.splitlines()) == sorted(str(cover) for cover in covers)
    assert "2 already there" in again.err
    assert [cover.stat().st_mtime_ns for cover in covers] == written
    assert not [path for path in out.rglob("*") if path.is_file() and path not in covers]


def test_the_same_line_gives_the_same_bytes_and_another_seed_others(covergen, music, tmp_path):
    song = music / "slow.mp3"
    for name, seed in (("a", 3), ("b", 3), ("c", 4)):
        assert covergen("generate", song, "-o", tmp_path / f"{name}.png", "--seed", seed, *QUICK).code == 0
    first, same, other = ((tmp_path / f"{name}.png").read_bytes() for name in "abc")
    assert first == same
    assert first != other


def test_a_dataset_of_another_encoder_is_trained_on_and_drawn_with(covergen, music, tmp_path):
    """The embeddings of ``musicnn`` are 753 wide; nothing on the way from music to cover may expect 512."""
    data, run = tmp_path / "data", tmp_path / "run"
    rows = ["id,audio_path,image_path"]
    for number, song in enumerate(sorted(music.rglob("*.mp3")) * 2):
        Image.new("RGB", (64, 64), (80 * number % 256, 90, 120)).save(tmp_path / f"{number}.png")
        rows.append(f"s{number},{song},{tmp_path / f'{number}.png'}")
    data.mkdir()
    (data / "manifest.csv").write_text("\n".join(rows) + "\n")
    assert covergen("embed", data, "--encoder", "musicnn").code == 0
    assert covergen("split", data, "--ratios", "2,2,0").code == 0
    options = ("--epochs", "1", "--batch-size", "2", "--validation-draws", "1", "--samples", "0", "--device", "cpu")
    assert covergen("train", data, "-o", run, *options).code == 0
    written = json.loads((run / "adapter" / "adapter.json").read_text())
    assert (written["encoder"]["name"], written["architecture"]["embedding_dim"]) == ("musicnn", 753)
    ended = covergen("generate", music / "slow.mp3", "--adapter", run, "-o", tmp_path / "a.png", *QUICK)
    assert ended.code == 0, ended.err
    with Image.open(tmp_path / "a.png") as image:
        assert np.asarray(image).std() > 5


def test_jpeg_size_segment_and_variations(covergen, music, tmp_path):
    options = ("-n", "2", "--format", "jpg", "--size", "320", "--segment", "1-4", "--save-segment")
    ended = covergen("generate", music / "slow.mp3", "-o", tmp_path / "out", *options, *QUICK)
    assert ended.code == 0, ended.err
    covers = [tmp_path / "out" / f"slow-{number}.jpg" for number in (1, 2)]
    assert ended.out.splitlines() == [str(cover) for cover in covers]
    for cover in covers:
        with Image.open(cover) as image:
            assert (image.format, image.size) == ("JPEG", (320, 320))
    assert [path.name for path in (tmp_path / "out").glob("*.mp3")] == ["slow.segment.mp3"]


def test_a_missing_song_is_named_and_nothing_is_made(covergen, tmp_path):
    ended = covergen("generate", tmp_path / "gone.mp3", "-o", tmp_path / "out", *QUICK)
    assert (ended.code, ended.out) == (1, "")
    assert "gone.mp3" in ended.err
    assert "Traceback" not in ended.err


def test_albums_by_template_with_a_list_of_what_failed(covergen, music, tmp_path):
    (music / "alone").mkdir()
    (music / "alone" / "broken.mp3").write_bytes(b"this is no music")
    template, errors = tmp_path / "art" / "{folder}" / "{album}-{seed}.{ext}", tmp_path / "errors.jsonl"
    line = ("generate", music, "--per", "album", "-o", template, "--seed", "7", "--errors", errors, "--json", *QUICK)
    planned = covergen(*line, "--dry-run")
    assert (planned.code, list(tmp_path.glob("art"))) == (3, [])
    ended = covergen(*line)
    assert ended.code == 3, ended.err
    by_status = [
        {record["output"]: record["status"] for record in map(json.loads, text.splitlines())}
        for text in (planned.out, ended.out)
    ]
    covers = [str(tmp_path / "art" / name) for name in ("album/fast one-7.png", "alone/broken-7.png", "slow-7.png")]
    assert by_status[0] == dict(zip(covers, ("planned", "failed", "planned"), strict=True))
    assert by_status[1] == dict(zip(covers, ("ok", "failed", "ok"), strict=True))
    assert [json.loads(row)["output"] for row in errors.read_text().splitlines()] == [covers[1]]
