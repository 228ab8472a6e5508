"""The small autoencoder (TAESD, Bohan 2023) in plain torch: the weights' names and the results of diffusers.

It takes what ``AutoencoderTiny`` of diffusers takes and reads the same files, without the seconds that importing
diffusers takes.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import SimpleNamespace
from typing import Any, ClassVar, cast

import torch
from torch import Tensor, nn

from covergen_cli.models.plain import PlainModel


class ResidualBlock(nn.Module):
    """Three convolutions added to the input: ``(B, C, H, W)`` → ``(B, C, H, W)``."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.conv = nn.Sequential(
            nn.Conv2d(channels, channels, 3, padding=1),
            nn.ReLU(),
            nn.Conv2d(channels, channels, 3, padding=1),
            nn.ReLU(),
            nn.Conv2d(channels, channels, 3, padding=1),
        )

    def forward(self, pixels: Tensor) -> Tensor:
        """Transform ``pixels``."""
        return torch.relu(self.conv(pixels) + pixels)


class _Layers(nn.Module):
    """Layers below one name, as the weights have it."""

    def __init__(self, layers: Sequence[nn.Module]) -> None:
        super().__init__()
        self.layers = nn.Sequential(*layers)

    def forward(self, pixels: Tensor) -> Tensor:
        """Apply the layers."""
        return cast("Tensor", self.layers(pixels))


class AutoencoderTiny(PlainModel):
    """Encodes images to latents of a few channels and decodes them, as ``AutoencoderTiny`` of diffusers does."""

    class_name = "AutoencoderTiny"
    settings: ClassVar = {
        "in_channels": 3,
        "out_channels": 3,
        "encoder_block_out_channels": (64, 64, 64, 64),
        "decoder_block_out_channels": (64, 64, 64, 64),
        "latent_channels": 4,
        "num_encoder_blocks": (1, 3, 3, 3),
        "num_decoder_blocks": (3, 3, 3, 1),
        "scaling_factor": 1.0,
        "shift_factor": 0.0,
    }
    fixed: ClassVar = {"act_fn": "relu", "upsampling_scaling_factor": 2, "upsample_fn": "nearest"}
    without_effect = frozenset({"block_out_channels", "force_upcast", "latent_magnitude", "latent_shift"})

    def __init__(self, config: Mapping[str, Any]) -> None:
        super().__init__(config)
        self.config.block_out_channels = self.config.decoder_block_out_channels
        self.encoder = _Layers(_encoder_layers(self.config))
        self.decoder = _Layers(_decoder_layers(self.config))

    def encode(self, images: Tensor) -> Any:
        """Encode images ``(B, 3, H, W)`` in [-1, 1]; return a namespace with ``latents``, ``(B, C, h, w)``."""
        return SimpleNamespace(latents=self.encoder(images.add(1).div(2)))

    def decode(self, latents: Tensor) -> Any:
        """Decode latents ``(B, C, h, w)``; return a namespace with ``sample``, ``(B, 3, H, W)`` in about [-1, 1]."""
        return SimpleNamespace(sample=self.decoder(torch.tanh(latents / 3) * 3).mul(2).sub(1))


def _encoder_layers(config: Any) -> list[nn.Module]:
    layers: list[nn.Module] = []
    for width, blocks in zip(config.encoder_block_out_channels, config.num_encoder_blocks, strict=True):
        if layers:
            layers.append(nn.Conv2d(width, width, 3, padding=1, stride=2, bias=False))
        else:
            layers.append(nn.Conv2d(config.in_channels, width, 3, padding=1))
        layers += [ResidualBlock(width) for _ in range(blocks)]
    return [*layers, nn.Conv2d(config.encoder_block_out_channels[-1], config.latent_channels, 3, padding=1)]


def _decoder_layers(config: Any) -> list[nn.Module]:
    widths, counts = config.decoder_block_out_channels, config.num_decoder_blocks
    layers: list[nn.Module] = [nn.Conv2d(config.latent_channels, widths[0], 3, padding=1), nn.ReLU()]
    for width, blocks in zip(widths[:-1], counts[:-1], strict=True):
        layers += [ResidualBlock(width) for _ in range(blocks)]
        layers += [nn.Upsample(scale_factor=2, mode="nearest"), nn.Conv2d(width, width, 3, padding=1, bias=False)]
    layers += [ResidualBlock(widths[-1]) for _ in range(counts[-1])]
    return [*layers, nn.Conv2d(widths[-1], config.out_channels, 3, padding=1)]
