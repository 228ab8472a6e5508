"""The whole way from nothing to a cover, with a recipe of a minute part of the real one."""

import json
import sys

import numpy as np
import pytest
import torch
from PIL import Image

from covergen_cli.audio.io import save_mp3
from covergen_cli.config import GenerateConfig
from covergen_cli.covers.generate import generate, plan
from covergen_cli.events import CoverFinished
from covergen_cli.models.fingerprint import base_fingerprint
from covergen_cli.starter import build as program
from covergen_cli.starter import clips, upscale
from covergen_cli.starter.build import Recipe, build, find_music
from covergen_cli.weights.hub import verify_hashes

RATE_HZ = 22050
MOMENT = 1e-4
RECIPE = Recipe(
    threads=1,
    paintings=4,
    songs=2,
    excerpts=1,
    unet_batch=2,
    autoencoder_minutes=MOMENT,
    unet_minutes=MOMENT,
    decoder_minutes=MOMENT,
    masters=2,
    upscaler_minutes=MOMENT,
    tokens_minutes=MOMENT,
    noise_minutes=MOMENT,
    compiled=False,
)


@pytest.fixture
def _small(monkeypatch):
    """Clips, tags and batches that suit the recipe; and torch as it was, afterwards."""
    monkeypatch.setattr(clips, "CLIP_SECONDS", 6.0)
    monkeypatch.setattr(clips, "ranked_tags", lambda *_: ())
    monkeypatch.setattr(program, "_BATCH_SIZES", dict.fromkeys(program._BATCH_SIZES, 2))
    monkeypatch.setattr(upscale, "_BATCH", 2)
    threads = torch.get_num_threads()
    yield
    torch.set_num_threads(threads)
    torch.set_flush_denormal(False)


@pytest.mark.usefixtures("_small", "full_precision")
def test_from_nothing_to_a_cover(tmp_path):
    song = tmp_path / "song.mp3"
    time = np.arange(8 * RATE_HZ) / RATE_HZ
    save_mp3(song, (0.4 * np.sin(2 * np.pi * 330 * time) * np.exp(-3 * (2 * time % 1))).astype(np.float32), RATE_HZ)

    tasks = {getattr(event, "task", "warned") for event in build(tmp_path / "work", [song], RECIPE)}
    assert {"paint", "encode", "draft", "analyse clips", "paint clips"} <= tasks
    assert "warned" not in tasks

    bundle = tmp_path / "work" / "bundle"
    verify_hashes(bundle)
    told = json.loads((bundle / "adapter" / "adapter.json").read_text())["training"]
    assert told == {"clips": 9, "recordings": 1, "songs": 2, "seed": 0}

    config = GenerateConfig(adapter=str(bundle), base=str(bundle), steps=2, size=256, device="cpu")
    events = list(generate(plan([song], tmp_path / "cover.png", config), config))
    assert isinstance(events[-1], CoverFinished), events[-1]
    assert events[-1].native_size == 256
    with Image.open(tmp_path / "cover.png") as image:
        assert (image.size, image.mode) == ((256, 256), "RGB")

    again = {getattr(event, "task", "warned") for event in build(tmp_path / "again", [song], RECIPE, bundle)}
    assert "autoencoder" not in again  # its encoder is kept
    assert "warned" not in again
    verify_hashes(tmp_path / "again" / "bundle")
    told = json.loads((tmp_path / "again" / "bundle" / "adapter" / "adapter.json").read_text())["training"]
    assert told["started_from"] == base_fingerprint(bundle)

    written = {path: path.read_bytes() for path in bundle.rglob("*.safetensors")}
    list(build(tmp_path / "work", [song], RECIPE))
    assert {path: path.read_bytes() for path in bundle.rglob("*.safetensors")} == written


def test_the_command_line_takes_parts_of_minutes(monkeypatch, tmp_path):
    asked = []
    monkeypatch.setattr(program, "build", lambda *given: asked.append(given) or [])
    monkeypatch.setattr(sys, "argv", ["build", str(tmp_path), "--unet-minutes", "0.5", "--songs", "9", "--no-compiled"])
    program.main()
    assert asked == [(tmp_path, [], Recipe(unet_minutes=0.5, songs=9, compiled=False), None)]


def test_music_is_found_in_folders_and_in_lists(tmp_path):
    for name in ("b.mp3", "a.OGG", "notes.txt", "deep/c.flac"):
        (tmp_path / "music" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "music" / name).touch()
    (tmp_path / "music" / "notes.txt").write_text("deep/c.flac\nb.mp3\n")
    music = tmp_path / "music"
    assert list(find_music([music])) == [music / "a.OGG", music / "b.mp3", music / "deep" / "c.flac"]
    assert list(find_music([music / "notes.txt"])) == [music / "deep" / "c.flac", music / "b.mp3"]
