"""Seconds that the loop of a cover takes in each look: 6 s of 24 frames per second for Spotify's Canvas."""

from __future__ import annotations

import argparse
import tempfile
import time
from pathlib import Path

import machine
import numpy as np
from bench_looks import picture

from covergen_cli.covers.looks import LOOKS
from covergen_cli.covers.motion.drift import Moment
from covergen_cli.covers.motion.frames import MovingCover, draw_frames
from covergen_cli.covers.motion.targets import FPS, load_targets
from covergen_cli.covers.motion.video import save_video

SECONDS = 6


def measure(name, target, seconds, processes):
    """Wall-clock seconds of drawing and writing one loop, and its size in bytes."""
    look = None if name == "paint" else LOOKS[name]()
    image = picture() if look else picture().resize((max(target.width, target.height),) * 2)
    cover = MovingCover(image, look, None, 0, target.width, target.height)
    moments = [Moment((phase,) * 3) for phase in np.arange(round(seconds * FPS)) / round(seconds * FPS)]
    with tempfile.TemporaryDirectory() as folder:
        path, started = Path(folder) / "loop.mp4", time.perf_counter()
        for _ in save_video(path, draw_frames(cover, moments, processes=processes), FPS, {"version": "0"}, "mp4"):
            pass
        return time.perf_counter() - started, path.stat().st_size


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--looks", nargs="*", default=list(LOOKS), help="those to measure")
    parser.add_argument("--target", choices=list(load_targets()), default="canvas")
    parser.add_argument("--seconds", type=float, default=SECONDS)
    parser.add_argument("--processes", type=int, default=2)
    options = parser.parse_args()
    print("\n".join(machine.facts()))
    print("| look | s | s per frame | MB |\n|---|---:|---:|---:|")
    for name in options.looks:
        seconds, size = measure(name, load_targets()[options.target], options.seconds, options.processes)
        print(f"| {name} | {seconds:.0f} | {seconds / options.seconds / FPS:.2f} | {size / 1e6:.1f} |", flush=True)


if __name__ == "__main__":
    main()
