"""What each step from the paper's training to ours brings, judged by whether the audio is used.

Run by hand: ``python tests/benchmarks/ablation_train.py DATA OUT [--epochs 10] [--seeds 0 1 2]``. DATA is a dataset
folder with all three splits. Every variant is trained with every seed; the best adapter of each is measured on the test
part under its own audio and under that of another song, on the same covers, noise and timesteps. The figure of merit is
the gap between the two losses. A measurement that lies in OUT already is not made again.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
from pathlib import Path

import machine
import torch

from covergen_cli.config import AdapterConfig, TrainConfig
from covergen_cli.config.resolve import load_preset
from covergen_cli.dataset.pairs import read_pairs
from covergen_cli.diffusion.objective import derangement, fixed_draws, item_losses, paired_gap
from covergen_cli.files import write_json
from covergen_cli.models.base import load_base
from covergen_cli.models.checkpoint import load_adapter
from covergen_cli.training.embedding_cache import prepare_embeddings
from covergen_cli.training.latent_cache import prepare_latents
from covergen_cli.training.loop import train

PAPER = load_preset("paper")["train"]
OPTIMISER = ["optimizer", "learning_rate", "schedule"]
VARIANTS = {
    "paper": [],
    "+ optimiser": OPTIMISER,
    "+ tokens": [*OPTIMISER, "adapter"],
    "+ weighting": [*OPTIMISER, "adapter", "timesteps"],
    "+ EMA": [*OPTIMISER, "adapter", "timesteps", "ema_decay"],
}
"""Name → what is taken from the defaults rather than from the paper; the last is the default preset."""
DRAWS, SEED = 8, 99


def settings_of(name, options):
    """Settings of one variant."""
    taken = VARIANTS[name]
    common = {"base": options.base, "epochs": options.epochs, "patience": options.epochs, "samples": 0}
    paper = {key: value for key, value in PAPER.items() if key not in {*taken, "patience"}}
    shape = AdapterConfig() if "adapter" in taken else AdapterConfig(**load_preset("paper")["adapter"])
    return TrainConfig(**{**paper, **common}), shape


def drain(events):
    """Run a generator to its end and return what it returns."""
    kept = []

    def collect():
        kept.append((yield from events))

    for _ in collect():
        pass
    return kept[0]


class Judge:
    """Measures adapters on the test part."""

    def __init__(self, data, reference):
        self.base, pairs = load_base(reference), read_pairs(data, "test")
        everything = range(len(pairs))
        self.latents = drain(prepare_latents(data, self.base, pairs)).mean(everything)
        self.batch = drain(prepare_embeddings(pairs)).batch(everything)
        self.draws = fixed_draws([pair.id for pair in pairs], self.base.latent_shape, DRAWS, SEED)
        self.order = derangement(len(pairs), SEED)

    def losses(self, tokens):
        return item_losses(self.base.unet, self.base.scheduler_config, self.latents, tokens, self.draws, 64)

    def __call__(self, run):
        with torch.inference_mode():
            tokens = load_adapter(run).adapter(*self.batch)
        return {"true": self.losses(tokens).tolist(), "shuffled": self.losses(tokens[self.order]).tolist()}


def measure(name, seed, options, judge):
    """Train and measure one variant with one seed, unless that was done before."""
    place = options.out / f"{name.strip('+ ')}-{seed}"
    if not (place / "losses.json").is_file():
        config, shape = settings_of(name, options)
        for _ in train(options.data, place / "run", dataclasses.replace(config, seed=seed), shape):
            pass
        write_json(place / "losses.json", judge()(place / "run"))
    return json.loads((place / "losses.json").read_text())


def row(name, results):
    """One line of the table; the losses of an item are averaged over the seeds before they are compared."""
    true, shuffled = (torch.tensor([losses[key] for losses in results]).mean(dim=0) for key in ("true", "shuffled"))
    gap = paired_gap(true, shuffled)
    each = [paired_gap(torch.tensor(losses["true"]), torch.tensor(losses["shuffled"])).mean for losses in results]
    return (
        f"| {name} | {len(results)} | {float(true.mean()):.4f} | {gap.mean:.4f} ± {gap.standard_error:.4f} | "
        f"{', '.join(f'{one:.4f}' for one in each)} |"
    )


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--base", default="starter")
    parser.add_argument("--epochs", type=int, default=10)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--variants", nargs="+", choices=[*VARIANTS], default=[*VARIANTS])
    options = parser.parse_args()
    kept = []

    def judge():
        if not kept:
            kept.append(Judge(options.data, options.base))
        return kept[0]

    results = {name: [] for name in options.variants}
    for seed in options.seeds:
        for name, found in results.items():
            found.append(measure(name, seed, options, judge))
    null = judge().losses(judge().base.null_tokens)
    print(
        *machine.facts(),
        f"{options.epochs} epochs, base {options.base}; null condition: {float(null.mean()):.4f}",
        sep="\n",
    )
    print("\n| training | seeds | test loss | gap | gap of each seed |")
    print("|---|---:|---:|---:|---|", *(row(name, found) for name, found in results.items()), sep="\n")


if __name__ == "__main__":
    main()
