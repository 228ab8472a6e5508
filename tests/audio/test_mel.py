from __future__ import annotations

import json

import numpy as np
import pytest
from threadpoolctl import threadpool_limits

from covergen_cli.audio import mel
from covergen_cli.audio.mel import MelEncoder

from .signals import RATE_HZ, chords, clicks, noise

MEANS = [-0.624, 2.107, 0.397, 0.559, 1.277, -0.01, 0.0, 0.0, 0.0, 0.439, -0.017, -0.051, 0.041, 0.398]
DEVIATIONS = [1.187, 1.408, 1.069, 2.221, 2.718, 1.921, 1.911, 1.911, 1.16, 0.864, 1.127, 1.156, 1.401, 1.436]


def columns(embedding, name):
    begin = 0
    for group, width, _, _ in mel.GROUPS:
        if group == name:
            return embedding[:, begin : begin + width]
        begin += width
    raise KeyError(name)


def embed(samples):
    return MelEncoder().embed(samples, RATE_HZ)


@pytest.mark.parametrize(("seconds", "rows"), [(30, 40), (10, 13), (0.5, 1)])
def test_shape_and_bounds(seconds, rows):
    embedding = embed(noise(seconds))
    assert embedding.shape == (rows, 512)
    assert embedding.dtype == np.float32
    assert np.abs(embedding).max() <= 5


@pytest.mark.parametrize("samples", [np.zeros(0), np.zeros(1), np.zeros(RATE_HZ * 3), np.ones(RATE_HZ * 3)])
def test_odd_input_gives_finite_numbers(samples):
    embedding = embed(samples.astype(np.float32))
    assert embedding.shape[1] == 512
    assert np.isfinite(embedding).all()


def test_same_samples_same_bytes():
    assert embed(chords([(0, 4), (7, 4)])).tobytes() == embed(chords([(0, 4), (7, 4)])).tobytes()


def test_the_number_of_threads_changes_no_byte():
    samples = np.random.default_rng(0).standard_normal(10 * 22050).astype(np.float32) / 10
    found = set()
    for threads in (1, 2, 4):
        with threadpool_limits(threads):
            found.add(embed(samples).tobytes())
    assert len(found) == 1


def test_volume_moves_only_the_column_of_volume():
    song = (clicks(100, 12) + noise(12, amplitude=0.01)) * np.float32(0.8)
    difference = np.abs(embed(song) - embed(song * np.float32(0.1))).max(axis=0)
    assert (difference > 0.02).sum() == 1
    assert difference.max() == pytest.approx(20 / 8, abs=0.01)


def test_long_clips_change_their_rows_with_the_music():
    embedding = embed(np.concatenate([chords([(0, 4)], repeats=10), noise(10)]))
    flatter = columns(embedding, "contrast").mean(axis=1)
    assert flatter[:10].mean() > flatter[-10:].mean() + 1


def test_tempogram_peaks_at_the_tempo_of_the_clicks():
    from covergen_cli.audio.rhythm import TEMPOS_BPM

    for bpm in (75, 100, 150):
        strength = columns(embed(clicks(bpm, 20)), "tempogram").mean(axis=0)
        near = np.abs(np.log2(TEMPOS_BPM / bpm)) < 0.05
        assert strength[near].max() > 0.9 * strength.max()


def test_best_key_is_that_of_the_chords():
    for tonic in (60, 62, 69):
        keys = columns(embed(chords([(0, 4), (5, 4), (7, 4), (0, 4)], tonic)), "keys").mean(axis=0)
        assert keys.argmax() == tonic % 12
        keys = columns(embed(chords([(0, 3), (5, 3), (7, 3), (0, 3)], tonic)), "keys").mean(axis=0)
        assert keys.argmax() == 12 + tonic % 12


def test_other_rates_are_resampled():
    song = chords([(0, 4), (5, 4)], repeats=5)
    doubled = np.fft.irfft(np.fft.rfft(song), 2 * song.size).astype(np.float32) * 2
    assert np.abs(MelEncoder().embed(doubled, 2 * RATE_HZ) - embed(song)).mean() < 0.05


def test_spec_is_json_and_its_hash_follows_the_constants(monkeypatch):
    before = MelEncoder().spec()
    assert json.loads(json.dumps(before)) == before
    assert (before["name"], before["embedding_dim"]) == ("mel", 512)
    monkeypatch.setattr(mel, "SHORT_FRAMES", mel.SHORT_FRAMES + 1)
    assert MelEncoder().spec()["hash"] != before["hash"]


def test_embeddings_are_those_of_version_1():
    """When this fails, embeddings have changed: raise ``VERSION``, and then these numbers."""
    assert mel.VERSION == 1
    song = clicks(96, 12) * np.float32(0.5) + chords([(0, 4), (9, 3), (5, 4), (7, 4)], repeats=3)
    embedding = embed(song)
    means = [float(columns(embedding, name).mean()) for name, _, _, _ in mel.GROUPS]
    deviations = [float(columns(embedding, name).std()) for name, _, _, _ in mel.GROUPS]
    np.testing.assert_allclose(means, MEANS, atol=0.01)
    np.testing.assert_allclose(deviations, DEVIATIONS, atol=0.01)
