"""The network agrees with the published one on what that returned for weights and sounds made from a seed."""

from __future__ import annotations

import wave
from pathlib import Path

import numpy as np
import pytest
import torch

from covergen_cli.audio.embed import embed_file, load_encoder
from covergen_cli.audio.openl3 import OpenL3, _convolving
from covergen_cli.audio.openl3_encoder import OpenL3Encoder
from covergen_cli.audio.openl3_frontend import LogMel, frame, to_mono
from covergen_cli.config import EmbedConfig, OpenL3Config
from covergen_cli.errors import ConfigError, InputError, ModelError
from openl3_files import cache_recipe, keras_bytes, recipe_arrays

# What openl3 0.4.2 (TensorFlow 2.15.1, kapre 0.3.7) returned; of 6144 numbers a row only the first two rows.
EXPECTED = np.load(Path(__file__).parent / "data" / "openl3.npz")
CLIPS = {  # rate, seconds, hop, centred
    "a48": (48000, 2.35, 0.1, True),
    "b48": (48000, 3.0, 0.5, False),
    "short48": (48000, 0.4, 0.1, True),
    "c44": (44100, 2.0, 0.5, True),
}
CLOSE = 1e-3


def sound(rate, seconds):
    rng = np.random.RandomState(7)
    t = np.arange(int(rate * seconds)) / rate
    glide = 0.25 * np.sin(2 * np.pi * (110 + 330 * t / seconds) * t)
    beeps = 0.15 * np.sin(2 * np.pi * 1760 * t) * (np.sin(2 * np.pi * 2 * t) > 0)
    return (glide + beeps + 0.02 * rng.standard_normal(t.size)).astype(np.float32)


def cosine(a, b):
    return (a * b).sum(axis=1) / np.linalg.norm(a, axis=1) / np.linalg.norm(b, axis=1)


@pytest.fixture(scope="module")
def arrays():
    return recipe_arrays()


@pytest.fixture(scope="module")
def network(arrays):
    return OpenL3(arrays)


def small_network(arrays, **settings):
    """The cheaper of the two inputs, for what does not depend on it."""
    return OpenL3(arrays, "mel128", **settings)


@pytest.mark.parametrize("clip", ["a48", "b48", "short48"])
@pytest.mark.parametrize("input_repr", ["mel256", "mel128"])
def test_it_returns_what_the_published_network_returns(arrays, input_repr, clip):
    rate, seconds, hop, center = CLIPS[clip]
    every = 6 if clip == "a48" else 1  # of twenty windows four will do
    embedding, times = OpenL3(arrays, input_repr).embed(sound(rate, seconds), rate, every * hop, center)
    published = EXPECTED[f"{input_repr}_512_{clip}_kapre"]
    expected = published[::every]
    assert embedding.shape == (len(expected) + (clip == "a48"), 512)
    assert embedding.dtype == np.float32
    assert np.abs(embedding[: len(expected)] - expected).max() < CLOSE
    assert times == pytest.approx(np.arange(len(embedding)) * every * hop)


def test_windows_are_as_many_as_those_of_the_published_network():
    for clip, (rate, seconds, hop, center) in CLIPS.items():
        expected = EXPECTED[f"mel256_512_{clip}_kapre"]
        assert len(frame(to_mono(sound(rate, seconds), rate), hop, center)) == len(expected)


@pytest.mark.parametrize("clip", ["b48", "short48"])
@pytest.mark.parametrize("input_repr", ["mel256", "mel128"])
def test_the_long_embedding_too(arrays, input_repr, clip):
    rate, seconds, hop, center = CLIPS[clip]
    samples = sound(rate, seconds)[: rate * 3 // 2]
    embedding, _ = OpenL3(arrays, input_repr, 6144).embed(samples, rate, hop, center)
    expected = EXPECTED[f"{input_repr}_6144_{clip}_kapre"]
    assert embedding.shape == (2 if clip == "b48" else 1, 6144)
    assert np.abs(embedding - expected).max() < CLOSE


@pytest.mark.parametrize("input_repr", ["mel256", "mel128"])
def test_sound_at_another_rate_is_resampled_as_the_authors_did(arrays, input_repr):
    rate, seconds, hop, center = CLIPS["c44"]
    embedding, _ = OpenL3(arrays, input_repr).embed(sound(rate, seconds), rate, hop, center)
    expected = EXPECTED[f"{input_repr}_512_c44_kapre"]
    assert embedding.shape == expected.shape
    assert cosine(embedding, expected).min() > 0.9999


@pytest.mark.parametrize("clip", ["short48", "c44"])
def test_a_file_through_the_whole_pipeline_is_what_the_published_package_gives(tmp_path, clip):
    rate, seconds, hop, _ = CLIPS[clip]
    song, weights = tmp_path / "song.wav", tmp_path / "published.h5.gz"
    weights.write_bytes(keras_bytes(packed=True))
    with wave.open(str(song), "wb") as file:
        file.setparams((1, 2, rate, 0, "NONE", ""))
        file.writeframes((sound(rate, seconds) * 32767).round().astype("<i2").tobytes())
    config = EmbedConfig(encoder="openl3", hop_seconds=hop, openl3_weights=str(weights), device="cpu", batch_size=2)
    embedding, _ = embed_file(song, load_encoder(config))
    expected = EXPECTED[f"mel256_512_{clip}_kapre"]
    assert embedding.shape == expected.shape
    assert cosine(embedding, expected).min() > 0.999


@pytest.mark.parametrize(
    "layout",
    [{}, {"packed": True}, {"group": "model_weights"}, {"group": "model_weights", "first_suffix": 17, "packed": True}],
    ids=["plain", "gzip", "whole model", "other numbers"],
)
def test_weights_are_read_from_files_in_the_published_layout(tmp_path, arrays, layout):
    path = tmp_path / "weights.h5"
    path.write_bytes(keras_bytes(**layout))
    network = OpenL3.from_keras_h5(path)
    assert network.weights_sha256 == OpenL3(arrays).weights_sha256
    embedding, _ = network.embed(sound(48000, 0.4), 48000)
    assert np.abs(embedding - EXPECTED["mel256_512_short48_kapre"]).max() < CLOSE


def test_what_is_no_weights_file(tmp_path):
    for name, content in (("text", b"hello"), ("empty", b""), ("cut", keras_bytes(packed=True)[:-1000])):
        (tmp_path / name).write_bytes(content)
        with pytest.raises(ModelError, match=name):
            OpenL3.from_keras_h5(tmp_path / name)
    with pytest.raises(ModelError, match="does not exist"):
        OpenL3.from_keras_h5(str(tmp_path / "nothing.h5"))


def test_another_network_is_refused(tmp_path):
    from openl3_files import recipe_layers

    path = tmp_path / "other.h5"
    path.write_bytes(keras_bytes(recipe_layers()[:-2]))
    with pytest.raises(ModelError, match="does not hold OpenL3's audio network"):
        OpenL3.from_keras_h5(path)


def test_a_clip_does_not_depend_on_the_batch(arrays):
    network = small_network(arrays)
    samples = sound(48000, 1.4)
    together, _ = network.embed(samples, 48000, 0.2, batch_size=8)
    alone, _ = network.embed(samples, 48000, 0.2, batch_size=1)
    assert np.abs(together - alone).max() < CLOSE / 10


def test_a_spectrogram_does_not_depend_on_the_number_of_threads():
    windows = torch.from_numpy(frame(sound(48000, 0.7), 0.5).copy())
    threads, found = torch.get_num_threads(), []
    try:
        for number in (1, 2, 3, 16):
            torch.set_num_threads(number)
            found.append(LogMel(256, torch.device("cpu"))(windows[:1]))
    finally:
        torch.set_num_threads(threads)
    assert all(torch.equal(other, found[0]) for other in found[1:])


def test_stereo_is_averaged(arrays):
    network = small_network(arrays)
    left, right = sound(48000, 0.3), sound(48000, 0.3)[::-1]
    both, _ = network.embed(np.stack([left, right], axis=1), 48000)
    mono, _ = network.embed((left + right) / 2, 48000)
    assert np.abs(both - mono).max() < CLOSE


@pytest.mark.parametrize("rate", [8000, 22050, 96000])
def test_any_rate_will_do(arrays, rate):
    embedding, times = small_network(arrays).embed(sound(rate, 0.6), rate, 0.5)
    assert embedding.shape == (2, 512)
    assert times.tolist() == [0.0, 0.5]
    assert np.isfinite(embedding).all()


def test_silence_and_a_single_sample_are_embedded(arrays):
    network = small_network(arrays)
    for samples, rate in ((np.zeros(4800, np.float32), 48000), (np.ones(1, np.float32), 96000)):
        embedding, _ = network.embed(samples, rate)
        assert embedding.shape == (1, 512)
        assert np.isfinite(embedding).all()


@pytest.mark.parametrize(
    ("audio", "message"),
    [
        (np.zeros(0, np.float32), "not one sample"),
        (np.zeros((0, 2), np.float32), "not one sample"),
        (np.zeros((2, 4800), np.float32), "shape"),
        (np.zeros((2, 2, 2), np.float32), "shape"),
        (np.array([0.0, np.nan], np.float32), "no numbers"),
    ],
)
def test_what_is_no_sound(network, audio, message):
    with pytest.raises(InputError, match=message):
        network.embed(audio, 48000)


@pytest.mark.parametrize("hop", [0.0, -1.0, float("nan"), float("inf"), 1e-9])
def test_a_hop_that_makes_no_sense(hop):
    with pytest.raises(ConfigError, match="hop"):
        frame(np.zeros(48000, np.float32), hop)


def test_windows_cover_every_sample():
    samples = np.arange(1, 48000 * 2 + 2, dtype=np.float32)
    windows = frame(samples, 0.3, center=False)
    assert windows.shape == (5, 48000)
    assert (windows[1, :10] == samples[14400:14410]).all()
    assert samples[-1] in windows[-1]
    centred = frame(samples, 0.3)
    assert (centred[0, 24000:24010] == samples[:10]).all()
    assert not centred[0, :24000].any()


def test_half_precision_stays_near(arrays):
    network = small_network(arrays)
    samples = sound(48000, 0.4)
    exact, _ = network.embed(samples, 48000)
    near, _ = network.to("cpu", "bf16").embed(samples, 48000)
    assert near.dtype == np.float32
    assert 0 < np.abs(near - exact).max() < 0.5
    assert cosine(near, exact).min() > 0.999
    again, _ = network.to("cpu", "bf16").to("cpu", torch.float32).embed(samples, 48000)
    assert np.array_equal(again, exact)


@pytest.mark.parametrize("wrong", [("mel64", 512, "fp32"), ("mel256", 100, "fp32"), ("mel256", 512, "int8")])
def test_what_there_is_not(arrays, wrong):
    input_repr, size, dtype = wrong
    with pytest.raises(ConfigError, match="OpenL3"):
        OpenL3(arrays, input_repr, size, dtype=dtype)


@pytest.mark.gpu
@pytest.mark.parametrize(("dtype", "least"), [("fp32", 1 - 1e-6), ("tf32", 0.9999), ("bf16", 0.999), ("fp16", 0.9999)])
def test_on_a_gpu(network, dtype, least):
    embedding, _ = network.to("cuda", dtype).embed(sound(48000, 2.35), 48000)
    expected = EXPECTED["mel256_512_a48_kapre"]
    assert cosine(embedding, expected).min() > least
    if dtype == "fp32":
        assert np.abs(embedding - expected).max() < CLOSE


def test_a_batch_that_does_not_fit_into_the_memory_is_halved(arrays, monkeypatch):
    network, sizes = small_network(arrays), []
    whole, _ = network.embed(sound(48000, 1.2), 48000, 0.2)
    forward = OpenL3.forward_windows

    def small(self, windows):
        sizes.append(len(windows))
        if len(windows) > 2:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return forward(self, windows)

    monkeypatch.setattr(OpenL3, "forward_windows", small)
    parts, _ = network.embed(sound(48000, 1.2), 48000, 0.2, batch_size=5)
    assert sizes == [5, 2, 2, 1]
    np.testing.assert_allclose(parts, whole, atol=1e-4)


def test_clips_of_one_stream_are_framed_as_single_ones_are():
    cache_recipe("openl3-mel128-music")
    encoder = OpenL3Encoder(OpenL3Config(input_repr="mel128", hop_seconds=0.5, center=False), batch_size=2)
    clip = sound(48000, 1.4)
    ((_, rows),) = encoder.embed_many([(None, clip)])
    np.testing.assert_allclose(rows, encoder.embed(clip, 48000), atol=1e-4)


@pytest.mark.parametrize("repeatable", [True, False])
def test_on_cuda_algorithms_are_timed_only_where_results_need_not_repeat(monkeypatch, repeatable):
    flags = torch.backends.cudnn
    monkeypatch.setattr(flags, "deterministic", repeatable)
    monkeypatch.setattr(flags, "benchmark", False)
    with _convolving(torch.device("cuda"), "fp32"):
        assert flags.benchmark != repeatable
    assert not flags.benchmark
