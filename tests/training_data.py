"""A dataset folder that training can read, made of noise: tiny covers and tiny embeddings."""

from __future__ import annotations

import csv

import numpy as np
from PIL import Image

from covergen_cli.audio.embedding_file import write_embedding
from tiny import ENCODER, write_json


def write_dataset(folder, counts):
    """``counts`` pairs per part; the cover's colour is what the embedding says, so that there is something to learn."""
    random = np.random.default_rng(0)
    (folder / "splits").mkdir(parents=True)
    number = 0
    for split, count in counts.items():
        lines = [("id", "image_path", "embedding_path")]
        for _ in range(count):
            id_, tint = f"p{number}", random.uniform(0, 1, 3)
            embedding = random.standard_normal((3 + number % 3, 512)) * 0.1 + np.resize(tint * 4 - 2, 512)
            write_embedding(folder / "embeddings" / "fake" / f"{id_}.npy", embedding.astype(np.float32))
            pixels = np.clip(tint * 255 + random.normal(0, 20, (16, 16, 3)), 0, 255).astype(np.uint8)
            (folder / "images").mkdir(exist_ok=True)
            Image.fromarray(pixels).save(folder / "images" / f"{id_}.png")
            lines.append((id_, f"images/{id_}.png", f"embeddings/fake/{id_}.npy"))
            number += 1
        with (folder / "splits" / f"{split}.csv").open("w", encoding="utf-8", newline="") as file:
            csv.writer(file).writerows(lines)
    write_json(folder / "embeddings" / "fake" / "encoder.json", ENCODER)
    return folder


def drain(events):
    """Run a generator to its end: what it returns, and what it told on the way."""
    seen = []

    def collect():
        result = yield from events
        seen.append(result)

    told = list(collect())
    return seen[0], told
