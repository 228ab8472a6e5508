"""From a cold start to a cover, beside what no program of this kind can do without: the import, and reading the song.

Run by hand: ``python tests/benchmarks/bench_cold_start.py [-n 5]``. Every round starts each program once, one after the
other, so that what else the machine does meets all of them. One round before the first is not counted: it fills the
disk cache. Every cover has a seed of its own, since the pictures of earlier covers are kept.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import machine
import numpy as np

from covergen_cli.audio.io import load, save_mp3

DEMO = Path(__file__).parents[2] / "docs" / "demo" / "demo-song.mp3"
RATE_HZ = 44_100
IMPORT = "importing torch, decoding the song"
COVER = "covergen generate, a song of four minutes"
HELP = "covergen --help"
PLAIN = """
import sys
import torch
from covergen_cli.audio.io import load
load(sys.argv[1], 22050)
"""


def four_minutes(folder):
    """The demo song over and over, 240 s as mp3."""
    once = load(DEMO, RATE_HZ).samples
    path = folder / "song.mp3"
    save_mp3(path, np.resize(once, 240 * RATE_HZ), RATE_HZ)
    return path


def timed(line):
    """Run a program; its wall-clock seconds."""
    started = time.perf_counter()
    done = subprocess.run(line, capture_output=True, text=True, check=False)
    seconds = time.perf_counter() - started
    if done.returncode:
        sys.exit(f"{' '.join(line)} ended with {done.returncode}:\n{done.stderr}")
    return seconds


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("-n", "--rounds", type=int, default=5)
    parser.add_argument("--bundle", help="a folder with base and adapter, in place of the starter that ships")
    options = parser.parse_args()
    models = ["--adapter", options.bundle, "--base", options.bundle] if options.bundle else []
    facts = machine.facts()
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        covergen = [sys.executable, "-m", "covergen_cli"]
        song = four_minutes(folder)
        cover = [*covergen, "generate", str(song), "-o", str(folder / "cover.png")]
        lines = {
            IMPORT: [sys.executable, "-c", PLAIN, str(song)],
            COVER: [*cover, "--overwrite", "force", *models],
            HELP: [*covergen, "--help"],
        }
        seconds = {name: [] for name in lines}
        first_seed = time.time_ns() % 10**9
        for count in range(options.rounds + 1):
            for name, line in lines.items():
                spent = timed([*line, "--seed", str(first_seed + count)] if name == COVER else line)
                if count:
                    seconds[name].append(spent)
    print(*facts, f"{options.rounds} rounds", "", machine.table(seconds, IMPORT), sep="\n")


if __name__ == "__main__":
    main()
