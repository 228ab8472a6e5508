"""Check everything about a training that can be checked before a model is loaded or a cover is encoded."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import torch

from covergen_cli.dataset.pairs import check_files, encoder_spec_of, read_pairs
from covergen_cli.diffusion.noise_schedule import signal_and_noise
from covergen_cli.diffusion.objective import target_of
from covergen_cli.errors import ConfigError, InputError, ModelError
from covergen_cli.files import SCHEMA, require_writable, sample_sha256, sha256_bytes
from covergen_cli.models.fingerprint import base_fingerprint, has_text_encoder, read_model_json
from covergen_cli.training.resume import find_checkpoints
from covergen_cli.training.start import Start, find_start
from covergen_cli.weights import hub

if TYPE_CHECKING:
    from covergen_cli.config import AdapterConfig, TrainConfig
    from covergen_cli.dataset.pairs import Pair


@dataclass(frozen=True)
class Plan:
    """What will be trained, on which pairs.

    ``encoder`` is the spec of the audio encoder that made the embeddings, ``adapter_config`` has the widths of
    embeddings and base, and ``record`` is the content of ``config.yaml``. ``checkpoints`` are those to resume from, the
    preferred one first, none for a new run; ``fresh`` deletes what the run folder holds. ``start`` is the adapter to
    start from.
    ``remarks`` are what the user should know.
    """

    data: Path
    run: Path
    train: list[Pair]
    validation: list[Pair]
    encoder: dict[str, Any]
    config: TrainConfig
    adapter_config: AdapterConfig
    record: dict[str, Any]
    checkpoints: list[Path]
    fresh: bool
    start: Start | None
    remarks: list[str]


def make_plan(
    data: Path,
    run: Path,
    config: TrainConfig,
    adapter_config: AdapterConfig,
    *,
    resume: Literal["auto", "never"] | Path = "auto",
    processes: int = 1,
) -> Plan:
    """Return the plan of a training, checked as far as reading small files can; nothing is written.

    The arguments are those of :func:`covergen_cli.training.loop.train`, and how many processes train together.

    Raises:
        InputError: the dataset folder lacks something, or its tables contradict each other.
        ModelError: the base lacks a part, its prediction type is unknown, or the adapter to start from does not fit.
        ConfigError: the run folder belongs to a run with other settings (they are named), or to something else.
        OutputError: the run folder is read-only.
    """
    require_writable(run)
    train, validation = read_pairs(data, "train"), read_pairs(data, "val")
    if shared := {pair.id for pair in train} & {pair.id for pair in validation}:
        raise InputError(
            f"{min(shared)} is both in train.csv and in val.csv of {data / 'splits'}",
            hint=f"Run covergen split {data} again.",
        )
    encoder = encoder_spec_of([*train, *validation])
    check_files([*train, *validation], encoder["embedding_dim"])
    base = _describe_base(config.base)
    width = base["cross_attention_dim"]
    adapter_config = dataclasses.replace(adapter_config, embedding_dim=encoder["embedding_dim"], output_dim=width)
    start = None if config.init is None else find_start(config.init, encoder, base, adapter_config)
    adapter_config = adapter_config if start is None else start.adapter_config
    if config.objective == "words":
        adapter_config = _config_for_words(adapter_config, config)
    record = {
        "schema": SCHEMA,
        "train": dataclasses.asdict(config),
        "adapter": dataclasses.asdict(adapter_config),
        "base": base,
        "encoder": encoder,
        "data": {
            "folder": str(data),
            "train": len(train),
            "validation": len(validation),
            "pairs": pairs_fingerprint(train, validation),
            "content": _content_fingerprint([*train, *validation]),
        },
        "processes": processes,
        "init": None if start is None else {"fingerprint": start.fingerprint},
    }
    checkpoints, remarks = find_checkpoints(run, record, resume)
    if start is not None and not checkpoints:
        remarks += start.remarks
    fresh = resume == "never"
    return Plan(
        data, run, train, validation, encoder, config, adapter_config, record, checkpoints, fresh, start, remarks
    )


def pairs_fingerprint(train: Sequence[Pair], validation: Sequence[Pair]) -> str:
    """Return a SHA-256 over the ids and weights of the pairs, in their order: 64 hexadecimal digits."""
    return sha256_bytes("\n".join(f"{pair.id} {pair.weight!r}" for pair in [*train, *validation]).encode())


def _content_fingerprint(pairs: Sequence[Pair]) -> str:
    """Return a SHA-256 over samples of all covers and embeddings, so that exchanged ones are noticed.

    Raises:
        InputError: one cannot be read.
    """
    try:
        with ThreadPoolExecutor() as threads:
            hashes = list(threads.map(sample_sha256, [path for pair in pairs for path in (pair.image, pair.embedding)]))
    except OSError as error:
        raise InputError(f"{error.filename} cannot be read: {error.strerror or error}") from error
    return sha256_bytes("\n".join(hashes).encode())


def _config_for_words(adapter_config: AdapterConfig, config: TrainConfig) -> AdapterConfig:
    """Return the architecture of an adapter that learns from words: a token for each position of the text encoder.

    Raises:
        ModelError: the base has no text encoder.
        ConfigError: the adapter cannot give such tokens.
    """
    folder = hub.resolve(config.base)
    if not has_text_encoder(folder):
        raise ModelError(
            f"{config.base} has no text encoder, from which --objective words learns",
            hint="Use a base such as sd15, or --objective covers.",
        )
    positions = int(read_model_json(folder / "text_encoder" / "config.json").get("max_position_embeddings", 77))
    if adapter_config.pooling == "attention" or adapter_config.cross_attention == "decoupled":
        raise ConfigError(
            f"--objective words needs an adapter that gives {positions} tokens of their own",
            hint="Use the preset default; a decoupled adapter can start from the result with --init.",
        )
    if config.init is not None and adapter_config.tokens != positions:
        raise ConfigError(f"{config.init} gives {adapter_config.tokens} tokens, the text encoder {positions}")
    return dataclasses.replace(adapter_config, tokens=positions)


def _describe_base(reference: str) -> dict[str, Any]:
    """Return reference, revision, fingerprint and token width of a base.

    Raises:
        ModelError: a part is missing, or training does not support its beta schedule or prediction type.
    """
    folder = hub.resolve(reference)
    scheduler = read_model_json(folder / "scheduler" / "scheduler_config.json")
    zeros, time = torch.zeros(1, 1, 1, 1), torch.tensor([0.5])
    signal_and_noise(scheduler, time)
    target_of(scheduler, zeros, zeros, time)
    unet = read_model_json(folder / "unet" / "config.json")
    if unet.get("addition_embed_type") is not None:
        raise ModelError(
            f"{reference} has the layout of Stable Diffusion XL, for which adapters cannot be trained yet",
            hint="covergen generate draws with it by words: leave out --adapter.",
        )
    width = unet.get("cross_attention_dim")
    if not isinstance(width, int):
        raise ModelError(f"{folder}: the U-Net's cross_attention_dim is {width!r}; one number is needed")
    return {
        "reference": reference,
        "revision": hub.revision_of(folder),
        "fingerprint": base_fingerprint(folder),
        "cross_attention_dim": width,
    }
