"""Notes of tuned instruments: wavetables, plucked strings and bells."""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Literal

import numpy as np
from numpy.typing import NDArray

_Samples = NDArray[np.float32]
_TABLE = 4096
_MAX_HARMONICS = 96


@dataclass(frozen=True)
class Voice:
    """The sound of an instrument.

    Args:
        kind: ``table`` (harmonic wavetable), ``string`` (Karplus–Strong pluck) or ``bell`` (inharmonic partials).
        rolloff: harmonic k has amplitude k to the power −rolloff.
        parity: ``all`` harmonics or only the ``odd`` ones.
        harmonics: explicit amplitudes of the first harmonics; overrides ``rolloff`` and ``parity``.
        cutoff_hz: lowpass at middle brightness.
        decays: seconds for low, middle and high harmonics to fall by 60 dB at 220 Hz; ``None`` sustains.
        attack_seconds: rise time.
        release_seconds: fall time after the note's end.
        detune_cents: one oscillator per entry.
        vibrato_cents: depth of the vibrato, which has 5.5 Hz.
        breath: level of added noise.
        formants_hz: resonances, as of vowels.
        drive: gain before a tanh, 0 for none.
    """

    kind: Literal["table", "string", "bell"] = "table"
    rolloff: float = 1.0
    parity: Literal["all", "odd"] = "all"
    harmonics: tuple[float, ...] = ()
    cutoff_hz: float = 2500.0
    decays: tuple[float, float, float] | None = None
    attack_seconds: float = 0.005
    release_seconds: float = 0.08
    detune_cents: tuple[float, ...] = (0.0,)
    vibrato_cents: float = 0.0
    breath: float = 0.0
    formants_hz: tuple[float, ...] = ()
    drive: float = 0.0


_SAW = Voice(detune_cents=(-9.0, 0.0, 8.0), cutoff_hz=3500)
_STRINGS = Voice(
    detune_cents=(-6.0, 5.0), cutoff_hz=2600, attack_seconds=0.07, release_seconds=0.25, vibrato_cents=9.0, breath=0.01
)

VOICES: dict[str, Voice] = {
    "piano": Voice(rolloff=1.1, cutoff_hz=2400, decays=(5.0, 2.2, 0.9), attack_seconds=0.003, release_seconds=0.15),
    "electric piano": Voice(harmonics=(1, 0.25, 0.05, 0.12), decays=(4.0, 1.2, 0.6), detune_cents=(-2.0, 2.0)),
    "guitar": Voice(kind="string", cutoff_hz=3000, decays=(3.0, 1.0, 0.5), release_seconds=0.1),
    "harp": Voice(kind="string", cutoff_hz=2000, decays=(4.0, 1.5, 0.5), release_seconds=0.4),
    "banjo": Voice(kind="string", cutoff_hz=5500, decays=(1.2, 0.6, 0.3), release_seconds=0.05),
    "strings": _STRINGS,
    "cello": replace(_STRINGS, cutoff_hz=1400, attack_seconds=0.08, detune_cents=(0.0,), formants_hz=(300, 900)),
    "staccato": replace(_STRINGS, decays=(0.7, 0.5, 0.3), attack_seconds=0.02, vibrato_cents=0, cutoff_hz=3200),
    "choir": Voice(
        detune_cents=(-8.0, 0.0, 7.0),
        attack_seconds=0.3,
        release_seconds=0.5,
        vibrato_cents=14,
        formants_hz=(600, 1050),
    ),
    "brass": Voice(rolloff=0.7, cutoff_hz=1800, attack_seconds=0.05, release_seconds=0.12, detune_cents=(-4.0, 4.0)),
    "flute": Voice(
        harmonics=(1, 0.35, 0.12, 0.03), attack_seconds=0.06, release_seconds=0.1, vibrato_cents=12, breath=0.06
    ),
    "clarinet": Voice(parity="odd", cutoff_hz=1800, attack_seconds=0.03, vibrato_cents=5, breath=0.01),
    "organ": Voice(harmonics=(1, 0.8, 0.5, 0.4, 0, 0.3, 0, 0.25), attack_seconds=0.01, detune_cents=(-2.0, 3.0)),
    "sine": Voice(harmonics=(1.0, 0.06), attack_seconds=0.01),
    "drone": Voice(cutoff_hz=600, attack_seconds=1.2, release_seconds=1.5, detune_cents=(-7.0, 0.0, 9.0)),
    "warm pad": Voice(cutoff_hz=1100, attack_seconds=0.5, release_seconds=0.8, detune_cents=(-10.0, 0.0, 11.0)),
    "glass pad": Voice(
        harmonics=(1, 0, 0.5, 0, 0.3, 0, 0, 0.25), attack_seconds=0.4, release_seconds=0.9, detune_cents=(-5.0, 5.0)
    ),
    "supersaw": replace(_SAW, detune_cents=(-16.0, -6.0, 5.0, 15.0), cutoff_hz=5200, release_seconds=0.15),
    "saw lead": replace(_SAW, detune_cents=(-5.0, 6.0), vibrato_cents=6),
    "saw pluck": replace(_SAW, decays=(1.2, 0.5, 0.25), detune_cents=(-6.0, 6.0)),
    "square": Voice(parity="odd", cutoff_hz=9000, attack_seconds=0.001, release_seconds=0.01),
    "pulse": Voice(rolloff=0.85, cutoff_hz=9000, attack_seconds=0.001, release_seconds=0.01, decays=(1.5, 1.2, 1.0)),
    "triangle": Voice(parity="odd", rolloff=2.0, cutoff_hz=9000, attack_seconds=0.001, release_seconds=0.01),
    "bell": Voice(kind="bell", decays=(3.0, 1.5, 0.6), release_seconds=1.0),
    "marimba": Voice(harmonics=(1, 0, 0, 0.5, 0, 0, 0, 0, 0, 0.2), decays=(0.9, 0.3, 0.12), attack_seconds=0.002),
    "overdrive": Voice(drive=4.0, rolloff=0.9, cutoff_hz=3000, detune_cents=(-3.0, 4.0), decays=(5.0, 4.0, 3.0)),
    "distortion": Voice(drive=12.0, rolloff=0.8, cutoff_hz=4200, detune_cents=(-5.0, 5.0)),
    "finger bass": Voice(rolloff=1.3, cutoff_hz=900, decays=(2.5, 0.7, 0.3), release_seconds=0.05),
    "upright bass": Voice(kind="string", cutoff_hz=700, decays=(1.6, 0.5, 0.2), release_seconds=0.06),
    "pick bass": Voice(rolloff=0.9, cutoff_hz=1800, decays=(2.5, 1.0, 0.5), drive=1.5),
    "synth bass": Voice(cutoff_hz=900, detune_cents=(-4.0, 5.0), decays=(3.0, 0.8, 0.3)),
    "reese bass": Voice(cutoff_hz=1400, detune_cents=(-20.0, 0.0, 19.0), drive=1.5),
    "sub bass": Voice(harmonics=(1, 0.2, 0.05), attack_seconds=0.01, drive=1.0),
}


def frequency_hz(midi: float) -> float:
    """Return the equal-tempered frequency of a MIDI pitch (69 is 440 Hz)."""
    return float(440.0 * 2.0 ** ((midi - 69.0) / 12.0))


def note(name: str, midi: int, seconds: float, brightness: float, sample_rate_hz: int) -> _Samples:
    """Render one note as float32 samples ``(n,)`` with a peak of about 1 that end at zero.

    Args:
        name: a key of :data:`VOICES`.
        midi: MIDI pitch.
        seconds: time from the attack to the start of the release.
        brightness: 0 (dull) to 1 (bright); shifts the lowpass over three octaves.
        sample_rate_hz: sample rate of the result.
    """
    voice, pitch_hz = VOICES[name], frequency_hz(midi)
    ring = voice.decays[0] if voice.decays is not None else np.inf
    seconds = min(seconds, ring)
    count = max(8, int((seconds + voice.release_seconds) * sample_rate_hz))
    time = np.arange(count, dtype=np.float32) / np.float32(sample_rate_hz)
    rng = np.random.default_rng([midi, len(name), ord(name[0])])
    cutoff = voice.cutoff_hz * 2.0 ** (3.0 * (brightness - 0.5)) * (pitch_hz / 262.0) ** 0.3
    if voice.kind == "string":
        wave = _pluck(voice, pitch_hz, cutoff, count, sample_rate_hz, rng)
    elif voice.kind == "bell":
        wave = _bell(voice, pitch_hz, time, brightness)
    else:
        wave = _table_wave(voice, pitch_hz, cutoff, time, sample_rate_hz, rng)
    if voice.breath:
        wave += np.float32(voice.breath) * rng.standard_normal(count, dtype=np.float32)
    if voice.drive:
        wave = np.tanh(np.float32(voice.drive) * wave)
    return np.asarray(wave * _envelope(voice, seconds, time), dtype=np.float32)


def _envelope(voice: Voice, seconds: float, time: _Samples) -> _Samples:
    attack = min(voice.attack_seconds, 0.5 * seconds)
    rise = np.minimum(time / np.float32(attack), 1.0)
    fall = np.clip((np.float32(seconds + voice.release_seconds) - time) / np.float32(voice.release_seconds), 0.0, 1.0)
    return np.asarray(rise * fall * fall, dtype=np.float32)


def _spectrum(voice: Voice, pitch_hz: float, cutoff_hz: float, sample_rate_hz: int) -> NDArray[np.float64]:
    """Return the amplitudes of the harmonics below 0.45 of the sample rate, after lowpass and formants."""
    count = int(min(_MAX_HARMONICS, 0.45 * sample_rate_hz / pitch_hz))
    k = np.arange(1, max(1, count) + 1)
    lowpass = 1.0 / (1.0 + (k * pitch_hz / (2.0 * cutoff_hz if voice.harmonics else cutoff_hz)) ** 2)
    if voice.harmonics:
        given = np.array(voice.harmonics, dtype=np.float64)[: k.size]
        amplitude = np.pad(given, (0, k.size - given.size)) * lowpass
    else:
        odd_only = np.where(k % 2 == 1, 1.0, float(voice.parity == "all"))
        amplitude = np.asarray(lowpass * odd_only * np.power(k.astype(np.float64), -voice.rolloff), dtype=np.float64)
    if voice.formants_hz:
        octaves = np.log2(k[:, None] * pitch_hz / np.array(voice.formants_hz))
        amplitude = amplitude * (0.15 + np.exp(-0.5 * (octaves / 0.35) ** 2).sum(axis=1))
    return np.asarray(amplitude / np.sqrt(0.5 * np.sum(amplitude**2)) * 0.35)


def _table_wave(
    voice: Voice, pitch_hz: float, cutoff_hz: float, time: _Samples, sample_rate_hz: int, rng: np.random.Generator
) -> _Samples:
    """Play one wavetable per band of harmonics with detuned oscillators; higher bands decay faster."""
    amplitude = _spectrum(voice, pitch_hz, cutoff_hz, sample_rate_hz)
    edges = (
        (0, amplitude.size)
        if voice.decays is None
        else (0, min(2, amplitude.size), min(7, amplitude.size), amplitude.size)
    )
    # The same number of phases at every sample rate, so that a note keeps its shape; driven waves keep their edges.
    phases = rng.uniform(0, 0 if voice.drive else 2 * np.pi, _MAX_HARMONICS)[: amplitude.size]
    phase = np.float32(pitch_hz) * time
    if voice.vibrato_cents:
        depth = pitch_hz * (2.0 ** (voice.vibrato_cents / 1200.0) - 1.0) / (2 * np.pi * 5.5)
        phase += np.float32(depth) * np.sin(np.float32(2 * np.pi * 5.5) * time)
    positions = [
        (phase * np.float32(_TABLE * 2.0 ** (cents / 1200.0)) + np.float32(rng.integers(_TABLE))).astype(np.int32)
        & (_TABLE - 1)
        for cents in voice.detune_cents
    ]
    wave = np.zeros_like(time)
    for band, (low, high) in enumerate(pairwise(edges)):
        if low == high:
            continue
        bins = np.zeros(_TABLE // 2 + 1, dtype=np.complex128)
        bins[low + 1 : high + 1] = (amplitude * np.exp(1j * phases))[low:high] * (_TABLE / 2)
        table = np.fft.irfft(bins).astype(np.float32)
        layer = table[positions[0]]
        for position in positions[1:]:
            layer += table[position]
        if voice.decays is not None:
            seconds = voice.decays[band] * (220.0 / pitch_hz) ** 0.4
            layer *= np.exp(np.float32(-6.9 / seconds) * time)
        wave += layer
    return np.asarray(wave / np.float32(np.sqrt(len(positions))), dtype=np.float32)


def _pluck(
    voice: Voice, pitch_hz: float, cutoff_hz: float, count: int, sample_rate_hz: int, rng: np.random.Generator
) -> _Samples:
    """Pluck a string (Karplus and Strong, 1983), computed in the frequency domain to allow fractional delays.

    A burst of noise of one period P is filtered with H(ω) = 1 / (1 − g·½(1 + e^{−iω})·e^{−iω(P − ½)}).
    """
    period = sample_rate_hz / pitch_hz
    ring = (voice.decays or (2.0, 0.0, 0.0))[0] * (220.0 / pitch_hz) ** 0.5
    size = 1 << int(np.ceil(np.log2(count + ring * 0.5 * sample_rate_hz)))
    omega = 2 * np.pi * np.fft.rfftfreq(size)
    gain = 10.0 ** (-3.0 * period / (ring * sample_rate_hz))
    burst = rng.uniform(-1, 1, max(4, int(period)))
    burst -= burst.mean()
    source = np.fft.rfft(burst, size)
    loop = gain * np.cos(0.5 * omega) * np.exp(-1j * omega * period)
    tone = 1.0 / (1.0 + (omega * sample_rate_hz / (2 * np.pi * cutoff_hz)) ** 2)
    wave = np.fft.irfft(source * tone / (1.0 - loop), size)[:count]
    return np.asarray(wave * (0.9 / (np.max(np.abs(wave)) + 1e-9)), dtype=np.float32)


def _bell(voice: Voice, pitch_hz: float, time: _Samples, brightness: float) -> _Samples:
    """Sum five inharmonic partials with the ratios of a tubular bell; brightness raises the upper ones."""
    wave = np.zeros_like(time)
    ring = (voice.decays or (3.0, 0.0, 0.0))[0]
    for i, ratio in enumerate((1.0, 2.0, 2.76, 5.4, 8.93)):
        level = (0.6 * (0.35 + brightness)) ** i
        wave += np.float32(0.6 * level) * (
            np.exp(np.float32(-6.9 * ratio**0.6 / ring) * time)
            * np.sin(np.float32(2 * np.pi * ratio * pitch_hz) * time)
        )
    return wave
