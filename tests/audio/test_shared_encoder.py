"""Clips of several threads are embedded together, each gets its own embedding, and the GPU is asked for where it is."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import torch

from covergen_cli.audio import shared_encoder
from covergen_cli.audio.encoders import Encoder, get_encoder
from covergen_cli.audio.openl3 import OpenL3
from covergen_cli.audio.openl3_encoder import OpenL3Encoder
from covergen_cli.audio.shared_encoder import SharedEncoder, load_openl3
from covergen_cli.config import OpenL3Config
from covergen_cli.errors import InputError
from openl3_files import cache_recipe

RATE_HZ = 48_000


class SlowEncoder:
    """Embeds a clip as its sum; the first call waits until ``clips`` more clips have arrived."""

    name, sample_rate_hz, embedding_dim, resample = "slow", RATE_HZ, 1, None

    def __init__(self, shared_waiting=lambda: 0, clips=0):
        self.calls, self.waiting, self.clips = [], shared_waiting, clips

    def embed_many(self, clips):
        clips = list(clips)
        self.calls.append(len(clips))
        while len(self.calls) == 1 and self.waiting() < self.clips:
            threading.Event().wait(0.001)
        if any(not len(samples) for _, samples in clips):
            raise InputError("there is no sound to embed")
        yield from ((key, samples.sum(keepdims=True)[None]) for key, samples in clips)


def test_clips_that_wait_are_embedded_in_one_call_and_every_thread_gets_its_own():
    inner = SlowEncoder(clips=4)
    shared = SharedEncoder(inner)
    inner.waiting = lambda: len(shared._waiting)
    with ThreadPoolExecutor(5) as threads:
        found = threads.map(lambda value: shared.embed(np.full(3, value, np.float32), RATE_HZ), range(5))
        assert [rows.item() for rows in found] == [0, 3, 6, 9, 12]
    assert inner.calls == [1, 4]


def test_an_error_reaches_the_thread_that_waits_and_the_next_clip_is_embedded():
    shared = SharedEncoder(SlowEncoder())
    with pytest.raises(InputError, match="no sound"):
        shared.embed(np.zeros(0, np.float32), RATE_HZ)
    assert shared.embed(np.ones(2, np.float32), RATE_HZ).item() == 2
    with pytest.raises(ValueError, match="44100 Hz"):
        shared.embed(np.ones(2, np.float32), 44_100)


@pytest.fixture
def repeatable():
    flags = torch.backends.cudnn
    before = flags.benchmark, flags.deterministic, flags.allow_tf32
    yield flags
    flags.benchmark, flags.deterministic, flags.allow_tf32 = before


def test_openl3_is_shared_on_a_gpu_and_as_it_was_on_the_cpu(monkeypatch, repeatable):
    cache_recipe("openl3-mel128-music")
    spec = OpenL3Encoder(OpenL3Config(input_repr="mel128", hop_seconds=0.5)).spec()
    assert isinstance(load_openl3(spec, "cpu"), OpenL3Encoder)
    asked, to = [], OpenL3.to
    monkeypatch.setattr(shared_encoder, "choose_device", torch.device)
    monkeypatch.setattr(OpenL3, "to", lambda self, device, _="fp32": asked.append(str(device)) or to(self, "cpu"))
    shared = load_openl3(spec, "cuda:1")
    assert isinstance(shared, SharedEncoder)
    assert isinstance(shared, Encoder)
    assert (asked, shared.spec()) == (["cuda:1"], spec)
    assert (repeatable.benchmark, repeatable.deterministic, repeatable.allow_tf32) == (False, True, False)
    clip = np.random.default_rng(0).standard_normal(RATE_HZ // 2).astype(np.float32)
    assert shared._encoder.batch_size == 64
    shared._encoder.batch_size = 2
    alone = get_encoder(spec).embed(clip, RATE_HZ)
    np.testing.assert_allclose(shared.embed(clip, RATE_HZ), alone, atol=1e-4)
