from __future__ import annotations

import numpy as np
import pytest

from covergen_cli.audio import io
from covergen_cli.audio.descriptors import NAMES, Descriptors, describe

from .signals import RATE_HZ, chords, clicks, low_passed, noise, tone, write_audio

MAJOR = [(0, 4), (5, 4), (7, 4), (0, 4)]
MINOR = [(0, 3), (5, 3), (7, 3), (0, 3)]


def heard(samples):
    return describe(samples, RATE_HZ)


def a_song():
    """Chords, a beat and hiss, louder in the second half."""
    chord = chords(MAJOR)
    return (chord + 0.5 * clicks(120, 32) + noise(32, amplitude=0.01)) * np.linspace(
        0.3, 0.8, chord.size, dtype=np.float32
    )


def test_names_and_array_keep_the_order():
    assert NAMES == ("tempo", "mode", "energy", "brightness", "density", "percussiveness", "dynamics")
    values = Descriptors(*(index / 10 for index in range(7))).as_array()
    assert values.dtype == np.float32
    np.testing.assert_allclose(values, np.arange(7) / 10, atol=1e-7)


def test_faster_clicks_have_more_tempo():
    tempi = [heard(clicks(bpm)).tempo for bpm in (60, 80, 100, 120, 140, 170)]
    assert tempi == sorted(tempi)
    assert tempi[0] < 0.2
    assert tempi[-1] > 0.75


def test_weak_clicks_between_the_beats_do_not_double_the_tempo():
    filled = (clicks(90) + 0.1 * clicks(180)).astype(np.float32)
    assert heard(clicks(90)).tempo < heard(filled).tempo < heard(clicks(180)).tempo - 0.05


@pytest.mark.parametrize("tonic", [57, 60, 63, 66])
def test_major_and_minor_triads(tonic):
    assert heard(chords(MAJOR, tonic)).mode > 0.75
    assert heard(chords(MINOR, tonic)).mode < 0.25


def test_detuned_instruments_keep_their_mode():
    assert heard(chords(MAJOR, 60.4)).mode > 0.75
    assert heard(chords(MINOR, 60.4)).mode < 0.25


def test_bright_and_dark_noise():
    dark, middle, bright = (heard(low_passed(noise(10), hertz)).brightness for hertz in (400, 3000, 11000))
    assert dark < 0.2 < middle < 0.9 < bright


def test_compressed_full_sound_has_more_energy_than_a_calm_one():
    calm = tone(220, 20) * np.linspace(0.1, 1, 20 * RATE_HZ, dtype=np.float32)
    intense = np.clip(4 * (noise(20) + 0.5 * clicks(140, 20) + tone(110, 20)), -0.9, 0.9).astype(np.float32)
    assert heard(calm).energy < heard(intense).energy - 0.5


def test_more_notes_are_denser():
    sparse = heard(chords(MAJOR, seconds_each=2.0, repeats=4)).density
    busy = heard(chords(MAJOR, seconds_each=0.125, repeats=64)).density
    assert busy > sparse + 0.3


def test_drums_are_percussive_and_a_drone_is_not():
    drone = chords([(0, 4)], seconds_each=20, repeats=1)
    assert heard(drone).percussiveness < 0.15
    assert heard(clicks(120, 20) + 0.02 * drone).percussiveness > 0.85


def test_dynamics_follow_the_range_of_level():
    even = noise(20)
    swell = even * 10 ** (np.linspace(-25, 0, even.size, dtype=np.float32) / 20)
    assert heard(even).dynamics < 0.1
    assert heard(swell).dynamics > 0.85


@pytest.mark.parametrize("gain", [0.03, 0.3, 1.2])
def test_volume_changes_nothing(gain):
    song = a_song()
    np.testing.assert_allclose(heard(song * np.float32(gain)).as_array(), heard(song).as_array(), atol=0.01)


@pytest.mark.parametrize(("name", "codec", "rate_hz"), [("a.mp3", "libmp3lame", 44100), ("a.opus", "libopus", 48000)])
def test_codecs_change_little(tmp_path, name, codec, rate_hz):
    plain = write_audio(tmp_path / "a.wav", a_song(), RATE_HZ, "pcm_f32le")
    song = io.load(plain, rate_hz).samples
    coded = io.load(write_audio(tmp_path / name, song, rate_hz, codec), RATE_HZ).samples
    np.testing.assert_allclose(heard(coded).as_array(), heard(io.load(plain, RATE_HZ).samples).as_array(), atol=0.12)


def test_any_rate_is_taken(tmp_path):
    song = io.load(write_audio(tmp_path / "a.wav", a_song(), RATE_HZ, "pcm_f32le"), 48000).samples
    np.testing.assert_allclose(describe(song, 48000).as_array(), heard(a_song()).as_array(), atol=0.05)


@pytest.mark.parametrize("size", [0, 1, 7, 1000, 5000, 50000])
@pytest.mark.parametrize("amplitude", [0.0, 0.5])
def test_very_short_and_silent_clips_stay_in_range(size, amplitude):
    values = heard(noise(3, amplitude=amplitude)[:size]).as_array()
    assert np.isfinite(values).all()
    assert values.min() >= 0
    assert values.max() <= 1


def test_same_samples_same_numbers():
    assert heard(a_song()) == heard(a_song())
