"""Training with words: the adapter learns what the text encoder gives for words about the music, without pictures."""

from __future__ import annotations

import csv
import dataclasses
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from covergen_cli.audio.descriptors import NAMES
from covergen_cli.config import AdapterConfig, GenerateConfig, TrainConfig
from covergen_cli.covers.fingerprint import find_models
from covergen_cli.covers.heard import Heard
from covergen_cli.covers.pipeline import load_pipeline
from covergen_cli.covers.prompts import Prompts
from covergen_cli.dataset.pairs import read_pairs
from covergen_cli.errors import ConfigError, InputError, ModelError
from covergen_cli.events import EpochDone, Progress, TrainFinished, Warned
from covergen_cli.models.base import load_base
from covergen_cli.models.checkpoint import load_adapter
from covergen_cli.training import loop, run_folder, texts
from covergen_cli.training.embedding_cache import prepare_embeddings
from covergen_cli.training.texts import WORDINGS, prepare_texts
from covergen_cli.training.words import word_losses
from tiny import tiny_base, tiny_sd_base
from training_data import drain, write_dataset

SHAPE = AdapterConfig(hidden_dim=64, rank=4, blocks=1, dropout=0, heads=2)
QUICK = {"epochs": 1, "batch_size": 8, "device": "cpu", "objective": "words"}
KINDS = 4


WORDS = ("a ", "b ", "ab ", "a b ")  # the tokenizer of the tiny text encoder knows no others


def kind_of(id_):
    return int(id_.removeprefix("p")) % KINDS


def describe(path):
    """What is heard in a song, told by its name in place of its sound."""
    heard = Heard({name: kind_of(path.stem) / KINDS for name in NAMES}, ("rock",), (("guitar", 1.5),))
    return SimpleNamespace(heard=heard)


def write(heard, seed, *, count_tokens):
    """A prompt for the kind of music, in as many wordings as there are seeds."""
    prompt = "b " * seed + WORDS[round(heard.descriptors["energy"] * KINDS)] * 30
    assert count_tokens(prompt) <= 75
    return prompt


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """A dataset whose embeddings say which kind of music it is, music files of a few bytes, and a base."""
    place = tmp_path_factory.mktemp("words")
    data = write_dataset(place / "DATA", {"train": 24, "val": 8, "test": 2})
    rng = np.random.default_rng(0)
    lines = [("id", "audio_path", "image_path")]
    for path in sorted((data / "embeddings" / "fake").glob("*.npy")):
        rows = rng.standard_normal((3, 512)) * 0.3 + np.eye(KINDS).repeat(512 // KINDS, axis=1)[kind_of(path.stem)] * 2
        np.save(path, rows.astype(np.float32))
        (data / "audio").mkdir(exist_ok=True)
        (data / "audio" / f"{path.stem}.mp3").write_bytes(path.stem.encode())
        lines.append((path.stem, f"audio/{path.stem}.mp3", f"images/{path.stem}.png"))
    with (data / "manifest.csv").open("w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows(lines)
    tiny_sd_base(place / "base")
    return place


@pytest.fixture(autouse=True)
def hearing(monkeypatch):
    """Hears songs by their names; returns the songs that were heard."""
    songs = []
    monkeypatch.setattr(texts, "describe_song", lambda path: songs.append(path.stem) or describe(path))
    monkeypatch.setattr(texts, "write_prompt", write)
    monkeypatch.setattr(run_folder, "draw_curves", lambda _: None)
    return songs


def train(place, run, shape=SHAPE, **settings):
    config = TrainConfig(**{**QUICK, "base": str(place / "base"), **settings})
    return list(loop.train(place / "DATA", run, config, shape))


def only(events, kind):
    return [event for event in events if isinstance(event, kind)]


@pytest.fixture(scope="module")
def trained(place, tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(texts, "describe_song", describe)
        patch.setattr(texts, "write_prompt", write)
        patch.setattr(run_folder, "draw_curves", lambda _: None)
        run = tmp_path_factory.mktemp("trained") / "RUN"
        return run, train(place, run, epochs=4, batch_size=2, learning_rate=2e-3)


def test_the_loss_falls_and_no_picture_is_read(trained, place):
    run, events = trained
    losses = [event.validation_loss for event in only(events, EpochDone)]
    assert losses[-1] < 0.7 * losses[0]
    assert all(event.samples is None for event in only(events, EpochDone))
    assert not (place / "DATA" / "latents").exists()
    assert load_adapter(run).config.tokens == 77
    assert {event.task for event in only(events, Progress)} >= {"hearing songs", "embedding words", "training"}


def test_tokens_of_songs_that_were_not_trained_on_are_nearest_to_their_own_words(trained, place):
    base, pairs = load_base(str(place / "base")), read_pairs(place / "DATA", "val")
    found = drain(prepare_texts(place / "DATA", base, pairs))[0]
    embeddings = drain(prepare_embeddings(pairs))[0].batch(range(len(pairs)))
    with torch.inference_mode():
        tokens = load_adapter(trained[0]).adapter(*embeddings)
    losses = [
        [word_losses(tokens, found.targets([kind] * len(pairs), [wording] * len(pairs))) for kind in range(KINDS)]
        for wording in range(WORDINGS)
    ]
    nearest = torch.stack([torch.stack(some) for some in losses]).mean(0).argmin(0).tolist()
    kinds = [kind_of(pair.id) for pair in pairs[:KINDS]]
    assert sorted(kinds) == list(range(KINDS))
    right = [kinds[index] == kind_of(pair.id) for index, pair in zip(nearest, pairs, strict=True)]
    assert sum(right) >= 7  # of 8; 2 by chance


def test_every_position_counts_alike_whatever_its_norm():
    targets = torch.ones(1, 3, 4)
    targets[:, 0] *= 100
    close = targets * 1.1
    assert word_losses(close, targets).item() == pytest.approx(0.01, rel=1e-4)
    assert word_losses(torch.zeros_like(targets), targets).item() == pytest.approx(1)
    off = targets.clone()
    off[:, 0] = 0
    assert word_losses(off, targets).item() == pytest.approx(1 / 3)


def test_the_tokens_of_the_words_draw_what_the_words_draw(place):
    """The limit that this training approaches."""
    config = GenerateConfig(base=str(place / "base"), adapter="words", steps=2, device="cpu", negative="")
    pipeline = load_pipeline(config, find_models(config))
    prompt = "a b ab"
    none = pipeline.audio_tokens(np.zeros((1, 512), np.float32))
    by_words = pipeline.draw(none, [3], config, None, [Prompts(prompt)])
    by_tokens = dataclasses.replace(pipeline, words_scale=0.0).draw(pipeline.base.embed(prompt).tokens, [3], config)
    torch.testing.assert_close(by_tokens, by_words, rtol=1e-4, atol=1e-4)


def test_songs_are_heard_once_and_again_when_they_change(place, hearing):
    base, pairs = load_base(str(place / "base")), read_pairs(place / "DATA", "test")
    drain(prepare_texts(place / "DATA", base, pairs))
    assert sorted(hearing) == ["p32", "p33"]
    drain(prepare_texts(place / "DATA", base, pairs))
    assert len(hearing) == 2
    (place / "DATA" / "audio" / "p32.mp3").write_bytes(b"another song")
    found = drain(prepare_texts(place / "DATA", base, pairs))[0]
    assert hearing[2:] == ["p32"]
    assert found.targets([0, 1], [0, WORDINGS - 1]).shape == (2, 77, 32)


def test_covers_go_on_from_there(trained, place, tmp_path):
    events = train(place, tmp_path / "RUN", AdapterConfig(), objective="covers", init=str(trained[0]), samples=0)
    assert only(events, TrainFinished)
    assert "architecture" in only(events, Warned)[0].message
    assert load_adapter(tmp_path / "RUN").config.tokens == 77


def test_what_it_needs_is_said(place, tmp_path):
    with pytest.raises(ModelError, match="has no text encoder") as caught:
        train(place, tmp_path / "RUN", base=str(tiny_base(tmp_path / "starter")))
    assert "--objective covers" in caught.value.hint
    with pytest.raises(ConfigError, match="needs an adapter that gives 77 tokens"):
        train(place, tmp_path / "RUN", dataclasses.replace(SHAPE, pooling="attention", tokens=1))
    manifest = place / "DATA" / "manifest.csv"
    content = manifest.read_text()
    manifest.write_text("\n".join(line for line in content.splitlines() if not line.startswith("p5,")))
    try:
        with pytest.raises(InputError, match="no music for p5"):
            train(place, tmp_path / "RUN")
    finally:
        manifest.write_text(content)


def test_a_stopped_run_ends_with_the_same_bytes(place, tmp_path):
    train(place, tmp_path / "whole", epochs=2)
    config = TrainConfig(**{**QUICK, "base": str(place / "base"), "epochs": 2})
    for steps in (2, 3):
        left = iter(range(1, steps))
        list(loop.train(place / "DATA", tmp_path / "parts", config, SHAPE, stop=lambda left=left: next(left, 0) == 0))
    train(place, tmp_path / "parts", epochs=2)
    one, other = (tmp_path / name / "adapter" / "adapter.safetensors" for name in ("whole", "parts"))
    assert one.read_bytes() == other.read_bytes()
