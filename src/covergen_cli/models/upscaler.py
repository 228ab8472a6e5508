"""The upscaler of a base that has one: four times as many pixels to a side, with edges as crisp as they should be.

A residual network that works at the small size and rearranges channels into pixels at its end (Shi et al., CVPR 2016;
blocks without norms as in Lim et al., CVPR workshops 2017), beside a bilinear enlargement to which it adds what that
lacks. Half a second on a CPU buys what no filter can know: which edges of this base's pictures are soft by intent.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import safetensors
import torch
from safetensors.torch import load_file
from torch import Tensor, nn

from covergen_cli.errors import ModelError
from covergen_cli.models.fingerprint import UPSCALER_CONFIG, UPSCALER_WEIGHTS, read_model_json

FACTOR = 4
"""How many times as many pixels to a side."""


class Upscaler(nn.Module):
    """Pictures ``(B, 3, H, W)`` in [−1, 1] → ``(B, 3, 4H, 4W)``.

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
        """Enlarge pictures; untrained, it is the bilinear enlargement."""
        features = self.first(pictures)
        for block in self.blocks:
            features = features + block(features)
        detail = nn.functional.pixel_shuffle(self.last(features), FACTOR)
        plain = nn.functional.interpolate(pictures, scale_factor=FACTOR, mode="bilinear", align_corners=False)
        larger: Tensor = plain + detail
        return larger


def load_upscaler(folder: Path) -> Upscaler | None:
    """Load the upscaler of a base's folder, float32 on the CPU and frozen; ``None`` where it has none.

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
        reason = (str(error).strip().splitlines() or [type(error).__name__])[0]
        raise ModelError(
            f"{folder / UPSCALER_WEIGHTS} cannot be loaded: {reason}",
            hint="The files may be damaged; fetch them again.",
        ) from error
    return upscaler.to(torch.float32).requires_grad_(requires_grad=False).eval()
