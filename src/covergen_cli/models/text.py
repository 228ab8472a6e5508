"""Texts to conditioning tokens, with the CLIP text encoders in a model's folder.

::

    text_encoder/   and tokenizer/       CLIPTextModel, of Stable Diffusion 1, 2 and XL
    text_encoder_2/ and tokenizer_2/     CLIPTextModelWithProjection, of Stable Diffusion XL and its refiner

Only local safetensors, JSON and tokenizer files are read. ``transformers`` takes seconds to import and is imported only
when a text is embedded that is not in the cache.
"""

from __future__ import annotations

import contextlib
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import safetensors
import safetensors.torch
import torch

from covergen_cli.errors import ConfigError, CovergenError, ModelError
from covergen_cli.files import sha256_bytes, write_bytes
from covergen_cli.models.fingerprint import (
    content_hash,
    loading_error,
    text_cache_file,
    text_encoder_files,
    text_parts,
    weight_files,
)

if TYPE_CHECKING:
    from torch import Tensor

_LOADING_ERRORS = (OSError, ValueError, RuntimeError, TypeError, KeyError, safetensors.SafetensorError)


@dataclass(frozen=True)
class TextTokens:
    """An embedded text.

    Args:
        tokens: float32 ``(1, 77, D)``.
        pooled: the projected vector of the text that XL needs, float32 ``(1, P)``; ``None`` for other models.
    """

    tokens: Tensor
    pooled: Tensor | None = None


class TextEncoder:
    """The text encoders of a base or a refiner, loaded when they are first needed, in float32 on the CPU.

    A text takes a fraction of a second there, so they need no memory on the GPU, and a prompt gives the same tokens on
    every device.

    Args:
        folder: holds at least one pair of text encoder and tokenizer.
        fingerprint: of the model, for the names of cached texts.
    """

    def __init__(self, folder: Path, fingerprint: str) -> None:
        self._folder = folder
        self._fingerprint = fingerprint

    def count_tokens(self, text: str) -> int:
        """Return how many tokens a text has, without the two that mark start and end.

        Raises:
            ModelError: a tokenizer is damaged.
        """
        return max(len(tokenizer(text, verbose=False).input_ids) for tokenizer in self._tokenizers) - 2

    def embed(self, text: str, *, cached: bool = False) -> TextTokens:
        """Embed a text as the pipelines of diffusers do.

        Stable Diffusion 1 and 2 take the encoder's last hidden state; XL takes the last but one of each encoder, side
        by side, and the projection of the second.

        Args:
            text: at most 75 tokens.
            cached: read the result from the user's cache, or write it there.

        Raises:
            ModelError: an encoder or a tokenizer is missing or damaged.
            ConfigError: the text has more tokens than the encoder takes.
        """
        if not cached:
            return self._embed(text)
        hashes = [content_hash(path) for path in text_encoder_files(self._folder)]
        cache = text_cache_file(sha256_bytes("\n".join([self._fingerprint, *hashes, *filter(None, [text])]).encode()))
        if cache.is_file():
            try:
                return read_tokens(cache)
            except ModelError:
                cache.unlink(missing_ok=True)
        found = self._embed(text)
        pooled = {} if found.pooled is None else {"pooled": found.pooled}
        # Without a writable cache the tokens are computed each time.
        with contextlib.suppress(CovergenError):
            write_bytes(cache, safetensors.torch.save({"null": found.tokens, **pooled}))
        return found

    @torch.inference_mode()
    def _embed(self, text: str) -> TextTokens:
        outputs = []
        for tokenizer, encoder in zip(self._tokenizers, self._encoders, strict=True):
            length = encoder.config.max_position_embeddings
            if (needed := len(tokenizer(text, verbose=False).input_ids)) > length:
                raise ConfigError(
                    f"the text {text[:40]!r}… has {needed - 2} tokens; the model takes {length - 2}", hint="Shorten it."
                )
            ids = tokenizer([text], padding="max_length", max_length=length, return_tensors="pt").input_ids
            outputs.append(encoder(ids, output_hidden_states=True))
        if not hasattr(outputs[-1], "text_embeds"):
            return TextTokens(outputs[0].last_hidden_state.clone())
        tokens = torch.cat([output.hidden_states[-2] for output in outputs], dim=-1)
        return TextTokens(tokens, outputs[-1].text_embeds.clone())

    @cached_property
    def _tokenizers(self) -> list[Any]:
        from transformers import CLIPTokenizer

        try:
            return [
                CLIPTokenizer.from_pretrained(self._folder / tokenizer, local_files_only=True)
                for _, tokenizer in text_parts(self._folder)
            ]
        except Exception as error:  # the library's parser raises nothing narrower
            raise loading_error(f"the tokenizer of {self._folder}", error) from error

    @cached_property
    def _encoders(self) -> list[Any]:
        import transformers
        from transformers.utils import logging

        # transformers shows a progress bar while it loads weights.
        logging.disable_progress_bar()  # type: ignore[no-untyped-call]
        encoders = []
        for part, _ in text_parts(self._folder):
            name = "CLIPTextModelWithProjection" if part.endswith("_2") else "CLIPTextModel"
            kind: Any = getattr(transformers, name)
            try:
                encoder, report = kind.from_pretrained(
                    self._folder / part,
                    local_files_only=True,
                    use_safetensors=True,
                    variant=weight_files(self._folder / part, "model").variant,
                    output_loading_info=True,
                )
            except _LOADING_ERRORS as error:
                raise loading_error(f"the text encoder of {self._folder}", error) from error
            if report["missing_keys"]:
                raise ModelError(f"the text encoder of {self._folder} lacks {len(report['missing_keys'])} weights")
            encoders.append(encoder.to(torch.float32).eval())
        return encoders


def read_tokens(path: Path) -> TextTokens:
    """Read tokens from the keys ``null`` and, where there is one, ``pooled`` of a safetensors file, as float32.

    Raises:
        ModelError: the file is damaged.
    """
    try:
        tensors = {name: tensor.float() for name, tensor in safetensors.torch.load_file(path).items()}
        return TextTokens(tensors["null"], tensors.get("pooled"))
    except (OSError, KeyError, safetensors.SafetensorError) as error:
        raise ModelError(f"{path} is damaged: {error}") from error
