"""From the decoded tensor to the final picture: enlargement, a little sharpness, tone, grain."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np
import torch
from PIL import Image
from torch.nn import functional

from covergen_cli.diffusion.resize import resize

if TYPE_CHECKING:
    from torch import Tensor

_LUMA = (0.2126, 0.7152, 0.0722)
"""Weights of R, G and B in luminance (ITU-R BT.709, which sRGB shares)."""
_GRAIN_STD = 0.05
"""Standard deviation of the strongest grain at middle grey, of a range of 1."""
_SHARPEN = 0.35
_LEAST_DEVIATION = 0.09


def finish(
    decoded: Tensor,
    size: int,
    *,
    seed: int = 0,
    grain: float = 0.0,
    tone: float = 0.0,
    bleed: float = 0.0,
    sharpen: bool = True,
    upscaler: Callable[[Tensor], Tensor] | None = None,
) -> Image.Image:
    """Turn a decoded picture into the final one; the same arguments give the same pixels.

    Enlargement is Lanczos on the sRGB values: in linear light its overshoot draws dark rims around bright forms. What
    was enlarged gets a mild unsharp mask and grain on its luminance, more the more it was enlarged (up to twice), as
    smooth areas look like plastic without; a picture at its native size or below keeps the model's pixels.

    Args:
        decoded: float ``(3, H, W)`` in [-1, 1], sRGB.
        size: pixels per side of the result.
        seed: of the grain.
        grain: strength of the grain, 0 to 1.
        tone: strength of a curve that deepens the shadows and lifts the lights, and what is nearly flat more, 0 to 1.
        bleed: width of a border that is cut off before, as a share of each side, 0 to 0.25.
        sharpen: whether what was enlarged by Lanczos is sharpened.
        upscaler: the base's own, ``(1, 3, H, W)`` → ``(1, 3, 4H, 4W)`` in [−1, 1]; it goes first, where anything has to
            be enlarged, and Lanczos does the rest.

    Returns:
        an RGB picture, ``size`` × ``size``.
    """
    drawn = _square(_without_border(decoded.detach().float().cpu(), bleed))
    enlarged = _share(size / drawn.shape[1])
    if upscaler is not None and enlarged > 0:
        with torch.inference_mode():
            drawn = upscaler(drawn[None])[0]
    pixels = ((drawn + 1) / 2).clamp(0, 1)
    stretch = size / pixels.shape[1]
    pixels = resize(pixels, size)
    if sharpen and stretch > 1:
        pixels = _sharpened(pixels, radius=0.4 * stretch, amount=_SHARPEN * _share(stretch))
    if tone > 0:
        pixels = _toned(pixels, tone)
    if enlarged > 0:
        pixels = _grained(pixels, seed, grain * enlarged)
    values = (pixels.clamp(0, 1) * 255).round().to(torch.uint8)
    return Image.fromarray(values.permute(1, 2, 0).contiguous().numpy())


def _share(enlargement: float) -> float:
    """How much finishing an enlargement needs: none up to 1, all from 2 on."""
    return min(1.0, max(0.0, math.log2(enlargement)))


def _without_border(pixels: Tensor, bleed: float) -> Tensor:
    height, width = pixels.shape[1:]
    cut = round(bleed * min(height, width))
    return pixels[:, cut : height - cut, cut : width - cut]


def _square(pixels: Tensor) -> Tensor:
    height, width = pixels.shape[1:]
    side = min(height, width)
    top, left = (height - side) // 2, (width - side) // 2
    return pixels[:, top : top + side, left : left + side]


def _luminance(pixels: Tensor) -> Tensor:
    return torch.einsum("c,chw->hw", torch.tensor(_LUMA), pixels)


def _blurred(plane: Tensor, sigma: float) -> Tensor:
    """Gaussian blur of ``(H, W)``, edges mirrored."""
    reach = min(max(1, math.ceil(3 * sigma)), min(plane.shape) - 1)
    offsets = torch.arange(-reach, reach + 1, dtype=torch.float32)
    kernel = torch.exp(-0.5 * (offsets / sigma) ** 2)
    kernel = kernel / kernel.sum()
    padded = functional.pad(plane[None, None], (reach, reach, reach, reach), mode="reflect")
    rows = functional.conv2d(padded, kernel.view(1, 1, 1, -1))
    return functional.conv2d(rows, kernel.view(1, 1, -1, 1))[0, 0]


def _sharpened(pixels: Tensor, radius: float, amount: float) -> Tensor:
    """Unsharp mask on the luminance, so that edges gain no colour fringes; overshoot is held to 4 %."""
    luminance = _luminance(pixels)
    detail = (amount * (luminance - _blurred(luminance, max(0.5, radius)))).clamp(-0.04, 0.04)
    return (pixels + detail).clamp(0, 1)


def _toned(pixels: Tensor, strength: float) -> Tensor:
    """Stretch what is nearly flat, then bend the luminance towards 3y² − 2y³, whose ends stay where they are.

    A picture with a luminance deviation of less than 0.09 comes the nearer to that the stronger the tone is, and stays
    flatter than one that was less flat.
    """
    deviation = max(float(_luminance(pixels).std()), 1e-3)
    stretch = 1 + strength * min(max(_LEAST_DEVIATION / deviation - 1, 0), 4)
    mean = pixels.mean(dim=(1, 2), keepdim=True)
    pixels = (mean + (pixels - mean) * stretch).clamp(0, 1)
    luminance = _luminance(pixels).clamp(0, 1)
    bent = luminance * luminance * (3 - 2 * luminance)
    return (pixels + 0.5 * strength * (bent - luminance)).clamp(0, 1)


def _grained(pixels: Tensor, seed: int, strength: float) -> Tensor:
    """Film grain: luminance noise, strongest in the middle tones, as large relative to the picture at every size."""
    if strength <= 0:
        return pixels
    size = pixels.shape[1]
    drawn = np.random.default_rng(seed).standard_normal((size, size), dtype=np.float32)
    noise = torch.from_numpy(drawn)
    softness = 0.5 * size / 512
    if softness > 0.25 and size > 8:
        noise = _blurred(noise, softness)
        noise = noise / noise.std()
    luminance = _luminance(pixels).clamp(0, 1)
    middle = 4 * luminance * (1 - luminance)
    return pixels + strength * _GRAIN_STD * (0.25 + 0.75 * middle) * noise
