"""Everything that a training carries from step to step, and how it is put away and taken up again."""

from __future__ import annotations

import copy
import dataclasses
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch
from torch.optim.lr_scheduler import ReduceLROnPlateau

from covergen_cli.errors import ModelError
from covergen_cli.models.adapter import Adapter

if TYPE_CHECKING:
    from torch import Tensor

    from covergen_cli.config import AdapterConfig, TrainConfig

_PLATEAU_FACTOR, _PLATEAU_PATIENCE = 0.5, 2
"""§3.3: half the learning rate when two epochs have brought nothing."""


@dataclass
class Counters:
    """Where a training is; JSON-able.

    Args:
        step: steps done.
        epoch: epochs done and validated.
        best_epoch: the epoch with the lowest validation loss; 0 before the first validation.
        best_step: the step after which it was measured.
        best_loss: that loss.
        stale: validations since then.
        epoch_loss: sum of the losses of the steps of the epoch under way.
        window_loss: sum of those since the last record.
        window_steps: how many they are.
    """

    step: int = 0
    epoch: int = 0
    best_epoch: int = 0
    best_step: int = 0
    best_loss: float = 0.0
    stale: int = 0
    epoch_loss: float = 0.0
    window_loss: float = 0.0
    window_steps: int = 0

    def judge(self, loss: float) -> bool:
        """Take note of a validation loss; return whether it is the lowest so far."""
        self.epoch += 1
        if self.best_epoch and loss >= self.best_loss:
            self.stale += 1
            return False
        self.best_epoch, self.best_step, self.best_loss, self.stale = self.epoch, self.step, loss, 0
        return True


class State:
    """Adapter, running mean, optimiser, learning rate and counters.

    Args:
        shape: of the adapter; its first weights are drawn from the seed.
        config: settings.
        device: where it computes.
    """

    def __init__(self, shape: AdapterConfig, config: TrainConfig, device: torch.device) -> None:
        self.config = config
        # The caller's random numbers stay what they were.
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(config.seed)
            self.adapter = Adapter(shape).to(device)
        self.average = copy.deepcopy(self.adapter).requires_grad_(requires_grad=False).eval()
        self.best: dict[str, Tensor] = {}
        self.optimizer = _optimizer(self.adapter, config)
        self.plateau = ReduceLROnPlateau(self.optimizer, factor=_PLATEAU_FACTOR, patience=_PLATEAU_PATIENCE)
        self.counters = Counters()

    @property
    def learning_rate(self) -> float:
        """Of the step to come."""
        return float(self.optimizer.param_groups[0]["lr"])

    def set_rate(self, steps: int) -> None:
        """Set the learning rate of the step to come, where it follows the steps.

        Args:
            steps: of the whole training.
        """
        if self.config.schedule == "cosine":
            share = cosine_rate(self.counters.step, steps, self.config.warmup)
            for group in self.optimizer.param_groups:
                group["lr"] = self.config.learning_rate * share

    def follow(self) -> None:
        """Move the running mean towards the adapter; early on faster, so that it forgets the first weights."""
        step = self.counters.step
        decay = min(self.config.ema_decay, (1 + step) / (10 + step))
        with torch.no_grad():
            for mean, value in zip(self.average.parameters(), self.adapter.parameters(), strict=True):
                if value.requires_grad:
                    mean.lerp_(value, 1 - decay)

    def judge(self, loss: float) -> bool:
        """Take note of a validation loss; keep the running mean if it is the best so far, and say whether it is."""
        best = self.counters.judge(loss)
        if best:
            self.best = {name: value.clone() for name, value in self._trained(self.average).items()}
        if self.config.schedule == "plateau":
            self.plateau.step(loss)
        return best

    def best_adapter(self) -> Adapter:
        """Return a copy of the adapter with the best weights."""
        adapter = copy.deepcopy(self.average)
        adapter.load_state_dict({**adapter.state_dict(), **self.best})
        return adapter

    def tensors(self) -> dict[str, Tensor]:
        """Return all tensors by name."""
        groups = {
            "adapter": self.adapter.state_dict(),
            "average": self._trained(self.average),
            "best": self.best,
        }
        named = {f"{group}.{name}": value for group, values in groups.items() for name, value in values.items()}
        for index, values in self.optimizer.state_dict()["state"].items():
            named |= {f"optimizer.{index}.{name}": torch.as_tensor(value) for name, value in values.items()}
        return named

    def facts(self) -> dict[str, Any]:
        """Return everything else, JSON-able."""
        plateau = {
            name: value
            for name, value in self.plateau.state_dict().items()
            # Before the first validation its best is infinite, which JSON cannot say; it is so from the start anyway.
            if isinstance(value, (int, float)) and math.isfinite(value)
        }
        return {
            "counters": dataclasses.asdict(self.counters),
            "learning_rate": self.learning_rate,
            "plateau": plateau,
        }

    def restore(self, tensors: Mapping[str, Tensor], facts: Mapping[str, Any]) -> None:
        """Become the state that :meth:`tensors` and :meth:`facts` told of.

        Raises:
            ModelError: it is the state of another adapter.
        """
        groups: dict[str, dict[str, Tensor]] = {"adapter": {}, "average": {}, "best": {}, "optimizer": {}}
        for name, value in tensors.items():
            group, _, rest = name.partition(".")
            groups[group][rest] = value
        try:
            self.adapter.load_state_dict(groups["adapter"])
            self.average.load_state_dict({**groups["adapter"], **groups["average"]})
            self.counters = Counters(**facts["counters"])
        except (RuntimeError, KeyError, TypeError) as error:
            raise ModelError(f"the checkpoint is of another adapter: {str(error).splitlines()[0]}") from error
        device = next(self.adapter.parameters()).device
        self.best = {name: value.to(device) for name, value in groups["best"].items()}
        states: dict[int, dict[str, Tensor]] = {}
        for name, value in groups["optimizer"].items():
            index, _, rest = name.partition(".")
            states.setdefault(int(index), {})[rest] = value
        settings = self.optimizer.state_dict()["param_groups"]
        for group in settings:
            group["lr"] = facts["learning_rate"]
        self.optimizer.load_state_dict({"state": states, "param_groups": settings})
        self.plateau.load_state_dict({**self.plateau.state_dict(), **facts["plateau"]})

    @staticmethod
    def _trained(adapter: Adapter) -> dict[str, Tensor]:
        frozen = {f"mapper.{layer}.{name}" for layer in ("first", "final") for name in ("weight", "bias")}
        return {name: value for name, value in adapter.state_dict().items() if name not in frozen}


def _optimizer(adapter: Adapter, config: TrainConfig) -> torch.optim.Optimizer:
    parameters = adapter.trainable_parameters()
    if config.optimizer == "adam":
        return torch.optim.Adam(parameters, lr=config.learning_rate)
    return torch.optim.AdamW(parameters, lr=config.learning_rate, weight_decay=config.weight_decay)


def cosine_rate(step: int, steps: int, warmup: float) -> float:
    """Return the share of the highest learning rate at a step: a straight rise, then half a cosine down to nothing.

    Args:
        step: from 0.
        steps: in all.
        warmup: share of them in which it rises.
    """
    rising = max(1, round(warmup * steps))
    if step < rising:
        return (step + 1) / rising
    return 0.5 * (1 + math.cos(math.pi * (step - rising) / max(1, steps - rising)))
