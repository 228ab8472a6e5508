"""``covergen train``: pairs of music and cover in, an adapter out."""

from __future__ import annotations

import json
import os
import signal
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import click

from covergen_cli.cli.errors import DONE, FAILED, GracefulStop, Terminated
from covergen_cli.cli.options import Command, given_settings, global_options, setting_options, terminal_of
from covergen_cli.cli.unused import unused_in_training, warn_of_preset, warn_of_unused
from covergen_cli.config import AdapterConfig, TrainConfig
from covergen_cli.config.resolve import BUILT_IN, preset_names, resolve
from covergen_cli.files import SCHEMA

if TYPE_CHECKING:
    from covergen_cli.cli.terminal import Terminal
    from covergen_cli.events import Event, TrainFinished

GROUPS = {
    "Common": ("run", "base", "preset", "objective", "init", "epochs", "batch_size", "resume", "seed", "device"),
    "Speed and memory": ("accumulate", "checkpointing", "precision", "compile"),
    "Optimizer and schedule": (
        *("optimizer", "learning_rate", "weight_decay", "schedule", "warmup", "clip_norm", "timesteps", "ema_decay"),
    ),
    "Validation and checkpoints": ("min_epochs", "patience", "validation_draws", "samples", "checkpoint_minutes"),
}


@click.command(cls=Command, groups=GROUPS)
@click.argument("data", metavar="DATA", type=click.Path(path_type=Path))
@click.option(
    "-o", "--output", "run", metavar="RUN", type=click.Path(path_type=Path), required=True, help="Run folder to write."
)
@click.option(
    "--preset",
    default=BUILT_IN,
    show_default=True,
    help=f"Preset to start from: {', '.join(preset_names('train', 'adapter'))}, or a YAML file with sections train and "
    "adapter.",
)
@click.option(
    "--resume",
    metavar="auto|never|PATH",
    default="auto",
    show_default=True,
    help="Resume from the newest checkpoint in RUN (auto) or from this checkpoint (PATH), or start from scratch and "
    "delete the adapter, checkpoints, samples and metrics in RUN (never).",
)
@setting_options(TrainConfig)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object instead of a path.")
@global_options
@click.pass_context
def train(
    context: click.Context, /, data: Path, run: Path, preset: str, resume: str, as_json: bool, **_settings: Any
) -> int:
    """Train an adapter on pairs of music and cover.

    The adapter makes a frozen image model follow the music. DATA is a dataset folder with embeddings and splits. The
    adapter, checkpoints, metrics and sample covers are saved in RUN; covergen generate --adapter RUN uses the adapter.
    A training that was stopped, for whatever reason, continues when the same command is run again.

    The path of RUN is printed on stdout.
    """
    config = resolve(TrainConfig, preset=preset, overrides=given_settings(context, TrainConfig))
    adapter = resolve(AdapterConfig, preset=preset)
    warn_of_unused(context, TrainConfig, unused_in_training(config))
    warn_of_preset(context, preset, "train", "adapter")
    terminal = terminal_of(context)
    # Of several processes started by accelerate, only the first one writes to the screen.
    is_first = os.environ.get("RANK", "0") == "0"
    terminal.quiet |= not is_first
    start: Any = resume if resume in {"auto", "never"} else Path(resume)
    record = _train(data, run, config, adapter, start, terminal)
    if record is None:
        return FAILED
    if is_first:
        terminal.result(json.dumps(record) if as_json else str(run))
    return DONE


def _train(
    data: Path,
    run: Path,
    config: TrainConfig,
    adapter: AdapterConfig,
    resume: Literal["auto", "never"] | Path,
    terminal: Terminal,
) -> dict[str, Any] | None:
    """Run the training and return the object for ``--json``; on a signal, the state is saved first.

    Raises:
        KeyboardInterrupt: the training was stopped by Ctrl-C.
        Terminated: the training was stopped by SIGTERM.
    """
    from covergen_cli.cli.terminal import Tally
    from covergen_cli.events import TrainFinished, TrainPlanned
    from covergen_cli.training import loop

    tally = Tally(noun="epoch", total=config.epochs, log_progress=True)
    with GracefulStop() as stop:

        def arm(event: Event) -> None:
            stop.armed |= isinstance(event, TrainPlanned)

        events = loop.train(data, run, config, adapter, resume=resume, stop=stop.requested)
        finished = terminal.run(events, tally, arm)
        if isinstance(finished, TrainFinished):
            return _record(finished)
        if stop.signal == signal.SIGINT:
            raise KeyboardInterrupt
        if stop.signal is not None:
            raise Terminated
    return None


def _record(finished: TrainFinished) -> dict[str, Any]:
    return {
        "schema": SCHEMA,
        "status": "ok",
        "run": str(finished.run),
        "adapter": str(finished.adapter),
        "epochs": finished.epochs,
        "steps": finished.steps,
        "early": finished.early,
        "best_epoch": finished.best_epoch,
        "validation_loss": finished.validation_loss,
        "seconds": round(finished.seconds, 3),
    }
