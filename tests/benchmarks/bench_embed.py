"""Windows and clips per second of OpenL3, ours beside a plain PyTorch loop of the same network.

Run by hand: ``python tests/benchmarks/bench_embed.py [-n 3] [--threads 2] [--windows 32] [--clips 6]``. The loop is
what one would write first: batches of 32, contiguous tensors, batch norms as layers of their own; for clips, one file
after the other is decoded, resampled (librosa), framed, embedded and saved. Weights are random (their values do not
matter for speed); both take turns, one round before the first is not counted, and both must give the same embedding.
With CUDA, ours runs at every precision, beside a large matrix product at the same one, and on 512 clips of 30 s.

``--memory`` instead embeds 4 and then 64 clips, each in a process of its own, and prints the most memory each took.
"""

from __future__ import annotations

import argparse
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import librosa
import machine
import numpy as np
import torch
from torch import nn

from covergen_cli.audio.io import save_mp3
from covergen_cli.audio.openl3 import OpenL3
from covergen_cli.audio.openl3_frontend import LogMel, frame
from covergen_cli.config import EmbedConfig
from covergen_cli.dataset.embed import embed_dataset
from covergen_cli.events import ClipFailed
from covergen_cli.synthetic.synth import compose, render
from covergen_cli.weights.keras_file import CHANNELS, array_shapes
from covergen_cli.weights.openl3 import save_openl3

FLOP_PER_WINDOW = 2 * 10.2e9
PLAIN_BATCH = 32
MATRIX = 8192
CLIP_RATE_HZ = 44_100
HOP_SECONDS = 0.1


def random_arrays():
    """Weights that keep the activations near one."""
    rng = np.random.default_rng(0)
    arrays = {}
    for name, shape in array_shapes().items():
        part = name.partition(".")[2]
        if part == "kernel":
            array = rng.standard_normal(shape) * np.sqrt(2 / (9 * shape[1]))
        elif part in {"gamma", "variance"}:
            array = rng.uniform(0.5, 1.5, shape)
        else:
            array = rng.standard_normal(shape) * 0.1
        arrays[name] = array.astype(np.float32)
    return arrays | {"norm0.mean": np.full(1, -40, np.float32), "norm0.variance": np.full(1, 400, np.float32)}


class Plain(nn.Module):
    """The network, layer by layer."""

    def __init__(self, arrays):
        super().__init__()
        layers = [nn.BatchNorm2d(1, eps=1e-3)]
        for index in range(1, 9):
            layers.append(nn.Conv2d(CHANNELS[index - 1], CHANNELS[index], 3, padding=1))
            if index < 8:
                layers += [nn.BatchNorm2d(CHANNELS[index], eps=1e-3), nn.ReLU()]
            if index in {2, 4, 6}:
                layers.append(nn.MaxPool2d(2))
        self.layers = nn.Sequential(*layers, nn.MaxPool2d((32, 24)))
        self.log_mel = LogMel(256, torch.device("cpu"))
        self._fill(arrays)
        self.eval()

    def _fill(self, arrays):
        convolutions = (layer for layer in self.layers if isinstance(layer, nn.Conv2d))
        norms = (layer for layer in self.layers if isinstance(layer, nn.BatchNorm2d))
        names = {"weight": "gamma", "bias": "beta", "running_mean": "mean", "running_var": "variance"}
        with torch.no_grad():
            for index, layer in enumerate(convolutions, start=1):
                layer.weight.copy_(torch.from_numpy(arrays[f"conv{index}.kernel"]))
                layer.bias.copy_(torch.from_numpy(arrays[f"conv{index}.bias"]))
            for index, layer in enumerate(norms):
                for theirs, ours in names.items():
                    getattr(layer, theirs).copy_(torch.from_numpy(arrays[f"norm{index}.{ours}"]))

    @torch.inference_mode()
    def run(self, windows):
        parts = [self.layers(self.log_mel(batch).unsqueeze(1)).flatten(1) for batch in windows.split(PLAIN_BATCH)]
        return torch.cat(parts)


def batches(network, windows, size):
    return torch.cat([network.forward_windows(batch) for batch in windows.split(size)])


def seconds(work, device):
    """Wall-clock seconds of one run, and its result."""
    if device == "cuda":
        torch.cuda.synchronize()
    started = time.perf_counter()
    result = work()
    if device == "cuda":
        torch.cuda.synchronize()
    return time.perf_counter() - started, result


def measure(runs, rounds, device):
    """Run everything in turns: name → seconds of each counted round, name → result."""
    times, results = {name: [] for name in runs}, {}
    for counted in [False] + [True] * rounds:
        for name, work in runs.items():
            took, results[name] = seconds(work, device)
            if counted:
                times[name].append(took)
    return times, results


def report(times, results, windows, peaks, reference):
    head = "| what | windows/s | TFLOP/s | over the first | share of matmul | largest deviation | least cosine |"
    print(head + "\n|---|---:|---:|---:|---:|---:|---:|")
    first = next(iter(times))
    for name, took in times.items():
        rate = windows / statistics.median(took)
        speed = rate * FLOP_PER_WINDOW / 1e12
        share = f"{speed / peaks[name]:.0%}" if name in peaks else "–"
        ours, exact = results[name].float().cpu(), reference.float().cpu()
        deviation = (ours - exact).abs().max().item()
        cosine = torch.nn.functional.cosine_similarity(ours, exact).min().item()
        ratio = statistics.median(times[first]) / statistics.median(took)
        print(f"| {name} | {rate:.2f} | {speed:.3f} | {ratio:.2f} | {share} | {deviation:.1e} | {cosine:.6f} |")


def on_cpu(arrays, windows, rounds):
    plain, ours = Plain(arrays), OpenL3(arrays)
    half = ours.to("cpu", "bf16")
    runs = {
        "plain PyTorch loop, fp32": lambda: plain.run(windows),
        "ours, fp32": lambda: batches(ours, windows, ours.batch_size),
        "ours, bf16": lambda: batches(half, windows, half.batch_size),
    }
    times, results = measure(runs, rounds, "cpu")
    exact = results["plain PyTorch loop, fp32"]
    report(times, results, len(windows), {}, exact)
    if (results["ours, fp32"] - exact).abs().max() > 1e-3:
        sys.exit("ours and the plain loop differ")


def matmul_peak(precision):
    """TFLOP/s of a large square product at this precision, median of five."""
    kind = {"bf16": torch.bfloat16, "fp16": torch.float16}.get(precision, torch.float32)
    torch.backends.cuda.matmul.allow_tf32 = precision == "tf32"
    a, b = (torch.randn(MATRIX, MATRIX, device="cuda", dtype=kind) for _ in range(2))
    took = [seconds(lambda: [a @ b for _ in range(10)], "cuda")[0] / 10 for _ in range(6)][1:]
    torch.backends.cuda.matmul.allow_tf32 = False
    return 2 * MATRIX**3 / statistics.median(took) / 1e12


def on_gpu(arrays, rounds):
    windows = torch.from_numpy(np.random.default_rng(0).standard_normal((2048, 48000), np.float32) * 0.1).cuda()
    precisions = ("fp32", "tf32", "bf16", "fp16")
    networks = {f"ours, {name}": OpenL3(arrays).to("cuda", name) for name in precisions}
    runs = {
        name: lambda network=network: batches(network, windows, network.batch_size)
        for name, network in networks.items()
    }
    times, results = measure(runs, rounds, "cuda")
    peaks = {f"ours, {name}": matmul_peak(name) for name in precisions}
    print(f"\n{torch.cuda.get_device_name()}, {len(windows)} windows:\n")
    report(times, results, len(windows), peaks, results["ours, fp32"])


def compose_dataset(folder, clips, clip_seconds, arrays):
    """A dataset folder of synthesised mp3s (a few songs, over and over), and a file of weights; return the latter."""
    (folder / "audio").mkdir(parents=True)
    (folder / "cover.jpg").write_bytes(b"not looked at")
    for seed in range(min(clips, 8)):
        song = render(compose(seed), clip_seconds, CLIP_RATE_HZ)
        save_mp3(folder / "audio" / f"{seed}.mp3", song, CLIP_RATE_HZ)
    lines = ["id,audio_path,image_path", *(f"{number},audio/{number % 8}.mp3,cover.jpg" for number in range(clips))]
    (folder / "manifest.csv").write_text("\n".join(lines) + "\n")
    return save_openl3(arrays, "mel256", "random", folder / "weights.safetensors")


def embed_folder(folder, config, name):
    """What ``covergen embed DATA`` runs; return the embeddings in the order of the manifest."""
    for event in embed_dataset(folder, config, name=name):
        if isinstance(event, ClipFailed):
            sys.exit(f"{event.id}: {event.error}")
    paths = sorted((folder / "embeddings" / name).glob("*.npy"), key=lambda path: int(path.stem))
    return torch.from_numpy(np.concatenate([np.load(path) for path in paths]))


def plain_files(folder, plain):
    """One file after the other; return the embeddings in the order of the manifest."""
    parts = []
    for line in (folder / "manifest.csv").read_text().splitlines()[1:]:
        samples, _ = librosa.load(folder / line.split(",")[1], sr=48_000, mono=True)
        parts.append(plain.run(torch.from_numpy(frame(samples, HOP_SECONDS).copy())))
        np.save(folder / "plain.npy", parts[-1].numpy())
    return torch.cat(parts)


def on_clips(arrays, clips, clip_seconds, rounds):
    """Clips per second of files, decoding included; and how near that comes to the bare network."""
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        weights = compose_dataset(folder / "DATA", clips, clip_seconds, arrays)
        counter = iter(range(10**6))
        plain = Plain(arrays)

        def ours(dtype):
            config = EmbedConfig(encoder="openl3", openl3_weights=str(weights), device="cpu", dtype=dtype)
            return embed_folder(folder / "DATA", config, f"run-{next(counter)}")

        runs = {
            "plain loop over files, fp32": lambda: plain_files(folder / "DATA", plain),
            "covergen embed, fp32": lambda: ours("fp32"),
            "covergen embed, bf16": lambda: ours("bf16"),
        }
        times, results = measure(runs, rounds, "cpu")
    windows = len(results["covergen embed, fp32"])
    print(f"\n{clips} mp3s of {clip_seconds:g} s at hop {HOP_SECONDS}, {windows} windows; models load in every round\n")
    print("| what | clips/s | windows/s | over the first | median cosine |\n|---|---:|---:|---:|---:|")
    first = statistics.median(times["plain loop over files, fp32"])
    exact = results["plain loop over files, fp32"]
    for name, took in times.items():
        median = statistics.median(took)
        rows = min(len(exact), windows)
        cosine = torch.nn.functional.cosine_similarity(results[name][:rows], exact[:rows]).median().item()
        print(f"| {name} | {clips / median:.3f} | {windows / median:.2f} | {first / median:.2f} | {cosine:.6f} |")


def clips_on_gpu(arrays, clips=512, clip_seconds=30.0):
    """Clips per second on the GPU, once at each precision after a short run that is not counted."""
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place, "DATA")
        weights = compose_dataset(folder, clips, clip_seconds, arrays)
        warm = Path(place, "WARM")
        compose_dataset(warm, 8, clip_seconds, arrays)
        print(f"\n{clips} mp3s of {clip_seconds:g} s at hop {HOP_SECONDS}:\n\n| what | clips/s | 19,000 clips, min |")
        print("|---|---:|---:|")
        for dtype in ("tf32", "bf16", "fp16"):
            config = EmbedConfig(encoder="openl3", openl3_weights=str(weights), device="cuda", dtype=dtype)
            embed_folder(warm, config, dtype)
            took, _ = seconds(lambda config=config, dtype=dtype: embed_folder(folder, config, dtype), "cuda")
            print(f"| covergen embed, {dtype} | {clips / took:.1f} | {19_000 * took / clips / 60:.1f} |")


MEMORY = """
import resource, sys
from pathlib import Path
import bench_embed
folder = Path(sys.argv[1])
weights = bench_embed.compose_dataset(folder, int(sys.argv[2]), 4.0, bench_embed.random_arrays())
config = bench_embed.EmbedConfig(encoder="openl3", openl3_weights=str(weights), hop_seconds=0.5, device="cpu")
bench_embed.embed_folder(folder, config, "run")
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024)
"""


def memory():
    """Most memory of a whole run over few and over many clips."""
    print("| clips of 4 s | most memory, MB |\n|---:|---:|")
    for clips in (4, 64):
        with tempfile.TemporaryDirectory() as place:
            command = [sys.executable, "-c", MEMORY, str(Path(place, "DATA")), str(clips)]
            done = subprocess.run(command, cwd=Path(__file__).parent, check=True, capture_output=True, text=True)
        print(f"| {clips} | {done.stdout.strip()} |")


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("-n", "--rounds", type=int, default=3)
    parser.add_argument("--windows", type=int, default=32)
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--clips", type=int, default=6, help="files for the second table")
    parser.add_argument("--clip-seconds", type=float, default=10.0)
    parser.add_argument("--memory", action="store_true", help="measure memory instead")
    options = parser.parse_args()
    if options.memory:
        return memory()
    torch.set_num_threads(options.threads)
    print("\n".join(machine.facts()))
    print(f"{options.windows} windows, {options.threads} threads, {options.rounds} rounds\n")
    arrays = random_arrays()
    noise = np.random.default_rng(0).standard_normal((options.windows, 48000), np.float32) * 0.1
    on_cpu(arrays, torch.from_numpy(noise), options.rounds)
    on_clips(arrays, options.clips, options.clip_seconds, options.rounds)
    if torch.cuda.is_available():
        on_gpu(arrays, options.rounds)
        clips_on_gpu(arrays)
    return None


if __name__ == "__main__":
    main()
