"""The genres: their players and patterns, and the ranges that the features of a song are drawn from.

The ranges overlap widely on purpose, and the mode is drawn independently of the genre: tempo, mode, loudness,
brightness and density must vary independently, or a model would learn accidental correlations of the genres.
"""

from __future__ import annotations

from dataclasses import dataclass

_Range = tuple[float, float]
_Names = tuple[str, ...]


@dataclass(frozen=True)
class Style:
    """Choices and ranges of one genre, named as in :class:`covergen_cli.synthetic.song.SongSpec`.

    ``lead_chance``, ``arp_chance`` and ``pad_chance`` are the probabilities of such a player.
    """

    bpm: _Range
    chords: _Names
    chord_patterns: _Names
    bass: _Names
    bass_patterns: _Names
    lead: _Names
    drums: _Names
    lead_chance: float = 0.8
    arp: _Names = ()
    arp_chance: float = 0.5
    pad: _Names = ()
    pad_chance: float = 0.5
    meters: tuple[int, ...] = (4,)
    chord_size: int = 3
    brightness: _Range = (0.0, 1.0)
    density: _Range = (0.1, 0.9)
    percussion: _Range = (0.2, 1.0)
    dynamics: _Range = (0.0, 1.0)
    drive: _Range = (0.0, 0.8)
    reverb: _Range = (0.1, 0.6)
    swing: _Range = (0.0, 0.0)
    level_db: _Range = (-26.0, -13.0)
    pump: bool = False
    texture: _Range = (0.0, 0.0)


STYLES: dict[str, Style] = {
    "ambient": Style(
        bpm=(55, 150),
        chords=("warm pad", "glass pad", "choir", "drone"),
        chord_patterns=("hold",),
        bass=("drone", "sub bass"),
        bass_patterns=("drone",),
        lead=("bell", "sine", "flute"),
        lead_chance=0.5,
        arp=("glass pad", "harp", "bell"),
        arp_chance=0.4,
        drums=("none", "none", "pulse"),
        percussion=(0.0, 0.3),
        density=(0.0, 0.5),
        reverb=(0.5, 1.0),
        level_db=(-32, -14),
        texture=(0.0, 0.25),
    ),
    "piano": Style(
        bpm=(55, 170),
        chords=("piano",),
        chord_patterns=("alberti", "blocks", "hold", "arpeggio"),
        bass=("piano",),
        bass_patterns=("whole", "halves"),
        lead=("piano",),
        lead_chance=1.0,
        pad=("strings", "warm pad"),
        pad_chance=0.3,
        meters=(4, 4, 3),
        drums=("none", "none", "brushes", "half"),
        percussion=(0.1, 0.6),
        level_db=(-32, -14),
    ),
    "folk": Style(
        bpm=(65, 185),
        chords=("guitar", "banjo", "harp"),
        chord_patterns=("strum", "arpeggio"),
        bass=("upright bass",),
        bass_patterns=("halves", "whole"),
        lead=("flute", "guitar", "banjo", "clarinet"),
        arp=("guitar", "banjo"),
        meters=(4, 4, 3),
        drums=("none", "folk", "folk"),
        percussion=(0.2, 0.7),
        level_db=(-28, -13),
    ),
    "strings": Style(
        bpm=(55, 180),
        chords=("strings", "staccato", "staccato"),
        chord_patterns=("hold", "tremolo", "blocks", "arpeggio"),
        bass=("cello",),
        bass_patterns=("whole", "halves", "eighths"),
        lead=("strings", "cello", "clarinet"),
        lead_chance=0.9,
        arp=("staccato", "harp"),
        meters=(4, 4, 3),
        drums=("none", "pulse", "march"),
        percussion=(0.0, 0.7),
        dynamics=(0.1, 1.0),
        reverb=(0.3, 0.8),
        level_db=(-32, -12),
    ),
    "jazz": Style(
        bpm=(70, 190),
        chords=("piano", "electric piano", "guitar"),
        chord_patterns=("comp",),
        bass=("upright bass",),
        bass_patterns=("walking",),
        lead=("clarinet", "piano", "brass", "guitar"),
        lead_chance=0.9,
        drums=("jazz", "brushes", "jazz"),
        chord_size=4,
        swing=(0.2, 0.33),
        level_db=(-28, -13),
    ),
    "lo-fi": Style(
        bpm=(58, 130),
        chords=("electric piano", "guitar", "piano"),
        chord_patterns=("hold", "comp", "blocks"),
        bass=("finger bass", "sub bass"),
        bass_patterns=("groove", "whole"),
        lead=("electric piano", "marimba", "flute"),
        lead_chance=0.6,
        pad=("warm pad",),
        drums=("boom bap",),
        chord_size=4,
        brightness=(0.0, 0.7),
        swing=(0.1, 0.28),
        texture=(0.02, 0.2),
        dynamics=(0.0, 0.6),
    ),
    "house": Style(
        bpm=(100, 160),
        chords=("saw pluck", "piano", "organ", "supersaw"),
        chord_patterns=("stabs", "pumps"),
        bass=("synth bass", "sub bass"),
        bass_patterns=("offbeat", "octaves", "eighths"),
        lead=("saw lead", "marimba", "bell"),
        lead_chance=0.5,
        arp=("saw pluck", "square"),
        pad=("warm pad", "supersaw"),
        drums=("four", "techno", "four"),
        percussion=(0.35, 1.0),
        pump=True,
        level_db=(-24, -12),
    ),
    "drum and bass": Style(
        bpm=(140, 190),
        chords=("glass pad", "warm pad", "electric piano"),
        chord_patterns=("hold", "stabs"),
        bass=("reese bass", "sub bass"),
        bass_patterns=("long", "groove"),
        lead=("saw lead", "bell", "flute"),
        lead_chance=0.5,
        arp=("saw pluck", "square"),
        drums=("breakbeat",),
        percussion=(0.35, 1.0),
        density=(0.3, 1.0),
        level_db=(-24, -12),
    ),
    "rock": Style(
        bpm=(70, 185),
        chords=("overdrive", "guitar", "overdrive"),
        chord_patterns=("power", "strum"),
        bass=("pick bass",),
        bass_patterns=("eighths", "halves"),
        lead=("overdrive", "organ", "saw lead"),
        pad=("organ",),
        pad_chance=0.3,
        drums=("rock", "half"),
        percussion=(0.35, 1.0),
        drive=(0.0, 1.0),
        level_db=(-24, -12),
    ),
    "metal": Style(
        bpm=(75, 190),
        chords=("distortion",),
        chord_patterns=("chug", "power"),
        bass=("pick bass",),
        bass_patterns=("eighths", "sixteenths"),
        lead=("distortion",),
        lead_chance=0.5,
        pad=("choir", "strings"),
        pad_chance=0.3,
        drums=("metal", "blast", "half"),
        percussion=(0.35, 1.0),
        density=(0.3, 1.0),
        drive=(0.2, 1.0),
        reverb=(0.0, 0.3),
        level_db=(-22, -11),
    ),
    "synth-pop": Style(
        bpm=(75, 165),
        chords=("supersaw", "saw pluck", "electric piano", "glass pad"),
        chord_patterns=("hold", "stabs", "blocks"),
        bass=("synth bass",),
        bass_patterns=("eighths", "octaves", "groove"),
        lead=("saw lead", "square", "bell"),
        lead_chance=0.9,
        arp=("saw pluck", "bell"),
        arp_chance=0.8,
        pad=("warm pad",),
        drums=("rock", "four", "half"),
        percussion=(0.3, 1.0),
    ),
    "chiptune": Style(
        bpm=(80, 190),
        chords=("pulse", "square"),
        chord_patterns=("rapid", "arpeggio"),
        bass=("triangle",),
        bass_patterns=("eighths", "octaves", "halves"),
        lead=("square", "pulse"),
        lead_chance=1.0,
        drums=("chip", "chip", "none"),
        percussion=(0.2, 0.8),
        brightness=(0.1, 1.0),
        reverb=(0.0, 0.1),
    ),
    "cinematic": Style(
        bpm=(55, 170),
        chords=("brass", "strings", "choir"),
        chord_patterns=("hold", "tremolo", "blocks"),
        bass=("cello", "drone"),
        bass_patterns=("drone", "whole", "eighths"),
        lead=("brass", "strings", "choir"),
        arp=("staccato",),
        arp_chance=0.7,
        drums=("cinema", "march", "cinema"),
        meters=(4, 4, 3),
        percussion=(0.4, 1.0),
        dynamics=(0.1, 1.0),
        reverb=(0.4, 0.9),
        level_db=(-28, -12),
    ),
    "funk": Style(
        bpm=(85, 145),
        chords=("guitar", "electric piano", "brass"),
        chord_patterns=("chops", "stabs"),
        bass=("finger bass", "synth bass"),
        bass_patterns=("groove", "octaves"),
        lead=("brass", "saw lead", "organ"),
        pad=("strings",),
        drums=("funk", "disco"),
        chord_size=4,
        percussion=(0.3, 1.0),
        swing=(0.0, 0.15),
        level_db=(-24, -12),
    ),
    "industrial": Style(
        bpm=(60, 175),
        chords=("drone", "distortion", "reese bass"),
        chord_patterns=("hold", "chug"),
        bass=("reese bass",),
        bass_patterns=("drone", "sixteenths", "eighths"),
        lead=("bell", "square"),
        lead_chance=0.3,
        drums=("factory", "techno"),
        percussion=(0.3, 1.0),
        drive=(0.0, 1.0),
        reverb=(0.2, 0.8),
        texture=(0.05, 0.6),
        level_db=(-24, -11),
    ),
}
