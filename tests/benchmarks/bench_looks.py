"""Seconds and memory that each look takes, at 512 and 3000 pixels, each in a process of its own."""

from __future__ import annotations

import argparse
import resource
import subprocess
import sys
import time

import machine
import numpy as np
from PIL import Image

from covergen_cli.covers.looks import LOOKS, apply_look

SIZES = (512, 3000)


def picture():
    """A soft picture of 256 pixels: hills under a disc."""
    y, x = np.mgrid[0:256, 0:256] / 256
    tone = 0.55 + 0.25 * np.sin(5 * x + 9 * y) + 0.3 * (np.hypot(x - 0.6, y - 0.3) < 0.15) - 0.3 * (y > 0.7)
    rgb = np.stack([tone, 0.7 * tone + 0.1, 0.9 - 0.6 * tone], axis=-1)
    return Image.fromarray((255 * np.clip(rgb, 0, 1)).astype(np.uint8))


def measure(name, size):
    look = LOOKS[name]()
    apply_look(picture(), look, 64)
    wall, cpu = time.perf_counter(), time.process_time()
    apply_look(picture(), look, size)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(time.perf_counter() - wall, time.process_time() - cpu, peak)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--one", nargs=2, metavar=("LOOK", "SIZE"), help="measure this alone, in this process")
    arguments = parser.parse_args()
    if arguments.one:
        measure(arguments.one[0], int(arguments.one[1]))
        return
    print("\n".join(machine.facts()))
    print("| look | 512 px, s | of CPU, s | 3000 px, s | of CPU, s | peak, MB |\n|---|---:|---:|---:|---:|---:|")
    for name in LOOKS:
        cells = []
        for size in SIZES:
            command = [sys.executable, __file__, "--one", name, str(size)]
            done = subprocess.run(command, capture_output=True, text=True, check=True)
            wall, cpu, peak = map(float, done.stdout.split())
            cells += [f"{wall:.2f}", f"{cpu:.2f}"]
        print(f"| {name} | {' | '.join(cells)} | {peak:.0f} |", flush=True)


if __name__ == "__main__":
    main()
