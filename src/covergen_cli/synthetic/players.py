"""Patterns of tuned players: the notes of one bar."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from covergen_cli.synthetic import theory

if TYPE_CHECKING:
    from covergen_cli.synthetic.song import Part, SongSpec


@dataclass(frozen=True)
class Bar:
    """The context of a bar: song, part, position, and the roots of this and the next chord."""

    spec: SongSpec
    part: Part
    index: int
    beats: int
    root: int
    next_root: int
    density: float
    rng: np.random.Generator

    def chord(self) -> tuple[int, ...]:
        """Return the MIDI pitches of the chord in the octave of the part."""
        return theory.chord_pitches(self.spec.scale, self.root, self.spec.chord_size, self.part.lowest, self.spec.key)

    def tone(self, degree: int) -> int:
        """Return the MIDI pitch of a scale degree; degree 0 is in the lowest octave of the part."""
        tonic = self.part.lowest + (self.spec.key - self.part.lowest) % 12
        return tonic + theory.pitch(self.spec.scale, degree)

    def bass_tone(self, root: int) -> int:
        """Return the MIDI pitch of a chord root within the octave above the lowest pitch of the part."""
        lowest = self.part.lowest
        return lowest + (self.tone(root) - lowest) % 12

    def third(self) -> int:
        """Return the semitones from the root of the chord to its third."""
        leading = self.root % 7 == 4 and self.spec.mode == "minor"
        return 4 if leading else self.tone(self.root + 2) - self.tone(self.root)


_Played = Iterator[tuple[float, float, int, float]]
"""Beat in the bar, length, MIDI pitch, velocity."""
_Player = Callable[[Bar], _Played]


def _together(starts: tuple[float, ...], length: float) -> _Player:
    """Play complete chords at fixed beats."""

    def play(bar: Bar) -> _Played:
        for start in starts:
            if start < bar.beats:
                for midi in bar.chord():
                    yield start, min(length, bar.beats - start), midi, 0.9 if start == 0 else 0.7

    return play


def _hold(bar: Bar) -> _Played:
    for midi in bar.chord():
        yield 0.0, float(bar.beats), midi, 0.7


def _strum(bar: Bar) -> _Played:
    starts = (0.0, 2.0) if bar.density < 0.3 else (0.0, 1.0, 1.5, 2.5, 3.0) if bar.density < 0.65 else _grid(bar, 0.5)
    chord = (*bar.chord(), bar.chord()[0] + 12)
    for j, start in enumerate(s for s in starts if s < bar.beats):
        order = chord if j % 2 == 0 else chord[::-1]
        for i, midi in enumerate(order):
            yield start + 0.03 * i, 1.0, midi, 0.85 if start % 2 == 0 else 0.55


def _comp(bar: Bar) -> _Played:
    choices = ((0.0, 1.5), (0.5, 2.5), (0.0, 2.5, 3.5), (1.5, 3.0), (0.0, 1.5, 2.5, 3.5))
    limit = 2 + round(3 * bar.density)
    for start in choices[bar.rng.integers(limit)]:
        if start < bar.beats:
            for midi in bar.chord():
                yield start, 0.5, midi, 0.7


def _grid(bar: Bar, step: float) -> tuple[float, ...]:
    return tuple(np.arange(0.0, bar.beats, step).tolist())


def _broken(bar: Bar, notes: tuple[int, ...], step: float, beats: float, accent: float = 0.8) -> _Played:
    """Play notes one after the other, again and again, with an accent on every beat."""
    for i, start in enumerate(_grid(bar, step)):
        yield start, beats, notes[i % len(notes)], accent if start % 1 == 0 else 0.4


def _step(density: float) -> float:
    return 1.0 if density < 0.35 else 0.5 if density < 0.8 else 0.25


def _arpeggio(bar: Bar) -> _Played:
    run = (*bar.chord(), *(midi + 12 for midi in bar.chord()))
    return _broken(bar, (*run, *run[-2:0:-1]), _step(bar.density), _step(bar.density) * 1.5)


def _rapid(bar: Bar) -> _Played:
    step = 0.5 if bar.density < 0.35 else 0.25 if bar.density < 0.75 else 0.125
    return _broken(bar, bar.chord(), step, step)


def _alberti(bar: Bar) -> _Played:
    chord = bar.chord()
    notes = (chord[0], chord[2], chord[1], chord[2])
    return _broken(bar, notes, _step(bar.density), _step(bar.density) * 2, accent=0.75)


def _repeat(step_sparse: float, step_dense: float, length: float) -> _Player:
    """Repeat complete chords on a grid."""

    def play(bar: Bar) -> _Played:
        step = step_sparse if bar.density < 0.5 else step_dense
        for start in _grid(bar, step):
            for midi in bar.chord():
                yield start, step * length, midi, 0.85 if start % 1 == 0 else 0.4

    return play


def _power(bar: Bar) -> _Played:
    root = bar.bass_tone(bar.root)
    step = 2.0 if bar.density < 0.35 else 1.0 if bar.density < 0.6 else 0.5
    for start in _grid(bar, step):
        for midi in (root, root + 7, root + 12 + (bar.third() if start % 2 == 0 else 0)):
            yield start, step * 0.95, midi, 0.9 if start % 2 == 0 else 0.7


def _chug(bar: Bar) -> _Played:
    root = bar.bass_tone(bar.root)
    gallop = (0.0, 0.5, 0.75) if bar.density > 0.5 else (0.0, 0.5)
    for beat in range(bar.beats):
        for start in gallop:
            accent = beat % 2 == 0 and start == 0
            for midi in (root, root + 7, root + 12, root + 12 + bar.third()) if accent else (root, root + 7):
                yield beat + start, 0.45 if accent else 0.22, midi, 0.95 if accent else 0.7


def _chops(bar: Bar) -> _Played:
    hits = (0.5, 1.0, 1.75, 2.5, 3.0, 3.75) if bar.density > 0.4 else (1.0, 1.75, 3.0)
    for start in hits:
        for midi in bar.chord():
            yield start, 0.2, midi, 0.8


def _roots(starts: tuple[float, ...], length: float) -> _Player:
    """Play the root at fixed beats."""

    def play(bar: Bar) -> _Played:
        for start in starts:
            if start < bar.beats:
                yield start, min(length, bar.beats - start), bar.bass_tone(bar.root), 0.9

    return play


def _bass_grid(step: float, octave_offbeats: bool = False) -> _Player:
    def play(bar: Bar) -> _Played:
        for start in _grid(bar, step if bar.density > 0.35 or octave_offbeats else 1.0):
            lift = 12 if octave_offbeats and start % 1 != 0 else 0
            yield start, step * 0.9, bar.bass_tone(bar.root) + lift, 0.95 if start % 1 == 0 else 0.5

    return play


def _walking(bar: Bar) -> _Played:
    here, there = bar.bass_tone(bar.root), bar.bass_tone(bar.next_root)
    chord = [here, here + bar.third(), here + 7, there + int(bar.rng.choice([-1, 1, 2, -2]))]
    for beat in range(bar.beats):
        yield float(beat), 0.95, chord[beat if beat < bar.beats - 1 else 3], 0.85


def _groove(bar: Bar) -> _Played:
    root = bar.bass_tone(bar.root)
    line = ((0.0, 0), (0.75, 0), (1.5, 12), (2.0, 0), (2.75, 7), (3.5, 12))
    for i, (start, shift) in enumerate(line):
        if start < bar.beats and (i in (0, 3) or bar.density > 0.15 * i):
            yield start, 0.6, root + shift, 0.95 if i == 0 else 0.75


def _drone(bar: Bar) -> _Played:
    yield 0.0, float(bar.beats), bar.bass_tone(0), 0.8


def _offbeat(bar: Bar) -> _Played:
    for beat in range(bar.beats):
        yield beat + 0.5, 0.45, bar.bass_tone(bar.root), 0.9


def _melody(bar: Bar) -> _Played:
    """Play four-bar phrases A A B A′; the motif depends on the seed of the song, so that it returns."""
    phrase = bar.index % 4
    which = 1 if phrase == 2 else 0
    walk = theory.motif(
        np.random.default_rng([bar.spec.seed, 77, which, round(4 * bar.density)]), bar.density, bar.beats
    )
    centre = 7 if phrase == 3 else 4
    for start, length, semitones in theory.sing(walk, bar.spec.scale, bar.root, centre):
        yield start, length * 0.95, bar.tone(0) + semitones, 0.9 if start % 1 == 0 else 0.6


PLAYERS: dict[str, _Player] = {
    "hold": _hold,
    "strum": _strum,
    "comp": _comp,
    "arpeggio": _arpeggio,
    "rapid": _rapid,
    "alberti": _alberti,
    "blocks": _together((0.0, 1.0, 2.0, 3.0), 0.9),
    "stabs": _together((0.5, 1.5, 2.5, 3.5), 0.3),
    "pumps": _together((0.0, 0.75, 1.5, 2.5, 3.25), 0.35),
    "tremolo": _repeat(0.5, 0.25, 1.0),
    "power": _power,
    "chug": _chug,
    "chops": _chops,
    "whole": _roots((0.0,), 4.0),
    "halves": _roots((0.0, 2.0), 1.9),
    "long": _roots((0.0, 2.5), 1.5),
    "eighths": _bass_grid(0.5),
    "sixteenths": _bass_grid(0.25),
    "octaves": _bass_grid(0.5, octave_offbeats=True),
    "offbeat": _offbeat,
    "walking": _walking,
    "groove": _groove,
    "drone": _drone,
    "melody": _melody,
}
