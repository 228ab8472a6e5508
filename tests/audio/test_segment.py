from __future__ import annotations

import librosa
import numpy as np
import pytest

from covergen_cli.audio import segment
from covergen_cli.audio.segment import FRAME_SAMPLES, find_segment
from covergen_cli.config import SegmentConfig
from covergen_cli.errors import InputError

from .signals import RATE_HZ, chords, noise, tone, write_audio


def song(tmp_path, samples):
    return write_audio(tmp_path / "song.wav", samples, RATE_HZ, "pcm_f32le")


def quiet_with_loud_part(seconds, start, end):
    samples = chords([(0, 4), (7, 4), (9, 3), (5, 4)], repeats=int(seconds / 4))
    level = np.full(samples.size, 0.15, np.float32)
    level[round(start * RATE_HZ) : round(end * RATE_HZ)] = 1.0
    return samples * level


@pytest.mark.parametrize("start", [0, 17, 50])
def test_the_loud_part_is_found(tmp_path, start):
    path = song(tmp_path, quiet_with_loud_part(80, start, start + 30))
    found = find_segment(path, SegmentConfig())
    assert found.start_seconds == pytest.approx(start, abs=1)
    assert found.end_seconds == found.start_seconds + 30
    assert found.duration_seconds == pytest.approx(80)
    assert found.warnings == ()


def test_contrast_counts_beside_level(tmp_path):
    """Of two equally loud parts, clear tones win over noise."""
    tones = chords([(0, 4), (5, 4)], repeats=10)
    hiss = noise(20)
    hiss *= np.sqrt(np.mean(tones**2) / np.mean(hiss**2))
    found = find_segment(song(tmp_path, np.concatenate([hiss, tones])), SegmentConfig(clip_seconds=10))
    assert found.start_seconds >= 19


def test_equal_windows_give_the_earliest(tmp_path):
    # 14 frames repeat exactly, so every window that starts on a frame's border holds the same frames.
    period = np.tile(noise(1)[:FRAME_SAMPLES], 800)[: 40 * RATE_HZ]
    found = find_segment(song(tmp_path, period), SegmentConfig(clip_seconds=10, hop_seconds=FRAME_SAMPLES / RATE_HZ))
    assert found.start_seconds == 0


def test_last_window_ends_with_the_song(tmp_path):
    found = find_segment(song(tmp_path, quiet_with_loud_part(40, 34.6, 40)[: round(39.6 * RATE_HZ)]), SegmentConfig())
    assert found.window_starts[-1] == pytest.approx(9.6, abs=1e-3)
    assert found.window_starts.shape == found.scores.shape == (11,)
    assert found.start_seconds == pytest.approx(9.6, abs=1e-3)
    assert found.end_seconds == pytest.approx(39.6, abs=1e-3)


@pytest.mark.parametrize("seconds", [0.05, 3, 30])
def test_short_songs_are_used_whole(tmp_path, seconds):
    found = find_segment(song(tmp_path, tone(440, seconds)), SegmentConfig())
    assert found.start_seconds == 0
    assert found.end_seconds == found.duration_seconds == pytest.approx(seconds, abs=1e-3)
    assert found.scores.shape == (1,)
    assert found.scores[0] > 0


def test_streamed_scores_equal_a_direct_computation(tmp_path, monkeypatch):
    monkeypatch.setattr(segment, "_BLOCK_FRAMES", 18)
    samples = quiet_with_loud_part(16, 5, 11) + noise(16, amplitude=0.003)
    samples[: 2 * RATE_HZ] = 0
    found = find_segment(song(tmp_path, samples), SegmentConfig(clip_seconds=4))
    padded = np.pad(samples, (0, -samples.size % FRAME_SAMPLES))
    grid = {"hop_length": FRAME_SAMPLES, "center": False}
    spectrum = np.abs(librosa.stft(padded, n_fft=FRAME_SAMPLES, **grid))
    contrast = librosa.feature.spectral_contrast(S=np.maximum(spectrum, segment.MAGNITUDE_FLOOR), sr=RATE_HZ).mean(
        axis=0
    )
    rms = librosa.feature.rms(y=padded, frame_length=FRAME_SAMPLES, **grid)[0]
    middles = (np.arange(rms.size) + 0.5) * FRAME_SAMPLES / RATE_HZ
    for start, score in zip(found.window_starts, found.scores, strict=True):
        inside = (middles >= start) & (middles < start + 4)
        assert score == pytest.approx(rms[inside].mean() * contrast[inside].mean(), rel=1e-4)


def test_silent_song_is_refused(tmp_path):
    with pytest.raises(InputError, match="silent") as caught:
        find_segment(song(tmp_path, np.zeros(RATE_HZ * 40, np.float32)), SegmentConfig())
    assert caught.value.hint


def test_warnings_of_a_truncated_song_are_passed_on(tmp_path):
    path = write_audio(tmp_path / "song.mp3", noise(20), RATE_HZ, "libmp3lame")
    path.write_bytes(path.read_bytes()[:40000])
    found = find_segment(path, SegmentConfig(clip_seconds=5))
    assert "incomplete" in found.warnings[0]
    assert found.end_seconds <= found.duration_seconds < 19
