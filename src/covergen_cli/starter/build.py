"""Builds the starter from nothing: ``python -m covergen_cli.starter.build WORK [--recordings FOLDER …]``.

With ``--start-from BUNDLE`` the autoencoder is that of an existing bundle and the U-Net starts from its weights.

Stages: make paintings, train the autoencoder, encode the paintings, train the U-Net, train the decoder further, train
the upscaler, analyse music, train the adapter, write the bundle. Each continues where it was interrupted. All random
numbers depend on one seed; how far a stage trains depends on its minutes and on the machine.
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
from covergen_cli.models.fingerprint import base_fingerprint
from covergen_cli.models.upscaler import FACTOR, Upscaler
from covergen_cli.starter import adapter_training, autoencoder, clips, paintings, unet, upscale
from covergen_cli.starter.bundle_writer import write_bundle
from covergen_cli.starter.train_loop import Budget

if TYPE_CHECKING:
    from covergen_cli.events import Progress, Warned

log = logging.getLogger("covergen.starter")

_MAX_STEPS = 1_000_000
_PAINTING_PIXELS = 256
_BATCH_SIZES = {"autoencoder": 8, "decoder": 6, "tokens": 64, "noise": 64}


@dataclass(frozen=True)
class Recipe:
    """The settings of a build.

    Args:
        seed: seed of all random numbers.
        device: where the base is trained, ``cpu`` or ``cuda``; the adapter is trained on the CPU.
        threads: CPU threads of the training stages, and processes of the other stages.
        paintings: number of paintings that the base is trained on.
        songs: number of synthesised songs that the adapter is trained on.
        excerpts: maximum number of excerpts of a recording.
        unet_batch: paintings per step of the U-Net; a GPU needs hundreds to be busy.
        autoencoder_minutes: training time of the autoencoder.
        unet_minutes: training time of the U-Net.
        decoder_minutes: further training time of the decoder.
        masters: number of paintings of four times the size that the upscaler is trained on.
        upscaler_minutes: training time of the upscaler.
        tokens_minutes: training time of the adapter on the tokens of the condition encoder.
        noise_minutes: training time of the adapter through the U-Net.
        compiled: compile the U-Net before it is trained, which needs a C++ compiler.
    """

    seed: int = 0
    device: str = "cpu"
    threads: int = 2
    paintings: int = 20000
    songs: int = 700
    excerpts: int = 2
    unet_batch: int = 32
    autoencoder_minutes: float = 10.0
    unet_minutes: float = 60.0
    decoder_minutes: float = 3.0
    masters: int = 300
    upscaler_minutes: float = 3.0
    tokens_minutes: float = 5.0
    noise_minutes: float = 2.0
    compiled: bool = True


def build(
    work: Path, recordings: list[Path], recipe: Recipe, start_from: Path | None = None
) -> Iterator[Progress | Warned]:
    """Run all stages and write the bundle to ``work/bundle``.

    Args:
        work: folder of the intermediate results, 6 GB.
        recordings: music files that the adapter is trained on, besides the synthesised songs.
        recipe: the settings.
        start_from: an existing bundle, whose encoder is kept and whose U-Net and decoder are trained further; ``None``
            to train everything from nothing.
    """
    torch.set_flush_denormal(True)
    torch.set_num_threads(recipe.threads)
    yield from _build_base(work, recipe, start_from)
    yield from _build_adapter(work, recordings, recipe, start_from)


def _build_base(work: Path, recipe: Recipe, start_from: Path | None) -> Iterator[Progress]:
    seed = recipe.seed
    yield from _paint(work / "paintings", recipe, recipe.paintings, _PAINTING_PIXELS, seed, 250)
    pictures, conditions = paintings.open_paintings(work / "paintings")
    torch.manual_seed(seed)
    vae = autoencoder.build_autoencoder().to(recipe.device, memory_format=torch.channels_last)
    if start_from is None:
        budget = Budget(_MAX_STEPS, recipe.autoencoder_minutes, 1e-3, ema_decay=0.99)
        yield from autoencoder.train_autoencoder(
            work / "autoencoder", vae, pictures, budget, seed=seed + 1, batch=_BATCH_SIZES["autoencoder"]
        )
    else:
        autoencoder.start_from(start_from, vae)
    yield from autoencoder.encode_all(work / "latents", vae, pictures)
    latents = np.load(work / "latents" / "latents.npy")
    model, condition = unet.build_unet().to(memory_format=torch.channels_last), unet.build_condition_encoder()
    if start_from is not None:
        unet.start_from(start_from, model, condition)
    model, condition = model.to(recipe.device), condition.to(recipe.device)
    budget = Budget(_MAX_STEPS, recipe.unet_minutes, 1e-3, ema_decay=0.9995)
    yield from unet.train_unet(
        work / "unet",
        model,
        condition,
        latents,
        np.array(conditions),
        budget,
        seed=seed + 2,
        batch=recipe.unet_batch,
        compiled=recipe.compiled,
    )
    budget = Budget(_MAX_STEPS, recipe.decoder_minutes, 8e-4, ema_decay=0.99)
    yield from autoencoder.train_decoder(
        work / "decoder", vae, pictures, budget, seed=seed + 3, batch=_BATCH_SIZES["decoder"]
    )
    yield from _paint(work / "masters", recipe, recipe.masters, _PAINTING_PIXELS * FACTOR, seed + 1, 25)
    masters, _ = paintings.open_paintings(work / "masters")
    yield from upscale.make_drafts(work / "drafts", vae, masters, seed=seed)
    upscaler, drafts = Upscaler().to(recipe.device), np.load(work / "drafts" / "drafts.npy")
    budget = Budget(_MAX_STEPS, recipe.upscaler_minutes, 1e-3, ema_decay=0.995)
    yield from upscale.train_upscaler(work / "upscaler", upscaler, drafts, masters, budget, seed=seed + 7)
    write_bundle(work / "bundle", vae=vae, unet=model, condition=condition, upscaler=upscaler)


def _paint(folder: Path, recipe: Recipe, count: int, size: int, seed: int, chunk: int) -> Iterator[Progress]:
    chunk = min(chunk, count)
    yield from paintings.paint_all(folder, count=count, size=size, seed=seed, workers=recipe.threads, chunk=chunk)


def _build_adapter(
    work: Path, recordings: list[Path], recipe: Recipe, start_from: Path | None
) -> Iterator[Progress | Warned]:
    seed, folder = recipe.seed, work / "clips"
    jobs = clips.recording_jobs(recordings, recipe.excerpts, seed)
    songs = clips.synthetic_jobs(recipe.songs, seed)
    yield from clips.analyse_clips(folder / "synthetic", songs, workers=recipe.threads)
    yield from clips.analyse_clips(folder / "recorded", jobs, workers=recipe.threads)
    music = clips.open_clips(folder / "synthetic", folder / "recorded")
    torch.manual_seed(seed + 4)
    model = unet.build_unet().to(memory_format=torch.channels_last)
    condition, vae = unet.build_condition_encoder(), autoencoder.build_autoencoder()
    if start_from is None:
        autoencoder.restore(work / "autoencoder", vae)
    else:
        autoencoder.start_from(start_from, vae)
    unet.restore(work / "unet", model, condition)
    adapter = Adapter(adapter_training.ADAPTER_CONFIG)
    budget = Budget(_MAX_STEPS, recipe.tokens_minutes, 1e-3, ema_decay=0.998)
    yield from adapter_training.train_by_tokens(
        work / "adapter-tokens", adapter, condition, music, budget, seed=seed + 5, batch=_BATCH_SIZES["tokens"]
    )
    yield from adapter_training.paint_clips(work / "clip-latents", vae, music, each=2, seed=10**9 + seed)
    latents = np.load(work / "clip-latents" / "latents.npy")
    budget = Budget(_MAX_STEPS, recipe.noise_minutes, 1e-4, ema_decay=0.99)
    yield from adapter_training.train_by_noise(
        work / "adapter-noise", adapter, model, music, latents, budget, seed=seed + 6, batch=_BATCH_SIZES["noise"]
    )
    training: dict[str, object] = {
        "clips": len(music.names),
        "recordings": len(recordings),
        "songs": recipe.songs,
        "seed": seed,
    }
    training |= {} if start_from is None else {"started_from": base_fingerprint(start_from)}
    write_bundle(work / "bundle", adapter=adapter, training=training)


def find_music(sources: list[Path]) -> Iterator[Path]:
    """Return the music files in folders, and those listed in text files, whose paths are relative to the list."""
    for source in sources:
        if source.is_dir():
            yield from sorted(path for path in source.rglob("*") if path.suffix.lower() in AUDIO_SUFFIXES)
        else:
            yield from (source.parent / line for line in source.read_text(encoding="utf-8").splitlines() if line)


def main() -> None:
    """Parse the command line, run :func:`build` and log its events."""
    parser = argparse.ArgumentParser(
        prog="python -m covergen_cli.starter.build", description="Build the starter from nothing."
    )
    parser.add_argument("work", type=Path, help="folder of the intermediate results; a build continues with the same")
    parser.add_argument("--start-from", type=Path, help="an existing bundle to train further; default: from nothing")
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
    work, sources, bundle = options.pop("work"), options.pop("recordings"), options.pop("start_from")
    for event in build(work, list(find_music(sources)), Recipe(**options), bundle):
        log.info("%s", event)


if __name__ == "__main__":
    main()
