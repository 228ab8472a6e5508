"""What is judged and on what: runs with their models loaded, and the test part of a dataset folder."""

from __future__ import annotations

import csv
from collections.abc import Generator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
import yaml

from covergen_cli.config import GenerateConfig
from covergen_cli.config.resolve import resolve
from covergen_cli.covers.fingerprint import Models, find_models
from covergen_cli.covers.pipeline import CoverPipeline, load_pipeline
from covergen_cli.dataset.layout import MANIFEST, Dataset
from covergen_cli.dataset.pairs import Split, check_files, encoder_spec_of, read_pairs
from covergen_cli.errors import ConfigError, InputError, ModelError
from covergen_cli.events import Warned
from covergen_cli.models.fingerprint import adapter_folder, read_adapter_facts
from covergen_cli.training.plan import pairs_fingerprint
from covergen_cli.training.run_folder import CONFIG, read_records
from covergen_cli.weights import hub

if TYPE_CHECKING:
    import numpy.typing as npt
    from torch import Tensor

    from covergen_cli.dataset.pairs import Pair

_TRAINING: tuple[Split, ...] = ("train", "val")


@dataclass(frozen=True)
class Subject:
    """One run whose adapter is judged.

    Args:
        name: what the report calls it.
        pipeline: adapter and base, loaded.
        models: which they are.
        facts: ``adapter.json``.
        epochs: what the training logged after each epoch; none for an adapter without a run folder.
        drawing: how ``covergen generate`` draws with it.
        trained_on: names the pairs that it was trained on; ``None`` where nothing says that.
    """

    name: str
    pipeline: CoverPipeline
    models: Models
    facts: dict[str, Any]
    epochs: list[dict[str, Any]]
    drawing: GenerateConfig
    trained_on: str | None


@dataclass(frozen=True)
class Material:
    """The test part of a dataset folder, and the training part that it must be unlike.

    Args:
        folder: the dataset folder.
        pairs: the test pairs, at least two.
        train: the training pairs; none where there is no such table.
        encoder_spec: what the embeddings were made with.
        metadata: id → line of the manifest, for the test pairs; none where there is no manifest.
        audio: id → music file, for those test pairs whose music is there.
        training_fingerprint: names the pairs that a training on this folder uses now; ``None`` without them.
    """

    folder: Path
    pairs: list[Pair]
    train: list[Pair]
    encoder_spec: dict[str, Any]
    metadata: Mapping[str, Mapping[str, str]]
    audio: Mapping[str, Path]
    training_fingerprint: str | None

    def groups(self, column: str | None) -> dict[str, str]:
        """Id → value of a column of the manifest, ``"(none)"`` where it is empty; nothing without a column.

        Raises:
            ConfigError: the manifest has no such column.
        """
        if column is None:
            return {}
        known = sorted({key for line in self.metadata.values() for key in line})
        if column not in known:
            hint = f"It has {', '.join(known)}." if known else f"{self.folder} has no {MANIFEST}."
            raise ConfigError(f"the manifest has no column {column!r}", hint=hint)
        return {pair.id: self.metadata.get(pair.id, {}).get(column, "").strip() or "(none)" for pair in self.pairs}


def drawing_settings(run: str, *, seed: int, device: str) -> GenerateConfig:
    """Settle how covers are drawn: as ``covergen generate`` does, with the preset of the base, but no grain.

    Grain has edges of its own, which would be counted for those of the picture.

    Args:
        run: a run folder, an adapter folder, ``starter`` or a hub id.
        seed: of the covers.
        device: where to compute.

    Raises:
        ModelError: there is no adapter, or it does not say what base it was trained for.
        ConfigError: a setting in the user's config file or environment makes no sense.
    """
    facts = read_adapter_facts(adapter_folder(hub.resolve(run, "adapter")))
    given = {"adapter": run, "base": facts["base"].get("reference"), "seed": seed, "device": device, "grain": 0.0}
    return resolve(GenerateConfig, overrides=given)


def load_subject(name: str, drawing: GenerateConfig) -> Subject:
    """Load a run.

    Args:
        name: what the report calls it.
        drawing: how covers are drawn; its ``adapter`` is the run folder, an adapter folder, ``starter`` or a hub id.

    Raises:
        ModelError: adapter or base is missing, damaged, or does not fit.
        ConfigError: the device makes no sense.
    """
    models = find_models(drawing)
    facts = read_adapter_facts(models.adapter_folder)
    run = models.adapter_folder.parent
    trained_on = run_settings(run).get("data", {}).get("pairs")
    return Subject(name, load_pipeline(drawing, models), models, facts, read_records(run, "epoch"), drawing, trained_on)


def run_settings(run: Path) -> dict[str, dict[str, Any]]:
    """Read the sections of a run folder's ``config.yaml``; none where there is no such file, or it is damaged."""
    try:
        found = yaml.safe_load((run / CONFIG).read_text(encoding="utf-8"))
    except (OSError, ValueError, yaml.YAMLError):
        return {}
    return {key: part for key, part in found.items() if isinstance(part, dict)} if isinstance(found, dict) else {}


def open_material(folder: Path) -> Material:
    """Read and check the test part.

    Raises:
        InputError: a table or a file is missing or damaged, there are fewer than two test pairs, or one of them stands
            in the training part too.
    """
    pairs = read_pairs(folder, "test")
    if len(pairs) < 2:
        raise InputError(
            f"the test part of {folder} has only {len(pairs)} pair",
            hint="Songs are compared with each other: split more pairs, or with other --ratios.",
        )
    check_files(pairs)
    train, validation = (
        read_pairs(folder, part) if (folder / "splits" / f"{part}.csv").is_file() else [] for part in _TRAINING
    )
    if shared := {pair.id for pair in train} & {pair.id for pair in pairs}:
        raise InputError(
            f"{min(shared)} stands both in train.csv and in test.csv of {folder / 'splits'}",
            hint=f"Run covergen split {folder} again, then train anew.",
        )
    metadata = _metadata(folder, {pair.id for pair in pairs})
    return Material(
        folder,
        pairs,
        train,
        encoder_spec_of(pairs),
        metadata,
        _audio(folder, set(metadata)),
        pairs_fingerprint(train, validation) if train and validation else None,
    )


def _metadata(folder: Path, wanted: set[str]) -> dict[str, dict[str, str]]:
    path = folder / MANIFEST
    if not path.is_file():
        return {}
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            lines = ({k: v or "" for k, v in line.items() if k} for line in csv.DictReader(file))
            return {line["id"].strip(): line for line in lines if line.get("id", "").strip() in wanted}
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise InputError(f"{path} cannot be read: {error}", hint="It has to be CSV in UTF-8.") from error


def _audio(folder: Path, wanted: set[str]) -> dict[str, Path]:
    if not wanted:
        return {}
    rows = (row for row in Dataset(folder).rows() if row.id in wanted and row.fault is None)
    return {row.id: row.audio for row in rows if row.audio is not None and row.audio.is_file()}


def check_fit(subject: Subject, material: Material) -> Generator[Warned, None, None]:
    """See that a run can be judged on this material.

    Yields:
        ``Warned`` when it was trained on other pairs than this folder's: the test songs may have been among them.

    Raises:
        ModelError: they were made with another encoder than the adapter was trained with.
    """
    theirs, ours = material.encoder_spec, subject.models.encoder_spec
    if theirs != ours:
        differing = sorted(key for key in {*theirs, *ours} if theirs.get(key) != ours.get(key))
        raise ModelError(
            f"{subject.name} was trained with the audio encoder {ours.get('name')}, "
            f"but the embeddings of {material.folder} differ from it in {', '.join(differing)}",
            hint=f"Run covergen embed --encoder {ours.get('name')} and covergen split again.",
        )
    now = material.training_fingerprint
    if None not in (subject.trained_on, now) and subject.trained_on != now:
        yield Warned(
            f"{subject.name} was trained on other pairs than {material.folder} has for training now; songs of the test "
            "part may have been among them"
        )


def read_embedding(pair: Pair) -> npt.NDArray[np.float32]:
    """Read the embedding of a pair, float32 ``(T, 512)``.

    Raises:
        InputError: it cannot be read, or holds numbers that are not finite.
    """
    try:
        embedding: npt.NDArray[np.float32] = np.load(pair.embedding, allow_pickle=False)
    except (OSError, ValueError, EOFError) as error:
        raise InputError(f"{pair.embedding} cannot be read: {error}", hint="Run covergen embed again.") from error
    if not np.isfinite(embedding).all():
        raise InputError(
            f"{pair.embedding} holds numbers that are not finite", hint="Delete it and run covergen embed again."
        )
    return embedding


def tokens_of(subject: Subject, pairs: Sequence[Pair]) -> Tensor:
    """Conditioning tokens of songs, ``(N, K, D)``, each computed alone."""
    return torch.cat([subject.pipeline.audio_tokens(read_embedding(pair)) for pair in pairs])
