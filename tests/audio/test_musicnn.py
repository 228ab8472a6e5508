"""The tagger beside upstream's own outputs (musicnn 0.1.0 under TensorFlow 2.15), for sounds made from a seed."""

from pathlib import Path

import librosa
import numpy as np
import pytest
import torch

from covergen_cli.audio.musicnn import FEATURES, RATE_HZ, Musicnn, log_mel, ranked_tags
from covergen_cli.errors import InputError, ModelError

EXPECTED = np.load(Path(__file__).parent / "data" / "musicnn.npz")


def sound(seed, seconds=7.0):
    """Chords, a beat and noise: the sounds that upstream's outputs were computed from."""
    rng = np.random.default_rng(seed)
    t = np.arange(int(seconds * RATE_HZ)) / RATE_HZ
    y = np.zeros_like(t)
    for start in np.arange(0, seconds, 0.5):
        on = (t >= start) & (t < start + 0.5)
        for hertz in 110 * 2 ** (rng.integers(0, 36, 3) / 12):
            y += on * np.sin(2 * np.pi * hertz * t) * np.exp(-4 * np.clip(t - start, 0, None)) * 0.2
        y += on * rng.standard_normal(t.size) * np.exp(-60 * np.clip(t - start, 0, None)) * rng.uniform(0, 0.6)
    return np.clip(y + 0.01 * rng.standard_normal(t.size), -1, 1).astype(np.float32)


@pytest.fixture(scope="module")
def taggers():
    return {name: Musicnn.load(name) for name in ("msd", "mtt")}


@pytest.mark.parametrize("name", ["msd", "mtt"])
@pytest.mark.parametrize("seed", [11, 12, 13])
def test_tags_are_upstreams(taggers, name, seed):
    tags = taggers[name].tags(sound(seed), RATE_HZ)
    expected = EXPECTED[f"{name}_{seed}"]
    assert tags.shape == expected.shape == (2, 50)
    assert tags.dtype == np.float32
    np.testing.assert_allclose(tags, expected, atol=2e-3)  # 2e-3 is the price of float16 weights


def test_labels_in_upstreams_order(taggers):
    assert taggers["msd"].labels[:5] == ("rock", "pop", "alternative", "indie", "electronic")
    assert taggers["mtt"].labels[:5] == ("guitar", "classical", "slow", "techno", "strings")
    assert [len(set(tagger.labels)) for tagger in taggers.values()] == [50, 50]


def test_the_front_end_is_librosas():
    samples = sound(11)
    mel = librosa.feature.melspectrogram(y=samples, sr=RATE_HZ, n_fft=512, hop_length=256, n_mels=96)
    np.testing.assert_allclose(log_mel(samples), np.log10(10_000 * mel.T + 1), atol=4e-3)  # float16 in between


def test_an_incomplete_patch_is_dropped_and_a_short_clip_repeated(taggers):
    tags = taggers["msd"].tags(sound(11), RATE_HZ)
    np.testing.assert_array_equal(taggers["msd"].tags(sound(11)[: 6 * RATE_HZ], RATE_HZ)[0], tags[0])
    beat = np.tile(sound(12, 0.512), 6)  # 32 frames
    short, repeated = (taggers["msd"].tags(clip, RATE_HZ) for clip in (beat[: len(beat) // 6], beat))
    assert short.shape == repeated.shape == (1, 50)
    assert np.corrcoef(short, repeated)[0, 1] > 0.9


@pytest.fixture
def threads():
    before = torch.get_num_threads()
    yield torch.set_num_threads
    torch.set_num_threads(before)


def test_the_number_of_threads_changes_nothing(taggers, threads):
    found = []
    for count in (1, 2, 3):
        threads(count)
        found.append((taggers["msd"].tags(sound(11), RATE_HZ), taggers["msd"].features(sound(11), RATE_HZ, 93)))
    for tags, features in found[1:]:
        np.testing.assert_array_equal(tags, found[0][0])
        np.testing.assert_array_equal(features, found[0][1])


def test_other_rates_are_resampled(taggers):
    doubled = librosa.resample(sound(11), orig_sr=RATE_HZ, target_sr=32_000)
    tags = taggers["msd"].tags(doubled, 32_000)
    assert np.corrcoef(tags.ravel(), EXPECTED["msd_11"].ravel())[0, 1] > 0.95


def test_features_are_means_over_windows(taggers):
    network = taggers["msd"]
    every, wide = (network.features(sound(11), RATE_HZ, hop) for hop in (50, 100))
    assert every.shape == (6, FEATURES)
    np.testing.assert_array_equal(wide, every[::2])
    spectrogram = network._features(log_mel(sound(11))[None])[0]
    mean = spectrogram[100:287].mean(dim=0)
    usual = network._norms[9]
    expected = (mean - usual.mean[1::2]) / usual.deviation[1::2]
    np.testing.assert_allclose(wide[1], expected, atol=1e-4)


def test_no_samples(taggers):
    with pytest.raises(InputError, match="not one sample"):
        taggers["msd"].tags(np.zeros(0, np.float32), RATE_HZ)


def test_foreign_weights():
    with pytest.raises(ModelError, match="not the weights of musicnn"):
        Musicnn({"conv2d.bias": np.zeros(204)}, ("rock",))


def test_ranked_tags_are_what_stands_out():
    ranked = ranked_tags(sound(11), RATE_HZ)
    scores = [score for _, score in ranked]
    assert scores == sorted(scores, reverse=True)
    assert ranked[0][1] > 1
    assert len({label for label, _ in ranked}) == len(ranked)
