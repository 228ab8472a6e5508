"""Stage 2 of the starter: trains the autoencoder, from pictures of 256×256 pixels to latents of 16×16×8 and back."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from safetensors.torch import load_file
from torch import Tensor, nn

from covergen_cli.events import Progress
from covergen_cli.files import read_json, write_json
from covergen_cli.models.fingerprint import weight_files
from covergen_cli.starter.train_loop import Budget, device_of, half_precision, load_ema, train_stage

LATENT_NOISE = 0.06
"""Noise on the latents while the decoder is trained, in standard deviations: those of the U-Net are not exact."""

CHANNEL_STD = 0.5
"""Minimum standard deviation of a latent channel.

Channels of fine detail have small values after training, which would be lost in the noise of all but the last diffusion
steps. At this value the decoder's clamp (3·tanh(x/3)) is still nearly linear.
"""

_ENCODED_AT_ONCE = 50


def build_autoencoder() -> Any:
    """Return an untrained ``AutoencoderTiny``: 256 px → 16×16×8, 64 channels in all layers, 2 M parameters.

    Small autoencoders learn hue last, and group norm makes that worse. So there is no norm, and the initial weights
    reconstruct a thumbnail: three channels carry the mean colour of each 16×16 patch through every layer.
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
    """Initialise channels 0 to 2 of every convolution outside the blocks to pass on RGB in [0, 1] (latents: 4·RGB − 2).

    Zero-initialised blocks are the identity for values that are not negative.
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
    """Return pictures ``(B, H, W, 3)`` in [0, 255] as float ``(B, 3, H, W)`` in [−1, 1]."""
    # A copy, since memory-mapped pictures are read-only.
    return torch.from_numpy(np.array(pictures)).permute(0, 3, 1, 2).float() / 127.5 - 1


def _batch(paintings: npt.NDArray[np.uint8], size: int, generator: torch.Generator) -> Tensor:
    """Return ``size // 2`` complete paintings (a quarter of the batches) or ``2 * size`` crops of half the side."""
    complete = bool(torch.rand((), generator=generator) < 0.25)
    count, side = (size // 2, paintings.shape[1]) if complete else (2 * size, paintings.shape[1] // 2)
    index = torch.randint(len(paintings), (count,), generator=generator).tolist()
    corners = torch.randint(0, paintings.shape[1] - side + 1, (count, 2), generator=generator).tolist()
    crops = [paintings[i, y : y + side, x : x + side] for i, (y, x) in zip(index, corners, strict=True)]
    images = to_tensor(np.stack(crops)).to(memory_format=torch.channels_last)
    return images.flip(-1) if torch.rand((), generator=generator) < 0.5 else images


def picture_loss(made: Tensor, wanted: Tensor) -> Tensor:
    """Return the mean absolute error of pixels, of means over 16×16 pixels, and of gradients.

    The means keep the colour, the horizontal and vertical gradients at three scales keep edges sharp.
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
    """Train encoder and decoder, then set ``scaling_factor`` and ``shift_factor`` for latents of unit variance."""

    def compute_loss(generator: torch.Generator) -> Tensor:
        images = _batch(paintings, batch, generator).to(device_of(vae))
        with half_precision(images.device):
            mean = vae.encode(images).latents.float()
            noise = torch.randn(mean.shape, generator=generator).to(mean)
            made = vae.decode(mean + noise * LATENT_NOISE * mean.detach().std()).sample
        loss: Tensor = picture_loss(made.float(), images) + 1e-3 * mean.square().mean()
        return loss

    yield from train_stage(folder, vae, compute_loss, budget, task="autoencoder", seed=seed)
    vae.eval()
    with torch.inference_mode():
        latents = torch.cat(
            [vae.encode(to_tensor(paintings[i : i + 16]).to(device_of(vae))).latents.cpu() for i in range(0, 256, 16)]
        )
    spread = latents.std(dim=(0, 2, 3))
    gains = (CHANNEL_STD / spread).clamp(min=1)
    latents = latents * gains[:, None, None]
    facts = {"scaling_factor": float(1 / latents.std()), "shift_factor": float(latents.mean()), "gains": gains.tolist()}
    write_json(folder / "latents.json", facts)
    restore(folder, vae)


def _amplify(vae: Any, gains: Tensor) -> None:
    """Multiply the latent channels by ``gains`` ``(8,)`` at the end of the encoder, and divide them in the decoder."""
    last, first = vae.encoder.layers[-1], vae.decoder.layers[0]
    with torch.no_grad():
        gains = gains.to(last.weight)
        last.weight *= gains[:, None, None, None]
        last.bias *= gains
        first.weight /= gains[:, None, None]


def restore(folder: Path, vae: Any) -> None:
    """Load the result of :func:`train_autoencoder`, frozen and in evaluation mode."""
    vae.load_state_dict(load_ema(folder))
    facts = read_json(folder / "latents.json")
    _amplify(vae, torch.tensor(facts.pop("gains")))
    vae.register_to_config(**facts)
    vae.requires_grad_(False).eval()


def start_from(bundle: Path, vae: Any) -> None:
    """Load the autoencoder of an existing bundle, frozen and in evaluation mode."""
    tensors = load_file(weight_files(bundle / "vae").paths[0])
    vae.load_state_dict({name: value.float() for name, value in tensors.items()})
    config = read_json(bundle / "vae" / "config.json")
    vae.register_to_config(scaling_factor=config["scaling_factor"], shift_factor=config["shift_factor"])
    vae.requires_grad_(False).eval()


def train_decoder(
    folder: Path, vae: Any, paintings: npt.NDArray[np.uint8], budget: Budget, *, seed: int, batch: int
) -> Iterator[Progress]:
    """Train only the decoder, so that the latents that the U-Net was trained on do not change."""
    vae.decoder.requires_grad_(True)
    std = 1 / float(vae.config.scaling_factor)

    def compute_loss(generator: torch.Generator) -> Tensor:
        images = _batch(paintings, batch, generator).to(device_of(vae))
        with half_precision(images.device):
            with torch.no_grad():
                mean = vae.encode(images).latents.float()
            noise = torch.randn(mean.shape, generator=generator).to(mean)
            made = vae.decode(mean + noise * LATENT_NOISE * std).sample
        return picture_loss(made.float(), images)

    yield from train_stage(folder, vae, compute_loss, budget, task="decoder", seed=seed)


def encode(vae: Any, pictures: npt.NDArray[np.uint8]) -> npt.NDArray[np.float32]:
    """Return the scaled latents of pictures, float32 ``(B, 8, 16, 16)``."""
    device = device_of(vae)
    with torch.inference_mode(), half_precision(device):
        mean = vae.encode(to_tensor(pictures).to(device)).latents.float().cpu()
    latents: npt.NDArray[np.float32] = (
        (mean - float(vae.config.shift_factor)) * float(vae.config.scaling_factor)
    ).numpy()
    return latents


def encode_all(folder: Path, vae: Any, paintings: npt.NDArray[np.uint8]) -> Iterator[Progress]:
    """Write the scaled latents of all paintings to ``folder/latents.npy``, float16 ``(N, 8, 16, 16)``.

    An interrupted call is continued; ``encoded.txt`` counts the finished ones.
    """
    folder.mkdir(parents=True, exist_ok=True)
    path, counter, count = folder / "latents.npy", folder / "encoded.txt", len(paintings)
    done = int(counter.read_text()) if counter.exists() and path.exists() else 0
    mode = "r+" if done else "w+"
    latents = np.lib.format.open_memmap(path, mode=mode, dtype=np.float16, shape=(count, 8, 16, 16))
    for start in range(done, count, _ENCODED_AT_ONCE):
        end = min(start + _ENCODED_AT_ONCE, count)
        latents[start:end] = encode(vae, paintings[start:end])
        latents.flush()
        counter.write_text(str(end))
        if start % 1000 == 0:
            yield Progress("encode", start, count)
