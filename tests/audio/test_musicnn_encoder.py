"""The encoder ``musicnn``: one file in, rows of features out."""

import numpy as np
import pytest

from covergen_cli.audio.encoders import get_encoder
from covergen_cli.errors import InputError


def tone(hz, seconds, rate=16_000):
    return (0.3 * np.sin(2 * np.pi * hz * np.arange(int(seconds * rate)) / rate)).astype(np.float32)


@pytest.fixture(scope="module")
def encoder():
    return get_encoder("musicnn")


def test_rows(encoder):
    embedding = encoder.embed(tone(220, 6), 16_000)
    spec = encoder.spec()
    assert embedding.shape == (1 + int((376 - 187) / 47), spec["embedding_dim"])
    assert embedding.dtype == np.float32
    assert np.abs(embedding).max() <= 5
    assert spec["hop_seconds"] == 47 * 256 / 16_000
    assert encoder.embed(tone(220, 0.2), 16_000).shape == (1, spec["embedding_dim"])


def test_a_later_window_is_a_later_row(encoder):
    both = np.concatenate([tone(220, 4), np.random.default_rng(0).normal(0, 0.1, 4 * 16_000).astype(np.float32)])
    rows = encoder.embed(both, 16_000)
    first, last = encoder.embed(tone(220, 4), 16_000)[0], rows[-1]
    assert np.corrcoef(rows[0], first)[0, 1] > 0.99
    assert np.corrcoef(rows[0], last)[0, 1] < 0.9


def test_another_rate_is_resampled(encoder):
    same = encoder.embed(tone(220, 4), 16_000), encoder.embed(tone(220, 4, 48_000), 48_000)
    assert np.corrcoef(same[0][0], same[1][0])[0, 1] > 0.99


def test_no_samples(encoder):
    with pytest.raises(InputError, match="not one sample"):
        encoder.embed(np.zeros(0, np.float32), 16_000)
