"""The refiner: Stable Diffusion XL's second model, which works over a finished picture (§3.4.4).

::

    FOLDER/unet/ vae/ scheduler/                 as in a base, but the U-Net also takes a pooled text and time ids
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
"""What the refiner's pipeline asks of the unconditional and of the conditional side, of 10."""


@dataclass(frozen=True)
class Refiner:
    """A loaded refiner; the text encoder has done its work and is gone.

    Args:
        model: U-Net, autoencoder and scheduler; its ``null_tokens`` are those of the negative text.
        words: the two texts as the U-Net reads them, the negative one first: ``(2, 77, D)`` and ``(2, P)``.
    """

    model: Base
    words: TextTokens

    def conditions(self, which: int) -> tuple[Tensor, dict[str, Tensor]]:
        """Return one side of guidance: tokens ``(1, 77, D)``, and what else the U-Net takes.

        The time ids tell the U-Net: the picture was as large as it is, nothing is cut off, and how good it shall look.

        Args:
            which: 0 for the negative text, 1 for the prompt.
        """
        size = float(self.model.native_size)
        ids = torch.tensor([[size, size, 0.0, 0.0, _AESTHETIC_SCORES[which]]])
        added = {
            "text_embeds": self.words.pooled[which : which + 1],
            "time_ids": ids.to(self.model.device, self.model.dtype),
        }
        return self.words.tokens[which : which + 1], added


def load_refiner(
    reference: str, prompt: str, negative: str | None, device: torch.device | str, dtype: torch.dtype
) -> Refiner:
    """Load a refiner, frozen, and embed its texts once for all pictures.

    The autoencoder of SDXL overflows in half precision; where its configuration says so, it stays in single precision.

    Args:
        reference: ``sdxl-refiner``, a folder, or a hub id.
        prompt: what the picture shall look like.
        negative: what it shall not look like; ``None`` for nothing.
        device: where it will compute; the texts do so at once, U-Net and autoencoder wait in the machine's memory.
        dtype: type of the weights.

    Raises:
        ModelError: it is missing, damaged, cannot be fetched, or is no refiner.
        ConfigError: a text is too long.
    """
    folder = hub.resolve(reference, "refiner")
    words = embed_pooled_texts(folder, [negative or "", prompt], device, dtype)
    vae_config = read_model_json(folder / "vae" / "config.json")
    upcast = dtype == torch.float16 and vae_config.get("force_upcast", True)
    unet, vae = load_unet_and_vae(folder, "cpu", dtype, torch.float32 if upcast else dtype)
    _check(unet, words, reference)
    model = Base(
        unet=unet,
        vae=vae,
        scheduler_config=read_model_json(folder / "scheduler" / "scheduler_config.json"),
        null_tokens=words.tokens[:1],
        reference=reference,
        revision=hub.revision_of(folder),
        fingerprint=refiner_fingerprint(folder),
        native_size=native_size(unet, vae, folder),
    )
    return Refiner(model, words)


def _check(unet: Any, words: TextTokens, reference: str) -> None:
    """Refuse what is no refiner: SDXL's base takes six time ids and two text encoders, older models take neither."""
    config = unet.config
    if config.addition_embed_type != "text_time":
        raise ModelError(f"{reference} is no refiner: its U-Net takes tokens only", hint="Use sdxl-refiner.")
    expected = 5 * config.addition_time_embed_dim + words.pooled.shape[1]
    if config.projection_class_embeddings_input_dim != expected or config.cross_attention_dim != words.tokens.shape[2]:
        raise ModelError(
            f"{reference} is no refiner of SDXL's kind: its U-Net takes other conditions", hint="Use sdxl-refiner."
        )
