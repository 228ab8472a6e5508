"""The loop that every stage of the starter shares: AdamW, EMA, a time budget, and checkpoints to go on from.

The batch of step ``n`` depends on the seed and ``n`` alone, so a stage that was stopped goes on as if it had not been.
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


@dataclass(frozen=True)
class Budget:
    """How long a stage trains.

    Args:
        steps: optimiser steps at most.
        minutes: wall-clock minutes at most, over all its runs; whichever comes first also ends the learning-
        rate schedule.
        learning_rate: peak; warmed up over the first 2 %, cosine to a fiftieth at the end.
        ema_decay: decay of the averaged weights, which are what a stage leaves behind.
        checkpoint_minutes: wall-clock minutes between two checkpoints.
    """

    steps: int
    minutes: float
    learning_rate: float
    ema_decay: float = 0.999
    checkpoint_minutes: float = 3.0


def _rate(budget: Budget, share: float) -> float:
    warm = min(1.0, share / 0.02 + 0.02)
    return budget.learning_rate * warm * (0.02 + 0.98 * 0.5 * (1 + math.cos(math.pi * min(share, 1.0))))


def _save(
    folder: Path, model: nn.Module, ema: dict[str, Tensor], optimiser: torch.optim.Optimizer, facts: dict[str, float]
) -> None:
    tensors = {f"model.{k}": v.detach().contiguous() for k, v in model.state_dict().items()}
    tensors |= {f"ema.{k}": v.contiguous() for k, v in ema.items()}
    for index, state in optimiser.state_dict()["state"].items():
        tensors |= {f"optimiser.{index}.{k}": torch.as_tensor(v).clone().contiguous() for k, v in state.items()}
    folder.mkdir(parents=True, exist_ok=True)
    with atomic_path(folder / "state.safetensors") as temporary:
        save_file(tensors, temporary, metadata={"facts": json.dumps(facts)})
    write_json(folder / "facts.json", facts)


def _load(
    folder: Path, model: nn.Module, optimiser: torch.optim.Optimizer
) -> tuple[dict[str, Tensor], dict[str, float]]:
    tensors = load_file(folder / "state.safetensors")
    model.load_state_dict({k[6:]: v for k, v in tensors.items() if k.startswith("model.")})
    states: dict[int, dict[str, Tensor]] = {}
    for key, value in tensors.items():
        if key.startswith("optimiser."):
            _, index, name = key.split(".", 2)
            states.setdefault(int(index), {})[name] = value
    optimiser.load_state_dict({"state": states, "param_groups": optimiser.state_dict()["param_groups"]})
    ema = {k[4:]: v for k, v in tensors.items() if k.startswith("ema.")}
    # Not from facts.json, which a kill between the two writes leaves one checkpoint behind.
    with safe_open(folder / "state.safetensors", "pt") as file:
        facts: dict[str, float] = json.loads(file.metadata()["facts"])
    return ema, facts


def averaged(folder: Path) -> dict[str, Tensor]:
    """Read the averaged weights of a stage that has been trained."""
    return {k[4:]: v for k, v in load_file(folder / "state.safetensors").items() if k.startswith("ema.")}


def fit(
    folder: Path,
    model: nn.Module,
    loss_of: Callable[[torch.Generator], Tensor],
    budget: Budget,
    *,
    task: str,
    seed: int,
) -> Iterator[Progress]:
    """Train ``model`` until the budget is spent, then load the averaged weights into it.

    Args:
        folder: keeps ``state.safetensors``; a later call with the same folder goes on from there.
        model: its trainable parameters are fitted.
        loss_of: draws a batch with the generator it is given and returns a scalar loss.
        budget: how long, how fast.
        task: name in the events.
        seed: decides every batch.
    """
    parameters = [p for p in model.parameters() if p.requires_grad]
    optimiser = torch.optim.AdamW(parameters, lr=budget.learning_rate, betas=(0.9, 0.99), weight_decay=1e-3)
    ema = {k: v.detach().clone() for k, v in model.state_dict().items()}
    facts: dict[str, float] = {"step": 0, "seconds": 0.0, "loss": 0.0}
    if (folder / "state.safetensors").exists():
        ema, facts = _load(folder, model, optimiser)
    step, spent, loss_average = int(facts["step"]), facts["seconds"], facts["loss"]
    started = saved = time.monotonic()
    model.train()
    while True:
        seconds = spent + time.monotonic() - started
        share = max(step / budget.steps, seconds / (60 * budget.minutes))
        if share >= 1:
            break
        for group in optimiser.param_groups:
            group["lr"] = _rate(budget, share)
        generator = torch.Generator().manual_seed(seed * 1_000_000_007 + step)
        loss = loss_of(generator)
        loss.backward()  # type: ignore[no-untyped-call]
        nn.utils.clip_grad_norm_(parameters, 1.0)
        optimiser.step()
        optimiser.zero_grad(set_to_none=True)
        step += 1
        decay = min(budget.ema_decay, (1 + step) / (10 + step))
        for name, value in model.state_dict().items():
            ema[name].lerp_(value.detach(), 1 - decay)
        loss_average = loss.item() if step == 1 else 0.98 * loss_average + 0.02 * loss.item()
        if step % 20 == 0:
            yield Progress(
                task, step, budget.steps, f"loss {loss_average:.4f}, {seconds / 60:.1f} of {budget.minutes:g} min"
            )
        if time.monotonic() - saved > 60 * budget.checkpoint_minutes:
            saved = time.monotonic()
            _save(folder, model, ema, optimiser, {"step": step, "seconds": seconds, "loss": loss_average})
    _save(
        folder,
        model,
        ema,
        optimiser,
        {
            "step": step,
            "seconds": max(spent + time.monotonic() - started, 60 * budget.minutes * share),
            "loss": loss_average,
        },
    )
    model.load_state_dict(ema)
    model.eval()
