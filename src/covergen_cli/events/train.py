"""Events of training an adapter."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path  # noqa: TC003 — so that the types of the records can be asked for at run time

__all__ = ["CheckpointSaved", "EpochDone", "StepDone", "TrainFinished", "TrainPlanned", "TrainStopped"]


@dataclass(frozen=True)
class TrainPlanned:
    """Everything is loaded and checked; the steps begin.

    Args:
        run: the run folder.
        train_pairs: pairs to learn from.
        validation_pairs: pairs to judge by.
        parameters: numbers that are trained.
        epochs: epochs at most.
        steps: optimiser steps at most.
        step: steps that an earlier run has done.
        resumed: the checkpoint that they come from; ``None`` for a fresh start.
    """

    run: Path
    train_pairs: int
    validation_pairs: int
    parameters: int
    epochs: int
    steps: int
    step: int
    resumed: Path | None


@dataclass(frozen=True)
class StepDone:
    """Some steps were done since the last such event.

    Args:
        epoch: from 1.
        epochs: epochs at most.
        step: steps so far.
        steps: steps at most.
        loss: mean of these steps.
        learning_rate: of the last.
        gradient_norm: before clipping, of the last.
        pairs_per_second: of these steps, all processes together.
        seconds_left: until the last step, if it goes on at this pace and does not end early; validations not counted.
        memory_bytes: most memory that torch has held on the GPU; ``None`` where there is none.
    """

    epoch: int
    epochs: int
    step: int
    steps: int
    loss: float
    learning_rate: float
    gradient_norm: float
    pairs_per_second: float
    seconds_left: float
    memory_bytes: int | None


@dataclass(frozen=True)
class EpochDone:
    """An epoch was validated.

    Args:
        epoch: from 1.
        epochs: epochs at most.
        step: steps so far.
        train_loss: mean of the epoch's steps.
        validation_loss: on noise and timesteps that are the same every time.
        best: whether it is the lowest so far.
        samples: picture of covers drawn after the epoch; ``None`` where none were asked for.
    """

    epoch: int
    epochs: int
    step: int
    train_loss: float
    validation_loss: float
    best: bool
    samples: Path | None


@dataclass(frozen=True)
class CheckpointSaved:
    """The whole state of the training is on the disk."""

    path: Path
    step: int


@dataclass(frozen=True)
class TrainStopped:
    """Someone asked to stop; the same command goes on from the checkpoint."""

    run: Path
    checkpoint: Path
    step: int


@dataclass(frozen=True)
class TrainFinished:
    """The adapter is trained.

    Args:
        run: the run folder.
        adapter: the folder of the best adapter.
        early: whether it ended before the last epoch, because the validation loss no longer fell.
        epochs: epochs done.
        steps: steps done.
        best_epoch: the epoch of the best adapter.
        validation_loss: its validation loss.
        seconds: wall-clock time of this call.
    """

    run: Path
    adapter: Path
    early: bool
    epochs: int
    steps: int
    best_epoch: int
    validation_loss: float
    seconds: float
