"""The plan of a synthetic song: the data between composing and rendering."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Part:
    """One player.

    Args:
        role: ``chords``, ``bass``, ``lead``, ``arp`` or ``pad``.
        voice: a key of :data:`covergen_cli.synthetic.instruments.VOICES`.
        pattern: a key of :data:`covergen_cli.synthetic.players.PLAYERS`.
        lowest: lowest MIDI pitch of its octave.
        gain: linear level in the mix.
    """

    role: str
    voice: str
    pattern: str
    lowest: int
    gain: float


@dataclass(frozen=True)
class Section:
    """A section of the form: its name, length in bars, intensity from 0 to 1, and the roles that play."""

    name: str
    bars: int
    intensity: float
    roles: tuple[str, ...]


@dataclass(frozen=True)
class SongSpec:
    """A composed song, for :func:`covergen_cli.synthetic.synth.render`.

    Args:
        seed: seed of the composition and of the performance.
        genre: one of :data:`covergen_cli.synthetic.synth.GENRES`.
        bpm: beats (quarter notes) per minute, 55–190.
        key: pitch class of the tonic, 0 is C.
        scale: ``major``, ``minor``, ``dorian`` or ``mixolydian``.
        mode: ``major`` or ``minor``, whichever is closer to the scale.
        beats_per_bar: 3 or 4.
        verse: chord roots as scale degrees, one per bar, repeated.
        chorus: the same for the chorus.
        chord_size: 3 for triads, 4 for seventh chords.
        parts: the tuned players.
        drums: a key of :data:`covergen_cli.synthetic.drums.PATTERNS`.
        sections: the form in playing order; after the last, the song continues from the first verse.
        brightness: of timbres and filters, 0–1.
        density: number of notes, 0–1.
        percussion: level of the drums, 0–1.
        dynamics: how much quieter and thinner calm sections are, 0–1.
        drive: saturation of the mix, 0–1.
        reverb: level and length of the reverberation, 0–1.
        swing: delay of offbeats as a share of an eighth, 0–0.33.
        pump: whether the kick ducks the other players.
        texture: level of background noise, 0–1.
        level_db: loudness, root mean square in dB of full scale.
    """

    seed: int
    genre: str
    bpm: float
    key: int
    scale: str
    mode: str
    beats_per_bar: int
    verse: tuple[int, ...]
    chorus: tuple[int, ...]
    chord_size: int
    parts: tuple[Part, ...]
    drums: str
    sections: tuple[Section, ...]
    brightness: float
    density: float
    percussion: float
    dynamics: float
    drive: float
    reverb: float
    swing: float
    pump: bool
    texture: float
    level_db: float

    @property
    def bars(self) -> int:
        """Length of the form in bars."""
        return sum(section.bars for section in self.sections)

    @property
    def bar_seconds(self) -> float:
        """Length of a bar in seconds."""
        return 60.0 / self.bpm * self.beats_per_bar
