"""The run folder: what ``train`` writes, and how it is read.

::

    RUN/config.yaml          schema, train, adapter (settings), and base, encoder and data that were trained on
    RUN/adapter/             adapter.safetensors, adapter.json: the best by validation loss
    RUN/checkpoints/         step-NNNNNN/: complete states of the training; see covergen_cli.training.checkpoints
    RUN/metrics.jsonl        one record per line; see below
    RUN/curves.png           the losses of all epochs
    RUN/samples/             epoch-NNN.jpg: top row, covers of the validation split; bottom row, generated covers
    RUN/tensorboard/         the same metrics and images for TensorBoard, where it is installed

``metrics.jsonl`` holds two kinds of records, in the order of their steps, none twice. Steps and epochs count from 1;
losses are means of the squared error per element of the latent.

``"kind": "step"``, one for every few optimiser steps, with ``epoch``, ``step``, ``learning_rate`` and ``gradient_norm``
(before clipping) of the last of them; and since the previous record ``loss``, the mean of what training minimised,
weights included, and ``pairs_per_second`` of all processes together.

``"kind": "epoch"``, one after every validation, with ``epoch``, ``step`` and ``learning_rate`` of the epoch's last
step; ``train_loss``, the mean ``loss`` of its steps; ``validation_loss``, the mean over the validation split of
:func:`covergen_cli.diffusion.objective.item_losses`; and ``best``, whether that is the lowest so far.
"""

from __future__ import annotations

import importlib.util
import json
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, Literal

import numpy as np
import yaml
from filelock import FileLock, Timeout
from PIL import Image

from covergen_cli.errors import OutputError
from covergen_cli.files import atomic_path, write_text
from covergen_cli.training.checkpoints import CHECKPOINTS, drop_later

ADAPTER = "adapter"
CONFIG = "config.yaml"
CURVES = "curves.png"
LOCK = ".lock"
METRICS = "metrics.jsonl"
SAMPLES = "samples"
TENSORBOARD = "tensorboard"


@contextmanager
def lock_run(run: Path) -> Iterator[None]:
    """Create the run folder and lock it against other trainings; the lock of a process that dies is released.

    Raises:
        OutputError: another training holds the lock, or the folder cannot be created.
    """
    lock = FileLock(run / LOCK)
    try:
        run.mkdir(parents=True, exist_ok=True)
        lock.acquire(timeout=0)
    except Timeout as error:
        raise OutputError(
            f"another covergen train is running in {run}", hint="Wait until it is done, or name another folder with -o."
        ) from error
    except OSError as error:
        raise OutputError(f"cannot write {run}: {error.strerror or error}", hint="Choose another folder.") from error
    try:
        yield
    finally:
        lock.release()


def begin_run(run: Path, config: dict[str, Any], *, fresh: bool, step: int = 0, epoch: int = 0) -> None:
    """Write ``config.yaml``, and cut the run folder back to the state that the training continues from.

    Args:
        run: the run folder.
        config: content of ``config.yaml``.
        fresh: delete everything that an earlier run wrote, and nothing else.
        step: checkpoints and records of later steps are deleted.
        epoch: epochs validated by then; records of later validations are deleted.

    Raises:
        OutputError: the folder cannot be written to.
    """
    if fresh:
        for name in (ADAPTER, CHECKPOINTS, SAMPLES, TENSORBOARD):
            shutil.rmtree(run / name, ignore_errors=True)
        (run / CURVES).unlink(missing_ok=True)
    write_text(run / CONFIG, yaml.safe_dump(config, sort_keys=False, allow_unicode=True))
    drop_later(run, step)
    kept = [
        record
        for record in read_records(run)
        if record["step"] <= step and (record["kind"] == "step" or record["epoch"] <= epoch)
    ]
    write_text(run / METRICS, "".join(json.dumps(record) + "\n" for record in kept))


def read_records(run: Path, kind: Literal["step", "epoch"] | None = None) -> list[dict[str, Any]]:
    """Return the records of ``metrics.jsonl``, of one kind or all; truncated lines and a missing file are skipped."""
    records: list[dict[str, Any]] = []
    with suppress(OSError, UnicodeDecodeError):
        for line in (run / METRICS).read_text(encoding="utf-8").splitlines():
            with suppress(ValueError):
                record = json.loads(line)
                if isinstance(record, dict) and kind in (None, record.get("kind")):
                    records.append(record)
    return records


def append_record(run: Path, record: dict[str, Any]) -> None:
    """Append one record to ``metrics.jsonl``.

    Raises:
        OutputError: the file cannot be written to.
    """
    try:
        with (run / METRICS).open("a", encoding="utf-8", newline="\n") as file:
            file.write(json.dumps(record, allow_nan=False) + "\n")
    except OSError as error:
        raise OutputError(f"cannot write {run / METRICS}: {error.strerror or error}") from error


def have_tensorboard() -> bool:
    """Return whether TensorBoard is installed."""
    return importlib.util.find_spec("tensorboard") is not None


class RunLog:
    """Writes the log of a run; TensorBoard's part only where it is installed.

    Args:
        run: the run folder.
        step: TensorBoard hides what an earlier run wrote of later steps.
    """

    def __init__(self, run: Path, step: int) -> None:
        self._run = run
        self._writer: Any = None
        if have_tensorboard():
            from torch.utils.tensorboard import SummaryWriter

            self._writer = SummaryWriter(str(run / TENSORBOARD), purge_step=step + 1)

    def record(self, record: dict[str, Any]) -> None:
        """Write one record; those of epochs also redraw the curves.

        Raises:
            OutputError: a file cannot be written.
        """
        append_record(self._run, record)
        if record["kind"] == "epoch":
            draw_curves(self._run)
        if self._writer is not None:
            for name, value in record.items():
                if name not in {"kind", "step", "epoch", "best"}:
                    self._writer.add_scalar(f"{record['kind']}/{name}", value, record["step"])

    def image(self, path: Path, step: int) -> None:
        """Show an image file in TensorBoard."""
        if self._writer is not None:
            with Image.open(path) as opened:
                self._writer.add_image("samples", np.asarray(opened.convert("RGB")), step, dataformats="HWC")

    def close(self) -> None:
        """Write what TensorBoard has buffered."""
        if self._writer is not None:
            self._writer.close()


def draw_curves(run: Path) -> None:
    """Draw ``curves.png`` from the log: training and validation loss of all epochs, with the best marked.

    The two are not on one scale: the training loss is weighted as ``--timesteps`` says, the validation loss is not.

    Raises:
        OutputError: it cannot be written.
    """
    # Here, because other commands read run folders and need no plots.
    from matplotlib.figure import Figure
    from matplotlib.ticker import MaxNLocator

    epochs = read_records(run, "epoch")
    figure = Figure(figsize=(8, 4.5), layout="constrained")
    axes = figure.add_subplot()
    numbers = [record["epoch"] for record in epochs]
    axes.plot(numbers, [record["train_loss"] for record in epochs], ".-", color="#888888", label="training, weighted")
    best = [record for record in epochs if record["best"]][-1]
    label = f"validation, unweighted; lowest in epoch {best['epoch']}: {best['validation_loss']:.4f}"
    axes.plot(numbers, [record["validation_loss"] for record in epochs], ".-", color="#c2410c", label=label)
    axes.plot(best["epoch"], best["validation_loss"], "o", color="#c2410c", markersize=9, fillstyle="none")
    axes.set_xlabel("epoch")
    axes.set_ylabel("mean squared error")
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.margins(y=0.15)
    axes.grid(alpha=0.25)
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(frameon=False)
    with atomic_path(run / CURVES) as temporary:
        figure.savefig(temporary, dpi=120)
