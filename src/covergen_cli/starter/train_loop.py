"""The training loop of every stage of the starter: AdamW, averaged weights (EMA), a time budget, and checkpoints.

The batch of step ``n`` depends only on the seed and ``n``, so an interrupted stage continues as if it had not stopped.
"""

from __future__ import annotations

import json
import math
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from covergen_cli.events import Progress
from covergen_cli.files import atomic_path, write_json

_STATE = "state.safetensors"


@dataclass(frozen=True)
class Budget:
    """How long a stage trains.

    The stage and its learning rate schedule end with the steps or the minutes, whichever are used up first.

    Args:
        steps: maximum number of optimiser steps.
        minutes: maximum wall-clock minutes, over all runs of the stage.
        learning_rate: peak; linear warm-up over the first 2 %, or 500 steps if these are fewer, then cosine decay to a
            fiftieth.
        ema_decay: decay of the averaged weights, which are the result of the stage.
        checkpoint_minutes: wall-clock minutes between two checkpoints.
    """

    steps: int
    minutes: float
    learning_rate: float
    ema_decay: float = 0.999
    checkpoint_minutes: float = 3.0

    def spent(self, step: int, seconds: float) -> float:
        """Return the share of the budget that is used up, 1 or more at the end."""
        return max(step / self.steps, seconds / (60 * self.minutes))

    def rate(self, share: float, step: int = 0) -> float:
        """Return the learning rate after a share of the budget and a number of steps."""
        warm = min(1.0, max(share / 0.02, step / 500) + 0.02)
        return self.learning_rate * warm * (0.02 + 0.98 * 0.5 * (1 + math.cos(math.pi * min(share, 1.0))))


class _Training:
    """A model, its averaged weights and its optimiser, after ``step`` steps that took ``seconds``."""

    def __init__(self, model: nn.Module, budget: Budget) -> None:
        self.model = model
        self.budget = budget
        self.parameters = [p for p in model.parameters() if p.requires_grad]
        self.optimiser = torch.optim.AdamW(
            self.parameters, lr=budget.learning_rate, betas=(0.9, 0.99), weight_decay=1e-3
        )
        self.ema = {name: value.detach().clone() for name, value in model.state_dict().items()}
        self.step, self.seconds, self.loss = 0, 0.0, 0.0

    def take_step(self, loss: Tensor, share: float) -> None:
        """Take an optimiser step with the learning rate after ``share`` of the budget, and update the averages."""
        for group in self.optimiser.param_groups:
            group["lr"] = self.budget.rate(share, self.step)
        loss.backward()  # type: ignore[no-untyped-call]
        nn.utils.clip_grad_norm_(self.parameters, 1.0)
        self.optimiser.step()
        self.optimiser.zero_grad(set_to_none=True)
        self.step += 1
        self.update_ema()
        self.loss = loss.item() if self.step == 1 else 0.98 * self.loss + 0.02 * loss.item()

    def update_ema(self) -> None:
        """Move the averaged weights towards the current ones; the decay starts low."""
        decay = min(self.budget.ema_decay, (1 + self.step) / (10 + self.step))
        for name, value in self.model.state_dict().items():
            self.ema[name].lerp_(value.detach(), 1 - decay)

    def save(self, folder: Path) -> None:
        tensors = {f"model.{k}": v.detach().contiguous() for k, v in self.model.state_dict().items()}
        tensors |= {f"ema.{k}": v.contiguous() for k, v in self.ema.items()}
        for index, state in self.optimiser.state_dict()["state"].items():
            tensors |= {f"optimiser.{index}.{k}": torch.as_tensor(v).clone().contiguous() for k, v in state.items()}
        facts = {"step": self.step, "seconds": self.seconds, "loss": self.loss}
        with atomic_path(folder / _STATE) as temporary:
            save_file(tensors, temporary, metadata={"facts": json.dumps(facts)})
        write_json(folder / "facts.json", facts)

    def load(self, folder: Path) -> None:
        tensors = load_file(folder / _STATE)
        self.model.load_state_dict(_group(tensors, "model."))
        states: dict[int, dict[str, Tensor]] = {}
        for key, value in _group(tensors, "optimiser.").items():
            index, name = key.split(".", 1)
            states.setdefault(int(index), {})[name] = value
        self.optimiser.load_state_dict({"state": states, "param_groups": self.optimiser.state_dict()["param_groups"]})
        self.ema = {name: value.to(self.ema[name].device) for name, value in _group(tensors, "ema.").items()}
        # Not from facts.json, which is one checkpoint old if the process was killed between the two writes.
        with safe_open(folder / _STATE, "pt") as file:
            facts = json.loads(file.metadata()["facts"])
        self.step, self.seconds, self.loss = int(facts["step"]), facts["seconds"], facts["loss"]


def _group(tensors: dict[str, Tensor], prefix: str) -> dict[str, Tensor]:
    return {name.removeprefix(prefix): value for name, value in tensors.items() if name.startswith(prefix)}


def half_precision(device: torch.device) -> torch.autocast:
    """Return a context for bfloat16 arithmetic, which does nothing on processors where it would be slower."""
    quick = device.type != "cpu" or torch.backends.cpu.get_cpu_capability().startswith(("AVX512", "AMX", "SVE"))
    return torch.autocast(device.type, torch.bfloat16, enabled=quick)


def device_of(model: nn.Module) -> torch.device:
    """Return the device of a model's weights."""
    return next(model.parameters()).device


def load_ema(folder: Path) -> dict[str, Tensor]:
    """Return the averaged weights of a trained stage."""
    return _group(load_file(folder / _STATE), "ema.")


def train_stage(
    folder: Path,
    model: nn.Module,
    compute_loss: Callable[[torch.Generator], Tensor],
    budget: Budget,
    *,
    task: str,
    seed: int,
) -> Iterator[Progress]:
    """Train a model until the budget is used up, then load the averaged weights into it.

    Args:
        folder: folder of the checkpoint, from which an interrupted stage continues.
        model: the parameters that require gradients are trained.
        compute_loss: draws a batch with the given generator and returns the loss, a scalar.
        budget: duration and learning rate.
        task: name in the events.
        seed: seed of the batches.
    """
    training = _Training(model, budget)
    if (folder / _STATE).exists():
        training.load(folder)
    before = training.seconds
    started = saved = time.monotonic()
    model.train()
    while (share := budget.spent(training.step, training.seconds)) < 1:
        loss = compute_loss(torch.Generator().manual_seed(seed * 1_000_000_007 + training.step))
        training.take_step(loss, share)
        training.seconds = before + time.monotonic() - started
        if training.step % 20 == 0:
            detail = f"loss {training.loss:.4f}, {training.seconds / 60:.1f} of {budget.minutes:g} min"
            yield Progress(task, training.step, budget.steps, detail)
        if time.monotonic() - saved > 60 * budget.checkpoint_minutes:
            saved = time.monotonic()
            training.save(folder)
    training.save(folder)
    model.load_state_dict(training.ema)
    model.eval()
