"""CPU time of musicnn for 30 s of audio on one core, beside that of the same multiplications in one matrix product.

python tests/benchmarks/bench_musicnn.py -n 5
"""

from __future__ import annotations

import argparse
import time

import numpy as np
import soxr
import torch
from machine import facts

from covergen_cli.audio.musicnn import Musicnn, log_mel
from covergen_cli.audio.musicnn_encoder import MusicnnEncoder

SECONDS, RATE_HZ = 30, 44_100
GIGAFLOP = 28.0
"""Ten patches of 187 frames; in each 1.40 billion multiply-adds, 1.14 of them in the two timbral convolutions."""


def seconds(work, rounds):
    """Return the least CPU time of some rounds."""
    times = []
    for _ in range(rounds):
        started = time.process_time()
        work()
        times.append(time.process_time() - started)
    return min(times)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("-n", type=int, default=5, help="rounds")
    rounds = parser.parse_args().n
    torch.set_num_threads(1)
    audio = (np.random.default_rng(0).standard_normal(SECONDS * RATE_HZ) * 0.1).astype(np.float32)
    resampled = soxr.resample(audio, RATE_HZ, 16_000)
    network, encoder = Musicnn.load("msd"), MusicnnEncoder()
    left, right = torch.randn(2000, 266), torch.randn(266, 204)
    speed = 2e-9 * left.numel() * right.shape[1] * 20 / seconds(lambda: [left @ right for _ in range(20)], rounds)
    print(*facts(), sep="\n")
    for name, work in (
        ("resampling", lambda: soxr.resample(audio, RATE_HZ, 16_000)),
        ("mel spectrogram", lambda: log_mel(resampled)),
        ("tags, with both", lambda: network.tags(audio, RATE_HZ)),
        ("encoder, with both", lambda: encoder.embed(audio, RATE_HZ)),
    ):
        print(f"{name:20} {seconds(work, rounds):6.3f} s")
    print(f"{'matrix product':20} {GIGAFLOP / speed:6.3f} s  ({speed:.0f} GFLOP/s)")


if __name__ == "__main__":
    main()
