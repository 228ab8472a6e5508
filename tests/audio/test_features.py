"""librosa as the independent oracle of every feature that it has."""

from __future__ import annotations

import ast
import os
import subprocess
import sys
from pathlib import Path

import librosa
import numpy as np
import pytest

from covergen_cli.audio import features, rhythm
from covergen_cli.audio.features import FRAME_HZ, HOP, RATE_HZ, WINDOW, extract

from .signals import chords, clicks, noise

PROGRESSION = [(0, 4), (5, 4), (7, 4), (9, 3)]
HANN = np.hanning(WINDOW + 1)[:-1]
POWER_SCALE = 2 / (WINDOW * np.sum(HANN**2))
LOUDNESS_DB = -20.0


@pytest.fixture(scope="module")
def song():
    """Chords, a beat and hiss, at the loudness that all features are computed at."""
    samples = 0.8 * chords(PROGRESSION, repeats=3) + 0.5 * clicks(110, 12) + noise(12, amplitude=0.005)
    return (samples / features._gain(samples)).astype(np.float32)


@pytest.fixture(scope="module")
def ours(song):
    return extract(song)


@pytest.fixture(scope="module")
def spectrum(song):
    return np.abs(librosa.stft(song, n_fft=WINDOW, hop_length=HOP, center=False))


@pytest.fixture(scope="module")
def mel_db(spectrum):
    power = librosa.feature.melspectrogram(
        S=spectrum**2 * POWER_SCALE, sr=RATE_HZ, n_mels=80, fmin=30, fmax=RATE_HZ / 2, htk=True, norm=None
    )
    return np.maximum(librosa.power_to_db(power, amin=1e-12, top_db=None) - LOUDNESS_DB, features.FLOOR_DB)


def test_mel_filters():
    theirs = librosa.filters.mel(sr=RATE_HZ, n_fft=WINDOW, n_mels=80, fmin=30, fmax=RATE_HZ / 2, htk=True, norm=None)
    np.testing.assert_allclose(features.mel_filters(), theirs, atol=1e-6)


def test_mel_levels(ours, mel_db):
    np.testing.assert_allclose(ours.mel_db, mel_db.T, atol=1e-3)


def test_level(ours, song):
    # librosa weighs the samples of a frame alike, ours by the Hann window: the same for a steady level.
    frames = librosa.util.frame(song, frame_length=WINDOW, hop_length=HOP) * HANN[:, None]
    rms = librosa.feature.rms(y=None, S=np.abs(np.fft.rfft(frames, axis=0)), frame_length=WINDOW)[0]
    theirs = 20 * np.log10(rms) - 10 * np.log10(np.mean(HANN**2)) - LOUDNESS_DB
    np.testing.assert_allclose(ours.level_db, theirs, atol=0.03)  # librosa counts 0 Hz once, ours twice


def test_onset_strength(ours, mel_db):
    theirs = librosa.onset.onset_strength(S=mel_db, sr=RATE_HZ, lag=2, center=False)
    np.testing.assert_allclose(ours.onset[2:], theirs[2:] / 10, atol=1e-5)


def test_onsets(ours):
    second = round(FRAME_HZ)
    theirs = librosa.util.peak_pick(
        ours.onset / np.float32(1.25),
        pre_max=3,
        post_max=4,
        pre_avg=second // 2,
        post_avg=second - second // 2,
        delta=0.03 / 1.25,
        wait=0,
    )
    assert len(theirs) > 20
    np.testing.assert_array_equal(rhythm.onset_frames(ours.onset), theirs)


def test_spectral_shape(ours, spectrum):
    centroid = librosa.feature.spectral_centroid(S=spectrum, sr=RATE_HZ)[0]
    np.testing.assert_allclose(2**ours.centroid, np.maximum(centroid, 50), rtol=1e-4)
    rolloff = librosa.feature.spectral_rolloff(S=spectrum**2, sr=RATE_HZ, roll_percent=0.85)[0]
    np.testing.assert_allclose(2**ours.rolloff, np.maximum(rolloff, 50), atol=RATE_HZ / WINDOW + 0.01)
    assert np.mean(np.abs(2**ours.rolloff - np.maximum(rolloff, 50)) < 0.01) > 0.99, "one bin off at most, and seldom"
    flatness = librosa.feature.spectral_flatness(S=spectrum[1:], amin=1e-14 / POWER_SCALE)[0]
    np.testing.assert_allclose(ours.flatness, np.log10(flatness + 1e-5), atol=2e-3)


def test_contrast(ours, spectrum):
    """librosa gives each band one bin of its neighbour, so only the wide bands agree closely."""
    theirs = librosa.feature.spectral_contrast(
        S=np.maximum(spectrum**2 * POWER_SCALE, 1e-10), sr=RATE_HZ, fmin=200, n_bands=6, quantile=0.2
    )
    difference = np.abs(ours.contrast_db - theirs.T).mean(axis=0)
    assert difference[3:].max() < 0.5, difference
    for band in range(7):
        assert np.corrcoef(ours.contrast_db[:, band], theirs[band])[0, 1] > 0.8


def test_percussive_share(ours):
    amplitude = np.sqrt(ours.mel_power).T
    _, theirs = librosa.decompose.hpss(amplitude, kernel_size=(17, 13), mask=True, power=2)
    inside = slice(8, -8), slice(6, -6)  # at the edges librosa mirrors, ours repeats
    np.testing.assert_allclose(ours.percussive[inside], theirs.T[inside], atol=1e-4)


def test_autocorrelation_of_the_onsets(ours):
    centred = ours.onset - ours.onset.mean()
    theirs = librosa.autocorrelate(centred, max_size=200)
    unbiased = theirs / theirs[0] * centred.size / (centred.size - np.arange(200))
    np.testing.assert_allclose(rhythm.autocorrelation(ours.onset, 200), unbiased, atol=1e-5)


@pytest.mark.parametrize("cents", [0, 25, -30])
def test_chroma(cents):
    """Ours removes the tuning and counts peaks, so it agrees in direction, and on the three notes of every chord."""
    samples = chords(PROGRESSION, tonic=60 + cents / 100, repeats=2)
    ours = extract(samples).chroma
    tuning = librosa.estimate_tuning(y=samples, sr=RATE_HZ)
    assert tuning == pytest.approx(cents / 100, abs=0.03)
    theirs = librosa.feature.chroma_stft(y=samples, sr=RATE_HZ, n_fft=8192, hop_length=HOP, tuning=tuning).T[
        : len(ours)
    ]
    cosine = np.sum(ours * theirs, axis=1) / np.linalg.norm(ours, axis=1) / np.linalg.norm(theirs, axis=1)
    assert cosine.mean() > 0.92
    for number in range(8):
        frames = slice(round((number + 0.3) * FRAME_HZ), round((number + 0.7) * FRAME_HZ))
        notes = [set(np.argsort(chroma[frames].mean(axis=0))[-3:].tolist()) for chroma in (ours, theirs)]
        assert notes[0] == notes[1]


@pytest.mark.parametrize("bpm", [75, 90, 110, 128, 150])
def test_tempo(bpm):
    onset = extract(clicks(bpm, 20)).onset
    theirs = librosa.feature.tempo(onset_envelope=onset, sr=RATE_HZ, hop_length=HOP, start_bpm=115, std_bpm=0.6)[0]
    assert theirs == pytest.approx(bpm, rel=0.03)
    strengths = rhythm.tempogram(rhythm.novelty(onset))
    at_theirs = strengths[np.abs(np.log2(rhythm.TEMPOS_BPM / theirs)) < 0.05].max()
    assert at_theirs > 0.9 * strengths.max(), "the onsets repeat at librosa's tempo"
    # The perceived tempo is a mean over all tempi that fit, drawn towards 115 bpm.
    assert 2 ** float(rhythm.tempo_log2(strengths)) == pytest.approx(theirs, rel=0.15)


_PRINT_HASH = """
import sys
import numpy as np
from covergen_cli.audio.mel import MelEncoder
from covergen_cli.files import sha256_bytes
samples = np.load(sys.argv[1])
print(*(sha256_bytes(MelEncoder().embed(samples[:size], 22050).tobytes()) for size in (9000, 50000, samples.size)))
"""


def test_an_embedding_does_not_depend_on_the_number_of_threads(tmp_path, song):
    np.save(tmp_path / "song.npy", song)
    hashes = set()
    for threads in ("1", "4"):
        environment = {**os.environ, "OPENBLAS_NUM_THREADS": threads, "OMP_NUM_THREADS": threads}
        line = [sys.executable, "-c", _PRINT_HASH, str(tmp_path / "song.npy")]
        hashes.add(subprocess.run(line, env=environment, capture_output=True, text=True, check=True).stdout)
    assert len(hashes) == 1


@pytest.mark.parametrize("name", ["features", "mel", "rhythm", "tonality", "descriptors"])
def test_features_do_without_blas(name):
    """Whether BLAS splits a sum depends on the machine, so that no matrix product is written is what is tested."""
    source = (Path(features.__file__).parent / f"{name}.py").read_text(encoding="utf-8")
    tree = ast.parse(source)
    assert not [node.lineno for node in ast.walk(tree) if isinstance(node, ast.MatMult)]
    called = {node.attr for node in ast.walk(tree) if isinstance(node, ast.Attribute)}
    assert not called & {"dot", "matmul", "inner", "vdot", "tensordot", "outer"}
