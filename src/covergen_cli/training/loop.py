"""Train an adapter (§3.3): plan, set up, then for each epoch train, validate and save, until the loss stops falling.

What is trained is the adapter alone; the image model is frozen. A pair of music and cover comes as an embedding and a
latent, both computed beforehand. A step adds noise to the latents, lets the image model predict it with the adapter's
tokens for the music, and follows the gradient of the error (:meth:`Trainer.train_step`).

Batches, noise and times follow from the seed and the number of the step (:mod:`covergen_cli.training.batches`), so a
resumed training computes what an uninterrupted one would have computed. Only the main process writes files.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Generator
from contextlib import ExitStack, closing
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import torch

from covergen_cli.diffusion.objective import seed_of
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
from covergen_cli.training.plan import make_plan
from covergen_cli.training.run_folder import ADAPTER, SAMPLES, RunLog, have_tensorboard, lock_run
from covergen_cli.training.samples import draw_samples
from covergen_cli.training.setup import TrainingSetup, make_accelerator, set_up
from covergen_cli.training.state import check_finite
from covergen_cli.weights.catalogue import download_missing

if TYPE_CHECKING:
    from torch import Tensor

    from covergen_cli.config import AdapterConfig, TrainConfig
    from covergen_cli.events import Event
    from covergen_cli.training.batches import Batch

_LOG_STEPS = 10


def train(
    data: str | os.PathLike[str],
    run: str | os.PathLike[str],
    config: TrainConfig,
    adapter_config: AdapterConfig,
    *,
    resume: Literal["auto", "never"] | Path = "auto",
    stop: Callable[[], bool] = lambda: False,
) -> Generator[Event, None, None]:
    """Train an adapter on a dataset folder.

    Under ``accelerate launch`` every process calls this with the same arguments.

    Args:
        data: a dataset folder with embeddings and splits.
        run: the run folder.
        config: settings of the training.
        adapter_config: settings of the adapter; ``embedding_dim`` and ``output_dim`` follow from the embeddings and the
            base.
        resume: ``auto`` resumes from the newest checkpoint in ``run``, ``never`` starts over, a path names a
            checkpoint to resume from.
        stop: called after every step; when it returns true, the state is saved and the training ends.

    Yields:
        ``ModelDownloading``, ``ModelLoading``, ``ModelLoaded``, ``Progress`` and ``Warned`` during the set-up;
        ``TrainPlanned``; then ``Progress`` after each step, ``StepDone`` after every few, ``EpochDone`` and
        ``CheckpointSaved``; at the end ``TrainFinished`` or ``TrainStopped``.

    Raises:
        InputError: the dataset folder lacks something.
        ConfigError: the run folder belongs to a run with other settings, or a setting is invalid.
        ModelError: the base cannot be used, all checkpoints are damaged, or the loss is no longer finite.
        OutputError: the disk is full or cannot be written to, or another training is running in the run folder.
    """
    started, data, run = time.monotonic(), Path(data), Path(run)
    accelerator, device = make_accelerator(config)
    yield from download_missing([(config.base, "base")])
    if config.init is not None:
        yield from download_missing([(config.init, "adapter")])
    plan = make_plan(data, run, config, adapter_config, resume=resume, processes=accelerator.num_processes)
    yield from (Warned(remark) for remark in plan.remarks)
    with ExitStack() as stack:
        if accelerator.is_main_process:
            stack.enter_context(lock_run(run))
        setup = yield from set_up(plan, accelerator, device)
        trainer = stack.enter_context(closing(Trainer(setup, stop)))
        counters = setup.state.counters
        yield from trainer.start()
        while not trainer.finished:
            stopped = yield from trainer.train_epoch()
            loss = None if stopped else (yield from trainer.validate())
            if loss is None:
                yield TrainStopped(setup.save_checkpoint(), counters.step)
                return
            yield from trainer.finish_epoch(loss)
            yield CheckpointSaved(setup.save_checkpoint(), counters.step)
    yield TrainFinished(
        run=run,
        adapter=run / ADAPTER,
        early=counters.epoch < config.epochs,
        epochs=counters.epoch,
        steps=counters.step,
        best_epoch=counters.best_epoch,
        validation_loss=counters.best_loss,
        seconds=time.monotonic() - started,
    )


class Trainer:
    """Trains an adapter epoch by epoch; :func:`train` calls its methods in turn.

    Args:
        setup: models, data and state.
        stop: see :func:`train`.
    """

    def __init__(self, setup: TrainingSetup, stop: Callable[[], bool]) -> None:
        self.setup, self.plan, self.config = setup, setup.plan, setup.plan.config
        self.state, self.counters = setup.state, setup.state.counters
        self.total_steps = self.config.epochs * setup.batches.steps_per_epoch
        self._stop = stop
        self._log = RunLog(self.plan.run, self.counters.step) if setup.accelerator.is_main_process else None
        self._gradient_norm = torch.zeros(())
        self._objective = setup.objective

    def close(self) -> None:
        """Close the log."""
        if self._log:
            self._log.close()

    @property
    def finished(self) -> bool:
        """Whether the last epoch is done, or the validation loss has stopped falling."""
        epoch, config = self.counters.epoch, self.config
        return epoch >= config.epochs or (epoch >= config.min_epochs and self.counters.stale >= config.patience)

    def start(self) -> Generator[Event, None, None]:
        """Report what will be trained, and how far a resumed run has come."""
        if self._log and self.counters.best_epoch:
            # A killed run may have saved a later adapter than its last checkpoint knows.
            self.setup.save_best()
        if self._log and not have_tensorboard():
            yield Warned("TensorBoard is not installed, so there is no log for it: pip install tensorboard")
        yield TrainPlanned(
            train_pairs=len(self.plan.train),
            validation_pairs=len(self.plan.validation),
            parameters=sum(parameter.numel() for parameter in self.state.adapter.trainable_parameters()),
            epochs=self.config.epochs,
            steps=self.total_steps,
            step=self.counters.step,
            resumed=self.setup.resumed,
            start=None if self.plan.start is None else self.plan.start.reference,
        )

    def train_epoch(self) -> Generator[Event, None, bool]:
        """Take the remaining steps of the current epoch; return whether the training was stopped."""
        counters, batches = self.counters, self.setup.batches
        end = (counters.epoch + 1) * batches.steps_per_epoch
        self.setup.wrapped_adapter.train()
        saved = logged = time.monotonic()
        first = counters.step
        for batch in batches.load(range(counters.step, end), self.setup.device):
            before = self._objective.at_once
            self.train_step(batch)
            if self._objective.at_once < before:
                yield Warned(self._computed_in_parts())
            detail = f"epoch {counters.epoch + 1}/{self.config.epochs}, step {counters.step}"
            yield Progress("training", batches.steps_per_epoch - (end - counters.step), batches.steps_per_epoch, detail)
            if counters.step % _LOG_STEPS == 0 or counters.step == end:
                now = time.monotonic()
                yield self._log_steps((counters.step - first) * batches.pairs_per_step / (now - logged))
                logged, first = now, counters.step
            overdue = time.monotonic() - saved > 60 * self.config.checkpoint_minutes
            stopping, due = self.setup.any_process(self._stop(), overdue)
            if stopping:
                return True
            if due and counters.step < end:
                yield CheckpointSaved(self.setup.save_checkpoint(), counters.step)
                saved = logged = time.monotonic()
                first = counters.step
        return False

    def _computed_in_parts(self) -> str:
        size, at_once = self.config.batch_size, self._objective.at_once
        return (
            f"{size} pairs do not fit into the memory of the GPU together; each step is computed in parts of {at_once} "
            "from now on, with the same result"
        )

    def train_step(self, batch: Batch) -> None:
        """Take one optimiser step (§3.3.1, steps 2 to 5).

        Args:
            batch: on the device.

        Raises:
            ModelError: the GPU has too little memory for a single pair.
        """
        state = self.state
        state.update_learning_rate(self.total_steps)
        tokens = self._tokens(batch)
        loss, gradient = self._objective.compute(tokens, batch)
        torch.autograd.backward(tokens, gradient)
        parameters = state.adapter.trainable_parameters()
        self._gradient_norm = torch.nn.utils.clip_grad_norm_(parameters, self.config.clip_norm)
        state.optimizer.step()
        state.optimizer.zero_grad(set_to_none=True)
        self.counters.step += 1
        self._objective.grow(self.counters.step)
        self.counters.loss_scale = self._objective.scale
        state.update_ema()
        state.add_loss(loss)

    def _tokens(self, batch: Batch) -> Tensor:
        """Return the adapter's tokens of a batch, ``(B, K, D)``."""
        if self.plan.adapter_config.dropout:
            # Dropout uses the global generator, whose state no checkpoint holds.
            torch.manual_seed(seed_of(self.config.seed, self.counters.step, self.setup.batches.rank))
        with torch.autocast(self.setup.device.type, torch.bfloat16, enabled=self.setup.base.dtype == torch.bfloat16):
            tokens: Tensor = self.setup.wrapped_adapter(batch.embeddings, batch.lengths)
        return tokens

    def validate(self) -> Generator[Event, None, float | None]:
        """Return the mean loss over the validation split, ``None`` when the training was stopped.

        It is the loss of the EMA's weights, with the same noise and times in every epoch and every run.
        """
        setup, base, count = self.setup, self.setup.base, len(self.plan.validation)
        share = -(-count // setup.accelerator.num_processes)
        first = setup.accelerator.process_index * share
        places = [place % count for place in range(first, first + share)]
        chunk = max(1, self.config.batch_size // self._objective.draws)
        losses = []
        for start in range(0, share, chunk):
            items = places[start : start + chunk]
            embeddings, lengths = setup.validation_embeddings.batch(items)
            with torch.inference_mode():
                tokens = self.state.ema(embeddings.to(base.device), lengths.to(base.device))
            losses.append(self._objective.validation_losses(items, tokens, self.config.batch_size))
            yield Progress("validating", min(start + chunk, share), share)
            if setup.any_process(self._stop())[0]:
                return None
        gathered = setup.accelerator.gather(torch.cat(losses).to(setup.device))[:count]
        return check_finite(float(gathered.double().mean()), self.counters.step)

    def finish_epoch(self, loss: float) -> Generator[Event, None, None]:
        """Record a validation: the log, the adapter if it is the best so far, and sample covers."""
        counters, rate, samples = self.counters, self.state.learning_rate, None
        train_loss = counters.epoch_loss / self.setup.batches.steps_per_epoch
        counters.epoch_loss = 0.0
        best = self.state.record_validation(loss)
        if self._log:
            record = {"kind": "epoch", "epoch": counters.epoch, "step": counters.step, "train_loss": train_loss}
            self._log.record({**record, "validation_loss": loss, "best": best, "learning_rate": rate})
            if best:
                self.setup.save_best()
            if self.config.samples and self.config.objective == "covers":
                pairs = self.plan.validation[: self.config.samples]
                yield Progress("drawing samples", 0, len(pairs))
                samples = self.plan.run / SAMPLES / f"epoch-{counters.epoch:03d}.jpg"
                draw_samples(samples, self.setup.base, self.state.ema, pairs, self.setup.validation_embeddings)
                self._log.image(samples, counters.step)
                yield Progress("drawing samples", len(pairs), len(pairs))
        yield EpochDone(counters.epoch, self.config.epochs, counters.step, train_loss, loss, best, samples)

    def _log_steps(self, pairs_per_second: float) -> StepDone:
        """Record the steps since the last record."""
        counters, device = self.counters, self.setup.device
        self.state.collect_losses(self.setup.accelerator)
        done = StepDone(
            epoch=counters.epoch + 1,
            step=counters.step,
            loss=counters.window_loss / max(1, counters.window_steps),
            learning_rate=self.state.learning_rate,
            gradient_norm=float(self._gradient_norm),
            pairs_per_second=pairs_per_second,
            seconds_left=(self.total_steps - counters.step) * self.setup.batches.pairs_per_step / pairs_per_second,
            memory_bytes=torch.cuda.max_memory_allocated(device) if device.type == "cuda" else None,
        )
        counters.window_loss, counters.window_steps = 0.0, 0
        if self._log:
            names = ("epoch", "step", "loss", "learning_rate", "gradient_norm", "pairs_per_second")
            self._log.record({"kind": "step", **{name: getattr(done, name) for name in names}})
        return done
