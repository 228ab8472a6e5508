"""Loads what is evaluated, runs with their models, and what they are evaluated on, the test split of a dataset."""

from __future__ import annotations

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
from covergen_cli.dataset.pairs import Pair, Split, check_files, encoder_spec_of, read_pairs
from covergen_cli.dataset.tables import read_rows
from covergen_cli.errors import ConfigError, InputError, ModelError
from covergen_cli.events import Warned
from covergen_cli.models.fingerprint import adapter_folder, read_adapter_json
from covergen_cli.training.plan import pairs_fingerprint
from covergen_cli.training.run_folder import CONFIG, read_records
from covergen_cli.weights import hub

if TYPE_CHECKING:
    import numpy.typing as npt
    from torch import Tensor

    from covergen_cli.config import EvalConfig


@dataclass(frozen=True)
class LoadedRun:
    """A run with its models loaded.

    Args:
        name: name of the run in the report.
        pipeline: adapter and base.
        models: references and fingerprints of adapter and base.
        epochs: the epoch records of the training log; empty for an adapter without a run folder.
        drawing: settings with which covers are drawn.
        trained_on: fingerprint of the pairs that the adapter was trained on; ``None`` if it is not recorded.
    """

    name: str
    pipeline: CoverPipeline
    models: Models
    epochs: list[dict[str, Any]]
    drawing: GenerateConfig
    trained_on: str | None


@dataclass(frozen=True)
class TestData:
    """The test split of a dataset folder, and the training split that covers are compared with.

    Args:
        folder: the dataset folder.
        pairs: the test pairs, at least two.
        train: the training pairs; empty if the dataset has no training split.
        encoder_spec: the audio encoder that made the embeddings.
        metadata: id → row of the manifest, for the test pairs; empty if there is no manifest.
        audio: id → music file, for the test pairs whose music file exists.
        training_fingerprint: fingerprint of the pairs that a training on this folder would use now; ``None`` if the
            dataset has no training or no validation split.
    """

    folder: Path
    pairs: list[Pair]
    train: list[Pair]
    encoder_spec: dict[str, Any]
    metadata: Mapping[str, Mapping[str, str]]
    audio: Mapping[str, Path]
    training_fingerprint: str | None

    def groups(self, column: str | None) -> dict[str, str]:
        """Return id → value of a manifest column, ``"(none)"`` for empty values; ``{}`` if ``column`` is ``None``.

        Raises:
            ConfigError: the manifest has no such column.
        """
        if column is None:
            return {}
        known = sorted({key for row in self.metadata.values() for key in row})
        if column not in known:
            hint = f"Its columns are {', '.join(known)}." if known else f"{self.folder} has no {MANIFEST}."
            raise ConfigError(f"the manifest has no column {column!r}", hint=hint)
        return {pair.id: self.metadata.get(pair.id, {}).get(column, "").strip() or "(none)" for pair in self.pairs}


def drawing_settings(run: str, config: EvalConfig) -> GenerateConfig:
    """Return the settings of ``covergen generate`` with the preset of the base, but without grain.

    Grain has edges of its own, which would be measured as edges of the picture.

    Args:
        run: a run folder, an adapter folder, ``starter`` or a hub id.
        config: ``seed``, ``device``, ``base`` and ``force_base`` are used here.

    Raises:
        ModelError: there is no adapter, or it does not record the base that it was trained for.
        ConfigError: a setting in the user's config file or environment is invalid.
    """
    trained_for = read_adapter_json(adapter_folder(hub.resolve(run, "adapter")))["base"].get("reference")
    overrides: dict[str, object] = {name: getattr(config, name) for name in ("seed", "device", "force_base")}
    overrides |= {"adapter": run, "base": config.base or trained_for, "grain": 0.0}
    return resolve(GenerateConfig, overrides=overrides)


def load_run(name: str, drawing: GenerateConfig) -> LoadedRun:
    """Load the models of a run.

    Args:
        name: name of the run in the report.
        drawing: settings with which covers are drawn; ``adapter`` is a run folder, an adapter folder, ``starter`` or a
            hub id.

    Raises:
        ModelError: adapter or base is missing or damaged, or they do not fit each other.
        ConfigError: the device is invalid.
    """
    models = find_models(drawing)
    folder = models.adapter_folder.parent
    trained_on = run_settings(folder).get("data", {}).get("pairs")
    return LoadedRun(name, load_pipeline(drawing, models), models, read_records(folder, "epoch"), drawing, trained_on)


def run_settings(run: Path) -> dict[str, dict[str, Any]]:
    """Return the sections of a run folder's ``config.yaml``; ``{}`` if the file is missing or damaged."""
    try:
        found = yaml.safe_load((run / CONFIG).read_text(encoding="utf-8"))
    except (OSError, ValueError, yaml.YAMLError):
        return {}
    return {key: part for key, part in found.items() if isinstance(part, dict)} if isinstance(found, dict) else {}


def load_test_data(folder: Path) -> TestData:
    """Read and check the test split of a dataset folder.

    Raises:
        InputError: a table or a file is missing or damaged, there are fewer than two test pairs, or one of them is
            also in the training split.
    """
    pairs = read_pairs(folder, "test")
    if len(pairs) < 2:
        raise InputError(
            f"the test split of {folder} has only {len(pairs)} pair",
            hint="Songs are compared with each other: add pairs, or split with other --ratios.",
        )
    encoder = encoder_spec_of(pairs)
    check_files(pairs, encoder["embedding_dim"])
    train, validation = _read_split(folder, "train"), _read_split(folder, "val")
    ids = {pair.id for pair in pairs}
    if shared := ids & {pair.id for pair in train}:
        raise InputError(
            f"{min(shared)} is both in train.csv and in test.csv of {folder / 'splits'}",
            hint=f"Run covergen split {folder} and covergen train again.",
        )
    metadata, audio = _read_manifest(folder, ids)
    fingerprint = pairs_fingerprint(train, validation) if train and validation else None
    return TestData(folder, pairs, train, encoder, metadata, audio, fingerprint)


def _read_split(folder: Path, split: Split) -> list[Pair]:
    return read_pairs(folder, split) if (folder / "splits" / f"{split}.csv").is_file() else []


def _read_manifest(folder: Path, ids: set[str]) -> tuple[dict[str, dict[str, str]], dict[str, Path]]:
    """Return id → row of the manifest, and id → existing music file."""
    dataset = Dataset(folder)
    if not dataset.manifest.is_file():
        return {}, {}
    metadata = {row["id"].strip(): row for row in read_rows(dataset.manifest) if row.get("id", "").strip() in ids}
    if not metadata:
        return {}, {}
    rows = (row for row in dataset.rows() if row.id in metadata and row.fault is None)
    return metadata, {row.id: row.audio for row in rows if row.audio is not None and row.audio.is_file()}


def check_compatible(run: LoadedRun, test_data: TestData) -> Generator[Warned, None, None]:
    """Check that a run can be evaluated on this dataset.

    Yields:
        ``Warned`` if it was trained on other pairs than those of the training split: test songs may be among them.

    Raises:
        ModelError: the embeddings were made with another encoder than the adapter was trained with.
    """
    theirs, ours = test_data.encoder_spec, run.models.encoder_spec
    if theirs != ours:
        differing = sorted(key for key in {*theirs, *ours} if theirs.get(key) != ours.get(key))
        raise ModelError(
            f"{run.name} was trained with the audio encoder {ours.get('name')}, "
            f"but the embeddings of {test_data.folder} were made with another: {', '.join(differing)} differ",
            hint=f"Run covergen embed --encoder {ours.get('name')} and covergen split again.",
        )
    now = test_data.training_fingerprint
    if None not in (run.trained_on, now) and run.trained_on != now:
        yield Warned(
            f"{run.name} was trained on other pairs than the training split of {test_data.folder}; "
            "test songs may be among them"
        )


def read_embedding(pair: Pair) -> npt.NDArray[np.float32]:
    """Return the embedding of a pair, float32 ``(T, E)``.

    Raises:
        InputError: it cannot be read, or contains values that are not finite.
    """
    try:
        embedding: npt.NDArray[np.float32] = np.load(pair.embedding, allow_pickle=False)
    except (OSError, ValueError, EOFError) as error:
        raise InputError(f"{pair.embedding} cannot be read: {error}", hint="Run covergen embed again.") from error
    if not np.isfinite(embedding).all():
        raise InputError(
            f"{pair.embedding} contains values that are not finite", hint="Delete it and run covergen embed again."
        )
    return embedding


def audio_tokens(run: LoadedRun, pairs: Sequence[Pair]) -> Tensor:
    """Return the conditioning tokens of songs, ``(N, K, D)``."""
    return torch.cat([run.pipeline.audio_tokens(read_embedding(pair)) for pair in pairs])
