"""Build the starter from nothing: ``python -m covergen_cli.starter.build WORK [--recordings FOLDER …]``.

Stages, each of which goes on where it was stopped: paint pictures, train the autoencoder, encode the paintings, train
the U-Net on them, train the decoder further, train the upscaler, listen to music, train the adapter, write the bundle.
Everything is drawn from one seed; how far a stage gets depends on its minutes and on the machine.
"""

from __future__ import annotations

import argparse
import logging
from collections.abc import Iterator
from dataclasses import dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch

from covergen_cli.audio.io import AUDIO_SUFFIXES
from covergen_cli.models.adapter import Adapter
from covergen_cli.models.upscaler import FACTOR, Upscaler
from covergen_cli.starter import adapter_training as hearing
from covergen_cli.starter import autoencoder, clips, paintings, unet, upscale
from covergen_cli.starter.bundle_writer import write_bundle
from covergen_cli.starter.train_loop import Budget

if TYPE_CHECKING:
    from covergen_cli.events import Progress, Warned

log = logging.getLogger("covergen.starter")


@dataclass(frozen=True)
class Recipe:
    """How much of everything goes into the starter.

    Args:
        seed: of all random numbers.
        threads: CPU threads of the training stages, and processes of the others.
        paintings: pictures that the base learns from.
        songs: songs of the synthesiser that the adapter learns from.
        excerpts: excerpts at most of every recording.
        autoencoder_minutes: training time of encoder and decoder together.
        unet_minutes: training time of the U-Net.
        decoder_minutes: training time of the decoder alone, after that.
        masters: paintings at four times the size, that the upscaler learns from.
        upscaler_minutes: training time of the upscaler.
        tokens_minutes: training time of the adapter on the base's own tokens.
        noise_minutes: training time of the adapter through the U-Net.
        compiled: whether torch compiles the U-Net before it trains; needs a C++ compiler.
    """

    seed: int = 0
    threads: int = 2
    paintings: int = 20000
    songs: int = 700
    excerpts: int = 2
    autoencoder_minutes: float = 10.0
    unet_minutes: float = 60.0
    decoder_minutes: float = 3.0
    masters: int = 300
    upscaler_minutes: float = 3.0
    tokens_minutes: float = 5.0
    noise_minutes: float = 2.0
    compiled: bool = True


def _base(work: Path, recipe: Recipe) -> Iterator[Progress | Warned]:
    yield from paintings.paint_all(
        work / "paintings",
        count=recipe.paintings,
        size=256,
        seed=recipe.seed,
        workers=recipe.threads,
        chunk=min(250, recipe.paintings),
    )
    pictures, descriptors = paintings.open_paintings(work / "paintings")
    torch.manual_seed(recipe.seed)
    vae = autoencoder.build_autoencoder().to(memory_format=torch.channels_last)
    budget = Budget(1_000_000, recipe.autoencoder_minutes, 1e-3, ema_decay=0.99)
    yield from autoencoder.train_autoencoder(work / "autoencoder", vae, pictures, budget, seed=recipe.seed + 1, batch=8)
    yield from autoencoder.encode_all(work / "latents", vae, pictures)
    latents = np.load(work / "latents" / "latents.npy")
    model, condition = unet.build_unet().to(memory_format=torch.channels_last), unet.ConditionEncoder()
    budget = Budget(1_000_000, recipe.unet_minutes, 1e-3, ema_decay=0.999)
    yield from unet.train_unet(
        work / "unet",
        model,
        condition,
        latents,
        descriptors,
        budget,
        seed=recipe.seed + 2,
        batch=32,
        compiled=recipe.compiled,
    )
    budget = Budget(1_000_000, recipe.decoder_minutes, 8e-4, ema_decay=0.99)
    yield from autoencoder.train_decoder(work / "decoder", vae, pictures, budget, seed=recipe.seed + 3, batch=6)
    yield from paintings.paint_all(
        work / "masters",
        count=recipe.masters,
        size=256 * FACTOR,
        seed=recipe.seed + 1,
        workers=recipe.threads,
        chunk=min(25, recipe.masters),
    )
    masters, _ = paintings.open_paintings(work / "masters")
    yield from upscale.make_drafts(work / "drafts", vae, masters, seed=recipe.seed)
    upscaler, drafts = Upscaler(), np.load(work / "drafts" / "drafts.npy")
    budget = Budget(1_000_000, recipe.upscaler_minutes, 1e-3, ema_decay=0.995)
    yield from upscale.train_upscaler(work / "upscaler", upscaler, drafts, masters, budget, seed=recipe.seed + 7)
    write_bundle(work / "bundle", vae=vae, unet=model, null=condition.null, upscaler=upscaler)


def _adapter(work: Path, recordings: list[Path], recipe: Recipe) -> Iterator[Progress | Warned]:
    jobs = clips.recording_jobs(recordings, recipe.excerpts, recipe.seed)
    yield from clips.hear_all(
        work / "clips" / "synthetic", clips.synthetic_jobs(recipe.songs, recipe.seed), workers=recipe.threads
    )
    yield from clips.hear_all(work / "clips" / "recorded", jobs, workers=recipe.threads)
    heard = clips.open_clips(work / "clips" / "synthetic", work / "clips" / "recorded")
    torch.manual_seed(recipe.seed + 4)
    model, condition, vae = (
        unet.build_unet().to(memory_format=torch.channels_last),
        unet.ConditionEncoder(),
        autoencoder.build_autoencoder(),
    )
    autoencoder.restore(work / "autoencoder", vae)
    unet.restore(work / "unet", model, condition)
    adapter = Adapter(hearing.ADAPTER_CONFIG)
    budget = Budget(1_000_000, recipe.tokens_minutes, 1e-3, ema_decay=0.998)
    yield from hearing.train_by_tokens(
        work / "adapter-tokens", adapter, condition, heard, budget, seed=recipe.seed + 5, batch=64
    )
    yield from hearing.paint_clips(work / "clip-latents", vae, heard, each=2, seed=10**9 + recipe.seed)
    latents = np.load(work / "clip-latents" / "latents.npy")
    budget = Budget(1_000_000, recipe.noise_minutes, 1e-4, ema_decay=0.99)
    yield from hearing.train_by_noise(
        work / "adapter-noise", adapter, model, heard, latents, budget, seed=recipe.seed + 6, batch=64
    )
    facts: dict[str, object] = {
        "clips": len(heard.names),
        "recordings": len(recordings),
        "songs": recipe.songs,
        "seed": recipe.seed,
    }
    write_bundle(work / "bundle", adapter=adapter, training=facts)


def build(work: Path, recordings: list[Path], recipe: Recipe) -> Iterator[Progress | Warned]:
    """Run all stages; the bundle ends up in ``work/bundle``.

    Args:
        work: keeps every intermediate result; 6 GB.
        recordings: music files for the adapter to listen to, beside the synthesised songs.
        recipe: how much of everything.
    """
    torch.set_flush_denormal(True)
    torch.set_num_threads(recipe.threads)
    yield from _base(work, recipe)
    yield from _adapter(work, recordings, recipe)


def main() -> None:
    """Parse the command line, run :func:`build` and log what it tells."""
    parser = argparse.ArgumentParser(
        prog="python -m covergen_cli.starter.build", description="Build the starter from nothing."
    )
    parser.add_argument("work", type=Path, help="folder for intermediate results; go on with the same one")
    parser.add_argument(
        "--recordings", type=Path, nargs="*", default=[], help="folders of music, or text files that list music files"
    )
    for field in fields(Recipe):
        kind = {"action": argparse.BooleanOptionalAction} if field.type == "bool" else {"type": type(field.default)}
        parser.add_argument(
            f"--{field.name.replace('_', '-')}", default=field.default, help="default: %(default)s", **kind
        )
    options = vars(parser.parse_args())
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")
    work, sources = options.pop("work"), options.pop("recordings")
    for event in build(work, list(find_music(sources)), Recipe(**options)):
        log.info("%s", event)


def find_music(sources: list[Path]) -> Iterator[Path]:
    """List music files in folders, and those named (relative to it) by text files."""
    for source in sources:
        if source.is_dir():
            yield from sorted(path for path in source.rglob("*") if path.suffix.lower() in AUDIO_SUFFIXES)
        else:
            yield from (source.parent / line for line in source.read_text(encoding="utf-8").splitlines() if line)


if __name__ == "__main__":
    main()
