"""``covergen train``: pairs of music and cover in, an adapter out."""

from __future__ import annotations

import dataclasses
import json
import os
import signal
import statistics
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import click

from covergen_cli.cli.errors import DONE, FAILED, GracefulStop, Terminated
from covergen_cli.cli.options import Command, given_settings, global_options, setting_options, terminal_of
from covergen_cli.cli.unused import unused_in_training, warn_of_preset, warn_of_unused
from covergen_cli.config import AdapterConfig, TrainConfig
from covergen_cli.config.coerce import coerce
from covergen_cli.config.resolve import BUILT_IN, field_types, preset_names, resolve
from covergen_cli.files import SCHEMA

if TYPE_CHECKING:
    from covergen_cli.cli.terminal import Terminal
    from covergen_cli.events import Event, TrainFinished

GROUPS = {
    "Common": (
        *("run", "base", "preset", "objective", "init", "epochs", "batch_size", "resume", "seed", "seeds", "device"),
    ),
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
@click.option(
    "--seeds",
    metavar="N,N,...",
    help="Train once with each of these seeds, into RUN/seed-N; covergen eval RUN reports mean and deviation.",
)
@setting_options(TrainConfig)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object instead of a path.")
@global_options
@click.pass_context
def train(
    context: click.Context,
    /,
    data: Path,
    run: Path,
    preset: str,
    resume: str,
    seeds: str | None,
    as_json: bool,
    **_settings: Any,
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
    runs = {run: config} if seeds is None else _runs_of(context, run, config, seeds)
    records = []
    for folder, settings in runs.items():
        record = _train(data, folder, settings, adapter, start, terminal)
        if record is None:
            return FAILED
        records.append(record)
    if is_first:
        whole = records[0] if seeds is None else _summary(run, records, terminal)
        terminal.result(json.dumps(whole) if as_json else str(run))
    return DONE


def _runs_of(context: click.Context, run: Path, config: TrainConfig, seeds: str) -> dict[Path, TrainConfig]:
    """Return the run folder and the settings of each seed.

    Raises:
        UsageError: they are not two or more different seeds, or belong to a checkpoint or a run folder.
    """
    given = {*given_settings(context, TrainConfig)}
    if "seed" in given or context.params["resume"] not in {"auto", "never"}:
        raise click.UsageError("--seeds cannot be used with --seed, or with a checkpoint to resume", context)
    if (run / "config.yaml").is_file():
        raise click.UsageError(f"{run} is the folder of a single run; name another one with -o", context)
    values = [coerce(part, field_types(TrainConfig)["seed"], "--seeds") for part in seeds.split(",")]
    if len(set(values)) != len(values) or len(values) < 2:
        raise click.UsageError("--seeds takes two or more different numbers, such as 0,1,2", context)
    return {run / f"seed-{seed}": dataclasses.replace(config, seed=seed) for seed in values}


def _summary(run: Path, records: list[dict[str, Any]], terminal: Terminal) -> dict[str, Any]:
    """Return the object for ``--json`` of several seeds, and show mean and standard deviation of their losses."""
    losses = [record["validation_loss"] for record in records]
    mean, deviation = statistics.fmean(losses), statistics.stdev(losses)
    terminal.note(f"validation loss {mean:.4f} ± {deviation:.4f} (standard deviation over {len(losses)} seeds)")
    figures = {"mean": mean, "sd": deviation, "seeds": len(losses)}
    return {"schema": SCHEMA, "status": "ok", "run": str(run), "validation_loss": figures, "runs": records}


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
