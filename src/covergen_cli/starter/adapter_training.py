"""Stage 5 of the starter: trains the adapter on clips of music.

First it is fitted to the tokens that the condition encoder computes from the conditions of the clips. Then it is
trained like every adapter (§3.3), through the frozen U-Net, on paintings made from the same conditions.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from covergen_cli.audio.descriptors import NAMES
from covergen_cli.config import AdapterConfig
from covergen_cli.diffusion.objective import denoising_loss, draw_timesteps
from covergen_cli.events import Progress
from covergen_cli.starter.autoencoder import encode
from covergen_cli.starter.train_loop import Budget, half_precision, train_stage
from covergen_cli.starter.unet import SCHEDULER_CONFIG, TOKEN_DIM, TOKENS
from covergen_cli.synthetic.conditions import KINDS_PART
from covergen_cli.synthetic.painter import paint

if TYPE_CHECKING:
    from covergen_cli.models.adapter import Adapter
    from covergen_cli.models.condition_encoder import ConditionEncoder
    from covergen_cli.starter.clips import Clips

ADAPTER_CONFIG = AdapterConfig(tokens=TOKENS, hidden_dim=256, output_dim=TOKEN_DIM, blocks=1)

EMBEDDING_NOISE = 0.15
"""Standard deviation of the noise that is added to embeddings in training, against overfitting to few songs."""


def _batch(clips: Clips, size: int, generator: torch.Generator) -> tuple[npt.NDArray[np.int64], Tensor, Tensor]:
    """Return random clips: indices, embeddings ``(B, T, 512)`` with noise and dropped features, lengths ``(B,)``."""
    index = torch.randint(len(clips.names), (size,), generator=generator).numpy()
    embeddings = torch.from_numpy(clips.embeddings[index]).float()
    lengths = torch.from_numpy(clips.lengths[index])
    embeddings = embeddings + EMBEDDING_NOISE * torch.randn(embeddings.shape, generator=generator)
    kept = torch.rand(size, 1, embeddings.shape[2], generator=generator) > 0.05
    return index, embeddings * kept, lengths


def train_by_tokens(
    folder: Path, adapter: Adapter, condition: ConditionEncoder, clips: Clips, budget: Budget, *, seed: int, batch: int
) -> Iterator[Progress]:
    """Train the adapter to predict the tokens of the condition encoder, with the mean squared error."""
    conditions = torch.from_numpy(clips.conditions)[:, : condition.inputs]

    def compute_loss(generator: torch.Generator) -> Tensor:
        index, embeddings, lengths = _batch(clips, batch, generator)
        with torch.no_grad():
            target = condition(conditions[torch.from_numpy(index)])
        loss: Tensor = (adapter(embeddings, lengths) - target).square().mean()
        return loss

    yield from train_stage(folder, adapter, compute_loss, budget, task="adapter-tokens", seed=seed)


def paint_clips(folder: Path, vae: Any, clips: Clips, *, each: int, seed: int, size: int = 256) -> Iterator[Progress]:
    """Make ``each`` paintings of every clip and write their scaled latents to ``folder/latents.npy``.

    The array is float16 ``(N, each, 8, 16, 16)``. Does nothing if the file exists.
    """
    path = folder / "latents.npy"
    if path.exists():
        return
    folder.mkdir(parents=True, exist_ok=True)
    latents = np.empty((len(clips.names), each, 8, 16, 16), dtype=np.float16)
    for number, row in enumerate(clips.conditions):
        descriptors, kinds = row[: len(NAMES)], row[KINDS_PART]
        pictures = np.stack([paint(descriptors, seed + number * each + i, size, kinds) for i in range(each)])
        latents[number] = encode(vae, pictures)
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
    """Train the adapter through the frozen U-Net, on paintings of the clips (§3.3.1)."""
    unet.requires_grad_(False)

    def compute_loss(generator: torch.Generator) -> Tensor:
        index, embeddings, lengths = _batch(clips, batch, generator)
        which = torch.randint(latents.shape[1], (batch,), generator=generator).numpy()
        clean = torch.from_numpy(latents[index, which]).float().to(memory_format=torch.channels_last)
        noise = torch.randn(clean.shape, generator=generator).to(memory_format=torch.channels_last)
        times = draw_timesteps(batch, generator, logit_normal=True, shift=0.5)
        with half_precision(torch.device("cpu")):
            return denoising_loss(unet, SCHEDULER_CONFIG, clean, adapter(embeddings, lengths), noise, times).mean()

    yield from train_stage(folder, adapter, compute_loss, budget, task="adapter-noise", seed=seed)
