"""Covers per minute for a folder of songs, beside diffusers used as its documentation shows: one song after the other.

Run by hand: ``python tests/benchmarks/bench_generate.py [-n 3] [--songs 32]``. The plain loop finds the segment, embeds
it, draws with the schedulers and models of diffusers, one cover per call, and writes it, song by song; both take the
same steps and guidance with the same base, and load the models in every round. The two take turns; one round before the
first is not counted. On a CPU the base is the starter. With a CUDA device it is a model of Stable Diffusion 1.5's size
with random weights, and a second table has a refiner of SDXL's size: the pictures are noise, the work is the real one.
That part has not been run.
"""

from __future__ import annotations

import argparse
import os
import shutil
import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path

os.environ.setdefault("OMP_WAIT_POLICY", "passive")  # as the command sets it; both rows gain

import machine
import numpy as np
import torch
from full_size import build_refiner, build_stable_diffusion
from PIL import Image

from covergen_cli.audio.encoders import get_encoder
from covergen_cli.audio.io import load, save_mp3
from covergen_cli.audio.segment import find_segment
from covergen_cli.config import GenerateConfig, SegmentConfig
from covergen_cli.config.resolve import resolve
from covergen_cli.covers.fingerprint import find_models
from covergen_cli.covers.generate import generate, plan
from covergen_cli.covers.pipeline import load_pipeline
from covergen_cli.events import CoverFailed
from covergen_cli.synthetic.synth import compose, render

RATE_HZ = 44_100
OURS = "covergen's generate"
LOOP = "plain loop"


def compose_folder(folder, songs, seconds):
    """Write songs of the synthesiser as mp3."""
    for seed in range(songs):
        save_mp3(folder / f"song-{seed}.mp3", render(compose(seed), seconds, RATE_HZ), RATE_HZ)


def ours(jobs, config):
    """What ``covergen generate`` runs."""
    for event in generate(jobs, config):
        if isinstance(event, CoverFailed):
            sys.exit(f"{event.input}: {event.error}")


@torch.inference_mode()
def plain_loop(jobs, config):
    """Diffusers' denoising loop as its guide writes it, one song at a time, nothing overlapping."""
    models = find_models(config)
    pipeline, encoder = load_pipeline(config, models), get_encoder(models.encoder_spec)
    base, scheduler = with_diffusers(pipeline.base, models.base_folder)
    theirs = None if pipeline.refiner is None else refiner_pipeline(pipeline.refiner)
    nothing = (pipeline.negative or base.null).tokens
    for job in jobs:
        found = find_segment(job.input, SegmentConfig())
        clip = load(job.input, encoder.sample_rate_hz, found.start_seconds, found.end_seconds)
        tokens = pipeline.audio_tokens(encoder.embed(clip.samples, clip.sample_rate_hz)).to(base.dtype)
        scheduler.set_timesteps(config.steps, device=base.device)
        noise = torch.randn(1, *base.latent_shape, generator=torch.Generator().manual_seed(job.seed))
        latents = noise.to(base.device, base.dtype) * scheduler.init_noise_sigma
        for timestep in scheduler.timesteps:
            scaled = scheduler.scale_model_input(latents, timestep)
            without, given = predict(base.unet, scaled, timestep, [nothing, tokens])
            latents = scheduler.step(without + config.guidance * (given - without), timestep, latents).prev_sample
        picture = ((base.decode(latents)[0].float().cpu() + 1) / 2).clamp(0, 1)
        image = Image.fromarray((picture * 255).byte().permute(1, 2, 0).numpy())
        if theirs is not None:
            image = refined(theirs, pipeline, image, config)
        job.output.parent.mkdir(parents=True, exist_ok=True)
        image.resize((config.size, config.size), Image.Resampling.LANCZOS).save(job.output)


def with_diffusers(base, folder):
    """The base with U-Net and autoencoder of diffusers, and its DPM-Solver++."""
    import diffusers

    def load(kind, part):
        return kind.from_pretrained(folder / part, torch_dtype=base.dtype).to(base.device).eval()

    vae = load(getattr(diffusers, type(base.vae).__name__), "vae")
    unet = load(diffusers.UNet2DConditionModel, "unet")
    scheduler = diffusers.DPMSolverMultistepScheduler.from_config(base.scheduler_config)
    return replace(base, unet=unet, vae=vae), scheduler


def predict(unet, latents, timestep, sides):
    """The predictions without and with the song: in one call, as in the guide, if their tokens are as many."""
    if len({side.shape[1] for side in sides}) == 1:
        return unet(torch.cat([latents] * 2), timestep, encoder_hidden_states=torch.cat(sides)).sample.chunk(2)
    return [unet(latents, timestep, encoder_hidden_states=side).sample for side in sides]


def refiner_pipeline(refiner):
    """The image-to-image pipeline of diffusers around the refiner's parts."""
    from diffusers import EulerDiscreteScheduler, StableDiffusionXLImg2ImgPipeline

    parts = {"text_encoder": None, "text_encoder_2": None, "tokenizer": None, "tokenizer_2": None}
    theirs = StableDiffusionXLImg2ImgPipeline(
        vae=refiner.vae,
        unet=refiner.unet,
        scheduler=EulerDiscreteScheduler.from_config(refiner.scheduler_config),
        requires_aesthetics_score=True,
        add_watermarker=False,
        **parts,
    )
    theirs.set_progress_bar_config(disable=True)
    return theirs


def refined(theirs, pipeline, image, config):
    """One picture through their pipeline."""
    prompt, negative = pipeline.refine_conditions
    return theirs(
        prompt_embeds=prompt.tokens,
        pooled_prompt_embeds=prompt.added["text_embeds"],
        negative_prompt_embeds=negative.tokens,
        negative_pooled_prompt_embeds=negative.added["text_embeds"],
        image=image.resize((pipeline.refiner.native_size,) * 2),
        strength=config.refine_strength,
        num_inference_steps=config.refine_steps,
        guidance_scale=config.refine_guidance,
    ).images[0]


def measure(title, config, music, place, rounds):
    """Let both take turns; return seconds per round by way, and print the rates."""
    ways = {LOOP: plain_loop, OURS: ours}
    seconds = {way: [] for way in ways}
    # Every round has seeds of its own, since the pictures of earlier covers are kept.
    first_seed = time.time_ns() % 10**9
    for count in range(rounds + 1):
        drawn = replace(config, seed=first_seed + count)
        jobs = {way: plan([music], place / f"covers-{number}", drawn) for number, way in enumerate(ways)}
        for way, work in ways.items():
            started = time.perf_counter()
            work(jobs[way], drawn)
            if count:
                seconds[way].append(time.perf_counter() - started)
    songs = len(jobs[OURS])
    rates = [f"{way}: {60 * songs / np.median(spent):.1f} covers per minute" for way, spent in seconds.items()]
    print("", title, "", machine.table(seconds, LOOP), "", *rates, sep="\n", flush=True)
    for way in jobs.values():
        shutil.rmtree(way[0].output.parent)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("-n", "--rounds", type=int, default=3)
    parser.add_argument("--songs", type=int, default=32)
    parser.add_argument("--seconds", type=float, default=180.0, help="length of a song")
    parser.add_argument("--bundle", help="a folder with base and adapter, in place of the starter that ships")
    options = parser.parse_args()
    models = {"adapter": options.bundle, "base": options.bundle} if options.bundle else {}
    facts = [*machine.facts(), f"{options.songs} songs of {options.seconds:g} s, {options.rounds} rounds"]
    print(*facts, sep="\n", flush=True)
    with tempfile.TemporaryDirectory() as name:
        place = Path(name)
        music = place / "music"
        music.mkdir()
        compose_folder(music, options.songs, options.seconds)
        config = resolve(GenerateConfig, overrides={"overwrite": "force", **models})
        if torch.cuda.is_available():
            print(torch.cuda.get_device_name())
            adapter = build_stable_diffusion(place / "sd15")
            config = resolve(GenerateConfig, overrides={"overwrite": "force", "adapter": str(adapter)})
            measure("full-size Stable Diffusion 1.5, random weights", config, music, place, options.rounds)
            refiner = str(build_refiner(place / "refiner"))
            given = {"overwrite": "force", "adapter": str(adapter), "refine": True, "refiner": refiner}
            config = resolve(GenerateConfig, overrides=given)
            measure("the same with a full-size refiner", config, music, place, options.rounds)
        else:
            plain = replace(config, raw=True)
            measure("the starter, enlarged by a plain filter as in the loop", plain, music, place, options.rounds)
            measure("the starter with looks, its default", config, music, place, options.rounds)


if __name__ == "__main__":
    main()
