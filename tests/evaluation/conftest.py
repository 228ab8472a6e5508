"""A tiny dataset folder with songs that can be heard, a tiny base, and adapters for it."""

from __future__ import annotations

import csv

import numpy as np
import pytest

from covergen_cli.audio.io import save_mp3
from covergen_cli.config import GenerateConfig
from covergen_cli.evaluation.test_data import load_run, load_test_data
from tiny import tiny_adapter, tiny_base
from training_data import write_dataset

RATE_HZ = 22_050
TEST_PAIRS = 12
HOSTILE = "<script>alert(1)</script>"


def write_songs(folder, ids):
    """Six seconds of chords for each id, and a manifest with a genre and a hostile title."""
    rng = np.random.default_rng(0)
    seconds = np.arange(6 * RATE_HZ) / RATE_HZ
    lines = [("id", "audio_path", "image_path", "title", "artist", "genre")]
    for number, id_ in enumerate(ids):
        pitches = rng.uniform(110, 880, 3)
        beat = np.exp(-((seconds * (1 + number % 4)) % 1) * 4)
        samples = 0.2 * sum(np.sin(2 * np.pi * pitch * seconds) for pitch in pitches) * beat
        save_mp3(folder / "audio" / f"{id_}.mp3", samples.astype(np.float32), RATE_HZ)
        genre = "calm & slow" if number % 2 else "loud"
        lines.append((id_, f"audio/{id_}.mp3", f"images/{id_}.png", HOSTILE, f"Artist {number}", genre))
    with (folder / "manifest.csv").open("w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows(lines)


@pytest.fixture(scope="session")
def data(tmp_path_factory):
    folder = write_dataset(tmp_path_factory.mktemp("eval") / "DATA", {"train": 6, "val": 2, "test": TEST_PAIRS})
    write_songs(folder, [f"p{number}" for number in range(8, 8 + TEST_PAIRS)])
    return folder


@pytest.fixture(scope="session")
def test_data(data):
    return load_test_data(data)


@pytest.fixture(scope="session")
def base_folder(tmp_path_factory):
    return tiny_base(tmp_path_factory.mktemp("base") / "tiny")


@pytest.fixture(scope="session")
def run_folders(tmp_path_factory, base_folder):
    """Two run folders that differ in the form of their adapters; only the first has a log."""
    place = tmp_path_factory.mktemp("runs")
    tiny_adapter(place / "ours" / "adapter", base_folder, tokens=8)
    tiny_adapter(place / "paper" / "adapter", base_folder, pooling="attention", tokens=1, seed=1)
    records = [
        f'{{"kind": "epoch", "epoch": {n}, "step": {n}, "train_loss": {1 / n}, "validation_loss": {1.2 / n}}}'
        for n in (1, 2, 3)
    ]
    (place / "ours" / "metrics.jsonl").write_text("\n".join(records) + "\n")
    return place / "ours", place / "paper"


@pytest.fixture(scope="session")
def drawing():
    return GenerateConfig(steps=1, guidance=1.0, size=64, device="cpu")


@pytest.fixture(scope="session")
def runs(run_folders, drawing):
    from dataclasses import replace

    return [load_run(path.name, replace(drawing, adapter=str(path))) for path in run_folders]
