"""Turn the plan of a song into notes and drum hits, bar by bar."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from covergen_cli.synthetic.drums import PATTERNS, TICKS
from covergen_cli.synthetic.players import PLAYERS, Bar

if TYPE_CHECKING:
    from covergen_cli.synthetic.song import Section, SongSpec


@dataclass(frozen=True)
class Event:
    """One note or drum hit; beat and length in beats from the start of the song, velocity 0 to 1."""

    role: str
    voice: str
    beat: float
    beats: float
    midi: int
    velocity: float


def _drum_bar(spec: SongSpec, section: Section, bar: int, density: float) -> Iterator[tuple[float, str, float]]:
    """Yield the hits of one bar as (beat, drum, velocity): a crash opens a chorus, a fill ends a section.

    Fast songs get a kick on every beat, as a backbeat alone would sound like half their tempo.
    """
    steps = 4 * spec.beats_per_bar
    last = bar == section.bars - 1 and section.bars > 1 and section.intensity > 0.5
    fill_from = steps - 4 if last and spec.drums not in ("jazz", "brushes", "pulse") else steps
    driving = spec.bpm >= 125 and "snare" in "".join(PATTERNS[spec.drums])
    for drum, line in PATTERNS[spec.drums].items():
        for i, mark in enumerate(line[:fill_from]):
            if mark != ".":
                yield i / 4, drum, int(mark) / 9 * (0.6 if driving and "snare" in drum else 1.0)
        if driving and "kick" in drum:
            yield from ((i / 4, drum, 0.9) for i in range(0, fill_from, 4) if line[i] == ".")
    tick = TICKS.get(spec.drums, "hat")
    every = 4 if density < 0.45 else 2 if density < 0.85 else 1
    if tick:
        for i in range(0, fill_from, every):
            yield i / 4, tick, 0.8 if i % 4 == 0 else 0.35
    if not PATTERNS[spec.drums]:
        return
    for i in range(fill_from, steps):
        yield i / 4, "tom" if i % 2 else "low tom", 0.6 + 0.1 * (i - fill_from)
    if bar == 0 and section.name == "chorus" and spec.drums not in ("jazz", "brushes", "pulse", "chip"):
        yield 0.0, "crash", 0.7


def _form(spec: SongSpec) -> Iterator[Section]:
    """Yield sections without end: all of them once, then again from the first verse."""
    yield from spec.sections
    again = [s for s in spec.sections if s.name not in ("intro", "outro")] or list(spec.sections)
    while True:
        yield from again


def perform(spec: SongSpec, beats: float) -> Iterator[tuple[Section, float, float, list[Event]]]:
    """Yield each section, its first beat, its length in beats and its events, until ``beats`` are filled."""
    rng = np.random.default_rng([spec.seed, 5])
    start = 0.0
    for section in _form(spec):
        if start >= beats:
            return
        length = float(section.bars * spec.beats_per_bar)
        yield section, start, length, list(_section_events(spec, section, start, rng))
        start += length


def _section_events(spec: SongSpec, section: Section, start: float, rng: np.random.Generator) -> Iterator[Event]:
    chords = spec.chorus if section.name == "chorus" else spec.verse
    density = _subdivision(spec) * (1.0 - 0.4 * spec.dynamics * (1.0 - section.intensity))
    for bar in range(section.bars):
        first = start + bar * spec.beats_per_bar
        root, following = chords[bar % len(chords)], chords[(bar + 1) % len(chords)]
        for part in spec.parts:
            if part.role not in section.roles:
                continue
            lifted = 0.15 if part.role == "lead" and section.name == "chorus" else 0.0
            here = Bar(spec, part, bar, spec.beats_per_bar, root, following, min(1.0, density + lifted), rng)
            for beat, length, midi, velocity in PLAYERS[part.pattern](here):
                yield Event(part.role, part.voice, first + _swung(beat, spec.swing), length, midi, velocity * part.gain)
        if "drums" in section.roles:
            for beat, drum, velocity in _drum_bar(spec, section, bar, density):
                yield Event(
                    "drums", drum, first + _swung(beat, spec.swing), 0.0, 0, velocity * 1.8 * spec.percussion**1.5
                )


def _subdivision(spec: SongSpec) -> float:
    """Return how finely beats are divided, 0 to 1: less at slow tempi, where a division would sound like the beat."""
    return float(np.clip(spec.density + 0.5 * np.log2(spec.bpm / 110.0), 0.0, 1.0))


def _swung(beat: float, swing: float) -> float:
    """Delay the second half of every beat."""
    fraction = beat % 1.0
    return beat + (swing * 0.5 if 0.4 < fraction < 0.6 else 0.0)
