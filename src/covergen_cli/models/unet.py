"""The U-Net of Stable Diffusion 1 and 2 in plain torch: the weights' names and the results of diffusers.

It takes what ``UNet2DConditionModel`` of diffusers takes and reads the same files. Importing diffusers takes several
seconds, more than a small base needs to draw. Tests compare it with diffusers.

Shapes: ``B`` items, ``C`` channels, ``h × w`` latents, ``K`` conditioning tokens of width ``D``.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, ClassVar, cast

import torch
from torch import Tensor, nn
from torch.nn import functional

from covergen_cli.models.plain import PlainModel
from covergen_cli.models.unet_blocks import (
    Attention,
    Block,
    DownBlock,
    MiddleBlock,
    Resample,
    ResnetBlock,
    Transformer,
    UpBlock,
)


def timestep_embedding(timesteps: Tensor, width: int, *, flip_sin_to_cos: bool, freq_shift: float) -> Tensor:
    """Return sinusoidal embeddings of timesteps (Ho et al., 2020), float32 ``(B, width)``.

    Args:
        timesteps: ``(B,)``, may be fractional.
        width: an even number.
        flip_sin_to_cos: cosines first.
        freq_shift: subtracted from the number of frequencies in the exponent.
    """
    half = width // 2
    exponents = -math.log(10_000) * torch.arange(half, dtype=torch.float32, device=timesteps.device)
    angles = timesteps[:, None].float() * torch.exp(exponents / (half - freq_shift))[None, :]
    halves = (angles.cos(), angles.sin()) if flip_sin_to_cos else (angles.sin(), angles.cos())
    return torch.cat(halves, dim=-1)


class UNet(PlainModel):
    """Predicts noise, velocity or flow, as ``UNet2DConditionModel`` of diffusers does from the same weights."""

    class_name = "UNet2DConditionModel"
    settings: ClassVar = {
        "in_channels": 4,
        "out_channels": 4,
        "sample_size": None,
        "block_out_channels": (320, 640, 1280, 1280),
        "down_block_types": ("CrossAttnDownBlock2D", "CrossAttnDownBlock2D", "CrossAttnDownBlock2D", "DownBlock2D"),
        "up_block_types": ("UpBlock2D", "CrossAttnUpBlock2D", "CrossAttnUpBlock2D", "CrossAttnUpBlock2D"),
        "layers_per_block": 2,
        "cross_attention_dim": 1280,
        "attention_head_dim": 8,
        "norm_num_groups": 32,
        "norm_eps": 1e-5,
        "flip_sin_to_cos": True,
        "freq_shift": 0,
        "use_linear_projection": False,
    }
    fixed: ClassVar = {
        "act_fn": "silu",
        "addition_embed_type": None,
        "attention_type": "default",
        "center_input_sample": False,
        "class_embed_type": None,
        "class_embeddings_concat": False,
        "conv_in_kernel": 3,
        "conv_out_kernel": 3,
        "cross_attention_norm": None,
        "downsample_padding": 1,
        "dropout": 0.0,
        "dual_cross_attention": False,
        "encoder_hid_dim": None,
        "encoder_hid_dim_type": None,
        "mid_block_only_cross_attention": None,
        "mid_block_scale_factor": 1,
        "mid_block_type": "UNetMidBlock2DCrossAttn",
        "num_attention_heads": None,
        "num_class_embeds": None,
        "only_cross_attention": False,
        "resnet_out_scale_factor": 1.0,
        "resnet_skip_time_act": False,
        "resnet_time_scale_shift": "default",
        "reverse_transformer_layers_per_block": None,
        "time_cond_proj_dim": None,
        "time_embedding_act_fn": None,
        "time_embedding_dim": None,
        "time_embedding_type": "positional",
        "timestep_post_act": None,
        "transformer_layers_per_block": 1,
    }
    without_effect = frozenset(
        {
            "addition_embed_type_num_heads",
            "addition_time_embed_dim",
            "projection_class_embeddings_input_dim",
            "upcast_attention",  # fused attention of diffusers ignores it too
        }
    )

    def __init__(self, config: Mapping[str, Any]) -> None:
        super().__init__(config)
        widths = [int(width) for width in self.config.block_out_channels]
        time_width = 4 * widths[0]
        self.conv_in = nn.Conv2d(self.config.in_channels, widths[0], 3, padding=1)
        self.time_embedding = nn.ModuleDict(
            {"linear_1": nn.Linear(widths[0], time_width), "linear_2": nn.Linear(time_width, time_width)}
        )
        heads = self.config.attention_head_dim  # in diffusers this is the number of heads
        heads = [heads] * len(widths) if isinstance(heads, int) else list(heads)
        self.down_blocks = self._down_blocks(widths, heads, time_width)
        middle = [self._resnet(widths[-1], widths[-1], time_width) for _ in range(2)]
        self.mid_block = MiddleBlock(middle, [self._transformer(widths[-1], heads[-1])])
        self.up_blocks = self._up_blocks(widths, heads, time_width)
        self.conv_norm_out = nn.GroupNorm(self.config.norm_num_groups, widths[0], eps=self.config.norm_eps)
        self.conv_out = nn.Conv2d(widths[0], self.config.out_channels, 3, padding=1)

    def _resnet(self, channels: int, out_channels: int, time_width: int) -> ResnetBlock:
        return ResnetBlock(channels, out_channels, time_width, self.config.norm_num_groups, self.config.norm_eps)

    def _transformer(self, channels: int, heads: int) -> Transformer:
        config = self.config
        return Transformer(
            channels, config.cross_attention_dim, heads, config.norm_num_groups, linear=config.use_linear_projection
        )

    def _down_blocks(self, widths: list[int], heads: list[int], time_width: int) -> nn.ModuleList:
        blocks = nn.ModuleList()
        for index, (before, width, kind) in enumerate(
            zip([widths[0], *widths], widths, self.config.down_block_types, strict=False)
        ):
            count = self.config.layers_per_block
            resnets = [self._resnet(before if layer == 0 else width, width, time_width) for layer in range(count)]
            attentions = [self._transformer(width, heads[index]) for _ in range(count)] if "CrossAttn" in kind else []
            downsamplers = [Resample(width, stride=2)] if index < len(widths) - 1 else []
            blocks.append(DownBlock(resnets, attentions, downsamplers))
        return blocks

    def _up_blocks(self, widths: list[int], heads: list[int], time_width: int) -> nn.ModuleList:
        blocks = nn.ModuleList()
        upward, before = widths[::-1], widths[-1]
        for index, kind in enumerate(self.config.up_block_types):
            width, last_skip = upward[index], upward[min(index + 1, len(upward) - 1)]
            count = self.config.layers_per_block + 1
            entering = [before, *[width] * (count - 1)]
            skips = [*[width] * (count - 1), last_skip]
            resnets = [self._resnet(own + skip, width, time_width) for own, skip in zip(entering, skips, strict=True)]
            attentions = [self._transformer(width, heads[-1 - index]) for _ in skips] if "CrossAttn" in kind else []
            blocks.append(UpBlock(resnets, attentions, [Resample(width)] if index < len(widths) - 1 else []))
            before = width
        return blocks

    @classmethod
    def supports(cls, config: Mapping[str, Any]) -> bool:
        """Return whether the model can be built from the ``config.json`` of a diffusers model."""
        kinds = {*config.get("down_block_types", ()), *config.get("up_block_types", ())}
        return (
            super().supports(config)
            and kinds <= {"DownBlock2D", "CrossAttnDownBlock2D", "UpBlock2D", "CrossAttnUpBlock2D"}
            and all(isinstance(config.get(key, 1), int) for key in ("layers_per_block", "cross_attention_dim"))
        )

    def enable_gradient_checkpointing(self) -> None:
        """Save memory in training by computing the activations of every layer again in the backward pass."""
        for module in self.modules():
            if isinstance(module, Block):
                module.checkpointing = True

    def forward(
        self, latents: Tensor, timestep: Tensor | float, encoder_hidden_states: Tensor, *, return_dict: bool = False
    ) -> tuple[Tensor]:
        """Return the prediction ``(B, C, h, w)`` as the only item of a tuple.

        Args:
            latents: noisy latents ``(B, C, h, w)``.
            timestep: one for all items, or ``(B,)``.
            encoder_hidden_states: conditioning tokens ``(B, K, D)``.
            return_dict: takes only false, as the result is always a tuple.
        """
        if return_dict:
            raise ValueError("this U-Net returns a tuple; pass return_dict=False")
        time, tokens = self._time(timestep, latents), encoder_hidden_states
        skips = [self.conv_in(latents)]
        for block in self.down_blocks:
            skips += block(skips[-1], time, tokens)
        pixels = self.mid_block(skips[-1], time, tokens)
        for block in self.up_blocks:
            pixels = block(pixels, time, tokens, skips)
        return (self.conv_out(functional.silu(self.conv_norm_out(pixels))),)

    def _time(self, timestep: Tensor | float, latents: Tensor) -> Tensor:
        """Return the embedded time, ``(B, time_width)``."""
        timesteps = torch.as_tensor(timestep, device=latents.device).expand(len(latents))
        config = self.config
        waves = timestep_embedding(
            timesteps, self.conv_in.out_channels, flip_sin_to_cos=config.flip_sin_to_cos, freq_shift=config.freq_shift
        ).to(latents.dtype)
        hidden = functional.silu(self.time_embedding["linear_1"](waves))
        return cast("Tensor", self.time_embedding["linear_2"](hidden))


def use_plain_attention(unet: nn.Module) -> None:
    """Compute a U-Net's attention with plain products; the U-Net may be of diffusers."""
    if isinstance(unet, UNet):
        for module in unet.modules():
            if isinstance(module, Attention):
                module.fused = False
        return
    from diffusers.models.attention_processor import AttnProcessor

    unet.set_attn_processor(AttnProcessor())  # type: ignore[operator]
