"""What makes a cover the cover it is, and what to do with one that exists.

Nothing here loads a model: hashes and JSON files suffice to know that a cover is up to date.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from covergen_cli import __version__, weights
from covergen_cli.config import SegmentConfig
from covergen_cli.errors import ConfigError, ModelError
from covergen_cli.files import SCHEMA, sha256_bytes, sha256_file
from covergen_cli.models.fingerprint import (
    adapter_fingerprint,
    adapter_folder,
    base_fingerprint,
    has_words,
    read_adapter_facts,
    read_model_json,
    refiner_fingerprint,
)
from covergen_cli.provenance import read_provenance

if TYPE_CHECKING:
    from covergen_cli.config import GenerateConfig
    from covergen_cli.covers.jobs import Job


@dataclass(frozen=True)
class Models:
    """Which models draw, without loading them.

    Args:
        adapter_folder: where the adapter is.
        adapter_fingerprint: names it.
        encoder_spec: the audio encoder that it was trained with.
        base_reference: the base, as :func:`covergen_cli.models.base.load_base` takes it.
        base_revision: the hub commit, where there is one.
        base_fingerprint: names the base's weights.
        scheduler_config: the base's.
        base_folder: where the base is.
        has_words: whether the base understands words.
        refiner: what names the refiner, JSON-able; ``None`` when nothing is refined.
    """

    adapter_folder: Path
    adapter_fingerprint: str
    encoder_spec: dict[str, Any]
    base_reference: str
    base_revision: str | None
    base_fingerprint: str
    scheduler_config: dict[str, Any]
    base_folder: Path
    has_words: bool = False
    refiner: dict[str, Any] | None = None


def find_models(config: GenerateConfig, *, fetch: bool = True) -> Models:
    """Find adapter, base and refiner, and name their content.

    Args:
        config: which ones.
        fetch: fetch from the hub what is not on this machine.

    Raises:
        ModelError: one of them is missing, damaged, or cannot be fetched, or words are given to a base without words;
            :class:`~covergen_cli.weights.NotFetchedError` when it could be fetched, but ``fetch`` is off.
        ConfigError: settings exclude each other.
    """
    if config.no_audio and config.shuffle:
        raise ConfigError("without audio there is nothing to shuffle", hint="Leave out --shuffle or --no-audio.")
    folder = adapter_folder(weights.resolve(config.adapter, "adapter", fetch=fetch))
    facts = read_adapter_facts(folder)
    trained_for = facts["base"].get("reference")
    reference = config.base or trained_for
    if not isinstance(reference, str):
        raise ModelError(f"{folder} does not say which base it was trained for", hint="Name the base with --base.")
    if reference != trained_for and {reference, trained_for} <= {weights.STARTER, *weights.KNOWN}:
        # Known before gigabytes are fetched; other mixtures are found out when their weights are compared.
        raise ModelError(
            f"the adapter {_portable(config.adapter)} was trained for {trained_for}, not for {reference}",
            hint=f"Leave out --base, or train an adapter for it: covergen train DATA --base {reference}",
        )
    base = weights.resolve(reference, fetch=fetch)
    _check_words(config, base, reference)
    return Models(
        adapter_folder=folder,
        adapter_fingerprint=adapter_fingerprint(facts),
        encoder_spec=facts["encoder"],
        base_reference=reference,
        base_revision=weights.revision_of(base),
        base_fingerprint=base_fingerprint(base),
        scheduler_config=read_model_json(base / "scheduler" / "scheduler_config.json"),
        base_folder=base,
        has_words=has_words(base),
        refiner=_refiner_facts(config, fetch=fetch) if config.refine else None,
    )


def _check_words(config: GenerateConfig, base: Path, reference: str) -> None:
    """Refuse words for a base that knows none; the default negative words are for those that do."""
    if has_words(base):
        return
    asked = {"--prompt": config.prompt} if config.refine else {"--prompt": config.prompt, "--negative": config.negative}
    given = [name for name, text in asked.items() if text not in {None, type(config).negative}]
    if given:
        raise ModelError(
            f"the base {_portable(reference)} understands no words: it has no text encoder",
            hint=f"Leave out {given[0]}, or use a base such as sd15 with an adapter for it.",
        )


def _refiner_facts(config: GenerateConfig, *, fetch: bool) -> dict[str, Any]:
    folder = weights.resolve(config.refiner, "refiner", fetch=fetch)
    return {
        "name": _portable(config.refiner),
        "revision": weights.revision_of(folder),
        "fingerprint": refiner_fingerprint(folder),
        "scheduler": read_model_json(folder / "scheduler" / "scheduler_config.json"),
        "prompt": config.refine_prompt,
        "strength": config.refine_strength,
        "steps": config.refine_steps,
        "guidance": config.refine_guidance,
    }


def cover_facts(
    job: Job,
    input_sha256: str,
    config: GenerateConfig,
    models: Models,
    *,
    lettering: dict[str, Any] | None = None,
    heard_sha256: str | None = None,
) -> dict[str, Any]:
    """Return everything that decides a cover's pixels, JSON-able, with ``fingerprint`` over it.

    The song's and the models' places on this machine are left out: covers travel.

    Args:
        job: its seed and format count here.
        input_sha256: names the song.
        config: how it is drawn.
        models: with what.
        lettering: the words on it, where there are some.
        heard_sha256: names the song whose sound it gets, where that is another one.
    """
    facts: dict[str, Any] = {
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
        **({"negative": config.negative} if models.has_words or models.refiner is not None else {}),
        "audio_scale": config.audio_scale,
        "no_audio": config.no_audio,
        "shuffled_sha256": heard_sha256,
        "dtype": config.dtype,
        "refiner": models.refiner,
        "size": config.size,
        "format": job.format,
        "grain": 0.0 if config.raw else config.grain,
        "tone": 0.0 if config.raw else config.tone,
        "raw": config.raw,
        "encoder": models.encoder_spec,
        "adapter": {"name": _portable(config.adapter), "fingerprint": models.adapter_fingerprint},
        "base": {
            "name": _portable(models.base_reference),
            "revision": models.base_revision,
            "fingerprint": models.base_fingerprint,
            "scheduler": models.scheduler_config,
        },
        **({"lettering": lettering} if lettering else {}),
        **({"store": config.store} if config.store else {}),
    }
    return {**facts, "fingerprint": _fingerprint(facts)}


def _portable(reference: str) -> str:
    """Keep names and hub ids; of a folder only its own name."""
    path = Path(reference).expanduser()
    return path.resolve().name if path.is_dir() else reference


def _fingerprint(facts: dict[str, Any]) -> str:
    decisive = {key: value for key, value in facts.items() if key not in {"adapter", "base"}}
    decisive["adapter"] = facts["adapter"]["fingerprint"]
    decisive["base"] = [facts["base"]["fingerprint"], facts["base"]["scheduler"]]
    if facts["refiner"] is not None:
        decisive["refiner"] = {key: facts["refiner"][key] for key in facts["refiner"].keys() - {"name", "revision"}}
    return sha256_bytes(json.dumps(decisive, sort_keys=True).encode())


@dataclass(frozen=True)
class Verdict:
    """What shall happen to one cover.

    Args:
        action: ``draw`` it, ``skip`` it, or ``refuse`` to touch it.
        reason: why it is skipped or refused.
    """

    action: Literal["draw", "skip", "refuse"]
    reason: str = ""


def judge(
    output: Path,
    fingerprint: str,
    overwrite: Literal["changed", "skip", "force"],
    songs: Sequence[tuple[Path, str]] = (),
) -> Verdict:
    """Decide whether a cover is drawn.

    Args:
        output: where it goes.
        fingerprint: what it would be (:func:`cover_facts`).
        overwrite: see :class:`covergen_cli.config.GenerateConfig`.
        songs: what it would be made from, each with the hash of its sound. A cover that was made from none of them is
            another song's, and is refused. Without any, only its name counts.
    """
    if overwrite == "force" or not output.exists():
        return Verdict("draw")
    if overwrite == "skip":
        return Verdict("skip", "exists")
    made = read_provenance(output)
    if made is None:
        return Verdict("refuse", f"{output} exists and was not made by covergen")
    if made.get("fingerprint") == fingerprint:
        return Verdict("skip", "unchanged")
    if songs and not _made_from(made, songs):
        return Verdict("refuse", f"{output} exists and was made from another song, or from another version of this one")
    return Verdict("draw")


def _made_from(made: dict[str, Any], songs: Sequence[tuple[Path, str]]) -> bool:
    """Tell whether a cover says that it was made from one of these songs."""
    rows = made.get("songs")
    sources = rows if isinstance(rows, list) else [made]
    heard = {source.get("input_sha256") for source in sources if isinstance(source, dict)}
    # Covers up to version 0.1.0 recorded the hash of the whole file.
    return any(sound in heard for _, sound in songs) or any(sha256_file(path) in heard for path, _ in songs)
