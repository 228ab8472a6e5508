"""Warns about options that have no effect beside the others on the command line."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from covergen_cli.cli.options import given_settings, terminal_of
from covergen_cli.config.resolve import load_preset, preset_names

if TYPE_CHECKING:
    import click

    from covergen_cli.config import EmbedConfig, TrainConfig

_SAMPLE_SIZES = ("budget", "pairs", "draws", "songs", "song_draws", "covers", "batch_size", "by")

_OF_THE_U_NET = ("accumulate", "checkpointing", "compile", "timesteps", "validation_draws", "samples")


def warn_of_unused(context: click.Context, kind: type, reasons: Mapping[str, str]) -> None:
    """Warn of every option that is given, but has no effect.

    Args:
        context: of the command.
        kind: the settings class of its options.
        reasons: field → when it has none, as the end of a sentence, e.g. ``with --optimizer adam``.
    """
    for name in given_settings(context, kind):
        if name in reasons:
            terminal_of(context).warn(f"--{name.replace('_', '-')} has no effect {reasons[name]}")


def warn_of_preset(context: click.Context, preset: str, *stages: str) -> None:
    """Warn of a preset that is given, but changes nothing of these stages."""
    known = preset_names(*stages)
    if preset not in known and load_preset(preset).keys().isdisjoint(stages):
        terminal_of(context).warn(f"the preset {preset} changes nothing here; these do: {', '.join(known[1:])}")


def unused_in_training(config: TrainConfig) -> dict[str, str]:
    """Return field → reason for the options of ``train`` that have no effect."""
    reasons = {}
    if config.optimizer == "adam":
        reasons["weight_decay"] = "with --optimizer adam; use adamw"
    if config.schedule == "plateau":
        reasons["warmup"] = "with --schedule plateau; use cosine"
    if config.objective == "words":
        reasons |= dict.fromkeys(_OF_THE_U_NET, "with --objective words, in which the U-Net takes no part")
    return reasons


def unused_in_embedding(config: EmbedConfig) -> dict[str, str]:
    """Return field → reason for the options of ``embed`` that have no effect."""
    if config.encoder == "openl3":
        return {}
    return dict.fromkeys(("batch_size", "device"), f"with --encoder {config.encoder}; it is for openl3")


def unused_in_evaluation(*, survey: bool, answers: bool) -> dict[str, str]:
    """Return field → reason for the options of ``eval`` that have no effect.

    Args:
        survey: a survey is created.
        answers: the answers of a survey are analysed.
    """
    if answers:
        return dict.fromkeys((*_SAMPLE_SIZES, "controls", "device"), "with --survey-answers")
    if survey:
        return dict.fromkeys(_SAMPLE_SIZES, "with --survey")
    return {"controls": "without --survey"}
