"""The adapter that a training starts from in place of random weights (``--init``)."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from covergen_cli.errors import ConfigError, ModelError
from covergen_cli.models.checkpoint import load_adapter
from covergen_cli.models.fingerprint import adapter_fingerprint, adapter_folder, read_adapter_json
from covergen_cli.weights import hub

if TYPE_CHECKING:
    from torch import Tensor

    from covergen_cli.config import AdapterConfig

_FROM_SETTINGS = {"dropout", "cross_attention", "projection_rank"}
"""Projections are taken if both have them, and otherwise start as copies of the base's own."""

_LEFT_OUT = "the adapter to train is not decoupled, so it goes without the projections of "


@dataclass(frozen=True)
class Start:
    """An adapter to start from, not loaded.

    Args:
        reference: as the user named it.
        folder: holds its weights.
        fingerprint: see :func:`covergen_cli.models.fingerprint.adapter_fingerprint`.
        adapter_config: its architecture.
        remarks: what the user should know.
    """

    reference: str
    folder: Path
    fingerprint: str
    adapter_config: AdapterConfig
    remarks: tuple[str, ...]

    def weights(self) -> dict[str, Tensor]:
        """Load the weights by name, float32.

        Raises:
            ModelError: they are missing or damaged.
        """
        return dict(load_adapter(self.folder).adapter.float().state_dict())


def find_start(
    reference: str, encoder: Mapping[str, Any], base: Mapping[str, Any], adapter_config: AdapterConfig
) -> Start:
    """Find the adapter to start from, and check that it fits the training.

    Args:
        reference: a run folder, an adapter folder, ``starter`` or a hub id.
        encoder: the spec of the audio encoder that made the embeddings.
        base: reference, revision and fingerprint of the base.
        adapter_config: settings of the adapter; its architecture is that of the one to start from.

    Raises:
        ModelError: there is no such adapter, or it was trained with another audio encoder.
        ConfigError: it is for embeddings or tokens of other widths.
    """
    folder = adapter_folder(hub.resolve(reference, "adapter"))
    facts = read_adapter_json(folder)
    theirs, fingerprint = facts["encoder"], adapter_fingerprint(facts)
    if theirs != encoder:
        raise ModelError(
            f"{reference} was trained with the audio encoder {theirs.get('name')}, the embeddings here were made with "
            f"{encoder.get('name')}, or with other settings of it",
            hint=f"Run covergen embed --encoder {theirs.get('name')} and covergen split again, or leave out --init.",
        )
    architecture, remarks = _architecture(reference, facts["architecture"], adapter_config)
    trained_for = facts["base"]
    same = trained_for.get("fingerprint") == base["fingerprint"] or (
        base["revision"] is not None and trained_for.get("revision") == base["revision"]
    )
    if not same:
        name = trained_for.get("reference", "another base")
        remarks.append(f"{reference} was trained for {name}: for {base['reference']} its tokens mean something else")
    return Start(reference, folder, fingerprint, architecture, tuple(remarks))


def _architecture(
    reference: str, architecture: Mapping[str, Any], wanted: AdapterConfig
) -> tuple[AdapterConfig, list[str]]:
    """Return the architecture of an adapter to start from, and a remark if the settings ask for another.

    Raises:
        ConfigError: it is for embeddings or tokens of other widths.
    """
    known = {field.name for field in dataclasses.fields(wanted)}
    theirs = {name: value for name, value in architecture.items() if name in known - _FROM_SETTINGS}
    found = dataclasses.replace(wanted, **theirs)
    for name, what in (("embedding_dim", "embeddings"), ("output_dim", "tokens")):
        if getattr(found, name) != getattr(wanted, name):
            raise ConfigError(
                f"{reference} is for {what} {getattr(found, name)} wide, not {getattr(wanted, name)}",
                hint="Use the audio encoder and a base of the widths that it was trained with.",
            )
    differing = [
        f"{name} {getattr(found, name)}, not {value}"
        for name, value in dataclasses.asdict(wanted).items()
        if getattr(found, name) != value
    ]
    remarks = [f"the adapter has the architecture of {reference}: {', '.join(differing)}"] if differing else []
    if architecture.get("cross_attention", "shared") != found.cross_attention:
        missing = f"{reference} has no projections; they start from the base's own"
        remarks.append(missing if found.cross_attention == "decoupled" else _LEFT_OUT + reference)
    return found, remarks
