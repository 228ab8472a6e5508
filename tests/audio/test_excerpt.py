from __future__ import annotations

import tracemalloc
import wave
from dataclasses import replace

import numpy as np
import pytest

from covergen_cli.audio.excerpt import MAX_PREVIEW_SECONDS, load_excerpt
from covergen_cli.audio.io import probe

from .signals import RATE_HZ, chords, noise, tone, write_audio

TUNE = [(0, 4), (5, 4), (7, 4), (9, 3)]


def test_a_preview_is_used_whole(tmp_path):
    sound = tone(440, 4)
    heard = load_excerpt(write_audio(tmp_path / "a.wav", sound, RATE_HZ, "pcm_f32le"), RATE_HZ)
    np.testing.assert_array_equal(heard.samples, sound)
    assert (heard.segment, heard.warnings) == ((0.0, 4.0), ())


def test_a_preview_of_just_the_limit_is_whole_and_a_longer_file_is_cut(tmp_path):
    for seconds, expected in ((MAX_PREVIEW_SECONDS, MAX_PREVIEW_SECONDS), (MAX_PREVIEW_SECONDS + 0.5, 30.0)):
        path = write_audio(tmp_path / f"{seconds}.wav", tone(440, seconds), RATE_HZ, "pcm_s16le")
        start, end = load_excerpt(path, RATE_HZ).segment
        assert end - start == pytest.approx(expected)


def test_of_a_song_the_salient_part_is_heard(tmp_path):
    song = np.concatenate([0.02 * noise(20), chords(TUNE, repeats=8), 0.02 * noise(20, seed=1)])
    heard = load_excerpt(write_audio(tmp_path / "song.wav", song, RATE_HZ, "pcm_f32le"), 8000)
    start, end = heard.segment
    assert 18 <= start <= 24
    assert end - start == 30.0
    assert heard.samples.shape == (240_000,)


def test_a_song_that_declares_too_little_is_still_cut(tmp_path, monkeypatch):
    path = write_audio(tmp_path / "song.wav", tone(440, 40), RATE_HZ, "pcm_s16le")
    info = replace(probe(path), duration_seconds=12.0)
    monkeypatch.setattr("covergen_cli.audio.excerpt.probe", lambda _: info)
    start, end = load_excerpt(path, RATE_HZ).segment
    assert end - start == 30.0


def test_memory_does_not_grow_with_the_length_of_the_file(tmp_path):
    minutes, rate_hz = 12, 1000
    generator = np.random.default_rng(0)
    with wave.open(str(tmp_path / "long.wav"), "wb") as file:
        file.setparams((1, 1, rate_hz, 0, "NONE", ""))
        file.writeframes(generator.integers(64, 192, 60 * minutes * rate_hz, np.uint8).tobytes())
    tracemalloc.start()
    try:
        start, end = load_excerpt(tmp_path / "long.wav", RATE_HZ).segment
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert end - start == 30.0
    decoded = 60 * minutes * RATE_HZ * 4
    assert peak < decoded / 2, f"{peak / 1e6:.0f} MB at once for {decoded / 1e6:.0f} MB of sound"
