"""The synthesiser: the same seed gives the same song, and what it declares can be heard."""

import numpy as np
import pytest

from covergen_cli.synthetic import theory
from covergen_cli.synthetic.arrange import perform
from covergen_cli.synthetic.drums import DRUMS, PATTERNS, TICKS, hit
from covergen_cli.synthetic.instruments import VOICES, frequency_hz, note
from covergen_cli.synthetic.synth import GENRES, compose, render

RATE = 22050


def pitch_classes(samples):
    """Energy per pitch class between 100 Hz and 1 kHz, from one long spectrum per second."""
    frames = samples[: samples.size // RATE * RATE].reshape(-1, RATE) * np.hanning(RATE)
    energy = np.abs(np.fft.rfft(frames, axis=1)).mean(axis=0)
    hertz = np.fft.rfftfreq(RATE, 1 / RATE)
    inside = (hertz > 100) & (hertz < 1000)
    classes = np.round(12 * np.log2(hertz[inside] / 440.0) + 69).astype(int) % 12
    return np.bincount(classes, energy[inside], 12)


def pulse_strength(samples, bpm):
    """Autocorrelation of the energy's rises at one beat, relative to half-way between beats of no musical meaning."""
    hop = 256
    loudness = np.log(np.square(samples[: samples.size // hop * hop]).reshape(-1, hop).mean(axis=1) + 1e-7)
    rises = np.maximum(np.diff(loudness), 0)
    rises -= rises.mean()
    spectrum = np.abs(np.fft.rfft(rises, 2 * rises.size)) ** 2
    correlation = np.fft.irfft(spectrum)
    lag = 60 / bpm * RATE / hop
    return max(correlation[round(4 * lag) + shift] for shift in (-1, 0, 1)) / correlation[0]


def test_same_seed_same_song():
    first, second = (render(compose(7), 6, RATE) for _ in range(2))
    assert np.array_equal(first, second)


def test_seeds_differ():
    songs = [render(compose(seed), 5, RATE) for seed in range(6)]
    for i, one in enumerate(songs):
        for other in songs[:i]:
            assert abs(np.corrcoef(one, other)[0, 1]) < 0.5


@pytest.mark.parametrize("genre", GENRES)
def test_every_genre_is_sound(genre):
    for seed in (0, 1):
        spec = compose(seed, genre)
        assert spec.genre == genre
        samples = render(spec, 12.5, RATE)
        assert samples.dtype == np.float32
        assert samples.shape == (round(12.5 * RATE),)
        assert np.isfinite(samples).all()
        assert np.abs(samples).max() <= 1
        assert np.sqrt(np.mean(samples**2)) > 0.005


def test_every_voice_and_drum_sounds_and_ends_in_silence():
    for name in VOICES:
        wave = note(name, 57, 0.5, 0.5, RATE)
        assert 0.05 < np.abs(wave).max() < 3, name
        assert abs(wave[-1]) < 1e-2, name
    for name in DRUMS:
        wave = hit(name, 0.5, RATE)
        assert 0.05 < np.abs(wave).max() < 6, name
        assert abs(wave[-1]) < 0.05, name


@pytest.mark.parametrize("name", ["piano", "guitar", "strings", "square", "organ", "sub bass"])
def test_notes_are_in_tune(name):
    wave = note(name, 64, 1.5, 0.5, RATE)
    spectrum = np.abs(np.fft.rfft(wave * np.hanning(wave.size), 1 << 18))
    hertz = np.fft.rfftfreq(1 << 18, 1 / RATE)
    near = np.abs(hertz - frequency_hz(64)) < 40
    assert abs(1200 * np.log2(hertz[near][spectrum[near].argmax()] / frequency_hz(64))) < 15


def test_brightness_is_heard():
    def centroid(brightness):
        spectrum = np.abs(np.fft.rfft(note("supersaw", 60, 1.0, brightness, RATE)))
        return (spectrum * np.arange(spectrum.size)).sum() / spectrum.sum()

    assert centroid(0.1) < centroid(0.5) < centroid(0.9)


def test_songs_go_on_past_their_form():
    spec = compose(3)
    form_seconds = spec.bars * spec.bar_seconds
    beats = (form_seconds + 40) * spec.bpm / 60
    sections = [section.name for section, *_ in perform(spec, beats)]
    assert len(sections) > len(spec.sections)
    assert "chorus" in sections[len(spec.sections) :]
    assert sections[len(spec.sections)] == "verse"


def test_the_rate_changes_only_the_resolution():
    spec = compose(2, "piano")
    low, high = render(spec, 4, 16000), render(spec, 4, 32000)
    assert high.size == 2 * low.size
    loudness = [np.sqrt(np.mean(np.square(samples.reshape(40, -1)), axis=1)) for samples in (low, high)]
    assert np.corrcoef(loudness)[0, 1] > 0.9


def test_chorus_is_louder_where_dynamics_are_wide():
    seen = 0
    for seed in range(30):
        spec = compose(seed, "cinematic")
        if spec.dynamics < 0.8:
            continue
        seen += 1
        samples = render(spec, spec.bars * spec.bar_seconds, 11025)
        loudness, start = {}, 0.0
        for section in spec.sections:
            end = start + section.bars * spec.bar_seconds
            part = samples[round(start * 11025) : round(end * 11025)]
            loudness[section.name] = float(np.sqrt(np.mean(part**2)))
            start = end
        assert loudness["chorus"] > 2 * loudness["bridge"]
        if seen == 2:
            break
    assert seen


def test_declared_mode_is_heard():
    right = []
    for seed in range(24):
        spec = compose(seed, "piano" if seed % 2 else "synth-pop")
        if spec.scale not in ("major", "minor"):
            continue
        heard = np.roll(pitch_classes(render(spec, 12, RATE)), -spec.key)
        right.append((heard[4] > heard[3]) == (spec.mode == "major"))
    assert np.mean(right) > 0.85


def test_declared_tempo_is_heard():
    strengths, wrong = [], []
    for seed in range(12):
        spec = compose(seed, ("house", "rock", "funk", "drum and bass")[seed % 4])
        samples = render(spec, 20, RATE)[8 * RATE :]
        strengths.append(pulse_strength(samples, spec.bpm))
        wrong.append(pulse_strength(samples, spec.bpm * 1.13))
    assert np.mean(np.array(strengths) > np.array(wrong)) >= 0.9


def test_tempo_mode_loudness_and_brightness_are_drawn_independently():
    specs = [compose(seed) for seed in range(600)]
    assert {spec.genre for spec in specs} == set(GENRES)
    table = [[spec.bpm, spec.mode == "major", spec.level_db, spec.brightness] for spec in specs]
    correlations = np.corrcoef(np.array(table, dtype=float).T)
    assert np.abs(correlations - np.eye(4)).max() < 0.3
    assert min(spec.bpm for spec in specs) < 62
    assert max(spec.bpm for spec in specs) > 182
    assert all(spec.key in range(12) and spec.beats_per_bar in (3, 4) for spec in specs)


def test_harmony_starts_at_home_and_stays_in_the_scale():
    rng = np.random.default_rng(0)
    for scale in theory.SCALES:
        chords = theory.progression(rng, scale, 4)
        assert chords[0] == 0
        assert len(chords) == 4
        tonic = theory.chord_pitches(scale, 0, 3, 48, 2)
        third = 4 if theory.nearest_mode(scale) == "major" else 3
        assert {(p - 2) % 12 for p in tonic} == {0, third, 7}
        assert all(48 <= p < 60 for p in tonic)


def test_patterns_name_drums_that_exist():
    for name, lines in PATTERNS.items():
        assert set(lines) <= set(DRUMS), name
        assert all(len(line) == 16 for line in lines.values()), name
    assert set(TICKS) <= set(PATTERNS)
    assert set(TICKS.values()) - {""} <= set(DRUMS)


def test_unknown_genre():
    with pytest.raises(KeyError):
        compose(0, "polka")
