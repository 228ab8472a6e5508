"""Texts to conditioning tokens, with the CLIP text encoder in a model's folder.

Only local safetensors, JSON and tokenizer files are read. ``transformers`` takes seconds to import and is imported only
when a text is embedded.
"""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import safetensors
import safetensors.torch
import torch

from covergen_cli.errors import ConfigError, CovergenError, ModelError
from covergen_cli.files import sha256_bytes, write_bytes
from covergen_cli.models.fingerprint import content_hash, loading_error, text_cache_file, weight_files

if TYPE_CHECKING:
    from torch import Tensor

_WEIGHTS_STEM = "model"
_LOADING_ERRORS = (OSError, ValueError, RuntimeError, TypeError, KeyError, safetensors.SafetensorError)


@dataclass(frozen=True)
class TextTokens:
    """Embedded texts as an SDXL U-Net needs them.

    Args:
        tokens: ``(B, 77, D)``, the penultimate hidden layer.
        pooled: ``(B, P)``, one projected vector per text.
    """

    tokens: Tensor
    pooled: Tensor


def embed_texts(folder: Path, texts: Sequence[str]) -> Tensor:
    """Return the last hidden state of ``text_encoder``, as Stable Diffusion 1 and 2 use it.

    Args:
        folder: a base with ``text_encoder`` and ``tokenizer``.
        texts: any number.

    Returns:
        float32 ``(B, 77, D)`` on the CPU.

    Raises:
        ModelError: encoder or tokenizer are missing or damaged, or weights are missing.
        ConfigError: a text has more tokens than the encoder takes.
    """
    encoder, ids = _load(folder, "text_encoder", "tokenizer", "CLIPTextModel", texts, torch.float32, "cpu")
    with torch.inference_mode():
        hidden: Tensor = encoder(ids)[0]
    return hidden.float().clone()


def embed_pooled_texts(
    folder: Path, texts: Sequence[str], device: torch.device | str, dtype: torch.dtype
) -> TextTokens:
    """Embed texts as SDXL's refiner does, with ``text_encoder_2`` alone; the encoder is not kept in memory.

    Args:
        folder: the refiner, with ``text_encoder_2`` and ``tokenizer_2``.
        texts: any number.
        device: where to compute.
        dtype: of the encoder's weights and the result.

    Raises:
        ModelError, ConfigError: see :func:`embed_texts`.
    """
    kind = "CLIPTextModelWithProjection"
    encoder, ids = _load(folder, "text_encoder_2", "tokenizer_2", kind, texts, dtype, device)
    with torch.inference_mode():
        given = encoder(ids, output_hidden_states=True)
    return TextTokens(given.hidden_states[-2].clone(), given.text_embeds.clone())


def cached_text_tokens(folder: Path, text: str, fingerprint: str) -> Tensor:
    """Return the tokens of a text from the user's cache, float32 ``(1, 77, D)``; compute and save them if missing.

    Args:
        folder: see :func:`embed_texts`.
        text: the text.
        fingerprint: of the base.

    Raises:
        ModelError, ConfigError: see :func:`embed_texts`.
    """
    encoder = [content_hash(path) for path in weight_files(folder / "text_encoder", _WEIGHTS_STEM).paths]
    name = sha256_bytes("\n".join([fingerprint, *encoder, *([text] if text else [])]).encode())
    cache = text_cache_file(name)
    if cache.is_file():
        try:
            return read_tokens(cache)
        except ModelError:
            cache.unlink(missing_ok=True)
    tokens = embed_texts(folder, [text])
    # Without a writable cache the tokens are computed each time.
    with contextlib.suppress(CovergenError):
        write_bytes(cache, safetensors.torch.save({"null": tokens}))
    return tokens


def read_tokens(path: Path) -> Tensor:
    """Read tokens from the key ``null`` of a safetensors file, as float32.

    Raises:
        ModelError: the file is damaged.
    """
    try:
        return safetensors.torch.load_file(path)["null"].float()
    except (OSError, KeyError, safetensors.SafetensorError) as error:
        raise ModelError(f"{path} is damaged: {error}") from error


def _load(
    folder: Path,
    encoder_part: str,
    tokenizer_part: str,
    kind: str,
    texts: Sequence[str],
    dtype: torch.dtype,
    device: torch.device | str,
) -> tuple[Any, Tensor]:
    """Return the loaded text encoder and the token ids of the texts, ``(B, 77)``."""
    import transformers
    from transformers.utils import logging

    # transformers shows a progress bar while it loads weights.
    logging.disable_progress_bar()  # type: ignore[no-untyped-call]
    try:
        tokenizer = transformers.CLIPTokenizer.from_pretrained(folder / tokenizer_part, local_files_only=True)
        encoder, report = getattr(transformers, kind).from_pretrained(
            folder / encoder_part,
            local_files_only=True,
            use_safetensors=True,
            variant=weight_files(folder / encoder_part, _WEIGHTS_STEM).variant,
            output_loading_info=True,
        )
        if report["missing_keys"]:
            raise ModelError(f"the text encoder of {folder} lacks {len(report['missing_keys'])} weights")
        length = encoder.config.max_position_embeddings
        _check_lengths(tokenizer, texts, length)
        ids = tokenizer(list(texts), padding="max_length", max_length=length, truncation=True).input_ids
        return encoder.to(device, dtype).eval(), torch.tensor(ids, device=device)
    except _LOADING_ERRORS as error:
        raise loading_error(f"the text encoder of {folder}", error) from error


def _check_lengths(tokenizer: Any, texts: Sequence[str], length: int) -> None:
    for text in texts:
        needed = len(tokenizer(text).input_ids)
        if needed > length:
            raise ConfigError(
                f"the text {text[:40]!r}… has {needed - 2} tokens; the model takes {length - 2}", hint="Shorten it."
            )
