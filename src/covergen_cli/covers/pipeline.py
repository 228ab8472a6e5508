"""The second half of the way: load the models once, then draw cover after cover."""

from __future__ import annotations

import hashlib
import time
from collections import deque
from collections.abc import Generator, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, cast

import numpy as np
import torch

from covergen_cli.covers.finish import finish
from covergen_cli.covers.stores import max_bytes
from covergen_cli.covers.text.layout import letter
from covergen_cli.diffusion.guidance import guide
from covergen_cli.diffusion.placement import ONE_BY_ONE, Placement, place, settle, take_turns
from covergen_cli.diffusion.refine import refine, refine_calls
from covergen_cli.diffusion.sampler import denoise, make_scheduler
from covergen_cli.errors import ModelError
from covergen_cli.models.base import Base, check_adapter_fits, load_base
from covergen_cli.models.checkpoint import load_adapter
from covergen_cli.models.text import embed_texts, kept_text
from covergen_cli.provenance import save_cover
from covergen_cli.weights.device import choose_device, choose_dtype

if TYPE_CHECKING:
    import numpy.typing as npt
    from PIL import Image
    from torch import Tensor

    from covergen_cli.config import GenerateConfig
    from covergen_cli.covers.fingerprint import Models
    from covergen_cli.covers.jobs import Job
    from covergen_cli.models.adapter import Adapter
    from covergen_cli.models.refiner import Refiner


def song_seed(seed: int, embedding: npt.NDArray[np.float32]) -> int:
    """Mix the seed with the song: from the same noise, every song of a folder would get the same composition.

    The song counts by the coarse outline of its mean embedding: sixteen values, rounded to hundredths of the largest.
    So the mixture survives another tag, another name, and the last bits in which machines differ.

    Args:
        seed: what the user chose.
        embedding: float32 ``(T, E)``.

    Returns:
        0 to 2^63 − 1.
    """
    mean = embedding.astype(np.float64).mean(axis=0)
    chosen = mean[:: max(1, len(mean) // 16)][:16]
    outline = np.round(chosen / max(float(np.abs(chosen).max()), 1e-12), 2) + 0.0
    digest = hashlib.sha256(f"{seed}:{outline.tolist()}".encode()).digest()
    return int.from_bytes(digest[:8], "big") >> 1


@dataclass(frozen=True)
class Painter:
    """The loaded models.

    Args:
        adapter: in evaluation mode, on the base's device.
        base: the frozen image model.
        seconds: wall-clock time that loading took.
        prompt: tokens of the words beside the songs, ``(1, K, D)``; ``None`` for none.
        negative: tokens of the words for what shall not be seen; ``None`` for none.
        refiner: the second model; ``None`` when nothing is refined.
        placement: how the models share the device.
    """

    adapter: Adapter
    base: Base
    seconds: float
    prompt: Tensor | None = None
    negative: Tensor | None = None
    refiner: Refiner | None = None
    placement: Placement = ONE_BY_ONE

    @property
    def native_size(self) -> int:
        """Pixels per side of the pictures that come of the last model."""
        return self.base.native_size if self.refiner is None else self.refiner.model.native_size

    def listen(self, embedding: npt.NDArray[np.float32]) -> Tensor:
        """Turn the embedding ``(T, E)`` of a song into conditioning tokens ``(1, K, D)``."""
        with torch.inference_mode():
            tokens: Tensor = self.adapter(torch.from_numpy(embedding)[None].to(self.base.device))
        return tokens

    def attention(self, embedding: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
        """Tell how much each frame of the embedding ``(T, E)`` counts to the adapter: ``(T,)``, summing to 1."""
        with torch.inference_mode():
            weights = self.adapter.pooling.weights(torch.from_numpy(embedding)[None].to(self.base.device))
        shares: npt.NDArray[np.float32] = weights[0].float().cpu().numpy()
        return shares

    def listen_all(self, embeddings: Sequence[npt.NDArray[np.float32]]) -> Tensor:
        """Turn the embeddings of songs, each ``(T, E)`` of its own T, into conditioning tokens ``(B, K, D)``."""
        return torch.cat([self.listen(embedding) for embedding in embeddings])

    def seeds(self, seeds: Sequence[int], embeddings: Sequence[npt.NDArray[np.float32]]) -> list[int]:
        """Mix seeds with songs, see :func:`song_seed`."""
        return [song_seed(seed, embedding) for seed, embedding in zip(seeds, embeddings, strict=True)]

    def paint(self, tokens: Tensor, seed: int, config: GenerateConfig) -> Generator[tuple[int, int], None, Image.Image]:
        """Draw one picture and finish it; see :meth:`paint_together` and :meth:`finish`."""
        (picture,) = yield from self.paint_together(tokens, [seed], config)
        return self.finish(picture, seed, config)

    def cover(self, tokens: Tensor, seed: int, config: GenerateConfig) -> Image.Image:
        """Draw one picture to the end; see :meth:`paint`."""
        finished: list[Image.Image] = []

        def painting() -> Generator[tuple[int, int], None, None]:
            finished.append((yield from self.paint(tokens, seed, config)))

        deque(painting(), maxlen=0)
        return finished[0]

    def paint_together(
        self, tokens: Tensor, seeds: Sequence[int], config: GenerateConfig
    ) -> Generator[tuple[int, int], None, Tensor]:
        """Draw pictures, each from noise of its own seed.

        What one looks like does not depend on the others; its last bits can, as devices add numbers in another order
        when there are more of them.

        Args:
            tokens: ``(B, K, D)``.
            seeds: one per picture, 0 to 2^63 − 1; :func:`song_seed` makes them.
            config: how to draw.

        Yields:
            ``(done, total)`` calls of a U-Net.

        Returns:
            float ``(B, 3, H, H)`` in [-1, 1] on the CPU.

        Raises:
            ModelError: a model draws something that is no picture.
        """
        scale = 0.0 if config.no_audio else config.audio_scale
        null = self.base.null_tokens
        terms = guide(tokens, null, config.guidance, prompt=self.prompt, negative=self.negative, audio_scale=scale)
        other = None if self.refiner is None else self.refiner.model
        take_turns(self.base, other, self.placement)
        steps = denoise(self.base, terms, seeds, config.steps, config.scheduler)
        latents = yield from _counted(steps, 0, refine_calls(config))
        with torch.inference_mode():
            pictures = torch.cat([self.base.decode(latent[None]).float().cpu() for latent in latents])
        _check_pictures(pictures, self.base)
        if self.refiner is not None:
            take_turns(self.refiner.model, self.base, self.placement)
            pictures = yield from _counted(refine(self.refiner, pictures, seeds, config), config.steps, 0)
            _check_pictures(pictures, self.refiner.model)
        return pictures

    def finish(self, picture: Tensor, seed: int, config: GenerateConfig) -> Image.Image:
        """Bring a picture ``(3, H, H)`` in [-1, 1] to its size and finish it: RGB, ``config.size`` pixels per side."""
        if config.raw:
            return finish(picture, config.size, sharpen=False)
        upscaler = self.base.upscaler if self.refiner is None else None
        return finish(picture, config.size, seed=seed, grain=config.grain, tone=config.tone, upscaler=upscaler)

    def write(self, job: Job, picture: Tensor, seed: int, provenance: dict[str, Any], config: GenerateConfig) -> None:
        """Finish a picture and write it to its file.

        Args:
            job: where it goes.
            picture: see :meth:`finish`.
            seed: that drew it.
            provenance: what the file shall say about itself.
            config: how to finish it.

        Raises:
            OutputError: the file cannot be written.
        """
        image, provenance = self.finish(picture, seed, config), {**provenance, "native_size": self.native_size}
        if words := provenance.get("lettering"):
            image, contrast = letter(image, words, config.font)
            provenance["text_contrast"] = round(contrast, 2)
        save_cover(job.output, image, provenance, job.format, max_bytes(config.store))


def _counted(
    steps: Generator[tuple[int, int], None, Tensor], before: int, after: int
) -> Generator[tuple[int, int], None, Tensor]:
    """Count the steps of one of two models among those of both."""
    while True:
        try:
            done, total = next(steps)
        except StopIteration as end:
            return cast("Tensor", end.value)
        yield before + done, before + total + after


def _check_pictures(pictures: Tensor, model: Base) -> None:
    if not bool(torch.isfinite(pictures).all()):
        hint = "Try --dtype bf16 or fp32, or less --guidance."
        raise ModelError(f"{model.reference} drew numbers that are no picture", hint=hint)


def load_painter(config: GenerateConfig, models: Models) -> Painter:
    """Load the models, and check that they fit each other and the settings.

    Raises:
        ModelError: a model is missing, damaged, or does not fit.
        ConfigError: device, precision or scheduler make no sense, or the prompt is too long.
    """
    started = time.monotonic()
    device = choose_device(config.device)
    dtype = choose_dtype(config.dtype, device)
    loaded = load_adapter(models.adapter_folder)
    base = load_base(models.base_reference, "cpu", dtype)
    check_adapter_fits(loaded, base)
    make_scheduler(base, config.scheduler)
    base = replace(base, null_tokens=base.null_tokens.to(device))
    prompt, negative = _words(config, models)
    refiner = _refiner(config, device, dtype)
    side = base.native_size if refiner is None else refiner.model.native_size
    placement = place(device, config, side)
    for model in (base, *([] if refiner is None else [refiner.model])):
        settle(model, device, placement)
    return Painter(
        adapter=loaded.adapter.to(device),
        base=base,
        seconds=time.monotonic() - started,
        prompt=None if prompt is None else prompt.to(device),
        negative=None if negative is None else negative.to(device),
        refiner=refiner,
        placement=placement,
    )


def _words(config: GenerateConfig, models: Models) -> tuple[Tensor | None, Tensor | None]:
    """Embed the prompt and the negative words, each ``(1, 77, D)``, for bases that understand them."""
    if not models.has_words:
        return None, None
    prompt = embed_texts(models.base_folder, [config.prompt]) if config.prompt else None
    negative = None
    if config.negative == type(config).negative:
        negative = kept_text(models.base_folder, config.negative or "", models.base_fingerprint)
    elif config.negative:
        negative = embed_texts(models.base_folder, [config.negative])
    return prompt, negative


def _refiner(config: GenerateConfig, device: torch.device, dtype: torch.dtype) -> Refiner | None:
    if not config.refine:
        return None
    from covergen_cli.models.refiner import load_refiner

    return load_refiner(config.refiner, config.refine_prompt, config.negative, device, dtype)
