"""Pairs per second, covers per minute and peak memory of a GPU whose memory is limited to that of smaller cards.

Run by hand on a CUDA device: ``python tests/benchmarks/bench_memory.py [--caps 8,12,16,24,80] [--steps 10]``. Every
line is a process of its own, limited by ``set_per_process_memory_fraction``, with a model of Stable Diffusion 1.5's
size and random weights. The first two steps and the first cover are not counted. It has not been run on a GPU.
``--device cpu --tiny`` runs the same code on a small model, to check the script; its figures mean nothing.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import machine
import torch
from bench_train import UNCOUNTED, write_pairs
from full_size import build_stable_diffusion

from covergen_cli.config import AdapterConfig, GenerateConfig, TrainConfig
from covergen_cli.config.resolve import resolve
from covergen_cli.covers.fingerprint import find_models
from covergen_cli.covers.pipeline import load_pipeline
from covergen_cli.errors import CovergenError
from covergen_cli.events import Progress, Warned
from covergen_cli.training.loop import train

GB = 10**9
WORK = ("train", "train --checkpointing", "generate")


def measure_training(place, options, *, checkpointing):
    """Pairs per second of the default preset, and how many pairs were computed at once."""
    settings = {"base": str(place / "base"), "device": options.device, "samples": 0, "checkpointing": checkpointing}
    config = resolve(TrainConfig, overrides={**settings, "epochs": 1000})
    done, started, told = [], 0.0, ""
    run = place / f"run-{options.cap}-{checkpointing}"
    for event in train(place / "data", run, config, AdapterConfig(), stop=lambda: len(done) >= options.steps):
        if isinstance(event, Warned) and "fit" in event.message:
            told = event.message.partition("in parts of ")[2].partition(" ")[0]
        if isinstance(event, Progress) and event.task == "training":
            done.append(None)
            if len(done) == UNCOUNTED:
                started = time.perf_counter()
    seconds = time.perf_counter() - started
    pairs = (len(done) - UNCOUNTED) * config.batch_size
    return f"{pairs / seconds:.1f} pairs/s, {told or config.batch_size} at once"


def measure_drawing(place, options):
    """Covers per minute in batches of the size that fits the memory, without decoding of audio and writing."""
    config = resolve(GenerateConfig, overrides={"adapter": str(place / "adapter"), "device": options.device})
    pipeline = load_pipeline(config, find_models(config))
    size = pipeline.placement.batch
    tokens = pipeline.base.null_tokens.float().repeat(size, 1, 1)
    pipeline.draw(tokens[:1], [0], config)
    started = time.perf_counter()
    pipeline.draw(tokens, list(range(size)), config)
    return f"{60 * size / (time.perf_counter() - started):.1f} covers/min, {size} at once"


def measure(place, options):
    """Print one line of figures for one amount of memory."""
    cuda = options.device != "cpu"
    if cuda:
        total = torch.cuda.get_device_properties(0).total_memory
        torch.cuda.set_per_process_memory_fraction(min(1.0, options.cap * GB / total))
    try:
        if options.work == "generate":
            figures = measure_drawing(place, options)
        else:
            figures = measure_training(place, options, checkpointing="--checkpointing" in options.work)
    except (CovergenError, torch.OutOfMemoryError) as error:
        figures = f"failed: {error}"
    peak = f"{torch.cuda.max_memory_reserved() / GB:.1f} GB" if cuda else "not measured"
    print(json.dumps([figures, peak]))


def build(place, *, tiny):
    """Write base, adapter and pairs."""
    if tiny:
        from tiny import tiny_adapter, tiny_sd_base

        tiny_adapter(place / "adapter", tiny_sd_base(place / "base"))
    else:
        build_stable_diffusion(place / "base").rename(place / "adapter")
    write_pairs(place / "data", 64, 300)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--caps", default="8,12,16,24,80")
    parser.add_argument("--steps", type=int, default=10)
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--tiny", action="store_true")
    parser.add_argument("--place", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--cap", type=float, default=0, help=argparse.SUPPRESS)
    parser.add_argument("--work", choices=WORK, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.work:
        measure(options.place, options)
        return
    print(*machine.facts(), "", "| memory | what | figures | peak |", "|---:|---|---|---:|", sep="\n")
    with tempfile.TemporaryDirectory() as name:
        build(Path(name), tiny=options.tiny)
        for cap in options.caps.split(","):
            for work in WORK:
                command = [sys.executable, __file__, "--place", name, "--cap", cap, "--work", work]
                command += ["--steps", str(options.steps), "--device", options.device]
                done = subprocess.run(command, capture_output=True, text=True, check=False)
                if done.returncode:
                    sys.exit(done.stderr)
                figures, peak = json.loads(done.stdout.splitlines()[-1])
                print(f"| {cap} GB | {work} | {figures} | {peak} |", flush=True)


if __name__ == "__main__":
    main()
