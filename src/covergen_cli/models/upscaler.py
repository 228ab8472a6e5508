"""The upscaler that a base may have: enlarges its images four times per side.

A residual network at the small size with a pixel shuffle at its end (Shi et al., CVPR 2016; blocks without norms as in
Lim et al., CVPR workshops 2017), whose output is added to a bilinear enlargement. It takes half a second on a CPU and,
unlike a filter, keeps soft the edges that are soft in this base's images.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import safetensors
import torch
from safetensors.torch import load_file
from torch import Tensor, nn

from covergen_cli.models.fingerprint import UPSCALER_CONFIG, UPSCALER_WEIGHTS, loading_error, read_model_json

FACTOR = 4
"""Pixels per side of the output for each one of the input."""


class Upscaler(nn.Module):
    """Maps images ``(B, 3, H, W)`` in [−1, 1] to ``(B, 3, 4H, 4W)``.

    Args:
        channels: width of the features.
        blocks: residual blocks.
    """

    def __init__(self, channels: int = 32, blocks: int = 4) -> None:
        super().__init__()
        self.config: dict[str, Any] = {"channels": channels, "blocks": blocks}
        self.first = nn.Conv2d(3, channels, 3, padding=1, padding_mode="replicate")
        self.blocks = nn.ModuleList(
            nn.Sequential(
                nn.Conv2d(channels, channels, 3, padding=1, padding_mode="replicate"),
                nn.ReLU(),
                nn.Conv2d(channels, channels, 3, padding=1, padding_mode="replicate"),
            )
            for _ in range(blocks)
        )
        self.last = nn.Conv2d(channels, 3 * FACTOR**2, 3, padding=1, padding_mode="replicate")
        nn.init.zeros_(self.last.weight)
        if self.last.bias is not None:
            nn.init.zeros_(self.last.bias)

    def forward(self, pictures: Tensor) -> Tensor:
        """Return the enlarged images; before training, the bilinear enlargement."""
        features = self.first(pictures)
        for block in self.blocks:
            features = features + block(features)
        detail = nn.functional.pixel_shuffle(self.last(features), FACTOR)
        plain = nn.functional.interpolate(pictures, scale_factor=FACTOR, mode="bilinear", align_corners=False)
        larger: Tensor = plain + detail
        return larger


def load_upscaler(folder: Path) -> Upscaler | None:
    """Load the upscaler in a base's folder, frozen float32 on the CPU; return ``None`` if there is none.

    Raises:
        ModelError: it is damaged.
    """
    if not (folder / UPSCALER_WEIGHTS).is_file():
        return None
    config = read_model_json(folder / UPSCALER_CONFIG)
    try:
        upscaler = Upscaler(channels=int(config["channels"]), blocks=int(config["blocks"]))
        upscaler.load_state_dict(load_file(folder / UPSCALER_WEIGHTS))
    except (OSError, KeyError, TypeError, ValueError, RuntimeError, safetensors.SafetensorError) as error:
        raise loading_error(folder / UPSCALER_WEIGHTS, error) from error
    return upscaler.to(torch.float32).requires_grad_(requires_grad=False).eval()
