"""Pairs per second of ``covergen train``, beside a straightforward loop as the paper describes it (§3.3.1).

Run by hand: ``python tests/benchmarks/bench_train.py [-n 3] [--base starter|full-size] [--device auto]``. The peer
reads JPEGs and embeddings with a DataLoader, encodes every batch with the autoencoder, repeats one token 77 times and
computes in full precision. Ours is the library's own training with each of the presets. All
take turns on the same pairs, base, batch size and device; the first two steps of every turn are not counted, nor is the
latent cache, which is made once: its time is printed apart. ``full-size`` has the shape of Stable Diffusion 1.5 and
random weights, made here from its configuration.
"""

from __future__ import annotations

import argparse
import csv
import json
import statistics
import sys
import tempfile
import time
from pathlib import Path

import machine
import numpy as np
import torch
from PIL import Image
from safetensors.torch import save_file
from torch.nn import functional

from covergen_cli.audio.embedding_file import write_embedding
from covergen_cli.config import AdapterConfig, TrainConfig
from covergen_cli.config.resolve import resolve
from covergen_cli.dataset.pairs import read_pairs
from covergen_cli.diffusion.objective import add_noise, target_of
from covergen_cli.events import Progress, TrainPlanned
from covergen_cli.models.adapter import Adapter
from covergen_cli.models.base import load_base
from covergen_cli.training.loop import train
from covergen_cli.weights.device import choose_device

PEER, PAPER, DEFAULT = "straightforward loop", "covergen train, paper", "covergen train, default"
DECOUPLED = "covergen train, decoupled"
UNCOUNTED = 2
FRAMES = {"starter": 40, "full-size": 300}


def write_pairs(folder, count, frames):
    """Covers of 512 × 512 pixels, as ``fetch`` stores them, and embeddings of 30 s; all noise."""
    random = np.random.default_rng(0)
    (folder / "splits").mkdir(parents=True)
    (folder / "images").mkdir()
    lines = []
    for number in range(count + 1):
        coarse = Image.fromarray(random.integers(0, 256, (8, 8, 3), dtype=np.uint8))
        coarse.resize((512, 512), Image.Resampling.BICUBIC).save(folder / "images" / f"{number}.jpg", quality=92)
        embedding = random.standard_normal((frames, 512)).astype(np.float32)
        write_embedding(folder / "embeddings" / "noise" / f"{number}.npy", embedding)
        lines.append((number, f"images/{number}.jpg", f"embeddings/noise/{number}.npy"))
    (folder / "embeddings" / "noise" / "encoder.json").write_text('{"name": "noise", "embedding_dim": 512}')
    for split, part in (("train", lines[:-1]), ("val", lines[-1:])):
        with (folder / "splits" / f"{split}.csv").open("w", newline="") as file:
            csv.writer(file).writerows([("id", "image_path", "embedding_path"), *part])


def write_full_size_base(folder):
    """A base shaped like Stable Diffusion 1.5, with random weights."""
    from diffusers import AutoencoderKL, UNet2DConditionModel

    torch.manual_seed(0)
    UNet2DConditionModel(sample_size=64, cross_attention_dim=768, attention_head_dim=8).save_pretrained(folder / "unet")
    widths = (128, 256, 512, 512)
    AutoencoderKL(
        down_block_types=("DownEncoderBlock2D",) * 4,
        up_block_types=("UpDecoderBlock2D",) * 4,
        block_out_channels=widths,
        layers_per_block=2,
        sample_size=512,
    ).save_pretrained(folder / "vae")
    scheduler = {"_class_name": "PNDMScheduler", "beta_start": 0.00085, "beta_end": 0.012, "prediction_type": "epsilon"}
    for name, write in (
        ("scheduler/scheduler_config.json", lambda path: path.write_text(json.dumps(scheduler))),
        ("null_condition/null.safetensors", lambda path: save_file({"null": torch.randn(1, 77, 768)}, path)),
    ):
        (folder / name).parent.mkdir()
        write(folder / name)


class Pairs(torch.utils.data.Dataset):
    """JPEG and embedding of a pair, read when they are asked for."""

    def __init__(self, pairs, size):
        self.pairs, self.size = pairs, size

    def __len__(self):
        return len(self.pairs)

    def __getitem__(self, index):
        pair = self.pairs[index]
        picture = Image.open(pair.image).convert("RGB").resize((self.size, self.size), Image.Resampling.LANCZOS)
        image = torch.from_numpy(np.array(picture)).permute(2, 0, 1).float() / 127.5 - 1
        return image, torch.from_numpy(np.load(pair.embedding))


def padded(items):
    images, embeddings = zip(*items, strict=True)
    lengths = torch.tensor([len(embedding) for embedding in embeddings])
    return torch.stack(images), torch.nn.utils.rnn.pad_sequence(embeddings, batch_first=True), lengths


def straightforward(base, shape, pairs, batch_size, steps, device, workers):
    """Steps of the paper's loop; yields after each."""
    adapter = Adapter(shape).to(device).train()
    optimizer = torch.optim.Adam(adapter.trainable_parameters(), lr=1e-4)
    loader = torch.utils.data.DataLoader(
        Pairs(pairs, base.native_size), batch_size, shuffle=True, drop_last=True, collate_fn=padded, num_workers=workers
    )
    done = 0
    while True:
        for images, embeddings, lengths in loader:
            with torch.no_grad():
                latents = base.encode(images.to(device))
            token = adapter(embeddings.to(device), lengths.to(device))
            noise, times = torch.randn_like(latents), torch.rand(len(latents), device=device)
            noisy = add_noise(base.scheduler_config, latents, noise, times)
            predicted = base.unet(noisy, times * 1000, encoder_hidden_states=token.repeat(1, 77, 1)).sample
            loss = functional.mse_loss(predicted, target_of(base.scheduler_config, latents, noise, times))
            optimizer.zero_grad()
            loss.backward()
            torch.nn.utils.clip_grad_norm_(adapter.parameters(), 1.0)
            optimizer.step()
            loss.item()  # as a progress bar would show it
            yield
            done += 1
            if done == steps:
                return


def ours(data, run, preset, options, steps):
    """Steps of the library; yields after each."""
    settings = {"base": options.reference, "batch_size": options.batch_size, "device": options.device, "samples": 0}
    config = resolve(TrainConfig, preset=preset, overrides={**settings, "epochs": 1000, "precision": options.precision})
    done = []
    events = train(
        data, run, config, resolve(AdapterConfig, preset=preset), resume="never", stop=lambda: len(done) >= steps
    )
    for event in events:
        if isinstance(event, Progress) and event.task == "training":
            done.append(None)
            yield


def rate(steps, batch_size, device):
    """Pairs per second over some steps, the first ones left out."""
    for _, _ in zip(range(UNCOUNTED), steps, strict=False):
        pass
    started, done = time.perf_counter(), sum(1 for _ in steps)
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    return done * batch_size / (time.perf_counter() - started)


def prepare(data, run, options):
    """Make the latent cache; return the seconds it took, loading not counted."""
    config = TrainConfig(base=options.reference, device=options.device, samples=0)
    started = None
    for event in train(data, run, config, AdapterConfig(hidden_dim=16), stop=lambda: True):
        if isinstance(event, Progress) and event.task == "encoding covers" and started is None:
            started = time.perf_counter()
        if isinstance(event, TrainPlanned):
            return time.perf_counter() - (started or time.perf_counter())
    sys.exit("nothing was encoded")


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("-n", "--rounds", type=int, default=3)
    parser.add_argument("--base", choices=["starter", "full-size"], default="starter")
    parser.add_argument("--device", default="auto")
    parser.add_argument("--precision", default="auto")
    parser.add_argument("--pairs", type=int, default=256)
    parser.add_argument("--batch-size", type=int, default=32)
    parser.add_argument("--steps", type=int, default=8, help="counted steps of every turn")
    parser.add_argument("--workers", type=int, default=0, help="processes of the peer's DataLoader")
    options = parser.parse_args()
    facts, device = machine.facts(), choose_device(options.device)
    if device.type == "cuda":
        facts.append(torch.cuda.get_device_name(device))
    with tempfile.TemporaryDirectory() as place:
        data, options.reference = Path(place, "data"), "starter"
        write_pairs(data, options.pairs, FRAMES[options.base])
        if options.base == "full-size":
            options.reference = str(Path(place, "base"))
            write_full_size_base(Path(place, "base"))
        encoding = prepare(data, Path(place, "first"), options)
        base = load_base(options.reference, device)
        shape = AdapterConfig(pooling="attention", tokens=1, output_dim=base.cross_attention_dim)
        pairs, steps, size = read_pairs(data, "train"), options.steps + UNCOUNTED, options.batch_size
        turns = {
            PEER: lambda: straightforward(base, shape, pairs, size, steps, device, options.workers),
            PAPER: lambda: ours(data, Path(place, "paper"), "paper", options, steps),
            DEFAULT: lambda: ours(data, Path(place, "default"), "default", options, steps),
            DECOUPLED: lambda: ours(data, Path(place, "decoupled"), "decoupled", options, steps),
        }
        rates = {name: [] for name in turns}
        for _ in range(options.rounds):
            for name, turn in turns.items():
                rates[name].append(rate(turn(), size, device))
    print(
        *facts, f"base {options.base}, batches of {size}, {options.rounds} turns of {options.steps} steps", "", sep="\n"
    )
    print("| what | pairs/s, median | least | most | over the loop |", "|---|---:|---:|---:|---:|", sep="\n")
    for name, found in rates.items():
        middle, beside = statistics.median(found), statistics.median(rates[PEER])
        print(f"| {name} | {middle:.1f} | {min(found):.1f} | {max(found):.1f} | {middle / beside:.2f} |")
    print(f"\nlatent cache: {options.pairs + 1} covers in {encoding:.1f} s, once")


if __name__ == "__main__":
    main()
