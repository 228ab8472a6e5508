"""Scales, functional chord progressions and melodic motifs, in scale degrees.

A degree is an integer: 0 is the tonic, 7 the tonic an octave higher, −1 the leading note below.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

SCALES: dict[str, tuple[int, ...]] = {
    "major": (0, 2, 4, 5, 7, 9, 11),
    "mixolydian": (0, 2, 4, 5, 7, 9, 10),
    "minor": (0, 2, 3, 5, 7, 8, 10),
    "dorian": (0, 2, 3, 5, 7, 9, 10),
}

# Chord root → next root → weight. The tonic is favoured, which makes the key clear.
_MAJOR_MOVES: dict[int, dict[int, float]] = {
    0: {3: 4, 4: 4, 5: 2, 1: 1},
    1: {4: 4, 3: 1},
    3: {4: 3, 0: 3, 1: 1},
    4: {0: 5, 5: 1, 3: 1},
    5: {3: 3, 4: 2, 1: 1},
}
_MINOR_MOVES: dict[int, dict[int, float]] = {
    0: {3: 4, 4: 4, 5: 1.5, 6: 0.5},
    3: {0: 4, 4: 3},
    4: {0: 5, 5: 1},
    5: {3: 2, 4: 3, 0: 2},
    6: {0: 3, 5: 1},
}

Note = tuple[float, float, int]
"""Start and length in beats, and semitones above the tonic."""


@dataclass(frozen=True)
class Motif:
    """A melodic random walk: starts and lengths of notes in beats, and steps between them in scale degrees."""

    starts: tuple[float, ...]
    lengths: tuple[float, ...]
    steps: tuple[int, ...]


def nearest_mode(scale: str) -> str:
    """Return ``major`` or ``minor``, whichever has the third of ``scale``."""
    return "major" if SCALES[scale][2] == 4 else "minor"


def pitch(scale: str, degree: int) -> int:
    """Return the semitones of a scale degree, in any octave, above the tonic."""
    octave, step = divmod(degree, 7)
    return 12 * octave + SCALES[scale][step]


def progression(rng: np.random.Generator, scale: str, bars: int) -> tuple[int, ...]:
    """Return one chord root per bar as degrees 0–6, from the tonic to a chord that leads back to it."""
    moves = _MAJOR_MOVES if nearest_mode(scale) == "major" else _MINOR_MOVES
    chords = [0]
    while len(chords) < bars - 1:
        options = moves[chords[-1]]
        weights = np.array(list(options.values()), dtype=float)
        chords.append(int(rng.choice(list(options), p=weights / weights.sum())))
    if bars > 1:
        chords.append(int(rng.choice([4, 4, 3] if chords[-1] != 4 else [0, 3])))
    return tuple(chords)


def chord_degrees(root: int, size: int) -> tuple[int, ...]:
    """Return the degrees of a triad (``size`` 3) or a seventh chord (4)."""
    return tuple(root + 2 * i for i in range(size))


def chord_pitches(scale: str, root: int, size: int, lowest: int, key: int) -> tuple[int, ...]:
    """Return the MIDI pitches of a chord within the octave above ``lowest``, so that voices move little.

    The dominant of a minor key gets its leading note, as in tonal practice.
    """
    tones = [pitch(scale, d) for d in chord_degrees(root, size)]
    if root % 7 == 4 and nearest_mode(scale) == "minor":
        tones[1] = pitch(scale, root) + 4
    return tuple(sorted(lowest + (key + tone - lowest) % 12 for tone in tones))


def motif(rng: np.random.Generator, density: float, beats: int) -> Motif:
    """Return a random bar of melody, with more notes as ``density`` rises from 0 to 1."""
    grid = 1.0 if density < 0.35 else 0.5 if density < 0.85 else 0.25
    slots = np.arange(0.0, beats, grid)
    played = rng.random(slots.size) < 0.35 + 0.4 * density
    played[0] |= rng.random() < 0.8
    if not played.any():
        played[0] = True
    starts = slots[played]
    ends = np.append(starts[1:], float(beats))
    steps = rng.choice([-2, -1, -1, 0, 1, 1, 2, 3, -3], size=starts.size)
    return Motif(tuple(starts.tolist()), tuple((ends - starts).tolist()), tuple(int(s) for s in steps))


def sing(motif: Motif, scale: str, root: int, start_degree: int) -> list[Note]:
    """Fit a motif to a chord: notes on a beat become chord tones, and the melody stays near ``start_degree``.

    Over the dominant of a minor key the leading note is raised, as in the chord.
    """
    tones = {d % 7 for d in chord_degrees(root, 3)}
    degree, notes = start_degree, []
    for start, length, step in zip(motif.starts, motif.lengths, motif.steps, strict=True):
        degree += step if abs(degree + step - start_degree) <= 5 else -step
        if start % 1.0 == 0.0:
            degree = min(
                (degree + shift for shift in (0, 1, -1, 2, -2) if (degree + shift) % 7 in tones), default=degree
            )
        raised = root % 7 == 4 and degree % 7 == 6 and nearest_mode(scale) == "minor"
        notes.append((start, length, pitch(scale, degree) + int(raised)))
    return notes
