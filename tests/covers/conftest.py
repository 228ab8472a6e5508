"""Tiny models and a fake ear, so that covers are drawn in an instant."""

import sys
import types
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from covergen_cli.config import GenerateConfig
from covergen_cli.errors import InputError
from tiny import tiny_adapter, tiny_base, tiny_embedding


@pytest.fixture(scope="session")
def hills():
    """A soft picture with hills and a disc, as a model draws them."""
    y, x = np.mgrid[0:128, 0:128] / 128
    tone = 0.55 + 0.2 * np.sin(5 * x + 7 * y) + 0.3 * (np.hypot(x - 0.6, y - 0.3) < 0.15) - 0.3 * (y > 0.7)
    rgb = np.stack([tone, 0.6 * tone + 0.1, 0.9 - 0.6 * tone], axis=-1)
    return Image.fromarray((255 * np.clip(rgb, 0, 1)).astype(np.uint8))


@dataclass(frozen=True)
class FakeClip:
    samples: np.ndarray
    sample_rate_hz: int
    warnings: tuple = ()


@dataclass
class FakeEar:
    """Hears what a song's bytes say: ``bad…`` is no audio, ``bug…`` breaks, the rest gives a number of its own."""

    asked: list
    saved: list

    def find_segment(self, path, _config):
        self.asked.append(Path(path).name)
        if path.read_bytes().startswith(b"bad"):
            raise InputError(f"{path} is not audio", hint="Give a music file.")
        if path.read_bytes().startswith(b"bug"):
            raise ZeroDivisionError("a bug")
        warnings = ("ends early",) if path.read_bytes().startswith(b"short") else ()
        return types.SimpleNamespace(start_seconds=2.0, end_seconds=32.0, warnings=warnings)

    def load(self, path, sample_rate_hz, start_seconds=0.0, end_seconds=None, resample=None):
        heard = sum(path.read_bytes()) + start_seconds - 2.0
        return FakeClip(np.full(int((end_seconds - start_seconds) * 100), heard, np.float32), 100)

    def save_mp3(self, path, samples, _rate):
        self.saved.append((path, len(samples)))

    def get_encoder(self, _spec):
        def embed(samples, _rate):
            return tiny_embedding(int(samples[0]))

        return types.SimpleNamespace(sample_rate_hz=100, resample=None, embed=embed)


@pytest.fixture(scope="module")
def models(tmp_path_factory):
    folder = tmp_path_factory.mktemp("models")
    base = tiny_base(folder / "base")
    return types.SimpleNamespace(base=base, adapter=tiny_adapter(folder / "adapter", base))


@pytest.fixture
def ear(monkeypatch):
    from covergen_cli.audio import io

    fake = FakeEar([], [])
    for name in ("segment", "encoders"):
        module = types.ModuleType(f"covergen_cli.audio.{name}")
        module.find_segment, module.get_encoder = fake.find_segment, fake.get_encoder
        monkeypatch.setitem(sys.modules, module.__name__, module)
    monkeypatch.setattr(io, "load", fake.load)
    monkeypatch.setattr(io, "save_mp3", fake.save_mp3)
    return fake


@pytest.fixture
def config(models, ear):
    return GenerateConfig(adapter=str(models.adapter), steps=2, guidance=2.0, size=64, device="cpu")


@pytest.fixture
def music(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("music").mkdir()

    def make(**songs):
        for name, text in songs.items():
            Path("music", f"{name}.mp3").write_bytes(text.encode())
        return Path("music")

    return make
