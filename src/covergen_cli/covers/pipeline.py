"""The loaded models, which draw covers from the embeddings of songs."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
import torch

from covergen_cli.covers.finish import enlarge, enlarge_image
from covergen_cli.covers.prompts import AUTO, Prompts
from covergen_cli.covers.steering import steering
from covergen_cli.covers.words import WORDS, plain_prompt, write_prompt
from covergen_cli.diffusion.guidance import guide
from covergen_cli.diffusion.placement import ONE_AT_A_TIME, Placement, choose_placement, prepare_model, swap_models
from covergen_cli.diffusion.refine import refine, refine_calls
from covergen_cli.diffusion.sampler import Callback, denoise, make_scheduler
from covergen_cli.errors import ModelError
from covergen_cli.models.base import Base, check_adapter_fits, load_base, with_fast_decoder
from covergen_cli.models.checkpoint import load_adapter
from covergen_cli.models.condition import Condition, join
from covergen_cli.models.decoupled import condition_on, decouple
from covergen_cli.models.safety import SafetyChecker
from covergen_cli.weights.device import choose_device, choose_dtype
from covergen_cli.weights.memory import in_batches

if TYPE_CHECKING:
    import numpy.typing as npt
    from PIL import Image
    from torch import Tensor

    from covergen_cli.config import GenerateConfig
    from covergen_cli.covers.fingerprint import Models
    from covergen_cli.covers.heard import Heard
    from covergen_cli.models.adapter import Adapter


@dataclass(frozen=True)
class CoverPipeline:
    """The loaded models and what they need to draw covers."""

    adapter: Adapter | None  # in evaluation mode, on the base's device; ``None`` when the base draws by words alone
    base: Base  # the frozen image model
    seconds: float  # wall-clock time that loading took
    words_scale: float = 0.0  # weight of the prompt made from the music; 0 for none
    prompt: Condition | None = None  # condition of the user's prompt; ``None`` for none
    negative: Condition | None = None  # condition of the negative prompt; ``None`` for none
    refiner: Base | None = None  # the refiner; ``None`` when covers are not refined
    refine_negative: Condition | None = None  # condition of the refiner's negative prompt
    safety: SafetyChecker | None = None  # checks every picture; ``None`` for no check
    placement: Placement = ONE_AT_A_TIME  # how the models share the device

    @property
    def batch(self) -> int:
        """Number of covers to draw at once."""
        return self.placement.batch

    @property
    def native_size(self) -> int:
        """Pixels per side of the pictures that the last model draws."""
        return (self.refiner or self.base).native_size

    @torch.inference_mode()
    def audio_tokens(self, *embeddings: npt.NDArray[np.float32]) -> Tensor:
        """Return the conditioning tokens ``(B, K, D)`` of ``B`` songs, given embeddings ``(T, E)``; T may differ.

        Without an adapter there are none: K is 0.
        """
        if self.adapter is None:
            return self.base.null_tokens.new_empty(len(embeddings), 0, self.base.cross_attention_dim)
        # One at a time, so that padding cannot change the last bits.
        return torch.cat([self.adapter(torch.from_numpy(one)[None].to(self.base.device)) for one in embeddings])

    @torch.inference_mode()
    def steer(self, tokens: Tensor, heard: Sequence[Heard], steer: str) -> Tensor:
        """Return tokens ``(B, K, D)`` as if the descriptors of the ``B`` songs were as ``steer`` asks.

        Raises:
            ConfigError: ``steer`` is invalid.
            ModelError: the base has no condition encoder, or the adapter is decoupled.
        """
        if self.adapter is not None and self.adapter.projections is not None:
            raise ModelError("--steer moves conditioning tokens, but the adapter is decoupled: it gives none")
        moves = [steering(self.base, np.array(list(one.descriptors.values())), steer) for one in heard]
        return tokens + torch.cat(moves)

    @torch.inference_mode()
    def attention(self, embedding: npt.NDArray[np.float32]) -> npt.NDArray[np.float32] | None:
        """Return the adapter's attention over the frames of an embedding ``(T, E)``: ``(T,)``, summing to 1."""
        if self.adapter is None:
            return None
        weights = self.adapter.pooling.weights(torch.from_numpy(embedding)[None].to(self.base.device))
        shares: npt.NDArray[np.float32] = weights[0].float().cpu().numpy()
        return shares

    def write_prompts(self, heard: Heard | None, seed: int, config: GenerateConfig) -> Prompts:
        """Return the prompts of one cover, each short enough for the text encoder that reads it.

        Args:
            heard: analysis of the song; ``None`` if no prompt is made from it.
            seed: the user's seed of the cover.
            config: ``prompt`` and ``refine_prompt`` are used here.
        """

        def written(model: Base) -> str:
            before = config.prompt or ""
            count = None if model.text is None else model.text.count_tokens
            return plain_prompt(before) if heard is None else write_prompt(heard, seed, before, count)

        return Prompts(
            written(self.base) if self.words_scale and heard else None,
            written(self.refiner) if self.refiner and config.refine_prompt == AUTO else None,
        )

    @torch.inference_mode()
    def draw(
        self,
        tokens: Tensor,
        seeds: Sequence[int],
        config: GenerateConfig,
        callback: Callback | None = None,
        prompts: Sequence[Prompts] = (),
    ) -> Tensor:
        """Return pictures drawn from noise, float ``(B, 3, H, H)`` in [-1, 1] on the CPU.

        A picture does not depend on the others of its batch, except for its last bits, as devices add numbers in
        another order when the batch is larger.

        Args:
            tokens: ``(B, K, D)``, from :meth:`audio_tokens`.
            seeds: one per picture, 0 to 2^63 − 1, from :func:`song_seed`.
            config: the settings.
            callback: as for :func:`~covergen_cli.diffusion.sampler.denoise`; base and refiner are counted together.
            prompts: one per picture, from :meth:`write_prompts`; empty if none is made from the music.

        The values may not be finite, which :meth:`to_image` checks, picture by picture.

        Raises:
            ModelError: the GPU has too little memory for a single picture; larger batches are halved until they fit.
        """

        def draw_some(batch: Sequence[int]) -> Tensor:
            some = list(batch)
            given = [prompts[index] for index in some] if prompts else []
            return self._draw(tokens[some], [seeds[index] for index in some], config, callback, given)

        hint = "Use --low-memory, or --device cpu."
        return torch.cat(list(in_batches(draw_some, range(len(seeds)), len(seeds), hint=hint)))

    def _draw(
        self,
        tokens: Tensor,
        seeds: Sequence[int],
        config: GenerateConfig,
        callback: Callback | None,
        prompts: Sequence[Prompts],
    ) -> Tensor:
        swap_models(self.base, self.refiner, self.placement)
        counted = _counted(callback, 0, refine_calls(config))
        chain = self._condition_chain(tokens, prompts, config)
        terms = guide(self.negative or self.base.null, chain, config.guidance)
        latents = denoise(self.base, terms, seeds, config.steps, config.scheduler, callback=counted)
        pictures = torch.cat([self.base.decode(latent[None]).float().cpu() for latent in latents])
        if self.refiner is not None:
            swap_models(self.refiner, self.base, self.placement)
            counted = _counted(callback, config.steps, 0)
            given = [one.refiner or config.refine_prompt for one in prompts] or [plain_prompt(config.prompt or "")]
            prompt = _embedded(self.refiner, given)
            pictures = refine(
                self.refiner, pictures, seeds, prompt, self.refine_negative or self.refiner.null, config, counted
            )
        return pictures

    def _condition_chain(
        self, song: Tensor, prompts: Sequence[Prompts], config: GenerateConfig
    ) -> list[tuple[Condition, float]]:
        """Return the conditions of guidance, each containing the one before, with the scales of their differences."""
        text, null = self.prompt, self.base.null
        chain = [(text or null, 1.0)] if text or self.negative else []
        if self.words_scale and prompts:
            text = _embedded(self.base, [one.base or "" for one in prompts])
            chain.append((text, self.words_scale))
        if song.shape[1]:
            decoupled = self.adapter is not None and self.adapter.projections is not None
            weight = 1.0 if decoupled else config.audio_scale  # the scale of decoupled attention is its own
            beside = condition_on(self.base, song, text, config.audio_scale)
            chain.append((beside, 0.0 if config.no_audio else weight))
        return chain

    def to_image(self, picture: Tensor) -> Image.Image:
        """Return a picture ``(3, H, H)`` in [-1, 1] as RGB image of its own size.

        Raises:
            ModelError: it holds values that are not finite, or is flagged by the safety checker.
        """
        if not bool(torch.isfinite(picture).all()):
            model = self.refiner or self.base
            hint = "Try --dtype bf16 or fp32, or less --guidance."
            raise ModelError(f"{model.reference} returned values that are not finite", hint=hint)
        image = enlarge(picture, picture.shape[-1], sharpen=False)
        if self.safety is not None:
            self.safety.check(image)
        return image

    def enlarge(self, picture: Tensor | Image.Image, seed: int, config: GenerateConfig) -> Image.Image:
        """Return a picture, as drawn or from :meth:`to_image`, as RGB image of ``config.size`` pixels per side."""
        image = self.to_image(picture) if isinstance(picture, torch.Tensor) else picture
        return enlarge_image(image, seed, config, self.base.upscaler if self.refiner is None else None)

    def draw_cover(self, tokens: Tensor, seed: int, config: GenerateConfig) -> Image.Image:
        """Draw and enlarge one cover; see :meth:`draw` and :meth:`enlarge`."""
        return self.enlarge(self.draw(tokens, [seed], config)[0], seed, config)


def _counted(callback: Callback | None, before: int, after: int) -> Callback | None:
    """Return a callback for one of two models that reports the calls of both."""
    if callback is None:
        return None
    return lambda done, total: callback(before + done, before + total + after)


def load_pipeline(config: GenerateConfig, models: Models) -> CoverPipeline:
    """Load the models, and check that they fit each other and the settings.

    Raises:
        ModelError: a model is missing, damaged, or does not fit.
        ConfigError: device, precision or scheduler are invalid, or the prompt is too long.
    """
    started = time.monotonic()
    device = choose_device(config.device)
    dtype = choose_dtype(config.dtype, device)
    loaded = None if models.adapter == WORDS else load_adapter(models.adapter_folder)
    base = load_base(models.base_reference, "cpu", dtype)
    if loaded is not None:
        check_adapter_fits(loaded, base, force=config.force_base)
        if loaded.config.cross_attention == "decoupled":
            decouple(base)
    if config.fast_decode:
        base = with_fast_decoder(base)
    make_scheduler(base, config.scheduler)
    base = replace(base, null=base.null.to(device))
    refiner = None
    if config.refine:
        refiner = load_base(config.refiner, "cpu", dtype, "refiner")
        refiner = replace(refiner, null=refiner.null.to(device))
    placement = choose_placement(device, [base] if refiner is None else [base, refiner], config)
    for model in (base, *([] if refiner is None else [refiner])):
        prepare_model(model, device, placement)
    return CoverPipeline(
        adapter=None if loaded is None else loaded.adapter.to(device),
        base=base,
        seconds=time.monotonic() - started,
        words_scale=models.words_scale,
        prompt=base.embed(config.prompt) if config.prompt and base.text else None,
        negative=negative_condition(base, config),
        refiner=refiner,
        refine_negative=None if refiner is None else negative_condition(refiner, config),
        safety=None if models.safety is None else SafetyChecker(*models.safety),
        placement=placement,
    )


def negative_condition(base: Base, config: GenerateConfig) -> Condition | None:
    """Return the condition of the negative prompt; ``None`` without one, and for bases without text encoder."""
    if base.text is None or not config.negative:
        return None
    return base.embed(config.negative, negative=True, cached=config.negative == type(config).negative)


def _embedded(model: Base, texts: Sequence[str]) -> Condition:
    """Return one condition of several texts, each embedded once; a single text is for all items alike."""
    conditions = {text: model.embed(text) for text in dict.fromkeys(texts)}
    return conditions[texts[0]] if len(conditions) == 1 else join([conditions[text] for text in texts])
