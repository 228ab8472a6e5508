"""The condition encoder that a base may have: what a picture is to be drawn from, as numbers, to conditioning tokens.

It conditions the U-Net of the starter in training, as a text encoder does in Stable Diffusion. Adapters learn its
tokens from audio; when covers are drawn, only ``--steer`` uses it.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import safetensors
import torch
from safetensors.torch import load_file
from torch import Tensor, nn

from covergen_cli.models.fingerprint import CONDITION_CONFIG, CONDITION_WEIGHTS, loading_error, read_model_json

_OCTAVES = 4


class ConditionEncoder(nn.Module):
    """Maps conditions ``(B, N)``, about [0, 1], to tokens ``(B, K, D)``.

    There is one token for each single number, one for each group of numbers, and one for all together. ``null``
    ``(1, K, D)`` is the learned null condition.

    Args:
        singles: how many numbers have a token each; they come first.
        groups: sizes of the groups that follow.
        width: ``D``.
    """

    frequencies: Tensor

    def __init__(self, singles: int, groups: tuple[int, ...], width: int) -> None:
        super().__init__()
        self.config: dict[str, Any] = {"singles": singles, "groups": list(groups), "width": width}
        self.singles, self.groups = singles, groups
        self.register_buffer("frequencies", torch.pi * 2.0 ** torch.arange(_OCTAVES) / 2, persistent=False)
        features = 1 + 2 * _OCTAVES
        self.each = _layers(features + singles, width)
        self.grouped = nn.ModuleList(_layers(features * size, width) for size in groups)
        self.all = _layers(features * self.inputs, width)
        self.norm = nn.LayerNorm(width)
        self.null = nn.Parameter(0.1 * torch.randn(1, self.tokens, width))

    @property
    def inputs(self) -> int:
        """Length ``N`` of the conditions."""
        return self.singles + sum(self.groups)

    @property
    def tokens(self) -> int:
        """Number of tokens ``K``."""
        return self.singles + len(self.groups) + 1

    def forward(self, conditions: Tensor) -> Tensor:
        """Return the tokens ``(B, K, D)`` of conditions ``(B, N)``."""
        values = 2 * conditions[..., None] - 1
        angles = values * self.frequencies
        waves = torch.cat([values, angles.sin(), angles.cos()], dim=-1)
        names = torch.eye(self.singles, device=conditions.device).expand(len(conditions), -1, -1)
        first, *parts = torch.split(waves, [self.singles, *self.groups], dim=1)
        tokens = [self.each(torch.cat([first, names], dim=-1))]
        tokens += [layers(part.flatten(1))[:, None] for layers, part in zip(self.grouped, parts, strict=True)]
        normed: Tensor = self.norm(torch.cat([*tokens, self.all(waves.flatten(1))[:, None]], dim=1))
        return normed


def _layers(inputs: int, width: int) -> nn.Sequential:
    return nn.Sequential(nn.Linear(inputs, width), nn.SiLU(), nn.Linear(width, width))


def load_condition_encoder(folder: Path) -> ConditionEncoder | None:
    """Load the condition encoder in a base's folder, frozen float32 on the CPU; return ``None`` if there is none.

    Raises:
        ModelError: it is damaged.
    """
    if not (folder / CONDITION_WEIGHTS).is_file():
        return None
    config = read_model_json(folder / CONDITION_CONFIG)
    try:
        encoder = ConditionEncoder(int(config["singles"]), tuple(map(int, config["groups"])), int(config["width"]))
        encoder.load_state_dict(load_file(folder / CONDITION_WEIGHTS))
    except (OSError, KeyError, TypeError, ValueError, RuntimeError, safetensors.SafetensorError) as error:
        raise loading_error(folder / CONDITION_WEIGHTS, error) from error
    return encoder.to(torch.float32).requires_grad_(requires_grad=False).eval()
