"""Songs, manifests and tables of small dataset folders."""

import csv
import wave

import numpy as np

RATE_HZ = 22050


def write_song(path, seconds=2.0, hertz=220.0, rate_hz=RATE_HZ):
    """A struck tone with harmonics, as a wav file."""
    time = np.arange(round(seconds * rate_hz)) / rate_hz
    sound = sum(np.sin(2 * np.pi * hertz * k * time) / k for k in (1, 2, 3)) * np.exp(-3 * (time * 2 % 1))
    path.parent.mkdir(parents=True, exist_ok=True)
    with wave.open(str(path), "wb") as file:
        file.setparams((1, 2, rate_hz, 0, "NONE", ""))
        file.writeframes((9000 * sound).astype("<i2").tobytes())
    return path


def write_manifest(folder, rows):
    """Rows are (id, audio_path, image_path)."""
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "manifest.csv").open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerows([("id", "audio_path", "image_path", "title"), *((*row, "Sea, sand") for row in rows)])


def read_table(path):
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))
