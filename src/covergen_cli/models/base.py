"""The base: a frozen image model in the layout of Stable Diffusion 1, 2 or XL, read from folders of diffusers.

A refiner is loaded as a base, too: it draws from pictures rather than from noise (§3.4.4).

::

    FOLDER/unet/        config.json, diffusion_pytorch_model.safetensors     UNet2DConditionModel
    FOLDER/vae/         config.json, diffusion_pytorch_model.safetensors     AutoencoderKL or AutoencoderTiny
    FOLDER/scheduler/   scheduler_config.json
    FOLDER/null_condition/null.safetensors            key "null", (1, K0, D): the unconditional side of guidance
    FOLDER/text_encoder/ and tokenizer/               or, in its place, CLIP: its embedding of the empty prompt
    FOLDER/text_encoder_2/ and tokenizer_2/           of Stable Diffusion XL; its refiner has no other
    FOLDER/upscaler/    config.json, upscaler.safetensors                    may be there; the starter has one
    FOLDER/condition_encoder/  config.json, condition_encoder.safetensors    the same

``diffusers`` and ``transformers`` take seconds to import and are imported when a base is loaded, not before.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import torch

from covergen_cli.errors import ModelError
from covergen_cli.models.condition import Condition, condition_of, is_refiner, is_xl
from covergen_cli.models.condition_encoder import ConditionEncoder, load_condition_encoder
from covergen_cli.models.decoupled import projection_widths
from covergen_cli.models.fingerprint import (
    NULL_WEIGHTS,
    base_fingerprint,
    has_text_encoder,
    read_model_json,
)
from covergen_cli.models.parts import load_part, load_unet_and_vae, native_size, pixels_per_latent
from covergen_cli.models.text import TextEncoder, TextTokens, read_tokens
from covergen_cli.models.upscaler import Upscaler, load_upscaler
from covergen_cli.weights import hub

if TYPE_CHECKING:
    from torch import Tensor

    from covergen_cli.models.checkpoint import LoadedAdapter

_TAESD_SCALE = 0.1822
"""Scaling factor, rounded, of the autoencoder whose latents taesd decodes."""


@dataclass(frozen=True)
class Base:
    """A loaded base: all parts are frozen, in evaluation mode and on one device.

    Args:
        unet: a ``UNet2DConditionModel`` of diffusers, or our own of the same interface.
        vae: an ``AutoencoderKL`` or ``AutoencoderTiny`` of diffusers, or our own ``AutoencoderTiny``.
        scheduler_config: content of ``scheduler/scheduler_config.json``.
        null: the unconditional side of guidance, on the device.
        reference: how the user named it: ``starter``, ``sd15``, a path or a hub id.
        revision: the hub commit, where there is one.
        fingerprint: see :func:`covergen_cli.models.fingerprint.base_fingerprint`.
        native_size: pixels per side of the images that it was trained on.
        text: its text encoders; ``None`` for a base that takes no texts.
        upscaler: enlarges its images, on the CPU; ``None`` for most bases.
        condition_encoder: makes tokens from numbers, on the CPU; ``None`` for most bases.
    """

    unet: Any
    vae: Any
    scheduler_config: dict[str, Any]
    null: Condition
    reference: str
    revision: str | None
    fingerprint: str
    native_size: int
    text: TextEncoder | None = None
    upscaler: Upscaler | None = None
    condition_encoder: ConditionEncoder | None = None

    @property
    def null_tokens(self) -> Tensor:
        """Tokens of the unconditional side of guidance, ``(1, K0, D)``."""
        return self.null.tokens

    @property
    def device(self) -> torch.device:
        """The device of the weights."""
        return self.null_tokens.device

    @property
    def dtype(self) -> torch.dtype:
        """The type of the weights."""
        return self.null_tokens.dtype

    @property
    def cross_attention_dim(self) -> int:
        """Width ``D`` of a conditioning token."""
        return int(self.unet.config.cross_attention_dim)

    @property
    def latent_shape(self) -> tuple[int, int, int]:
        """``(C, h, w)`` of one latent at the native size."""
        side = self.native_size // pixels_per_latent(self.vae)
        return int(self.unet.config.in_channels), side, side

    def encode(self, images: Tensor) -> Tensor:
        """Return the posterior's mean for images ``(B, 3, H, W)`` in [-1, 1]: scaled latents ``(B, C, h, w)``."""
        return self.posterior(images)[0]

    def posterior(self, images: Tensor) -> tuple[Tensor, Tensor | None]:
        """Encode images to the distribution of their scaled latents, of about unit variance.

        Args:
            images: float ``(B, 3, H, W)`` in [-1, 1].

        Returns:
            Mean and standard deviation, each ``(B, C, h, w)``; the latter is ``None`` for an autoencoder that gives one
            latent per image (``AutoencoderTiny``).
        """
        encoded = self.vae.encode(images.to(self.device, self.vae.dtype))
        scale = float(self.vae.config.scaling_factor)
        if hasattr(encoded, "latent_dist"):
            return (encoded.latent_dist.mean - self._shift) * scale, encoded.latent_dist.std * scale
        return (encoded.latents - self._shift) * scale, None

    def embed(self, text: str, *, negative: bool = False, cached: bool = False) -> Condition:
        """Return the condition of a text, with ``(1, 77, D)`` tokens.

        Args:
            text: at most 75 tokens.
            negative: it is that of the unconditional side.
            cached: see :meth:`TextEncoder.embed`.

        Raises:
            ModelError: this base has no text encoder, or a damaged one.
            ConfigError: the text is too long.
        """
        if self.text is None:
            raise ModelError(f"{self.reference} understands no words: it has no text encoder with a tokenizer")
        embedded = self.text.embed(text, cached=cached)
        condition = condition_of(embedded, self.unet.config, self.native_size, negative=negative)
        return condition.to(self.device, self.dtype)

    def in_precision(self, dtype: torch.dtype) -> Base:
        """Return this base with all weights converted to another dtype, in place."""
        return replace(
            self, unet=self.unet.to(dtype=dtype), vae=self.vae.to(dtype=dtype), null=self.null.to(dtype=dtype)
        )

    def decode(self, latents: Tensor) -> Tensor:
        """Decode scaled latents ``(B, C, h, w)`` to images: float ``(B, 3, H, W)`` in [-1, 1]."""
        unscaled = latents.to(self.device, self.vae.dtype) / self.vae.config.scaling_factor + self._shift
        images: Tensor = self.vae.decode(unscaled).sample
        return images.clamp(-1, 1)

    @property
    def _shift(self) -> float:
        return float(getattr(self.vae.config, "shift_factor", None) or 0.0)

    def metadata(self) -> dict[str, object]:
        """Return what an adapter records about its base; JSON-able."""
        return {
            "reference": self.reference,
            "revision": self.revision,
            "fingerprint": self.fingerprint,
            "cross_attention_dim": self.cross_attention_dim,
        }


def load_base(
    reference: str,
    device: torch.device | str = "cpu",
    dtype: torch.dtype = torch.float32,
    kind: Literal["base", "refiner"] = "base",
) -> Base:
    """Load a base or a refiner, frozen.

    The autoencoder of Stable Diffusion XL overflows in float16; unless its configuration has ``force_upcast`` off, it
    is loaded as float32.

    Args:
        reference: ``starter``, ``sd15``, a folder, or a hub id (``OWNER/NAME`` or ``OWNER/NAME@REVISION``).
        device: where to load it.
        dtype: of all weights.
        kind: a base draws from noise; a refiner draws from pictures, needs a text encoder, and may be any base that
            has one.

    Raises:
        ModelError: a part is missing, damaged, or does not fit the others, or the base cannot be downloaded.
    """
    folder = hub.resolve(reference, kind)
    fingerprint = base_fingerprint(folder)
    scheduler_config = read_model_json(folder / "scheduler" / "scheduler_config.json")
    unet, vae = load_unet_and_vae(folder, device, dtype)
    size = native_size(unet, vae, folder)
    text = TextEncoder(folder, fingerprint) if has_text_encoder(folder) else None
    if kind == "refiner" and text is None:
        raise ModelError(f"{reference} is not a refiner: it has no text encoder", hint="Use sdxl-refiner or sd15.")
    null_text = _null_text(folder, unet, text)
    if kind == "base" and null_text.pooled is not None and is_refiner(unet.config, null_text.pooled.shape[1]):
        raise ModelError(
            f"{reference} is the refiner of Stable Diffusion XL, which draws from pictures only",
            hint="Use it with --refine.",
        )
    return Base(
        unet=unet,
        vae=vae,
        scheduler_config=scheduler_config,
        null=condition_of(null_text, unet.config, size, negative=True).to(device, dtype),
        reference=reference,
        revision=hub.revision_of(folder),
        fingerprint=fingerprint,
        native_size=size,
        text=text,
        upscaler=load_upscaler(folder),
        condition_encoder=load_condition_encoder(folder),
    )


def with_fast_decoder(base: Base) -> Base:
    """Return a base that decodes its latents with ``taesd``: in a fraction of the time, with a little less detail.

    Raises:
        ModelError: the base has latents of another kind, or the decoder is missing, damaged, or cannot be downloaded.
    """
    config = base.vae.config
    if is_xl(base.unet.config) or round(config.scaling_factor, 4) != _TAESD_SCALE or config.latent_channels != 4:
        raise ModelError(
            f"taesd decodes the latents of Stable Diffusion 1 and 2; {base.reference} has others",
            hint="Leave out --fast-decode.",
        )
    vae = load_part(hub.resolve(hub.TAESD), ("AutoencoderTiny",), base.device, base.vae.dtype)
    return replace(base, vae=vae)


def _null_text(folder: Path, unet: Any, text: TextEncoder | None) -> TextTokens:
    """Return what guidance takes for no condition: learned tokens, zeros, or the embedding of the empty text.

    Zeros are what Stable Diffusion XL was trained with, unless its ``model_index.json`` says otherwise.
    """
    learned, width = folder / NULL_WEIGHTS, unet.config.cross_attention_dim
    if learned.is_file():
        null = read_tokens(learned)
    elif text is None:
        raise ModelError(
            f"{folder} has no null condition: neither {NULL_WEIGHTS} nor text_encoder and tokenizer",
            hint="Guidance needs the tokens of the unconditional side.",
        )
    elif is_xl(unet.config) and _zeros_for_no_text(folder):
        pooled = read_model_json(folder / "text_encoder_2" / "config.json").get("projection_dim", 0)
        null = TextTokens(torch.zeros(1, 77, width), torch.zeros(1, pooled))
    else:
        null = text.embed("", cached=True)
    shape = tuple(null.tokens.shape)
    if len(shape) != 3 or shape[0] != 1 or shape[2] != width:
        raise ModelError(f"{folder}: the null condition has shape {shape}; expected (1, tokens, {width})")
    return null


def _zeros_for_no_text(folder: Path) -> bool:
    index = folder / "model_index.json"
    return not index.is_file() or bool(read_model_json(index).get("force_zeros_for_empty_prompt", True))


def check_adapter_fits(loaded: LoadedAdapter, base: Base, *, force: bool = False) -> None:
    """Check that an adapter was trained for a base.

    Args:
        loaded: the adapter.
        base: the base.
        force: check only that it can be used at all: its tokens, and its projections if it has some, fit in width.

    Raises:
        ModelError: its tokens have another width, or it was trained for other weights.
    """
    width = loaded.config.output_dim
    if width != base.cross_attention_dim:
        raise ModelError(
            f"the adapter gives tokens {width} wide, but the base {base.reference} needs {base.cross_attention_dim}",
            hint="Use the base that the adapter was trained for.",
        )
    projections = loaded.adapter.projections
    if projections is not None and projections.widths != projection_widths(base.unet):
        raise ModelError(f"the adapter has projections for other cross-attentions than those of {base.reference}")
    if force:
        return
    trained_for, revision = loaded.base.get("fingerprint"), loaded.base.get("revision")
    # Files in single and half precision differ, but a commit of the hub holds the same weights in both.
    if trained_for != base.fingerprint and (revision is None or revision != base.revision):
        name = loaded.base.get("reference", "another base")
        raise ModelError(
            f"the adapter was trained for {name} ({str(trained_for)[:12]}), "
            f"but the base {base.reference} has other weights ({base.fingerprint[:12]})",
            hint=f"Use --base {name}, train an adapter for this base, or try it with --force-base.",
        )
