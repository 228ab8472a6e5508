"""The fingerprint of a cover: a hash of all that decides its pixels, computed without loading a model."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from covergen_cli import __version__
from covergen_cli.config import SegmentConfig
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
)
from covergen_cli.weights import hub

if TYPE_CHECKING:
    import numpy.typing as npt

    from covergen_cli.config import GenerateConfig
    from covergen_cli.covers.plan import Job


@dataclass(frozen=True)
class Models:
    """The models that draw covers, not loaded.

    Args:
        adapter_folder: folder of the adapter.
        adapter_fingerprint: fingerprint of the adapter.
        encoder_spec: the audio encoder that it was trained with.
        base_reference: the base, as :func:`covergen_cli.models.base.load_base` takes it.
        base_revision: the base's hub commit, if it has one.
        base_fingerprint: fingerprint of the base's weights.
        scheduler_config: scheduler configuration of the base.
        base_folder: folder of the base.
        has_text_encoder: whether the base has a text encoder.
        refiner: provenance of the refiner, JSON-able; ``None`` when covers are not refined.
    """

    adapter_folder: Path
    adapter_fingerprint: str
    encoder_spec: dict[str, Any]
    base_reference: str
    base_revision: str | None
    base_fingerprint: str
    scheduler_config: dict[str, Any]
    base_folder: Path
    has_text_encoder: bool = False
    refiner: dict[str, Any] | None = None


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
    folder = adapter_folder(hub.resolve(config.adapter, "adapter", fetch=fetch))
    facts = read_adapter_json(folder)
    trained_for = facts["base"].get("reference")
    reference = config.base or trained_for
    if not isinstance(reference, str):
        raise ModelError(f"{folder} does not say which base it was trained for", hint="Name the base with --base.")
    if reference != trained_for and {reference, trained_for} <= {hub.STARTER, *hub.KNOWN}:
        # Checked before gigabytes are downloaded; other combinations are checked by comparing weights.
        raise ModelError(
            f"the adapter {_portable(config.adapter)} was trained for {trained_for}, not for {reference}",
            hint=f"Leave out --base, or train an adapter for it: covergen train DATA --base {reference}",
        )
    base = hub.resolve(reference, fetch=fetch)
    _check_words(config, base, reference)
    return Models(
        adapter_folder=folder,
        adapter_fingerprint=adapter_fingerprint(facts),
        encoder_spec=facts["encoder"],
        base_reference=reference,
        base_revision=hub.revision_of(base),
        base_fingerprint=base_fingerprint(base),
        scheduler_config=read_model_json(base / "scheduler" / "scheduler_config.json"),
        base_folder=base,
        has_text_encoder=has_text_encoder(base),
        refiner=_refiner_metadata(config, fetch=fetch) if config.refine else None,
    )


def _painter(config: GenerateConfig) -> Models:
    """Return what stands for the models of the painter, which needs none."""
    from covergen_cli.covers.painter import PAINTER, DescriptorEncoder

    for name in ("prompt", "refine", "no_audio"):
        if getattr(config, name):
            raise ConfigError(f"--{name.replace('_', '-')} needs a model; --base painter uses none")
    encoder, nowhere = DescriptorEncoder().spec(), Path()
    version = f"{PAINTER}-{encoder['version']}"
    return Models(nowhere, version, encoder, PAINTER, None, version, {}, nowhere)


def _check_words(config: GenerateConfig, base: Path, reference: str) -> None:
    """Refuse prompts for a base without text encoder; the default negative prompt is ignored by such bases."""
    if has_text_encoder(base):
        return
    asked = {"--prompt": config.prompt} if config.refine else {"--prompt": config.prompt, "--negative": config.negative}
    given = [name for name, text in asked.items() if text not in {None, type(config).negative}]
    if given:
        raise ModelError(
            f"the base {_portable(reference)} understands no words: it has no text encoder",
            hint=f"Leave out {given[0]}, or use a base such as sd15 with an adapter for it.",
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
        "steps": config.steps,
        "guidance": config.guidance,
        "scheduler": config.scheduler,
        "prompt": config.prompt,
        **({"negative": config.negative} if models.has_text_encoder or models.refiner is not None else {}),
        "audio_scale": config.audio_scale,
        "no_audio": config.no_audio,
        "shuffled_sha256": donor_sha256,
        "dtype": config.dtype,
        "refiner": models.refiner,
        "size": config.size,
        "format": job.format,
        "grain": 0.0 if config.raw else config.grain,
        "tone": 0.0 if config.raw else config.tone,
        "raw": config.raw,
        **({} if config.raw or config.look == "paint" else {"look": config.look, "palette": config.palette}),
        "encoder": models.encoder_spec,
        "adapter": {"name": _portable(config.adapter), "fingerprint": models.adapter_fingerprint},
        "base": {
            "name": _portable(models.base_reference),
            "revision": models.base_revision,
            "fingerprint": models.base_fingerprint,
            "scheduler": models.scheduler_config,
        },
        **({"lettering": text} if text else {}),
        **({"store": config.store} if config.store else {}),
    }
    return {**metadata, "fingerprint": _fingerprint(metadata)}


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
