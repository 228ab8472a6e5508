"""Stage 5 of the starter: the adapter learns to tell the frozen base, from audio, what a painter would have painted.

First it learns the base's own language: the tokens that the condition encoder gives for what was heard in the clip,
which in the synthetic world is known. Then it is trained as every adapter is (§3.3), by the noise that the frozen U-Net
predicts on a painting of the clip.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from covergen_cli.config import AdapterConfig
from covergen_cli.diffusion.objective import denoising_loss, draw_timesteps
from covergen_cli.events import Progress
from covergen_cli.starter.train_loop import Budget, fit
from covergen_cli.starter.unet import SCHEDULER_CONFIG, TOKEN_DIM, TOKENS, ConditionEncoder
from covergen_cli.synthetic.painter import paint

if TYPE_CHECKING:
    from covergen_cli.models.adapter import Adapter
    from covergen_cli.starter.clips import Clips

ADAPTER_CONFIG = AdapterConfig(tokens=TOKENS, hidden_dim=256, output_dim=TOKEN_DIM, blocks=1)

EMBEDDING_NOISE = 0.15
"""Noise on the embeddings in training, beside dropping bands of features.

There are fewer songs here than in the world.
"""


def _batch(clips: Clips, size: int, generator: torch.Generator) -> tuple[npt.NDArray[np.int64], Tensor, Tensor]:
    """Draw clips: indices, embeddings ``(B, T, 512)`` with noise and dropped features, and lengths ``(B,)``."""
    index = torch.randint(len(clips.names), (size,), generator=generator).numpy()
    embeddings = torch.from_numpy(clips.embeddings[index]).float()
    lengths = torch.from_numpy(clips.lengths[index])
    embeddings = embeddings + EMBEDDING_NOISE * torch.randn(embeddings.shape, generator=generator)
    kept = torch.rand(size, 1, embeddings.shape[2], generator=generator) > 0.05
    return index, embeddings * kept, lengths


def train_by_tokens(
    folder: Path, adapter: Adapter, condition: ConditionEncoder, clips: Clips, budget: Budget, *, seed: int, batch: int
) -> Iterator[Progress]:
    """Fit the adapter's tokens to the condition encoder's, in mean squared error."""
    wanted = torch.from_numpy(clips.descriptors)

    def loss_of(generator: torch.Generator) -> Tensor:
        index, embeddings, lengths = _batch(clips, batch, generator)
        with torch.no_grad():
            target = condition(wanted[torch.from_numpy(index)])
        loss: Tensor = (adapter(embeddings, lengths) - target).square().mean()
        return loss

    yield from fit(folder, adapter, loss_of, budget, task="adapter-tokens", seed=seed)


def paint_clips(folder: Path, vae: Any, clips: Clips, *, each: int, seed: int, size: int = 256) -> Iterator[Progress]:
    """Paint every clip ``each`` times.

    The scaled latents, ``(N, each, 8, 16, 16)`` float16, go to ``folder/latents.npy``.
    """
    path = folder / "latents.npy"
    if path.exists():
        return
    folder.mkdir(parents=True, exist_ok=True)
    latents = np.empty((len(clips.names), each, 8, 16, 16), dtype=np.float16)
    for number, descriptors in enumerate(clips.descriptors):
        pictures = np.stack([paint(descriptors, seed + number * each + i, size) for i in range(each)])
        images = torch.from_numpy(pictures).permute(0, 3, 1, 2).float() / 127.5 - 1
        with torch.inference_mode(), torch.autocast("cpu", torch.bfloat16):
            mean = vae.encode(images).latents.float()
        latents[number] = ((mean - float(vae.config.shift_factor)) * float(vae.config.scaling_factor)).numpy()
        if number % 50 == 0:
            yield Progress("paint clips", number, len(clips.names))
    np.save(path, latents)


def train_by_noise(
    folder: Path,
    adapter: Adapter,
    unet: Any,
    clips: Clips,
    latents: npt.NDArray[np.float16],
    budget: Budget,
    *,
    seed: int,
    batch: int,
) -> Iterator[Progress]:
    """Train the adapter through the frozen U-Net, on paintings of the very clips (§3.3.1)."""
    unet.requires_grad_(False)

    def loss_of(generator: torch.Generator) -> Tensor:
        index, embeddings, lengths = _batch(clips, batch, generator)
        which = torch.randint(latents.shape[1], (batch,), generator=generator).numpy()
        clean = torch.from_numpy(latents[index, which]).float().to(memory_format=torch.channels_last)
        noise = torch.randn(clean.shape, generator=generator).to(memory_format=torch.channels_last)
        times = draw_timesteps(batch, generator, logit_normal=True, shift=0.5)
        with torch.autocast("cpu", torch.bfloat16):
            return denoising_loss(unet, SCHEDULER_CONFIG, clean, adapter(embeddings, lengths), noise, times).mean()

    yield from fit(folder, adapter, loss_of, budget, task="adapter-noise", seed=seed)
