"""Write the demo song of the repository, "Paper Lanterns".

Run ``python -m covergen_cli.synthetic.demo docs/demo/demo-song.mp3``.
"""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path

import av
import numpy as np

from covergen_cli.files import atomic_path
from covergen_cli.synthetic.song import Part, Section, SongSpec
from covergen_cli.synthetic.synth import compose, render

DEMO_SEED = 2024
TITLE = "Paper Lanterns"
ARTIST = "CoverGen synthesiser"

_RATE_HZ = 32000
_FADE_SECONDS = 4
_BITS_PER_SECOND = 64000
_BAND = ("chords", "bass", "arp", "pad", "drums")


def demo_song() -> SongSpec:
    """Return the plan: bright synth-pop in D major at 112 beats per minute, 38 bars, 82 seconds.

    Only the melody depends on the seed; players, chords and form are chosen by hand.
    """
    return replace(
        compose(DEMO_SEED, "synth-pop"),
        bpm=112.0,
        key=2,
        scale="major",
        mode="major",
        beats_per_bar=4,
        verse=(0, 5, 3, 4),
        chorus=(3, 4, 5, 0),
        parts=(
            Part("chords", "supersaw", "pumps", 52, 0.26),
            Part("bass", "synth bass", "octaves", 33, 0.55),
            Part("lead", "saw lead", "melody", 60, 0.42),
            Part("arp", "bell", "arpeggio", 62, 0.28),
            Part("pad", "warm pad", "hold", 48, 0.3),
        ),
        drums="four",
        sections=(
            Section("intro", 4, 0.35, ("pad", "arp")),
            Section("verse", 8, 0.6, ("pad", "bass", "arp", "lead", "drums")),
            Section("build", 2, 0.75, _BAND),
            Section("chorus", 8, 1.0, (*_BAND, "lead")),
            Section("verse", 4, 0.6, ("pad", "bass", "lead", "drums")),
            Section("chorus", 8, 1.0, (*_BAND, "lead")),
            Section("outro", 4, 0.3, ("pad", "arp", "bass")),
        ),
        brightness=0.55,
        density=0.6,
        percussion=0.62,
        dynamics=0.55,
        drive=0.3,
        reverb=0.35,
        swing=0.0,
        pump=True,
        texture=0.0,
        level_db=-15.0,
    )


def write_demo(path: Path) -> None:
    """Render the demo song to a tagged mono mp3 of 64 kbit/s.

    Raises:
        OutputError: ``path`` cannot be written.
    """
    spec = demo_song()
    samples = render(spec, spec.bars * spec.bar_seconds, _RATE_HZ)
    samples[-_FADE_SECONDS * _RATE_HZ :] *= np.linspace(1.0, 0.0, _FADE_SECONDS * _RATE_HZ, dtype=np.float32)
    with atomic_path(path) as temporary, av.open(str(temporary), "w", format="mp3") as container:
        container.metadata.update({"title": TITLE, "artist": ARTIST})
        track = container.add_stream("libmp3lame", rate=_RATE_HZ, layout="mono")
        track.bit_rate = _BITS_PER_SECOND
        for start in range(0, samples.size, _RATE_HZ):
            block = samples[None, start : start + _RATE_HZ]
            frame = av.AudioFrame.from_ndarray(block, format="fltp", layout="mono")
            frame.sample_rate, frame.pts = _RATE_HZ, start
            container.mux(track.encode(frame))
        container.mux(track.encode(None))


if __name__ == "__main__":
    write_demo(Path(sys.argv[1]))
