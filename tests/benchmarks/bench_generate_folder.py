"""Covers per minute over a folder of eight songs, beside a plain loop over the same parts.

Run by hand: ``python tests/benchmarks/bench_generate_folder.py [-n 3]``. The loop calls the parts song by song: find
the segment, read it, embed it, draw, write. Ours reads ahead in threads and loads the models while it listens. Both
run in this process, take turns, and load the models in every round; one round before the first is not counted.
Both must draw the same pictures.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from collections import deque
from pathlib import Path

import machine
import numpy as np
from PIL import Image

from covergen_cli.audio.encoders import get_encoder
from covergen_cli.audio.io import load, save_mp3
from covergen_cli.audio.segment import find_segment
from covergen_cli.config import GenerateConfig, SegmentConfig
from covergen_cli.events import CoverFailed
from covergen_cli.generation.batch import generate, plan
from covergen_cli.generation.draw import load_painter
from covergen_cli.generation.identity import find_models
from covergen_cli.synthetic.synth import compose, render

RATE_HZ = 44_100
OURS = "covergen's generate"
LOOP = "plain loop"


def compose_folder(folder, songs, seconds):
    """Write songs of the synthesiser as mp3."""
    for seed in range(songs):
        save_mp3(folder / f"song-{seed}.mp3", render(compose(seed), seconds, RATE_HZ), RATE_HZ)


def ours(jobs, config):
    """What ``covergen generate`` runs."""
    for event in generate(jobs, config):
        if isinstance(event, CoverFailed):
            sys.exit(f"{event.input}: {event.error}")


def plain_loop(jobs, config):
    """The same parts, one after the other."""
    models = find_models(config)
    painter, encoder = load_painter(config, models), get_encoder(models.encoder_spec)
    for job in jobs:
        found = find_segment(job.input, SegmentConfig())
        clip = load(job.input, encoder.sample_rate_hz, found.start_seconds, found.end_seconds)
        embedding = encoder.embed(clip.samples, clip.sample_rate_hz)
        deque(painter.draw(job, embedding, {}, config), maxlen=0)


def same_pictures(one, other):
    """Whether two lists of jobs led to equal pixels."""
    return all(
        np.array_equal(np.asarray(Image.open(a.output)), np.asarray(Image.open(b.output)))
        for a, b in zip(one, other, strict=True)
    )


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("-n", "--rounds", type=int, default=3)
    parser.add_argument("--songs", type=int, default=8)
    parser.add_argument("--seconds", type=float, default=180.0, help="length of a song")
    parser.add_argument("--bundle", help="a folder with base and adapter, in place of the starter that ships")
    options = parser.parse_args()
    models = {"adapter": options.bundle, "base": options.bundle} if options.bundle else {}
    config = GenerateConfig(overwrite="force", **models)
    facts = machine.facts()
    with tempfile.TemporaryDirectory() as place:
        music = Path(place, "music")
        music.mkdir()
        compose_folder(music, options.songs, options.seconds)
        ways = {LOOP: plain_loop, OURS: ours}
        jobs = {way: plan([music], Path(place, f"covers-{number}"), config) for number, way in enumerate(ways)}
        seconds = {way: [] for way in ways}
        for count in range(options.rounds + 1):
            for way, work in ways.items():
                started = time.perf_counter()
                work(jobs[way], config)
                if count:
                    seconds[way].append(time.perf_counter() - started)
        same = same_pictures(*jobs.values())
    rates = [f"{way}: {60 * options.songs / np.median(spent):.1f} covers per minute" for way, spent in seconds.items()]
    print(*facts, f"{options.songs} songs of {options.seconds:g} s, {options.rounds} rounds", "", sep="\n")
    print(machine.table(seconds, LOOP), "", *rates, f"same pictures: {'yes' if same else 'NO'}", sep="\n")


if __name__ == "__main__":
    main()
