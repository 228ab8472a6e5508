"""The refiner: Stable Diffusion XL's second model, applied to a finished image (§3.4.4).

::

    FOLDER/unet/ vae/ scheduler/                 as in a base; the U-Net also takes a pooled text and time ids
    FOLDER/text_encoder_2/ and tokenizer_2/      its only text encoder
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch

from covergen_cli.errors import ModelError
from covergen_cli.models.base import Base, load_unet_and_vae, native_size
from covergen_cli.models.fingerprint import read_model_json, refiner_fingerprint
from covergen_cli.models.text import TextTokens, embed_pooled_texts
from covergen_cli.weights import hub

if TYPE_CHECKING:
    from torch import Tensor

_AESTHETIC_SCORES = (2.5, 6.0)
"""Scores of 10 for the unconditional and the conditional side, as in diffusers' StableDiffusionXLImg2ImgPipeline."""


@dataclass(frozen=True)
class Refiner:
    """A loaded refiner, without its text encoder.

    Args:
        model: U-Net, autoencoder and scheduler; its ``null_tokens`` are those of the negative prompt.
        texts: negative prompt and prompt: tokens ``(2, 77, D)``, pooled ``(2, P)``.
    """

    model: Base
    texts: TextTokens

    def conditions(self, which: int) -> tuple[Tensor, dict[str, Tensor]]:
        """Return the tokens ``(1, 77, D)`` and the added conditions of one side of guidance.

        The time ids are original height and width, crop offsets (none) and aesthetic score.

        Args:
            which: 0 for the negative prompt, 1 for the prompt.
        """
        size = float(self.model.native_size)
        ids = torch.tensor([[size, size, 0.0, 0.0, _AESTHETIC_SCORES[which]]])
        added = {
            "text_embeds": self.texts.pooled[which : which + 1],
            "time_ids": ids.to(self.model.device, self.model.dtype),
        }
        return self.texts.tokens[which : which + 1], added


def load_refiner(
    reference: str, prompt: str, negative: str | None, device: torch.device | str, dtype: torch.dtype
) -> Refiner:
    """Load a refiner, frozen, and embed its prompts once for all images.

    SDXL's autoencoder overflows in float16; unless its configuration has ``force_upcast`` off, it is loaded as float32.

    Args:
        reference: ``sdxl-refiner``, a folder, or a hub id.
        prompt: positive prompt.
        negative: negative prompt; ``None`` for an empty one.
        device: where the prompts are embedded; U-Net and autoencoder are loaded on the CPU.
        dtype: of the weights.

    Raises:
        ModelError: it is missing, damaged, not a refiner, or cannot be downloaded.
        ConfigError: a prompt is too long.
    """
    folder = hub.resolve(reference, "refiner")
    texts = embed_pooled_texts(folder, [negative or "", prompt], device, dtype)
    vae_config = read_model_json(folder / "vae" / "config.json")
    upcast = dtype == torch.float16 and vae_config.get("force_upcast", True)
    unet, vae = load_unet_and_vae(folder, "cpu", dtype, torch.float32 if upcast else dtype)
    _check(unet, texts, reference)
    model = Base(
        unet=unet,
        vae=vae,
        scheduler_config=read_model_json(folder / "scheduler" / "scheduler_config.json"),
        null_tokens=texts.tokens[:1],
        reference=reference,
        revision=hub.revision_of(folder),
        fingerprint=refiner_fingerprint(folder),
        native_size=native_size(unet, vae, folder),
    )
    return Refiner(model, texts)


def _check(unet: Any, texts: TextTokens, reference: str) -> None:
    """Check that a U-Net is a refiner's: SDXL's base takes six time ids and two text encoders, older models neither.

    Raises:
        ModelError: it is not.
    """
    config = unet.config
    if config.addition_embed_type != "text_time":
        raise ModelError(f"{reference} is not a refiner: its U-Net takes tokens only", hint="Use sdxl-refiner.")
    expected = 5 * config.addition_time_embed_dim + texts.pooled.shape[1]
    if config.projection_class_embeddings_input_dim != expected or config.cross_attention_dim != texts.tokens.shape[2]:
        raise ModelError(
            f"{reference} is not an SDXL refiner: its U-Net takes other conditions", hint="Use sdxl-refiner."
        )
