"""Turn a decoded tensor into the final image: enlarge, sharpen, adjust the tone, add grain."""

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

    from covergen_cli.config import GenerateConfig

_LUMA = (0.2126, 0.7152, 0.0722)
"""Weights of R, G and B in luminance (ITU-R BT.709, which sRGB shares)."""
_GRAIN_STD = 0.05
"""Standard deviation of the strongest grain at middle grey, for values in [0, 1]."""
_SHARPEN = 0.35
_MIN_DEVIATION = 0.09


def enlarge_image(
    image: Image.Image, seed: int, config: GenerateConfig, upscaler: Callable[[Tensor], Tensor] | None = None
) -> Image.Image:
    """Return a picture as the model drew it at ``config.size``; with ``raw`` it is only enlarged.

    Args:
        image: RGB.
        seed: seed of the grain.
        config: ``size``, ``raw``, ``grain`` and ``tone`` are used.
        upscaler: as for :func:`enlarge`.
    """
    decoded = torch.from_numpy(np.array(image)).permute(2, 0, 1).float() / 127.5 - 1
    if config.raw:
        return enlarge(decoded, config.size, sharpen=False)
    return enlarge(decoded, config.size, seed=seed, grain=config.grain, tone=config.tone, upscaler=upscaler)


def enlarge(
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
    """Return the final RGB image, ``size`` × ``size``; the same arguments give the same pixels.

    Enlarging is Lanczos on the sRGB values: in linear light its overshoot draws dark rims around bright forms. An
    enlarged image gets a mild unsharp mask and grain on its luminance, increasing up to a factor of two, because smooth
    areas look like plastic otherwise; an image at its native size or below keeps the model's pixels.

    Args:
        decoded: float ``(3, H, W)`` in [−1, 1], sRGB.
        size: pixels per side of the result.
        seed: seed of the grain.
        grain: strength of the grain, 0 to 1.
        tone: strength of a curve that darkens shadows and brightens lights, more so in flat images, 0 to 1.
        bleed: width of a border to cut off first, as a share of each side, 0 to 0.25.
        sharpen: sharpen after enlarging with Lanczos.
        upscaler: the base's own, ``(1, 3, H, W)`` → ``(1, 3, 4H, 4W)`` in [−1, 1]; runs first if the image has to be
            enlarged, and Lanczos does the rest.
    """
    image = _square(_without_border(decoded.detach().float().cpu(), bleed))
    enlarged = _share(size / image.shape[1])
    if upscaler is not None and enlarged > 0:
        with torch.inference_mode():
            image = upscaler(image[None])[0]
    pixels = ((image + 1) / 2).clamp(0, 1)
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
    """Return how much finishing an enlargement needs: 0 up to a factor of 1, 1 from a factor of 2."""
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
    """Blur a plane ``(H, W)`` with a Gaussian, mirrored at the edges."""
    reach = min(max(1, math.ceil(3 * sigma)), min(plane.shape) - 1)
    offsets = torch.arange(-reach, reach + 1, dtype=torch.float32)
    kernel = torch.exp(-0.5 * (offsets / sigma) ** 2)
    kernel = kernel / kernel.sum()
    padded = functional.pad(plane[None, None], (reach, reach, reach, reach), mode="reflect")
    rows = functional.conv2d(padded, kernel.view(1, 1, 1, -1))
    return functional.conv2d(rows, kernel.view(1, 1, -1, 1))[0, 0]


def _sharpened(pixels: Tensor, radius: float, amount: float) -> Tensor:
    """Apply an unsharp mask to the luminance, which adds no colour fringes; overshoot is limited to 4 %."""
    luminance = _luminance(pixels)
    detail = (amount * (luminance - _blurred(luminance, max(0.5, radius)))).clamp(-0.04, 0.04)
    return (pixels + detail).clamp(0, 1)


def _toned(pixels: Tensor, strength: float) -> Tensor:
    """Increase the contrast of flat images, then bend the luminance towards 3y² − 2y³, which keeps black and white.

    Images whose luminance deviates by less than 0.09 are stretched towards that, and keep their order of flatness.
    """
    deviation = max(float(_luminance(pixels).std()), 1e-3)
    stretch = 1 + strength * min(max(_MIN_DEVIATION / deviation - 1, 0), 4)
    mean = pixels.mean(dim=(1, 2), keepdim=True)
    pixels = (mean + (pixels - mean) * stretch).clamp(0, 1)
    luminance = _luminance(pixels).clamp(0, 1)
    bent = luminance * luminance * (3 - 2 * luminance)
    return (pixels + 0.5 * strength * (bent - luminance)).clamp(0, 1)


def _grained(pixels: Tensor, seed: int, strength: float) -> Tensor:
    """Add film grain: luminance noise, strongest in the middle tones, of the same relative size at every resolution."""
    if strength <= 0:
        return pixels
    size = pixels.shape[1]
    noise = torch.from_numpy(np.random.default_rng(seed).standard_normal((size, size), dtype=np.float32))
    softness = 0.5 * size / 512
    if softness > 0.25 and size > 8:
        noise = _blurred(noise, softness)
        noise = noise / noise.std()
    luminance = _luminance(pixels).clamp(0, 1)
    middle = 4 * luminance * (1 - luminance)
    return pixels + strength * _GRAIN_STD * (0.25 + 0.75 * middle) * noise
