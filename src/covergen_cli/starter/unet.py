"""Stage 3 of the starter: trains a small U-Net to generate paintings from their conditions."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from safetensors.torch import load_file
from torch import Tensor, nn

from covergen_cli.audio.descriptors import NAMES
from covergen_cli.diffusion.objective import denoising_loss, draw_timesteps
from covergen_cli.models.condition_encoder import ConditionEncoder
from covergen_cli.models.fingerprint import CONDITION_WEIGHTS, NULL_WEIGHTS, weight_files
from covergen_cli.starter.train_loop import Budget, device_of, half_precision, load_ema, train_stage
from covergen_cli.synthetic.kinds import KINDS
from covergen_cli.synthetic.palette import COLOURS

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    from covergen_cli.events import Progress

TOKENS = len(NAMES) + 1 + COLOURS + 1
TOKEN_DIM = 128
NULL_SHARE = 0.1
"""Share of the training pictures with the null condition, for classifier-free guidance (Ho and Salimans, 2022)."""

NOISE_SHIFT = 0.8
"""Shift of the training times towards noise, where layouts are decided (Esser et al., 2024).

Neighbouring latents of paintings are so similar that little noise hides nothing.
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
"""Rectified flow (Liu et al., 2022) with DPM-Solver++.

With shorter steps at high noise (``flow_shift``), eight steps are as good as sixteen even ones.
"""


def build_condition_encoder() -> ConditionEncoder:
    """Return an untrained condition encoder for :meth:`covergen_cli.synthetic.conditions.Conditions.as_array`.

    It makes twelve tokens: one for each of seven descriptors, one for the families, one for each of three colours, and
    one for all together.
    """
    return ConditionEncoder(len(NAMES), (len(KINDS), *[3] * COLOURS), TOKEN_DIM)


def build_unet() -> Any:
    """Return an untrained U-Net for latents of 16×16×8, with cross-attention at 8×8 and in the middle block."""
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
    # On a CPU its backward pass is several times faster than that of fused attention.
    unet.set_attn_processor(AttnProcessor())
    return unet


def train_unet(
    folder: Path,
    unet: Any,
    condition: ConditionEncoder,
    latents: npt.NDArray[np.float16],
    conditions: npt.NDArray[np.float32],
    budget: Budget,
    *,
    seed: int,
    batch: int,
    compiled: bool = True,
) -> Iterator[Progress]:
    """Train U-Net and condition encoder together.

    Args:
        folder: folder of the checkpoint.
        unet: from :func:`build_unet`.
        condition: the condition encoder.
        latents: scaled latents of the paintings, ``(N, 8, 16, 16)``.
        conditions: of the paintings, ``(N, 24)``.
        budget: duration and learning rate.
        seed: seed of the batches.
        batch: pictures per step.
        compiled: compile the U-Net, which needs a C++ compiler and makes steps on a CPU 1.6 to 2.5 times as fast.
    """
    predict: Any = torch.compile(unet) if compiled else unet
    device = device_of(unet)

    def compute_loss(generator: torch.Generator) -> Tensor:
        index = torch.randint(len(latents), (batch,), generator=generator).numpy()
        clean = torch.from_numpy(latents[index]).float().to(device, memory_format=torch.channels_last)
        wanted = torch.from_numpy(conditions[index]).to(device)
        times = draw_timesteps(batch, generator, logit_normal=True, shift=NOISE_SHIFT).to(device)
        noise = torch.randn(clean.shape, generator=generator).to(device, memory_format=torch.channels_last)
        unconditional = (torch.rand(batch, generator=generator) < NULL_SHARE).to(device)
        with half_precision(device):
            tokens = torch.where(unconditional[:, None, None], condition.null, condition(wanted))
            return denoising_loss(predict, SCHEDULER_CONFIG, clean, tokens, noise, times).mean()

    both = nn.ModuleDict({"unet": unet, "condition": condition})
    yield from train_stage(folder, both, compute_loss, budget, task="unet", seed=seed)


def start_from(bundle: Path, unet: Any, condition: ConditionEncoder) -> None:
    """Initialise U-Net and null condition from an existing bundle, as far as names and shapes match."""
    old = load_file(weight_files(bundle / "unet").paths[0])
    own = unet.state_dict()
    unet.load_state_dict(
        {name: old[name].float() for name in own if name in old and old[name].shape == own[name].shape}, strict=False
    )
    if (bundle / CONDITION_WEIGHTS).is_file():
        condition.load_state_dict(load_file(bundle / CONDITION_WEIGHTS))
        return
    null = load_file(bundle / NULL_WEIGHTS)["null"].float()
    with torch.no_grad():
        condition.null[:] = null.mean(dim=1, keepdim=True)
        shared = min(null.shape[1], condition.tokens)
        condition.null[:, :shared] = null[:, :shared]


def restore(folder: Path, unet: Any, condition: ConditionEncoder) -> None:
    """Load the result of :func:`train_unet`, frozen and in evaluation mode."""
    both = nn.ModuleDict({"unet": unet, "condition": condition})
    both.load_state_dict(load_ema(folder))
    both.requires_grad_(False).eval()
