"""Prepares an adapter for others: in one folder for the hub, or in the file layout of IP-Adapter for other programs."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch

from covergen_cli.audio.embed import embed_file
from covergen_cli.audio.encoders import get_encoder
from covergen_cli.errors import InputError
from covergen_cli.evaluation.table import format_table
from covergen_cli.evaluation.test_data import run_settings
from covergen_cli.files import atomic_path, read_json, write_json, write_text
from covergen_cli.models.checkpoint import load_adapter
from covergen_cli.models.fingerprint import (
    ADAPTER_JSON,
    ADAPTER_WEIGHTS,
    adapter_fingerprint,
    adapter_folder,
    read_adapter_json,
)
from covergen_cli.models.ip_adapter import image_embeds, ip_adapter_weights, save_tensors
from covergen_cli.training.run_folder import SAMPLES
from covergen_cli.weights.hub import KNOWN, hub_model, resolve

FOLDER = "push"
_LIMITS = (
    "What the covers and the music were, who made them, and whether they may be used like this, is not recorded in a "
    "run: say it here. The adapter learns what its pairs have in common, biases included, and works best on music of "
    "the kinds that it was trained on."
)
_CARD, _METRICS, _SAMPLES = "README.md", "metrics.json", "samples.jpg"


def prepare_upload(run: Path, repo_id: str, licence: str) -> Path:
    """Write the folder ``RUN/push`` with everything that is uploaded, and return it.

    The adapter's description names a base in a local folder by the last part of its path only.

    Args:
        run: a run folder.
        repo_id: ``OWNER/NAME``.
        licence: its identifier on the hub, such as ``cc-by-4.0``.

    Raises:
        InputError: there is no run folder.
        ModelError: its adapter is missing or damaged.
        OutputError: the folder cannot be written.
    """
    if not run.is_dir():
        raise InputError(f"there is no run folder {run}", hint="Name a folder that covergen train has written.")
    source = adapter_folder(run)
    facts, target = read_adapter_json(source), run / FOLDER
    shutil.rmtree(target, ignore_errors=True)
    _copy(source / ADAPTER_WEIGHTS, target / ADAPTER_WEIGHTS)
    base = {**facts["base"], "reference": _public_name(facts["base"])}
    write_json(target / ADAPTER_JSON, {**facts, "base": base})
    metrics = _metrics_of(run, adapter_fingerprint(facts))
    if metrics is not None:
        write_json(target / _METRICS, metrics)
    sheets = sorted((run / SAMPLES).glob("epoch-*.jpg"))
    if sheets:
        _copy(sheets[-1], target / _SAMPLES)
    settings = run_settings(run)
    card = model_card(repo_id, licence, {**facts, "base": base}, settings, metrics, samples=bool(sheets))
    write_text(target / _CARD, card)
    return target


def _copy(source: Path, target: Path) -> None:
    with atomic_path(target) as temporary:
        shutil.copyfile(source, temporary)


def _public_name(base: Mapping[str, Any]) -> str:
    """Return a name of the base that says nothing about this machine."""
    reference = str(base.get("reference"))
    if reference in KNOWN or (hub_model(reference) is not None and not Path(reference).exists()):
        return reference
    return Path(reference).name


def _metrics_of(run: Path, fingerprint: str) -> dict[str, Any] | None:
    """Return the figures of ``covergen eval``, if they are those of this adapter alone."""
    try:
        metrics: dict[str, Any] = read_json(run / "eval" / _METRICS)
        return metrics if [one["adapter"] for one in metrics["runs"]] == [fingerprint] else None
    except (OSError, ValueError, KeyError, TypeError):
        return None


def model_card(
    repo_id: str,
    licence: str,
    facts: Mapping[str, Any],
    settings: Mapping[str, Mapping[str, Any]],
    metrics: Mapping[str, Any] | None,
    *,
    samples: bool,
) -> str:
    """Return the model card, Markdown with the hub's front matter.

    Args:
        repo_id: ``OWNER/NAME``.
        licence: its identifier on the hub.
        facts: content of ``adapter.json``.
        settings: content of ``config.yaml``; empty if there is none.
        metrics: content of ``metrics.json``; ``None`` if the adapter was not evaluated.
        samples: there is a sheet of sample covers.
    """
    base, known = facts["base"]["reference"], hub_model(facts["base"]["reference"])
    front = {"license": licence, "library_name": "covergen-cli", "tags": ["covergen", "audio-to-image", "cover-art"]}
    if known is not None:
        front["base_model"] = known.repo_id
    parts = [
        # The front matter is YAML, which JSON is part of.
        "---\n" + "".join(f"{key}: {json.dumps(value)}\n" for key, value in front.items()) + "---",
        f"# {repo_id.partition('/')[2]}",
        f"An adapter for `covergen`: it lets the image model `{base}` draw covers that follow the music.",
        f"```sh\npip install covergen-cli\ncovergen generate song.mp3 --adapter {repo_id}\n```",
        "## Training",
        _training(facts, settings),
        "## Evaluation",
        _evaluation(metrics),
    ]
    if samples:
        parts += ["## Samples", f"![covers of the validation part above, generated ones below]({_SAMPLES})"]
    parts += ["## Limits", _LIMITS]
    return "\n\n".join(parts) + "\n"


def _training(facts: Mapping[str, Any], settings: Mapping[str, Mapping[str, Any]]) -> str:
    training, architecture, data = facts["training"], facts["architecture"], settings.get("data", {})
    rows = {
        "base": f"`{facts['base']['reference']}`, fingerprint `{str(facts['base'].get('fingerprint'))[:12]}`",
        "audio encoder": f"`{facts['encoder'].get('name')}`",
        "tokens": f"{architecture.get('tokens')}, {architecture.get('cross_attention', 'shared')} cross-attention",
        "data": f"`{Path(str(data['folder'])).name}`" if "folder" in data else None,
        "pairs": f"{training['train_pairs']} for training, {training['validation_pairs']} for validation"
        if "train_pairs" in training
        else None,
        "started from": "another adapter" if training.get("init") else None,
        "best epoch": training.get("epoch"),
        "validation loss": f"{training['validation_loss']:.4f}" if "validation_loss" in training else None,
    }
    shown = ("objective", "epochs", "batch_size", "optimizer", "learning_rate", "schedule", "timesteps", "seed")
    chosen = training.get("settings", {})
    rows["settings"] = ", ".join(f"{name} {chosen[name]}" for name in shown if name in chosen) or None
    lines = [f"| {name} | {value} |" for name, value in rows.items() if value is not None]
    return "\n".join(["| | |", "|---|---|", *lines])


def _evaluation(metrics: Mapping[str, Any] | None) -> str:
    if metrics is None:
        return "Not evaluated yet: `covergen eval RUN` measures whether the adapter uses the music."
    data, run = metrics["data"], metrics["runs"][0]
    return (
        f"On {data['test_pairs']} test pairs of `{data['name']}`, with the losses of "
        f"{run['count']['pairs']} of them: {run['verdict']['text']}.\n\n" + format_table(metrics, "markdown")
    )


def export_ip_adapter(reference: str, folder: Path, songs: Sequence[Path]) -> Iterator[Path]:
    """Write a decoupled adapter in the file layout of IP-Adapter, and what it takes for some songs.

    Args:
        reference: a run folder, an adapter folder or a hub id.
        folder: is created.
        songs: music files.

    Yields:
        the files: ``ip-adapter.safetensors``, and one per song, with the tensor ``image_embeds``.

    Raises:
        ModelError: the adapter does not fit the layout, or is missing or damaged.
        InputError: a song cannot be used.
        OutputError: the folder cannot be written.
    """
    loaded = load_adapter(resolve(reference, "adapter"))
    path = folder / "ip-adapter.safetensors"
    save_tensors(path, ip_adapter_weights(loaded.adapter))
    yield path
    encoder = get_encoder(loaded.encoder_spec) if songs else None
    for song in songs:
        if encoder is not None:
            embedding, _ = embed_file(song, encoder)
            path = folder / f"{song.stem}.safetensors"
            save_tensors(path, {"image_embeds": image_embeds(loaded.adapter, torch.from_numpy(embedding))})
            yield path
