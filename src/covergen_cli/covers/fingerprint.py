"""The fingerprint of a cover: a hash of all that decides its pixels, computed without loading a model."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from covergen_cli import __version__
from covergen_cli.config import SegmentConfig
from covergen_cli.covers.prompts import AUTO
from covergen_cli.covers.words import WORDS, vocabulary_sha256
from covergen_cli.errors import ConfigError, ModelError
from covergen_cli.files import SCHEMA, seed_from, sha256_bytes
from covergen_cli.models.fingerprint import (
    adapter_fingerprint,
    adapter_folder,
    base_fingerprint,
    has_text_encoder,
    read_adapter_json,
    read_model_json,
    refiner_fingerprint,
    text_fingerprint,
)
from covergen_cli.weights import hub

if TYPE_CHECKING:
    import numpy.typing as npt

    from covergen_cli.config import GenerateConfig
    from covergen_cli.covers.plan import Job

_RECORDED = ("steps", "guidance", "scheduler", "prompt", "audio_scale", "no_audio", "dtype", "size", "raw")
"""Settings that provenance stores under their own names, whatever their values."""


PAINTER = "painter"
"""The name of the engine that needs no models, where others have a base."""
DESCRIPTORS: dict[str, Any] = {"name": "descriptors", "version": 1}
"""The audio encoder of the painter and of words; the version is raised when the same audio gives other covers."""


@dataclass(frozen=True)
class Models:
    """The models that draw covers, not loaded.

    Args:
        adapter: name of the adapter, as the settings take it.
        adapter_folder: folder of the adapter; the empty path where there is none.
        adapter_fingerprint: fingerprint of the adapter.
        encoder_spec: the audio encoder that it was trained with.
        base_reference: the base, as :func:`covergen_cli.models.base.load_base` takes it.
        base_revision: the base's hub commit, if it has one.
        base_fingerprint: fingerprint of the base's weights.
        scheduler_config: scheduler configuration of the base.
        base_folder: folder of the base.
        has_text_encoder: whether the base has a text encoder.
        words_scale: weight of what is heard, put into words for the base; 0 for none.
        takes_words: what is heard is put into words for the base or the refiner.
        refiner: provenance of the refiner, JSON-able; ``None`` when covers are not refined.
    """

    adapter: str
    adapter_folder: Path
    adapter_fingerprint: str
    encoder_spec: dict[str, Any]
    base_reference: str
    base_revision: str | None
    base_fingerprint: str
    scheduler_config: dict[str, Any]
    base_folder: Path
    has_text_encoder: bool = False
    words_scale: float = 0.0
    takes_words: bool = False
    refiner: dict[str, Any] | None = None

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
    if config.base == "painter":
        return _painter(config)
    name = config.adapter or _default_adapter(config, fetch=fetch)
    adapter = None if name == WORDS else _find_adapter(name, config, fetch=fetch)
    reference = config.base or (hub.STARTER if adapter is None else adapter.trained_for)
    base = hub.resolve(reference, fetch=fetch)
    scale = float(adapter is None) if config.words_scale is None else config.words_scale
    scale = 0.0 if config.no_audio else scale
    _check_texts(config, base, reference, words=name == WORDS or scale > 0)
    if config.fast_decode:
        hub.resolve(hub.TAESD, fetch=fetch)
    refiner = _refiner_metadata(config, fetch=fetch) if config.refine else None
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
    if reference not in {None, trained_for} and {reference, trained_for} <= {hub.STARTER, *hub.KNOWN}:
        # Checked before gigabytes are downloaded; other combinations are checked by comparing weights.
        raise ModelError(
            f"the adapter {_portable(name)} was trained for {trained_for}, not for {reference}",
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
    version = f"{PAINTER}-{DESCRIPTORS['version']}"
    return Models(PAINTER, Path(), version, DESCRIPTORS, PAINTER, None, version, {}, Path())


def _check_texts(config: GenerateConfig, base: Path, reference: str, *, words: bool) -> None:
    """Refuse texts for a base without text encoder; the default negative prompt is ignored by such bases.

    The refiner takes the prompt, unless it has one of its own, and the negative prompt.
    """
    if has_text_encoder(base):
        return
    name = _portable(reference)
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


def _refiner_metadata(config: GenerateConfig, *, fetch: bool) -> dict[str, Any]:
    folder = hub.resolve(config.refiner, "refiner", fetch=fetch)
    return {
        "name": _portable(config.refiner),
        "revision": hub.revision_of(folder),
        "fingerprint": refiner_fingerprint(folder),
        "scheduler": read_model_json(folder / "scheduler" / "scheduler_config.json"),
        "prompt": config.refine_prompt,
        "strength": config.refine_strength,
        "steps": config.refine_steps,
        "guidance": config.refine_guidance,
    }


def cover_metadata(
    job: Job,
    input_sha256: str,
    config: GenerateConfig,
    models: Models,
    *,
    text: dict[str, Any] | None = None,
    donor_sha256: str | None = None,
) -> dict[str, Any]:
    """Return the provenance of a cover: all that decides its pixels, JSON-able, with a ``fingerprint`` of it.

    It contains no paths of this machine, since covers are shared.

    Args:
        job: seed and format are used here.
        input_sha256: hash of the song's audio.
        config: the settings.
        models: the models.
        text: the text on the cover; ``None`` for none.
        donor_sha256: hash of the audio that is used instead of the song's; ``None`` if it is the song's own.
    """
    metadata: dict[str, Any] = {
        "schema": SCHEMA,
        "version": __version__,
        "input_sha256": input_sha256,
        "segment_asked": list(config.segment) if config.segment else None,
        "segment_search": asdict(SegmentConfig()),
        "seed": job.seed,
        "format": job.format,
        **{name: getattr(config, name) for name in _RECORDED},
        **{name: 0.0 if config.raw else getattr(config, name) for name in ("grain", "tone")},
        "shuffled_sha256": donor_sha256,
        "refiner": models.refiner,
        "encoder": models.encoder_spec,
        "adapter": {"name": _portable(models.adapter), "fingerprint": models.adapter_fingerprint},
        "base": {
            "name": _portable(models.base_reference),
            "revision": models.base_revision,
            "fingerprint": models.base_fingerprint,
            "scheduler": models.scheduler_config,
        },
    }
    if models.has_text_encoder or models.refiner is not None:
        metadata["negative"] = config.negative
    if models.takes_words:
        metadata |= _words_metadata(config, models)
    if not config.raw and config.look != "paint":
        metadata |= {"look": config.look, "palette": config.palette}
    optional = {"lettering": text, "store": config.store, "fast_decode": config.fast_decode}
    metadata |= {name: value for name, value in optional.items() if value}
    return {**metadata, "fingerprint": _fingerprint(metadata)}


def _words_metadata(config: GenerateConfig, models: Models) -> dict[str, Any]:
    found = {"words": config.words, "words_scale": models.words_scale, "vocabulary": vocabulary_sha256()}
    return found | ({"text_encoder": text_fingerprint(models.base_folder)} if models.words_scale else {})


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


def _portable(reference: str) -> str:
    """Return a model's name or hub id, and of a folder only its last part."""
    path = Path(reference).expanduser()
    return path.resolve().name if path.is_dir() else reference


def _fingerprint(metadata: dict[str, Any]) -> str:
    """Hash provenance without names and revisions of models."""
    hashed = {key: value for key, value in metadata.items() if key not in {"adapter", "base"}}
    hashed["adapter"] = metadata["adapter"]["fingerprint"]
    hashed["base"] = [metadata["base"]["fingerprint"], metadata["base"]["scheduler"]]
    if refiner := metadata["refiner"]:
        hashed["refiner"] = {key: refiner[key] for key in refiner.keys() - {"name", "revision"}}
    return sha256_bytes(json.dumps(hashed, sort_keys=True).encode())
