"""Stage 3 of the starter: a small U-Net that learns paintings from descriptors.

As Stable Diffusion's learned pictures from text.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from covergen_cli.audio.descriptors import NAMES
from covergen_cli.diffusion.objective import denoising_loss, draw_timesteps
from covergen_cli.starter.train_loop import Budget, averaged, fit

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    from covergen_cli.events import Progress

TOKENS = len(NAMES) + 1
TOKEN_DIM = 128
NULL_SHARE = 0.1
"""Share of the training pictures that are drawn from the null condition.

For classifier-free guidance (Ho and Salimans, 2022).
"""

NOISE_SHIFT = 0.8
"""Trains more on much noise, where layouts are decided: neighbouring latents are so alike that a little hides nothing.

See Esser et al. (2024) on shifting the times of larger pictures, which are alike over more pixels for the same reason.
"""

SCHEDULER_CONFIG: dict[str, Any] = {
    "_class_name": "DPMSolverMultistepScheduler",
    "num_train_timesteps": 1000,
    "algorithm_type": "dpmsolver++",
    "solver_order": 2,
    "prediction_type": "flow_prediction",
    "use_flow_sigmas": True,
    "flow_shift": 2.0,
    "final_sigmas_type": "zero",
}
"""Rectified flow, a straight path from noise to picture (Liu et al., 2022), as diffusers' DPM-Solver++ walks it.

With shorter steps where there is much noise (``flow_shift``), eight steps draw what sixteen even ones do.
"""


class ConditionEncoder(nn.Module):
    """Descriptors ``(B, 7)`` in [0, 1] → tokens ``(B, 8, 128)``: one for each descriptor and one for all together.

    What a text encoder is to Stable Diffusion. It is not needed to generate: the adapter learns to speak its language
    from audio. ``null`` ``(1, 8, 128)`` is the learned null condition.
    """

    frequencies: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("frequencies", torch.pi * 2.0 ** torch.arange(4) / 2, persistent=False)
        features = 1 + 2 * 4
        self.each = nn.Sequential(
            nn.Linear(features + len(NAMES), TOKEN_DIM), nn.SiLU(), nn.Linear(TOKEN_DIM, TOKEN_DIM)
        )
        self.all = nn.Sequential(
            nn.Linear(features * len(NAMES), TOKEN_DIM), nn.SiLU(), nn.Linear(TOKEN_DIM, TOKEN_DIM)
        )
        self.norm = nn.LayerNorm(TOKEN_DIM)
        self.null = nn.Parameter(0.1 * torch.randn(1, TOKENS, TOKEN_DIM))

    def forward(self, descriptors: Tensor) -> Tensor:
        """Encode descriptors ``(B, 7)`` as tokens ``(B, 8, 128)``."""
        values = 2 * descriptors[..., None] - 1
        angles = values * self.frequencies
        waves = torch.cat([values, angles.sin(), angles.cos()], dim=-1)
        names = torch.eye(len(NAMES), device=descriptors.device).expand(len(descriptors), -1, -1)
        each = self.each(torch.cat([waves, names], dim=-1))
        tokens: Tensor = self.norm(torch.cat([each, self.all(waves.flatten(1))[:, None]], dim=1))
        return tokens


def build_unet() -> Any:
    """Make the untrained U-Net over 16×16×8 latents; cross-attention at 8×8, in the middle and on the way back."""
    from diffusers.models.attention_processor import AttnProcessor
    from diffusers.models.unets.unet_2d_condition import UNet2DConditionModel

    unet = UNet2DConditionModel(
        sample_size=16,
        in_channels=8,
        out_channels=8,
        block_out_channels=(96, 128, 144),
        layers_per_block=1,
        down_block_types=("DownBlock2D", "CrossAttnDownBlock2D", "DownBlock2D"),
        up_block_types=("UpBlock2D", "CrossAttnUpBlock2D", "UpBlock2D"),
        cross_attention_dim=TOKEN_DIM,
        attention_head_dim=4,  # in diffusers this is the number of heads
        norm_num_groups=16,
    )
    unet.set_attn_processor(
        AttnProcessor()
    )  # on a CPU its backward pass is several times faster than fused attention's
    return unet


def train_unet(
    folder: Path,
    unet: Any,
    condition: ConditionEncoder,
    latents: npt.NDArray[np.float16],
    descriptors: npt.NDArray[np.float32],
    budget: Budget,
    *,
    seed: int,
    batch: int,
    compiled: bool = True,
) -> Iterator[Progress]:
    """Train U-Net and condition encoder together.

    Args:
        folder: checkpoints.
        unet: from :func:`build_unet`.
        condition: what the U-Net listens to.
        latents: ``(N, 8, 16, 16)``, the scaled latents of the paintings.
        descriptors: ``(N, 7)``.
        budget: how long.
        seed: decides every batch.
        batch: pictures per step.
        compiled: whether torch compiles the U-Net first, which needs a C++ compiler and makes a step on a CPU 1.6
            times as fast.
    """
    predict: Any = torch.compile(unet) if compiled else unet

    def loss_of(generator: torch.Generator) -> Tensor:
        index = torch.randint(len(latents), (batch,), generator=generator).numpy()
        clean = torch.from_numpy(latents[index]).float().to(memory_format=torch.channels_last)
        heard = torch.from_numpy(descriptors[index])
        times = draw_timesteps(batch, generator, logit_normal=True, shift=NOISE_SHIFT)
        noise = torch.randn(clean.shape, generator=generator).to(memory_format=torch.channels_last)
        silent = torch.rand(batch, generator=generator) < NULL_SHARE
        with torch.autocast("cpu", torch.bfloat16):
            tokens = torch.where(silent[:, None, None], condition.null, condition(heard))
            return denoising_loss(predict, SCHEDULER_CONFIG, clean, tokens, noise, times).mean()

    both = nn.ModuleDict({"unet": unet, "condition": condition})
    yield from fit(folder, both, loss_of, budget, task="unet", seed=seed)


def restore(folder: Path, unet: Any, condition: ConditionEncoder) -> None:
    """Load the averaged weights that :func:`train_unet` left in ``folder``, freeze them and switch to evaluation."""
    both = nn.ModuleDict({"unet": unet, "condition": condition})
    both.load_state_dict(averaged(folder))
    both.requires_grad_(False).eval()
