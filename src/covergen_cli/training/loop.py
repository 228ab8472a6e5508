"""The training of an adapter: phases around one state (§3.3).

load → (train_step … → validate → checkpoint) per epoch → the best adapter. Batches, noise and times follow from the
seed and the number of the step (:mod:`covergen_cli.training.batches`), so a training that goes on from a checkpoint
does what it would have done. Only the main process writes.
"""

from __future__ import annotations

import dataclasses
import math
import time
from collections.abc import Callable, Generator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import torch

from covergen_cli.config import GenerateConfig
from covergen_cli.config.resolve import resolve
from covergen_cli.diffusion.objective import denoising_loss, fixed_draws, generator_of, item_losses, time_weights
from covergen_cli.errors import ModelError
from covergen_cli.events import (
    CheckpointSaved,
    EpochDone,
    Progress,
    StepDone,
    TrainFinished,
    TrainPlanned,
    TrainStopped,
    Warned,
)
from covergen_cli.models.checkpoint import save_adapter
from covergen_cli.training.checkpoints import prune_checkpoints, save_checkpoint
from covergen_cli.training.curves import draw_curves
from covergen_cli.training.load import Session, load
from covergen_cli.training.plan import make_plan
from covergen_cli.training.run_folder import append_record, only_one_in
from covergen_cli.training.samples import Gallery
from covergen_cli.training.tensorboard import Board, have_tensorboard
from covergen_cli.weights.device import choose_device

if TYPE_CHECKING:
    from torch import Tensor

    from covergen_cli.config import AdapterConfig, TrainConfig
    from covergen_cli.events import Event
    from covergen_cli.training.batches import Batch

VALIDATION_SEED = 0
"""Of the noise and times of validation: not the run's own, so that runs with other seeds can be compared too."""

_LOG_STEPS = 10


def train(
    data: Path,
    run: Path,
    config: TrainConfig,
    shape: AdapterConfig,
    *,
    resume: Literal["auto", "never"] | Path = "auto",
    stop: Callable[[], bool] = lambda: False,
) -> Generator[Event, None, None]:
    """Train an adapter on a dataset folder.

    Started by ``accelerate launch``, every process calls this with the same arguments.

    Args:
        data: a dataset folder with embeddings and splits.
        run: the run folder.
        config: settings.
        shape: of the adapter; its outer widths follow from embeddings and base.
        resume: ``auto`` goes on from the newest whole checkpoint, ``never`` begins anew, a path is a checkpoint.
        stop: asked between steps; when it says true, the state is saved and the training ends.

    Yields:
        ``ModelLoading``, ``ModelLoaded``, ``Progress`` and ``Warned`` while things are prepared; ``TrainPlanned``; then
        ``Progress`` after each step, ``StepDone`` after every few, ``EpochDone`` and ``CheckpointSaved``; at last
        ``TrainFinished`` or ``TrainStopped``.

    Raises:
        InputError: the dataset folder lacks something.
        ConfigError: the run folder belongs to a run with other settings, or a setting makes no sense.
        ModelError: the base cannot be used, no checkpoint is whole, or the loss is no longer a number.
        OutputError: the disk is full or cannot be written to, or another training is at work in the run folder.
    """
    started = time.monotonic()
    accelerator, device = _processes(config)
    plan = make_plan(data, run, config, shape, resume=resume, processes=accelerator.num_processes)
    with ExitStack() as stack:
        if accelerator.is_main_process:
            stack.enter_context(only_one_in(run))
        session = yield from load(plan, accelerator, device)
        trainer = Trainer(session, stop, stack)
        yield from trainer.run()
        if not trainer.finished:
            return
    counters = session.state.counters
    yield TrainFinished(
        run=run,
        adapter=run / "adapter",
        early=counters.epoch < config.epochs,
        epochs=counters.epoch,
        steps=counters.step,
        best_epoch=counters.best_epoch,
        validation_loss=counters.best_loss,
        seconds=time.monotonic() - started,
    )


def _processes(config: TrainConfig) -> tuple[Any, torch.device]:
    """Find out which process this is and where it computes."""
    from accelerate import Accelerator
    from accelerate.utils import InitProcessGroupKwargs

    device = choose_device(config.device)
    # While the first process encodes covers, the others wait: for hours, where a CPU does it.
    patience = InitProcessGroupKwargs(timeout=timedelta(days=2))
    accelerator = Accelerator(cpu=device.type == "cpu", kwargs_handlers=[patience])
    return accelerator, device if accelerator.num_processes == 1 else accelerator.device


class Trainer:
    """The phases.

    Args:
        session: models, data and state.
        stop: see :func:`train`.
        stack: closed when the training ends.
    """

    def __init__(self, session: Session, stop: Callable[[], bool], stack: ExitStack) -> None:
        self.session, self._stop = session, stop
        self.plan, self.config, self.state = session.plan, session.plan.config, session.state
        self.run_folder, self.main = session.plan.run, session.accelerator.is_main_process
        self.steps = self.config.epochs * session.batches.per_epoch
        self.draws = fixed_draws(
            [pair.id for pair in self.plan.validation],
            session.latents.shape,
            self.config.validation_draws,
            VALIDATION_SEED,
        )
        self._thread = stack.enter_context(ThreadPoolExecutor(1))
        self._pending: list[Tensor] = []
        self._norm: Tensor | None = None
        self._board: Board | None = None
        self._gallery: Gallery | None = None
        if self.main:
            self._board = Board(self.run_folder, self.state.counters.step)
            stack.callback(self._board.close)

    @property
    def finished(self) -> bool:
        """Whether nothing is left to do."""
        counters = self.state.counters
        return counters.epoch >= self.config.epochs or counters.stale >= self.config.patience

    def run(self) -> Generator[Event, None, None]:
        """Train until it is finished or someone asks to stop."""
        counters = self.state.counters
        if self.main and counters.best_epoch:
            self._write_adapter()
        yield from self._announce()
        while not self.finished:
            stopped = yield from self._epoch()
            loss = None if stopped else (yield from self.validate())
            if loss is None:
                yield TrainStopped(self.run_folder, self.checkpoint(), counters.step)
                return
            yield from self._judge(loss)
            yield CheckpointSaved(self.checkpoint(), counters.step)

    def _announce(self) -> Generator[Event, None, None]:
        if self.main and not have_tensorboard():
            yield Warned("TensorBoard is not installed, so there is no log for it: pip install tensorboard")
        yield TrainPlanned(
            run=self.run_folder,
            train_pairs=len(self.plan.train),
            validation_pairs=len(self.plan.validation),
            parameters=sum(parameter.numel() for parameter in self.state.adapter.trainable_parameters()),
            epochs=self.config.epochs,
            steps=self.steps,
            step=self.state.counters.step,
            resumed=self.session.resumed,
        )

    def _epoch(self) -> Generator[Event, None, bool]:
        """Do the steps that the epoch under way still lacks; return whether someone asked to stop."""
        counters, batches = self.state.counters, self.session.batches
        end = (counters.epoch + 1) * batches.per_epoch
        self.session.learner.train()
        saved = logged = time.monotonic()
        first = counters.step
        ahead = self._thread.submit(self._batch, counters.step)
        while counters.step < end:
            batch = ahead.result()
            if counters.step + 1 < end:
                ahead = self._thread.submit(self._batch, counters.step + 1)
            self.train_step(batch)
            done = counters.step - (end - batches.per_epoch)
            detail = f"epoch {counters.epoch + 1}/{self.config.epochs}, step {counters.step}"
            yield Progress("training", done, batches.per_epoch, detail)
            if counters.step % _LOG_STEPS == 0 or counters.step == end:
                now = time.monotonic()
                yield self._log((counters.step - first) * batches.per_step / (now - logged))
                logged, first = now, counters.step
            stopping, due = self._signals(saved)
            if stopping:
                return True
            if due and counters.step < end:
                yield CheckpointSaved(self.checkpoint(), counters.step)
                saved = logged = time.monotonic()
                first = counters.step
        return False

    def _batch(self, step: int) -> Batch:
        return self.session.batches.at(step).to(self.session.device)

    def train_step(self, batch: Batch) -> None:
        """Take one step of the optimiser: §3.3.1, steps 2 to 5.

        Args:
            batch: on the device.

        Raises:
            ModelError: the GPU has too little memory.
        """
        try:
            self._pending.append(self._learn(batch))
        except torch.OutOfMemoryError as error:
            raise ModelError(
                f"the GPU has too little memory for batches of {self.config.batch_size}",
                hint="Give it fewer pairs at a time with --batch-size.",
            ) from error
        self.state.counters.step += 1
        self.state.follow()

    def _learn(self, batch: Batch) -> Tensor:
        state, base = self.state, self.session.base
        state.set_rate(self.steps)
        if self.plan.shape.dropout:
            torch.manual_seed(
                generator_of(self.config.seed, state.counters.step, self.session.batches.rank).initial_seed()
            )
        half = torch.autocast(self.session.device.type, torch.bfloat16, enabled=base.dtype == torch.bfloat16)
        with half:
            tokens = self.session.learner(batch.embeddings, batch.lengths)
        losses = denoising_loss(base.unet, base.scheduler_config, batch.latents, tokens, batch.noise, batch.times)
        weights = batch.weights
        if self.config.timesteps == "weighted":
            weights = weights * time_weights(base.scheduler_config, batch.times)
        loss = (losses * weights).mean()
        self.session.accelerator.backward(loss)
        self._norm = torch.nn.utils.clip_grad_norm_(state.adapter.trainable_parameters(), self.config.clip_norm)
        state.optimizer.step()
        state.optimizer.zero_grad(set_to_none=True)
        return loss.detach()

    def validate(self) -> Generator[Event, None, float | None]:
        """Measure the running mean on the validation part (§3.3.1 step 6), the same noise and times every time.

        Returns:
            the mean loss; ``None`` when someone asked to stop.
        """
        session, count = self.session, len(self.plan.validation)
        processes, rank = session.accelerator.num_processes, session.accelerator.process_index
        share = -(-count // processes)
        mine = [place % count for place in range(rank * share, (rank + 1) * share)]
        chunk = max(1, self.config.batch_size // self.draws.count)
        losses = []
        for start in range(0, share, chunk):
            items = mine[start : start + chunk]
            losses.append(self._losses_of(items))
            yield Progress("validating", min(start + chunk, share), share)
            if self._signals(time.monotonic())[0]:
                return None
        measured = session.accelerator.gather(torch.cat(losses).to(session.device))[:count]
        loss = float(measured.double().mean())
        if not math.isfinite(loss):
            raise self._lost()
        return loss

    def _losses_of(self, items: list[int]) -> Tensor:
        base = self.session.base
        with torch.inference_mode():
            tokens = self.state.average(*(part.to(base.device) for part in self.session.embeddings.batch(items)))
        return item_losses(
            base.unet,
            base.scheduler_config,
            self.session.latents.mean(items),
            tokens,
            self.draws.select(items),
            self.config.batch_size,
        )

    def _judge(self, loss: float) -> Generator[Event, None, None]:
        """Take note of a validation: the log, the adapter if it is the best, curves and samples."""
        counters, rate = self.state.counters, self.state.learning_rate
        train_loss = counters.epoch_loss / self.session.batches.per_epoch
        counters.epoch_loss = 0.0
        best = self.state.judge(loss)
        sheet = None
        if self.main:
            record = {"kind": "epoch", "epoch": counters.epoch, "step": counters.step, "train_loss": train_loss}
            self._record({**record, "validation_loss": loss, "best": best, "learning_rate": rate})
            if best:
                self._write_adapter()
            draw_curves(self.run_folder)
            sheet = yield from self._sample()
        yield EpochDone(counters.epoch, self.config.epochs, counters.step, train_loss, loss, best, sheet)

    def _sample(self) -> Generator[Event, None, Path | None]:
        if not self.config.samples:
            return None
        if self._gallery is None:
            settings = resolve(GenerateConfig, overrides={"adapter": str(self.run_folder), "base": self.config.base})
            pairs = self.plan.validation[: self.config.samples]
            self._gallery = Gallery(self.session.base, pairs, self.session.embeddings, settings)
        drawing = self._gallery.draw(self.state.average, self.run_folder, self.state.counters.epoch)
        sheet = yield from _told("drawing samples", drawing)
        if self._board:
            self._board.picture(sheet, self.state.counters.step)
        return sheet

    def checkpoint(self) -> Path:
        """Save the whole state; remove checkpoints that are no longer needed."""
        self._settle()
        counters = self.state.counters
        folder = self.run_folder / "checkpoints" / f"step-{counters.step:06d}"
        if self.main:
            save_checkpoint(self.run_folder, counters.step, self.state.tensors(), self.state.facts())
            prune_checkpoints(self.run_folder, counters.best_step)
        return folder

    def _log(self, pairs_per_second: float) -> StepDone:
        self._settle()
        counters, session = self.state.counters, self.session
        loss, counters.window_loss = counters.window_loss / max(1, counters.window_steps), 0.0
        counters.window_steps = 0
        epoch = counters.epoch + 1
        norm = float(self._norm) if self._norm is not None else 0.0
        rate = self.state.learning_rate
        record = {"kind": "step", "epoch": epoch, "step": counters.step, "loss": loss, "learning_rate": rate}
        self._record({**record, "gradient_norm": norm, "pairs_per_second": pairs_per_second})
        memory = torch.cuda.max_memory_allocated(session.device) if session.device.type == "cuda" else None
        left = (self.steps - counters.step) * session.batches.per_step / pairs_per_second
        return StepDone(
            epoch, self.config.epochs, counters.step, self.steps, loss, rate, norm, pairs_per_second, left, memory
        )

    def _settle(self) -> None:
        """Fetch the losses of the steps since the last time from the device, and see that they are numbers."""
        if not self._pending:
            return
        losses = (
            torch.stack(self._pending).double() if self.session.device.type != "mps" else torch.stack(self._pending)
        )
        total = float(self.session.accelerator.reduce(losses.sum(), reduction="mean"))
        if not math.isfinite(total):
            raise self._lost()
        counters = self.state.counters
        counters.window_loss += total
        counters.window_steps += len(self._pending)
        counters.epoch_loss += total
        self._pending = []

    def _lost(self) -> ModelError:
        return ModelError(
            f"the loss is no longer a number after step {self.state.counters.step}",
            hint="Try a lower --learning-rate, or --precision fp32, and begin anew with --resume never.",
        )

    def _signals(self, saved: float) -> tuple[bool, bool]:
        """Whether to stop, and whether a checkpoint is due; all processes get the same answer."""
        due = time.monotonic() - saved > 60 * self.config.checkpoint_minutes
        accelerator = self.session.accelerator
        if accelerator.num_processes == 1:
            return self._stop(), due
        flags = torch.tensor([float(self._stop()), float(due)], device=self.session.device)
        stopping, due_somewhere = accelerator.reduce(flags, reduction="sum").tolist()
        return stopping > 0, due_somewhere > 0

    def _record(self, record: dict[str, Any]) -> None:
        if self.main:
            append_record(self.run_folder, record)
        if self._board:
            self._board.record(record)

    def _write_adapter(self) -> None:
        counters, plan = self.state.counters, self.plan
        facts = {
            "epoch": counters.best_epoch,
            "step": counters.best_step,
            "validation_loss": counters.best_loss,
            "train_pairs": len(plan.train),
            "validation_pairs": len(plan.validation),
            "settings": {
                name: value
                for name, value in dataclasses.asdict(self.config).items()
                if name not in {"device", "checkpoint_minutes", "samples"}
            },
        }
        save_adapter(
            self.run_folder / "adapter", self.state.best_adapter(), plan.encoder, self.session.base.facts(), facts
        )


def _told(task: str, work: Generator[tuple[int, int], None, Path]) -> Generator[Event, None, Path]:
    """Turn the steps of some work into events; return what it returns."""

    def events() -> Generator[Event, None, Path]:
        while True:
            try:
                done, total = next(work)
            except StopIteration as end:
                return end.value  # type: ignore[no-any-return]
            yield Progress(task, done, total)

    return (yield from events())
