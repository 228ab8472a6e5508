"""What a cover records of how it was made: all that decides its pixels, and a fingerprint of that."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from covergen_cli import __version__
from covergen_cli.config import SegmentConfig
from covergen_cli.covers.fingerprint import portable
from covergen_cli.covers.words import vocabulary_sha256
from covergen_cli.files import SCHEMA, sha256_bytes
from covergen_cli.models.fingerprint import text_fingerprint

if TYPE_CHECKING:
    from covergen_cli.config import GenerateConfig
    from covergen_cli.covers.fingerprint import Models
    from covergen_cli.covers.plan import Job

_RECORDED = ("steps", "guidance", "scheduler", "prompt", "audio_scale", "no_audio", "dtype", "size", "raw")
"""Settings that provenance stores under their own names, whatever their values."""


def cover_provenance(
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
    provenance: dict[str, Any] = {
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
        "adapter": {"name": portable(models.adapter), "fingerprint": models.adapter_fingerprint},
        "base": {
            "name": portable(models.base_reference),
            "revision": models.base_revision,
            "fingerprint": models.base_fingerprint,
            "scheduler": models.scheduler_config,
        },
    }
    if models.has_text_encoder or models.refiner is not None:
        provenance["negative"] = config.negative
    if models.takes_words:
        provenance |= _words_provenance(config, models)
    if not config.raw and config.look != "paint":
        provenance |= {"look": config.look, "palette": config.palette}
    optional = {
        "steer": config.steer,
        "lettering": text,
        "store": config.store,
        "fast_decode": config.fast_decode,
        "safety": config.safety,
        "picture": models.own_picture,
    }
    provenance |= {name: value for name, value in optional.items() if value}
    return {**provenance, "fingerprint": _fingerprint(provenance)}


def _words_provenance(config: GenerateConfig, models: Models) -> dict[str, Any]:
    found = {"words": config.words, "words_scale": models.words_scale, "vocabulary": vocabulary_sha256()}
    return found | ({"text_encoder": text_fingerprint(models.base_folder)} if models.words_scale else {})


def _fingerprint(provenance: dict[str, Any]) -> str:
    """Hash provenance without names and revisions of models."""
    hashed = {key: value for key, value in provenance.items() if key not in {"adapter", "base", "picture"}}
    hashed["adapter"] = provenance["adapter"]["fingerprint"]
    hashed["base"] = [provenance["base"]["fingerprint"], provenance["base"]["scheduler"]]
    if refiner := provenance["refiner"]:
        hashed["refiner"] = {key: refiner[key] for key in refiner.keys() - {"name", "revision"}}
    return sha256_bytes(json.dumps(hashed, sort_keys=True).encode())
