"""Music from a seed: :func:`compose` plans a song, :func:`render` plays it.

The songs have functional harmony, a bass that follows it, recurring motifs, drums with fills, and a form with a clear
chorus. Tempo, mode, loudness, brightness and density are known, and drawn independently of each other, within and
across genres.
"""

from __future__ import annotations

import numpy as np
import scipy.signal
from numpy.typing import NDArray

from covergen_cli.synthetic import theory
from covergen_cli.synthetic.arrange import Event, perform
from covergen_cli.synthetic.drums import hit
from covergen_cli.synthetic.genres import STYLES, Style
from covergen_cli.synthetic.instruments import note
from covergen_cli.synthetic.song import Part, Section, SongSpec

GENRES: tuple[str, ...] = tuple(STYLES)

_Samples = NDArray[np.float32]
_ROOM_RATE_HZ = 12000
_LOWEST = {"chords": 52, "bass": 33, "lead": 60, "arp": 60, "pad": 48}


def compose(seed: int, genre: str | None = None) -> SongSpec:
    """Return the plan of a song; the same seed gives the same song on every machine.

    Args:
        seed: any non-negative integer.
        genre: one of :data:`GENRES`; ``None`` draws one.

    Raises:
        KeyError: the genre is unknown.
    """
    rng = np.random.default_rng([seed, 1])
    genre = GENRES[rng.integers(len(GENRES))] if genre is None else genre
    style = STYLES[genre]
    scale = str(rng.choice([*["major"] * 12, "mixolydian", *["minor"] * 12, "dorian"]))
    bpm = float(np.round(np.exp(rng.uniform(*np.log(style.bpm))), 1))
    meter = int(rng.choice(style.meters))

    def draw(bounds: tuple[float, float]) -> float:
        return float(np.round(rng.uniform(*bounds), 3))

    dynamics, drums = draw(style.dynamics), _pattern(rng, style, bpm)
    parts = _players(rng, style)
    return SongSpec(
        seed=seed,
        genre=genre,
        bpm=bpm,
        key=int(rng.integers(12)),
        scale=scale,
        mode=theory.nearest_mode(scale),
        beats_per_bar=meter,
        verse=theory.progression(rng, scale, 4),
        chorus=theory.progression(rng, scale, 4),
        chord_size=style.chord_size,
        parts=parts,
        drums=drums,
        sections=_plan_form(rng, [part.role for part in parts], dynamics, 60.0 / bpm * meter),
        brightness=draw(style.brightness),
        density=draw(style.density),
        percussion=draw(style.percussion),
        dynamics=dynamics,
        drive=draw(style.drive),
        reverb=draw(style.reverb),
        swing=draw(style.swing),
        pump=style.pump,
        texture=draw(style.texture),
        level_db=draw(style.level_db),
    )


def _pattern(rng: np.random.Generator, style: Style, bpm: float) -> str:
    """Draw a drum pattern; half time only at slow tempi, as it would halve the perceived tempo."""
    fitting = [name for name in style.drums if name != "half" or bpm < 110]
    return str(rng.choice(fitting))


def _players(rng: np.random.Generator, style: Style) -> tuple[Part, ...]:
    """Draw the players; chords and bass always play."""

    def part(role: str, voices: tuple[str, ...], patterns: tuple[str, ...], gain: float) -> Part:
        voice = str(rng.choice(voices))
        power = voice in ("overdrive", "distortion", "reese bass") and role == "chords"
        lowest = 38 if power else _LOWEST[role]
        return Part(role, voice, str(rng.choice(patterns)), lowest, gain * float(rng.uniform(0.8, 1.2)))

    parts = [
        part("chords", style.chords, style.chord_patterns, 0.35),
        part("bass", style.bass, style.bass_patterns, 0.6),
    ]
    if rng.random() < style.lead_chance:
        parts.append(part("lead", style.lead, ("melody",), 0.55))
    if style.arp and rng.random() < style.arp_chance:
        parts.append(part("arp", style.arp, ("arpeggio",), 0.3))
    if style.pad and rng.random() < style.pad_chance:
        parts.append(part("pad", style.pad, ("hold",), 0.22))
    return tuple(parts)


def _plan_form(rng: np.random.Generator, roles: list[str], dynamics: float, bar_seconds: float) -> tuple[Section, ...]:
    """Return the form, with three choruses; calm sections have fewer players unless ``dynamics`` is low."""

    def bars(seconds: float) -> int:
        return int(2 ** np.clip(np.round(np.log2(seconds / bar_seconds)), 0, 4))

    everyone = (*roles, "drums")

    def some(*wanted: str) -> tuple[str, ...]:
        if dynamics < 0.55:
            return everyone
        return tuple(role for role in everyone if role in wanted)

    opening = some("pad", "arp", "chords") if rng.random() < 0.6 else some("lead", "bass", "chords")
    verse = Section("verse", bars(11), 0.55, some("chords", "bass", "lead", "drums"))
    chorus = Section("chorus", bars(13), 1.0, everyone)
    return (
        Section("intro", bars(4.5), float(rng.uniform(0.1, 0.4)), opening),
        verse,
        Section("build", bars(3.5), 0.75, some("chords", "bass", "arp", "pad", "drums")),
        chorus,
        verse,
        chorus,
        Section("bridge", bars(9), 0.3, some("chords", "pad", "lead", "arp")),
        chorus,
        Section("outro", bars(5), 0.25, some("chords", "pad", "bass")),
    )


def render(spec: SongSpec, seconds: float, sample_rate_hz: int) -> _Samples:
    """Play a song and return mono samples ``(round(seconds · rate),)``, float32 in [−1, 1].

    Args:
        spec: the plan; the same plan gives the same samples.
        seconds: length; may exceed the form, which then repeats.
        sample_rate_hz: sample rate of the result, 8 kHz or more.
    """
    count = round(seconds * sample_rate_hz)
    beat_samples = 60.0 / spec.bpm * sample_rate_hz
    buses = {name: np.zeros(count, dtype=np.float32) for name in ("drums", "bass", "music")}
    shape = np.zeros(count, dtype=np.float32)
    cache: dict[tuple[str, int, int, int], _Samples] = {}
    for section, start, length, events in perform(spec, count / beat_samples):
        first, last = (min(count, round(b * beat_samples)) for b in (start, start + length))
        quiet = _section_gain(spec, section)
        shape[first:last] = np.linspace(quiet * (0.5 if section.name == "build" else 1.0), quiet, last - first)
        shine = spec.brightness * (1.0 - 0.35 * spec.dynamics * (1.0 - section.intensity))
        for event in events:
            bus = event.role if event.role in buses else "music"
            _add(buses[bus], event, round(20 * shine), beat_samples, sample_rate_hz, cache)
    return _mix(spec, buses, shape, sample_rate_hz)


def _section_gain(spec: SongSpec, section: Section) -> float:
    return float(10.0 ** (-1.2 * spec.dynamics**1.5 * (1.0 - section.intensity)))


def _add(
    bus: _Samples,
    event: Event,
    shine: int,
    beat_samples: float,
    sample_rate_hz: int,
    cache: dict[tuple[str, int, int, int], _Samples],
) -> None:
    """Add one note or hit to a bus, rendering it only the first time."""
    start = round(event.beat * beat_samples)
    if start >= bus.size:
        return
    length = round(event.beats * beat_samples)
    key = (event.voice, event.midi, length, shine)
    if key not in cache:
        cache[key] = (
            hit(event.voice, shine / 20, sample_rate_hz)
            if event.role == "drums"
            else note(event.voice, event.midi, length / sample_rate_hz, shine / 20, sample_rate_hz)
        )
    wave = cache[key]
    size = min(wave.size, bus.size - start)
    bus[start : start + size] += np.float32(event.velocity) * wave[:size]


def _mix(spec: SongSpec, buses: dict[str, _Samples], shape: _Samples, sample_rate_hz: int) -> _Samples:
    """Sum the buses and apply ducking, reverberation, saturation, section dynamics, loudness and a soft limiter."""
    music = buses["music"]
    if spec.pump and "drums" in spec.sections[1].roles:
        music = music * _duck(spec, music.size, sample_rate_hz)
    if spec.reverb > 0.02:
        music = music + np.float32(0.9 * spec.reverb) * _room(music, spec.reverb, sample_rate_hz)
    mix = music + buses["bass"] + np.float32(1.1) * buses["drums"]
    if spec.texture:
        mix += _noise_bed(spec, mix.size)
    mix = _tilt(mix, spec.brightness, sample_rate_hz)
    if spec.drive > 0.05:
        level = float(np.sqrt(np.mean(mix * mix))) + 1e-9
        mix = np.tanh(np.float32((0.1 + 1.3 * spec.drive**3) / level) * mix)
    window = max(1, int(0.03 * sample_rate_hz))
    mix *= np.asarray(scipy.signal.oaconvolve(shape, np.full(window, 1.0 / window, np.float32), "same"), np.float32)
    loudness = float(np.sqrt(np.mean(mix * mix))) + 1e-9
    mix = np.tanh(np.float32(10.0 ** (spec.level_db / 20.0) / loudness) * mix)
    fade = min(mix.size, int(0.02 * sample_rate_hz))
    mix[mix.size - fade :] *= np.linspace(1.0, 0.0, fade, dtype=np.float32)
    return np.asarray(mix, dtype=np.float32)


def _tilt(mix: _Samples, brightness: float, sample_rate_hz: int) -> _Samples:
    """Raise or lower the frequencies above 1 kHz by up to 14 dB."""
    pole = np.exp(-2 * np.pi * 1000.0 / sample_rate_hz)
    low = scipy.signal.lfilter([1.0 - pole], [1.0, -pole], mix)
    return np.asarray(low + 10.0 ** (1.4 * (brightness - 0.5)) * (mix - low), dtype=np.float32)


def _duck(spec: SongSpec, count: int, sample_rate_hz: int) -> _Samples:
    """Return a gain that falls on every beat and recovers, like a compressor keyed by the kick."""
    beat = (np.arange(count, dtype=np.float32) * np.float32(spec.bpm / 60.0 / sample_rate_hz)) % 1.0
    return np.asarray(0.35 + 0.65 * np.minimum(1.0, beat * 2.0), dtype=np.float32)


def _room(dry: _Samples, amount: float, sample_rate_hz: int) -> _Samples:
    """Return reverberation: a convolution with decaying noise."""
    seconds = 0.5 + 2.0 * amount
    # Drawn at a fixed rate and then resampled: the same room at every sample rate, without frequencies above 6 kHz.
    time = np.arange(int(seconds * _ROOM_RATE_HZ)) / _ROOM_RATE_HZ
    noise = np.random.default_rng(7).standard_normal(time.size) * np.exp(-6.9 / seconds * time)
    tail = np.asarray(scipy.signal.resample(noise, int(seconds * sample_rate_hz)), dtype=np.float32)
    tail /= np.float32(np.sqrt(np.sum(tail * tail)))
    return np.asarray(scipy.signal.oaconvolve(dry, tail)[: dry.size], dtype=np.float32)


def _noise_bed(spec: SongSpec, count: int) -> _Samples:
    """Return hiss like that of a tape, filtered according to the brightness of the song."""
    rng = np.random.default_rng([spec.seed, 9])
    noise = rng.standard_normal(count, dtype=np.float32)
    pole = np.float32(0.97 - 0.9 * spec.brightness)
    dull = scipy.signal.lfilter([1.0 - pole], [1.0, -pole], noise)
    return np.asarray(np.float32(0.12 * spec.texture) / np.std(dull) * dull, dtype=np.float32)
