"""Last stage of the base: trains the upscaler to enlarge paintings four times.

Its inputs are reconstructions of the autoencoder, so it also learns to correct their blur.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from covergen_cli.events import Progress
from covergen_cli.models.upscaler import FACTOR
from covergen_cli.starter.autoencoder import LATENT_NOISE, picture_loss, to_tensor
from covergen_cli.starter.train_loop import Budget, device_of, half_precision, load_ema, train_stage

if TYPE_CHECKING:
    from covergen_cli.models.upscaler import Upscaler

_CROP = 48
_BATCH = 12


def make_drafts(folder: Path, vae: Any, masters: npt.NDArray[np.uint8], *, seed: int) -> Iterator[Progress]:
    """Write the autoencoder's reconstructions of reduced paintings to ``folder/drafts.npy``, uint8 ``(N, S, S, 3)``.

    Does nothing if the file exists.

    Args:
        folder: folder of the result.
        vae: the trained autoencoder.
        masters: large paintings ``(N, 4S, 4S, 3)``.
        seed: seed of the noise on the latents.
    """
    path = folder / "drafts.npy"
    if path.exists():
        return
    folder.mkdir(parents=True, exist_ok=True)
    count, side = len(masters), masters.shape[1] // FACTOR
    drafts = np.empty((count, side, side, 3), dtype=np.uint8)
    generator = torch.Generator().manual_seed(seed)
    std = 1 / float(vae.config.scaling_factor)
    for start in range(0, count, 8):
        large = masters[start : start + 8].astype(np.float32)
        small = large.reshape(len(large), side, FACTOR, side, FACTOR, 3).mean(axis=(2, 4))
        device = device_of(vae)
        with torch.inference_mode(), half_precision(device):
            mean = vae.encode(to_tensor(small).to(device)).latents.float()
            noise = torch.randn(mean.shape, generator=generator).to(mean)
            made = vae.decode(mean + noise * LATENT_NOISE * std).sample
        values = ((made.float().cpu().clamp(-1, 1) + 1) * 127.5).round().to(torch.uint8)
        drafts[start : start + len(large)] = values.permute(0, 2, 3, 1).numpy()
        yield Progress("draft", start + len(large), count)
    np.save(path, drafts)


def train_upscaler(
    folder: Path,
    upscaler: Upscaler,
    drafts: npt.NDArray[np.uint8],
    masters: npt.NDArray[np.uint8],
    budget: Budget,
    *,
    seed: int,
) -> Iterator[Progress]:
    """Train the upscaler on random crops.

    Args:
        folder: folder of the checkpoint.
        upscaler: the untrained upscaler.
        drafts: ``(N, S, S, 3)``, from :func:`make_drafts`.
        masters: ``(N, 4S, 4S, 3)``.
        budget: duration and learning rate.
        seed: seed of the batches.
    """
    side = drafts.shape[1]
    crop = min(_CROP, side)

    def compute_loss(generator: torch.Generator) -> Tensor:
        index = torch.randint(len(drafts), (_BATCH,), generator=generator).tolist()
        corners = torch.randint(0, side - crop + 1, (_BATCH, 2), generator=generator).tolist()
        small, large = [], []
        for i, (y, x) in zip(index, corners, strict=True):
            small.append(drafts[i, y : y + crop, x : x + crop])
            large.append(masters[i, FACTOR * y : FACTOR * (y + crop), FACTOR * x : FACTOR * (x + crop)])
        device = device_of(upscaler)
        with half_precision(device):
            made = upscaler(to_tensor(np.stack(small)).to(device))
        return picture_loss(made.float(), to_tensor(np.stack(large)).to(device))

    yield from train_stage(folder, upscaler, compute_loss, budget, task="upscaler", seed=seed)


def restore(folder: Path, upscaler: Upscaler) -> None:
    """Load the result of :func:`train_upscaler`, frozen and in evaluation mode."""
    upscaler.load_state_dict(load_ema(folder))
    upscaler.requires_grad_(requires_grad=False).eval()
