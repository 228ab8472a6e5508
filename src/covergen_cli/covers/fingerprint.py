"""Finds the models that draw covers, and their fingerprints, without loading them."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from covergen_cli.covers.listen import DESCRIPTORS
from covergen_cli.covers.own_picture import PICTURE, picture_provenance
from covergen_cli.covers.prompts import AUTO
from covergen_cli.covers.steering import check_steering
from covergen_cli.covers.words import WORDS, vocabulary_sha256
from covergen_cli.errors import ConfigError, ModelError
from covergen_cli.files import seed_from
from covergen_cli.models.fingerprint import (
    CONDITION_WEIGHTS,
    UPSCALER_CONFIG,
    adapter_fingerprint,
    adapter_folder,
    base_fingerprint,
    has_safety_checker,
    has_text_encoder,
    read_adapter_json,
    read_model_json,
    refiner_fingerprint,
)
from covergen_cli.weights import hub

if TYPE_CHECKING:
    import numpy.typing as npt

    from covergen_cli.config import GenerateConfig

PAINTER = "painter"
"""The name of the engine that needs no models, where others have a base."""
_PAINTER_VERSION = 2
"""Raised when the same audio is painted otherwise."""


@dataclass(frozen=True)
class Models:
    """The models that draw covers, not loaded."""

    adapter: str  # name of the adapter, as the settings take it
    adapter_folder: Path  # folder of the adapter; the empty path where there is none
    adapter_fingerprint: str  # fingerprint of the adapter
    encoder_spec: dict[str, Any]  # the audio encoder that it was trained with
    base_reference: str  # the base, as :func:`covergen_cli.models.base.load_base` takes it
    base_revision: str | None  # the base's hub commit, if it has one
    base_fingerprint: str  # fingerprint of the base's weights
    scheduler_config: dict[str, Any]  # scheduler configuration of the base
    base_folder: Path  # folder of the base
    has_text_encoder: bool = False  # whether the base has a text encoder
    words_scale: float = 0.0  # weight of the base's prompt made from the music; 0 for none
    takes_words: bool = False  # a prompt is made from the music, for the base or the refiner
    refiner: dict[str, Any] | None = None  # provenance of the refiner, JSON-able; ``None`` when covers are not refined
    safety: tuple[str, Path] | None = None  # name and folder of the model whose safety checker is used
    own_picture: dict[str, Any] | None = None  # name and hash of the user's own picture

    @property
    def has_upscaler(self) -> bool:
        """Whether the base enlarges its pictures itself."""
        return (self.base_folder / UPSCALER_CONFIG).is_file()

    @property
    def reference(self) -> str:
        """The base, for :func:`covergen_cli.diffusion.sampler.make_scheduler`."""
        return self.base_reference


def find_models(config: GenerateConfig, *, fetch: bool = True) -> Models:
    """Find adapter, base and refiner, and compute their fingerprints.

    Args:
        config: the settings.
        fetch: download models from the hub that are not on this machine.

    Raises:
        ModelError: a model is missing, damaged, or cannot be downloaded, or a prompt is given to a base without text
            encoder; :class:`~covergen_cli.weights.hub.NotFetchedError` if it could be downloaded, but ``fetch`` is off.
        ConfigError: settings exclude each other.
    """
    if config.no_audio and config.shuffle:
        raise ConfigError("without audio there is nothing to shuffle", hint="Leave out --shuffle or --no-audio.")
    check_steering(config)
    if config.picture is not None:
        picture = picture_provenance(config)
        _check_no_safety(config)
        return _no_models(PICTURE, picture["sha256"], own_picture=picture)
    if config.base == PAINTER:
        _check_no_safety(config)
        return _painter(config)
    name = config.adapter or _default_adapter(config, fetch=fetch)
    adapter = None if name == WORDS else _find_adapter(name, config, fetch=fetch)
    reference = config.base or (hub.STARTER if adapter is None else adapter.trained_for)
    base = hub.resolve(reference, fetch=fetch)
    scale = float(adapter is None) if config.words_scale is None else config.words_scale
    scale = 0.0 if config.no_audio else scale
    if config.steer is not None and not (base / CONDITION_WEIGHTS).is_file():
        raise ModelError(f"the base {portable(reference)} cannot be steered", hint="Leave out --steer.")
    _check_texts(config, base, reference, words=name == WORDS or scale > 0)
    if config.fast_decode:
        hub.resolve(hub.TAESD, fetch=fetch)
    refiner = _refiner_provenance(config, fetch=fetch) if config.refine else None
    return Models(
        adapter=name,
        adapter_folder=Path() if adapter is None else adapter.folder,
        adapter_fingerprint=vocabulary_sha256() if adapter is None else adapter.fingerprint,
        encoder_spec=DESCRIPTORS if adapter is None else adapter.encoder_spec,
        base_reference=reference,
        base_revision=hub.revision_of(base),
        base_fingerprint=base_fingerprint(base),
        scheduler_config=read_model_json(base / "scheduler" / "scheduler_config.json"),
        base_folder=base,
        has_text_encoder=has_text_encoder(base),
        words_scale=scale,
        takes_words=scale > 0 or (refiner is not None and config.refine_prompt == AUTO and not config.no_audio),
        refiner=refiner,
        safety=_find_safety_checker(reference, config, fetch=fetch) if config.safety else None,
    )


@dataclass(frozen=True)
class _Adapter:
    """An adapter that was trained, not loaded."""

    folder: Path
    fingerprint: str
    encoder_spec: dict[str, Any]
    trained_for: str


def _default_adapter(config: GenerateConfig, *, fetch: bool) -> str:
    """Return the adapter when none is given: words for a base with a text encoder."""
    if config.base is None:
        return hub.STARTER
    return WORDS if has_text_encoder(hub.resolve(config.base, fetch=fetch)) else hub.STARTER


def _find_adapter(name: str, config: GenerateConfig, *, fetch: bool) -> _Adapter:
    folder = adapter_folder(hub.resolve(name, "adapter", fetch=fetch))
    facts = read_adapter_json(folder)
    trained_for, reference = facts["base"].get("reference"), config.base
    if not isinstance(trained_for, str):
        if reference is None:
            raise ModelError(f"{folder} does not say which base it was trained for", hint="Name the base with --base.")
        trained_for = reference
    known = {reference, trained_for} <= {hub.STARTER, *hub.KNOWN}
    if reference not in {None, trained_for} and known and not config.force_base:
        # Checked before gigabytes are downloaded; other combinations are checked by comparing weights.
        raise ModelError(
            f"the adapter {portable(name)} was trained for {trained_for}, not for {reference}",
            hint=f"Leave out --base, or train an adapter for it: covergen train DATA --base {reference}",
        )
    return _Adapter(folder, adapter_fingerprint(facts), facts["encoder"], trained_for)


def _painter(config: GenerateConfig) -> Models:
    """Return what stands for the models of the painter, which needs none."""
    for name in ("prompt", "refine", "no_audio"):
        if getattr(config, name):
            raise ConfigError(f"--{name.replace('_', '-')} needs a model; --base painter uses none")
    if config.adapter is not None:
        raise ConfigError("--base painter uses no adapter", hint="Leave out --adapter.")
    return _no_models(PAINTER, f"{PAINTER}-{_PAINTER_VERSION}")


def _no_models(name: str, fingerprint: str, *, own_picture: dict[str, Any] | None = None) -> Models:
    """Return what stands for the models of covers that no model draws."""
    return Models(name, Path(), fingerprint, DESCRIPTORS, name, None, fingerprint, {}, Path(), own_picture=own_picture)


def _check_texts(config: GenerateConfig, base: Path, reference: str, *, words: bool) -> None:
    """Refuse texts for a base without text encoder; the default negative prompt is ignored by such bases.

    The refiner takes the prompt, unless it has one of its own, and the negative prompt.
    """
    if has_text_encoder(base):
        return
    name = portable(reference)
    half = (base / "text_encoder").is_dir()
    lacks = "its text_encoder has no tokenizer" if half else "it has no text encoder"
    if words:
        raise ModelError(
            f"the base {name} understands no words: {lacks}",
            hint="Add --refine to paint over its picture by the words of the song, or use a base such as sd15.",
        )
    asked = {} if config.refine and config.refine_prompt == AUTO else {"--prompt": config.prompt}
    asked |= {} if config.refine else {"--negative": config.negative}
    given = [option for option, text in asked.items() if text not in {None, type(config).negative}]
    if given:
        raise ModelError(
            f"the base {name} understands no words: {lacks}",
            hint=f"Leave out {given[0]}, or use a base such as sd15.",
        )


def _refiner_provenance(config: GenerateConfig, *, fetch: bool) -> dict[str, Any]:
    folder = hub.resolve(config.refiner, "refiner", fetch=fetch)
    return {
        "name": portable(config.refiner),
        "revision": hub.revision_of(folder),
        "fingerprint": refiner_fingerprint(folder),
        "scheduler": read_model_json(folder / "scheduler" / "scheduler_config.json"),
        "prompt": config.refine_prompt,
        "strength": config.refine_strength,
        "steps": config.refine_steps,
        "guidance": config.refine_guidance,
    }


def _check_no_safety(config: GenerateConfig) -> None:
    if config.safety:
        raise ConfigError("--safety needs a base with a safety checker, such as sd15", hint="Leave out --safety.")


def _find_safety_checker(base: str, config: GenerateConfig, *, fetch: bool) -> tuple[str, Path]:
    """Return the model whose safety checker is used, and its folder: the one that draws last, or else the base."""
    for reference in [config.refiner, base] if config.refine else [base]:
        if has_safety_checker(hub.resolve(reference, fetch=fetch)):
            return portable(reference), hub.resolve(reference, "safety", fetch=fetch)
    raise ModelError(
        f"{portable(base)} comes without a safety checker", hint="Leave out --safety, or use a base such as sd15."
    )


def song_seed(seed: int, embedding: npt.NDArray[np.float32]) -> int:
    """Return a seed that depends on the song too, so that the songs of a folder do not share one composition.

    The song enters through sixteen values of its mean embedding, rounded to hundredths of the largest. They do not
    change with the tags, the file's name, or the last bits in which machines differ.

    Args:
        seed: the user's seed.
        embedding: float32 ``(T, E)``.

    Returns:
        0 to 2^63 − 1.
    """
    mean = embedding.astype(np.float64).mean(axis=0)
    chosen = mean[:: max(1, len(mean) // 16)][:16]
    outline = np.round(chosen / max(float(np.abs(chosen).max()), 1e-12), 2) + 0.0
    return seed_from(f"{seed}:{outline.tolist()}")


def portable(reference: str) -> str:
    """Return a model's name or hub id, and of a folder only its last part."""
    path = Path(reference).expanduser()
    return path.resolve().name if path.is_dir() else reference
