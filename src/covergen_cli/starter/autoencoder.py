"""Stage 2 of the starter: the autoencoder between paintings of 256 pixels and latents of 16×16."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from covergen_cli.events import Progress
from covergen_cli.files import write_json
from covergen_cli.starter.train_loop import Budget, averaged, fit

LATENT_NOISE = 0.06
"""Noise on the latents while the decoder learns, in standard deviations: samples of the U-Net are never exact."""


CHANNEL_STD = 0.5
"""Least standard deviation of a latent channel.

Fine detail comes out of training faint, and would drown in the noise of every diffusion step but the last; the
decoder's clamp (3·tanh(x/3)) is still nearly linear there."""


def build_autoencoder() -> Any:
    """Make the untrained ``AutoencoderTiny``: 256 px → 16×16×8, 64 channels throughout; 2 M parameters.

    Hue is what a small autoencoder learns last, and group norm makes that worse. So there is no norm, and the start is
    a thumbnail: three channels carry the mean colour of each 16×16 patch through every layer and back, and training has
    only to add what a thumbnail lacks.
    """
    from diffusers.models.autoencoders.autoencoder_tiny import AutoencoderTiny
    from diffusers.models.autoencoders.vae import AutoencoderTinyBlock  # type: ignore[attr-defined]

    vae = AutoencoderTiny(
        encoder_block_out_channels=(64,) * 5,
        decoder_block_out_channels=(64,) * 5,
        num_encoder_blocks=(0, 1, 2, 3, 3),
        num_decoder_blocks=(3, 3, 2, 1, 0),
        latent_channels=8,
    )
    for module in vae.modules():
        if isinstance(module, AutoencoderTinyBlock):
            nn.init.zeros_(module.conv[4].weight)
            nn.init.zeros_(module.conv[4].bias)
    _carry_colour(vae)
    return vae


def _carry_colour(vae: Any) -> None:
    """Let channels 0 to 2 of every convolution outside the blocks carry RGB in [0, 1]; latents hold 4·RGB − 2.

    Zero-initialised blocks are the identity for values that are not negative, as these are.
    """
    blur = torch.tensor([1.0, 2.0, 1.0]) / 4
    smooth = blur[:, None] * blur[None, :]
    point = torch.zeros(3, 3)
    point[1, 1] = 1
    for part in (vae.encoder, vae.decoder):
        convolutions = [layer for layer in part.layers if isinstance(layer, nn.Conv2d)]
        for number, layer in enumerate(convolutions):
            inner = 0 < number < len(convolutions) - 1
            kernel = smooth if inner else point
            with torch.no_grad():
                layer.weight[:3] = 0
                for channel in range(3):
                    layer.weight[channel, channel] = kernel
                if layer.bias is not None:
                    layer.bias[:3] = 0
    with torch.no_grad():
        last, first = vae.encoder.layers[-1], vae.decoder.layers[0]
        last.weight[:3] *= 4
        last.bias[:3] -= 2
        first.weight[:3] /= 4
        first.bias[:3] += 0.5


def to_tensor(pictures: npt.NDArray[Any]) -> Tensor:
    """Turn pictures ``(B, H, W, 3)`` in [0, 255] into float ``(B, 3, H, W)`` in [−1, 1]."""
    # A copy: pictures may come from a file that is mapped for reading only.
    return torch.from_numpy(np.array(pictures)).permute(0, 3, 1, 2).float() / 127.5 - 1


def _batch(paintings: npt.NDArray[np.uint8], size: int, generator: torch.Generator) -> Tensor:
    """Draw ``size`` whole paintings, or as many pixels in crops of half the side.

    Many small steps first, the whole picture often enough.
    """
    whole = bool(torch.rand((), generator=generator) < 0.25)
    count, side = (size // 2, paintings.shape[1]) if whole else (2 * size, paintings.shape[1] // 2)
    index = torch.randint(len(paintings), (count,), generator=generator).tolist()
    corners = torch.randint(0, paintings.shape[1] - side + 1, (count, 2), generator=generator).tolist()
    crops = [paintings[i, y : y + side, x : x + side] for i, (y, x) in zip(index, corners, strict=True)]
    images = to_tensor(np.stack(crops)).to(memory_format=torch.channels_last)
    return images.flip(-1) if torch.rand((), generator=generator) < 0.5 else images


def picture_loss(made: Tensor, wanted: Tensor) -> Tensor:
    """Mean absolute error of pixels, of means over 16×16, and of slopes.

    The means hold the colour; the slopes, to the right and below at three scales, keep edges crisp.
    """
    loss = (made - wanted).abs().mean()
    loss = loss + (nn.functional.avg_pool2d(made, 16) - nn.functional.avg_pool2d(wanted, 16)).abs().mean()
    for scale in (1, 2, 4):
        a, b = (nn.functional.avg_pool2d(x, scale) if scale > 1 else x for x in (made, wanted))
        loss = loss + 0.4 * ((a - b).diff(dim=-1).abs().mean() + (a - b).diff(dim=-2).abs().mean())
    return loss


def train_autoencoder(
    folder: Path, vae: Any, paintings: npt.NDArray[np.uint8], budget: Budget, *, seed: int, batch: int
) -> Iterator[Progress]:
    """Train encoder and decoder together.

    Afterwards ``scaling_factor`` and ``shift_factor`` bring latents to unit variance.
    """

    def loss_of(generator: torch.Generator) -> Tensor:
        images = _batch(paintings, batch, generator)
        with torch.autocast("cpu", torch.bfloat16):
            mean = vae.encode(images).latents.float()
            noise = torch.randn(mean.shape, generator=generator)
            made = vae.decode(mean + noise * LATENT_NOISE * mean.detach().std()).sample
        loss: Tensor = picture_loss(made.float(), images) + 1e-3 * mean.square().mean()
        return loss

    yield from fit(folder, vae, loss_of, budget, task="autoencoder", seed=seed)
    vae.eval()
    with torch.inference_mode():
        latents = torch.cat([vae.encode(to_tensor(paintings[i : i + 16])).latents for i in range(0, 256, 16)])
    spread = latents.std(dim=(0, 2, 3))
    gains = (CHANNEL_STD / spread).clamp(min=1)
    latents = latents * gains[:, None, None]
    facts = {"scaling_factor": float(1 / latents.std()), "shift_factor": float(latents.mean()), "gains": gains.tolist()}
    write_json(folder / "latents.json", facts)
    restore(folder, vae)


def _amplify(vae: Any, gains: Tensor) -> None:
    """Multiply the latent channels by ``gains`` ``(8,)`` where the encoder ends, divide where the decoder begins."""
    last, first = vae.encoder.layers[-1], vae.decoder.layers[0]
    with torch.no_grad():
        last.weight *= gains[:, None, None, None]
        last.bias *= gains
        first.weight /= gains[:, None, None]


def restore(folder: Path, vae: Any) -> None:
    """Load the averaged weights and the latents' scale that :func:`train_autoencoder` left in ``folder``.

    It is frozen and in evaluation mode afterwards.
    """
    vae.load_state_dict(averaged(folder))
    facts = json.loads((folder / "latents.json").read_text(encoding="utf-8"))
    _amplify(vae, torch.tensor(facts.pop("gains")))
    vae.register_to_config(**facts)
    vae.requires_grad_(False).eval()


def train_decoder(
    folder: Path, vae: Any, paintings: npt.NDArray[np.uint8], budget: Budget, *, seed: int, batch: int
) -> Iterator[Progress]:
    """Train the decoder on, against the encoder as it stands: the latents that the U-Net learned stay what they are."""
    vae.decoder.requires_grad_(True)
    std = 1 / float(vae.config.scaling_factor)

    def loss_of(generator: torch.Generator) -> Tensor:
        images = _batch(paintings, batch, generator)
        with torch.autocast("cpu", torch.bfloat16):
            with torch.no_grad():
                mean = vae.encode(images).latents.float()
            made = vae.decode(mean + torch.randn(mean.shape, generator=generator) * LATENT_NOISE * std).sample
        return picture_loss(made.float(), images)

    yield from fit(folder, vae, loss_of, budget, task="decoder", seed=seed)


def encode_all(folder: Path, vae: Any, paintings: npt.NDArray[np.uint8]) -> Iterator[Progress]:
    """Write the scaled latents of all paintings to ``folder/latents.npy``, ``(N, 8, 16, 16)`` float16.

    No mirror images: the painter lays out left and right alike.
    """
    path, count = folder / "latents.npy", len(paintings)
    if path.exists():
        return
    folder.mkdir(parents=True, exist_ok=True)
    latents = np.empty((count, 8, 16, 16), dtype=np.float16)
    shift, scale = float(vae.config.shift_factor), float(vae.config.scaling_factor)
    for start in range(0, count, 50):
        images = to_tensor(paintings[start : start + 50])
        with torch.inference_mode(), torch.autocast("cpu", torch.bfloat16):
            mean = vae.encode(images).latents.float()
        latents[start : start + len(images)] = ((mean - shift) * scale).numpy()
        if start % 1000 == 0:
            yield Progress("encode", start, count)
    np.save(path, latents)
