"""The run folder: what ``train`` leaves behind, and what others may read of it.

::

    RUN/config.yaml          schema, train, adapter (settings), and what was trained on: base, encoder, data
    RUN/adapter/             adapter.safetensors, adapter.json: the best by validation loss
    RUN/checkpoints/         step-NNNNNN/: whole states of the training; see covergen_cli.training.checkpoints
    RUN/metrics.jsonl        one record per line; see below
    RUN/curves.png           the losses of all epochs
    RUN/samples/             epoch-NNN.jpg: above, covers of the validation part; below, covers drawn for their songs
    RUN/tensorboard/         the same figures and pictures for TensorBoard, where it is installed

Two kinds of records stand in ``metrics.jsonl``, in the order of their steps, none twice. Steps and epochs count from 1;
losses are means of the squared error per element of the latent.

``"kind": "step"``, one for every few optimiser steps:

- ``epoch``, ``step``: of the last step in it;
- ``loss``: what training minimised, weights included, mean of the steps since the record before;
- ``learning_rate``: of that step;
- ``gradient_norm``: before clipping, of that step;
- ``pairs_per_second``: of all processes together, since the record before.

``"kind": "epoch"``, one after every validation:

- ``epoch``, ``step``;
- ``train_loss``: as ``loss`` above, mean of the epoch's steps;
- ``validation_loss``: mean over the validation part of :func:`covergen_cli.diffusion.objective.item_losses`;
- ``best``: whether it is the lowest so far;
- ``learning_rate``: of the epoch's last step.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, Literal

from filelock import FileLock, Timeout

from covergen_cli.errors import OutputError
from covergen_cli.files import write_text

CONFIG = "config.yaml"
CURVES = "curves.png"
LOCK = ".lock"
METRICS = "metrics.jsonl"
SAMPLES = "samples"
TENSORBOARD = "tensorboard"


@contextmanager
def only_one_in(run: Path) -> Iterator[None]:
    """While the body runs, no other training gets into the run folder; a process that dies lets go of it.

    Raises:
        OutputError: another training is at work in it, or it cannot be made.
    """
    lock = FileLock(run / LOCK)
    try:
        run.mkdir(parents=True, exist_ok=True)
        lock.acquire(timeout=0)
    except Timeout as error:
        raise OutputError(
            f"another covergen train is at work in {run}", hint="Wait until it is done, or name another folder with -o."
        ) from error
    except OSError as error:
        raise OutputError(f"cannot write {run}: {error.strerror or error}", hint="Choose another folder.") from error
    try:
        yield
    finally:
        lock.release()


def read_records(run: Path, kind: Literal["step", "epoch"] | None = None) -> list[dict[str, Any]]:
    """Read what was logged; lines that are cut off are left out.

    Args:
        run: the run folder.
        kind: only these records.

    Returns:
        the records in order; none when there is no log.
    """
    records: list[dict[str, Any]] = []
    with suppress(OSError, UnicodeDecodeError):
        for line in (run / METRICS).read_text(encoding="utf-8").splitlines():
            with suppress(ValueError):
                record = json.loads(line)
                if isinstance(record, dict) and kind in (None, record.get("kind")):
                    records.append(record)
    return records


def append_record(run: Path, record: dict[str, Any]) -> None:
    """Write one record at the end of the log.

    Raises:
        OutputError: the file cannot be written to.
    """
    try:
        with (run / METRICS).open("a", encoding="utf-8", newline="\n") as file:
            file.write(json.dumps(record, allow_nan=False) + "\n")
    except OSError as error:
        raise OutputError(f"cannot write {run / METRICS}: {error.strerror or error}") from error


def keep_records(run: Path, step: int, epoch: int) -> None:
    """Cut the log back to a state that the training goes on from.

    Args:
        run: the run folder.
        step: records of later steps are dropped.
        epoch: epochs that had been validated by then; records of later validations are dropped.

    Raises:
        OutputError: the file cannot be written to.
    """
    kept = [
        record
        for record in read_records(run)
        if record["step"] <= step and (record["kind"] == "step" or record["epoch"] <= epoch)
    ]
    write_text(run / METRICS, "".join(json.dumps(record) + "\n" for record in kept))
