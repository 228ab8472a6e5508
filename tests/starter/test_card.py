"""The model card: what it measures, shows and says, on a tiny bundle that paints next to noise."""

import json
import sys
from dataclasses import replace

import numpy as np
import pytest
import torch
from PIL import Image

from covergen_cli.audio.descriptors import NAMES
from covergen_cli.audio.encoders import get_encoder
from covergen_cli.audio.io import save_mp3
from covergen_cli.config import GenerateConfig
from covergen_cli.covers.fingerprint import find_models
from covergen_cli.covers.pipeline import load_pipeline
from covergen_cli.errors import InputError
from covergen_cli.events import Progress, Warned
from covergen_cli.measures.diversity import thumbnail
from covergen_cli.measures.qualities import EXPECTED
from covergen_cli.models.condition_encoder import ConditionEncoder
from covergen_cli.starter import card, card_measure, card_pictures
from covergen_cli.starter.card import CardSettings, make_card
from covergen_cli.starter.card_measure import FIRST_HELD_OUT_SEED, analyse_songs, find_near_copies
from covergen_cli.starter.card_pictures import SWEEPS, draw_pictures
from covergen_cli.starter.card_text import card_text, source_rows
from covergen_cli.synthetic.painter import paint
from covergen_cli.synthetic.synth import compose, render
from tiny import tiny_adapter, tiny_base
from training_data import drain

RATE_HZ = 22050
QUICK = GenerateConfig(steps=1, guidance=1.0, size=64, device="cpu")
SOURCES = [
    {
        "package": "some-songs",
        "version": "1.0",
        "files": ["music/0.mp3", "music/1.mp3", "music/gone.ogg"],
        "licence": "CC-BY-4.0",
        "authors": "2004, Jo Doe <jo@example.org>; A | B",
        "artist_tags": ["Jo"],
    },
    {"package": "other", "version": "2", "files": ["x.ogg"], "licence": "CC0-1.0", "authors": "N", "artist_tags": []},
]


@pytest.fixture(scope="module")
def music(tmp_path_factory):
    folder = tmp_path_factory.mktemp("held") / "music"
    for seed in range(3):
        save_mp3(folder / f"{seed}.mp3", render(compose(seed), 6.0, RATE_HZ), RATE_HZ)
    (folder / "broken.mp3").write_bytes(b"no music")
    (folder.parent / "sources.json").write_text(json.dumps(SOURCES))
    return folder


@pytest.fixture(scope="module")
def bundle(tmp_path_factory):
    folder = tmp_path_factory.mktemp("bundle")
    tiny_base(folder)
    tiny_adapter(folder / "adapter", folder, encoder=get_encoder("mel").spec())
    return folder


@pytest.fixture(scope="module")
def asked():
    """Seeds of the songs that are composed for the card; the songs are short."""
    seeds = []

    def composed(seed):
        seeds.append(seed)
        return compose(seed)

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(card_measure, "_SONG_SECONDS", 6.0)
        patched.setattr(card_measure, "compose", composed)
        yield seeds


@pytest.fixture(scope="module")
def made(bundle, music, asked, tmp_path_factory):
    """A card of three recordings and four synthesised songs, its events and its folder."""
    place = tmp_path_factory.mktemp("card")
    work = place / "work"
    for path, text in (
        ("paintings/painted.txt", "30000"),
        ("unet/facts.json", '{"step": 1234, "seconds": 3600.0, "loss": 0.5}'),
    ):
        (work / path).parent.mkdir(parents=True)
        (work / path).write_text(text)
    settings = CardSettings(
        bundle, sorted(music.glob("*.mp3")), 4, work, music.parent / "sources.json", "an abacus", config=QUICK
    )
    return list(make_card(place / "out", settings)), place / "out", settings


def test_a_card_with_figures_and_pictures(made, asked, bundle):
    events, out, settings = made
    assert sorted(path.name for path in out.iterdir()) == [
        "MODEL_CARD.md",
        "grid.png",
        "metrics.json",
        "variations.png",
    ]
    warned = [event for event in events if isinstance(event, Warned)]
    assert [event.path.name for event in warned] == ["broken.mp3"]
    assert {event.task for event in events if isinstance(event, Progress)} >= {"analyse", "compose", "draw", "paint"}
    assert asked[:4] == [FIRST_HELD_OUT_SEED + i for i in range(4)]

    metrics = json.loads((out / "metrics.json").read_text())
    assert (metrics["recorded"]["songs"], metrics["synthetic"]["songs"]) == (3, 4)
    for measured in (metrics["recorded"], metrics["synthetic"]):
        assert [(pair["heard"], pair["seen"]) for pair in measured["agreement"]] == list(EXPECTED)
        for pair in measured["agreement"]:
            for who in ("covers", "painter", "shuffled"):
                assert -1 <= pair[who]["low"] <= pair[who]["high"] <= 1
        assert measured["diversity"]["smallest"] <= measured["diversity"]["between_songs"]
    assert metrics["recorded"]["diversity"]["pairs"] == 3
    assert metrics["seconds"]["draw"] > 0
    assert metrics["robustness"]["songs"] == 3
    assert 0 < metrics["robustness"]["mp3 at 64 kbit/s"]["share"] < 1
    for name, (columns, rows, cell) in {
        "grid.png": (3, 1, 288),
        "variations.png": (4, 3, 240),
    }.items():
        with Image.open(out / name) as image:
            assert image.size == (columns * (cell + 8) - 8, rows * (cell + 8) - 8)
            assert np.asarray(image.convert("RGB"))[:cell, :cell].std() > 1

    text = (out / "MODEL_CARD.md").read_text(encoding="utf-8")
    assert "$" not in text
    assert not any(str(path) in text for path in (bundle, out, settings.work, settings.sources.parent))
    assert "| unet | U-Net and condition encoder, on latents and conditions of the paintings | 1,234 | 60 |" in text
    assert "30,000 paintings" in text
    assert "| one channel only | " in text
    assert "an abacus" in text
    assert "Trained from scratch" in text
    started = card_text(metrics | {"training": metrics["training"] | {"started_from": "0123456789abcdef0"}})
    assert "Trained from scratch" not in started
    assert "`0123456789abcdef`" in started
    assert "| some-songs 1.0 | 1 | 2 | CC-BY-4.0 | 2004, Jo Doe; A / B; Jo |" in text
    assert "| other 2 | 1 | 0 | CC0-1.0 | N |" in text
    for name in ("grid", "variations"):
        assert f"]({name}.png)" in text


def test_a_sweep_moves_one_descriptor_and_nothing_else(bundle, tmp_path, monkeypatch):
    config = replace(QUICK, adapter=str(bundle), base=str(bundle))
    pipeline = load_pipeline(config, find_models(config))
    condition = ConditionEncoder(len(NAMES), (), pipeline.base.cross_attention_dim)
    asked, encode = [], condition.forward
    monkeypatch.setattr(condition, "forward", lambda heard: asked.append(heard) or encode(heard))
    pipeline = replace(pipeline, base=replace(pipeline.base, condition_encoder=condition))
    songs = [card_measure.AnalysedSong("one", np.zeros((4, 512), np.float32), np.zeros(7), np.full(8, 0.125), 0.0)]
    monkeypatch.setattr(card_pictures, "_SWEEP_STEPS", 3)
    monkeypatch.setattr(card_pictures, "_VARIATIONS", 1)
    list(draw_pictures(tmp_path, pipeline, songs, config))
    rows = torch.cat(asked).split(3)
    assert len(rows) == len(SWEEPS)
    for heard, (name, _, _) in zip(rows, SWEEPS, strict=True):
        moved = [NAMES[i] for i in range(len(NAMES)) if heard[:, i].std() > 0]
        assert moved == [name]
        assert (heard[:, NAMES.index(name)].diff() > 0).all()
    with Image.open(tmp_path / "sweep.png") as image:
        assert image.size == (3 * 248 - 8, 6 * 248 - 8)


def test_copies_of_training_paintings_are_found():
    rng = np.random.default_rng(0)
    paintings = np.stack([paint(rng.uniform(0, 1, 7), seed, 64) for seed in range(40)])
    known, fresh = thumbnail(paintings[7]), thumbnail(paint(rng.uniform(0, 1, 7), 99, 64))
    found = {}

    def looking():
        found.update((yield from find_near_copies(np.stack([known, fresh]), np.stack([fresh]), paintings)))

    assert [event.total for event in looking()] == [40]
    assert found["drawn"] == {"median": pytest.approx(found["fresh"]["smallest"] / 2), "smallest": 0, "copies": 1}
    assert found["fresh"]["copies"] == 0
    assert (found["covers"], found["paintings"]) == (2, 40)


def test_the_same_seed_gives_the_same_pictures(made, bundle, music, tmp_path):
    config = replace(QUICK, adapter=str(bundle), base=str(bundle))
    models = find_models(config)
    songs, _ = drain(analyse_songs(sorted(music.glob("[0-9].mp3")), get_encoder(models.encoder_spec)))
    list(draw_pictures(tmp_path, load_pipeline(config, models), songs, config))
    for path in made[1].glob("*.png"):
        assert (tmp_path / path.name).read_bytes() == path.read_bytes()


def test_without_a_usable_recording_there_is_no_card(bundle, music, tmp_path):
    settings = CardSettings(bundle, [music / "broken.mp3"], config=QUICK)
    with pytest.raises(InputError, match="none of the recordings"):
        list(make_card(tmp_path / "out", settings))
    assert not (tmp_path / "out").exists()


def test_files_are_counted_as_trained_on_or_held_out():
    rows = source_rows(SOURCES, frozenset({"music/0.mp3"}))
    assert [(row["used"], row["held_out"]) for row in rows] == [(2, 1), (1, 0)]


def test_the_command_line_says_what_to_measure(monkeypatch, tmp_path, music):
    (tmp_path / "held.txt").write_text(str(music / "0.mp3"))
    asked = []
    monkeypatch.setattr(card, "make_card", lambda out, settings: asked.append((out, settings)) or [])
    line = ["card", "BUNDLE", "--recordings", str(tmp_path / "held.txt"), "-o", "OUT", "--songs", "7", "--seed", "3"]
    monkeypatch.setattr(sys, "argv", line)
    card.main()
    ((out, settings),) = asked
    assert (str(out), str(settings.bundle), settings.songs, settings.config.seed) == ("OUT", "BUNDLE", 7, 3)
    assert settings.recordings == [music / "0.mp3"]
