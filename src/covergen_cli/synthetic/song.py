"""What a synthetic song is made of: the plain data between composing and rendering."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Part:
    """One player: what it plays, on which instrument, how loud.

    Attributes:
        role: ``chords``, ``bass``, ``lead``, ``arp`` or ``pad``.
        voice: a key of `covergen_cli.synthetic.instruments.VOICES`.
        pattern: a key of `covergen_cli.synthetic.players.PLAYERS`.
        lowest: MIDI pitch that the part's octave starts from.
        gain: linear level in the mix.
    """

    role: str
    voice: str
    pattern: str
    lowest: int
    gain: float


@dataclass(frozen=True)
class Section:
    """A stretch of the form: its name, length in bars, intensity 0–1, and the roles that play."""

    name: str
    bars: int
    intensity: float
    roles: tuple[str, ...]


@dataclass(frozen=True)
class SongSpec:
    """A composed song: everything that `covergen_cli.synthetic.synth.render` needs.

    Attributes:
        seed: what it was composed from; also seeds the performance.
        genre: one of `covergen_cli.synthetic.synth.GENRES`.
        bpm: beats (quarter notes) per minute, 55–190.
        key: pitch class of the tonic, 0 is C.
        scale: ``major``, ``minor``, ``dorian`` or ``mixolydian``.
        mode: ``major`` or ``minor``: what the scale sounds like.
        beats_per_bar: 3 or 4.
        verse: chord roots as scale degrees, one per bar, repeated.
        chorus: the same for the chorus.
        chord_size: 3 for triads, 4 for seventh chords.
        parts: the tuned players.
        drums: a key of `covergen_cli.synthetic.drums.PATTERNS`.
        sections: the form in playing order; after the last, the song goes on from the first verse.
        brightness: 0–1, timbres and filters.
        density: 0–1, how many notes.
        percussion: 0–1, how far the drums stand in front.
        dynamics: 0–1, how much quieter and thinner calm sections are.
        drive: saturation of the mix, 0–1.
        reverb: 0–1, share and length of the room.
        swing: share of an eighth by which offbeats come late, 0–0.33.
        pump: whether the kick ducks the other players.
        texture: level of a bed of noise, 0–1.
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
