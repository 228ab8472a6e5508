"""The state of a training, carried from step to step, and how it is saved and restored."""

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
from covergen_cli.training.gradients import LARGEST_SCALE

if TYPE_CHECKING:
    from torch import Tensor

    from covergen_cli.config import AdapterConfig, TrainConfig

_PLATEAU_FACTOR, _PLATEAU_PATIENCE = 0.5, 1
"""§3.3: half the learning rate after two epochs without improvement, of which ReduceLROnPlateau tolerates one."""


@dataclass
class Counters:
    """The progress of a training; JSON-able.

    Args:
        step: steps done.
        epoch: epochs done and validated.
        best_epoch: the epoch with the lowest validation loss; 0 before the first validation.
        best_step: the step after which it was validated.
        best_loss: that loss.
        stale: validations since then.
        epoch_loss: sum of the losses of the current epoch's steps.
        window_loss: sum of the losses of the steps since the last record.
        window_steps: number of these steps.
        loss_scale: factor of the loss in float16; see :mod:`covergen_cli.training.gradients`.
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
    loss_scale: float = LARGEST_SCALE

    def update_best(self, loss: float) -> bool:
        """Count a validation; return whether its loss is the lowest so far."""
        self.epoch += 1
        if self.best_epoch and loss >= self.best_loss:
            self.stale += 1
            return False
        self.best_epoch, self.best_step, self.best_loss, self.stale = self.epoch, self.step, loss, 0
        return True


class TrainingState:
    """Adapter, its exponential moving average (EMA), optimiser, learning rate and counters.

    Args:
        adapter_config: of the adapter, whose first weights are drawn from the seed.
        config: settings.
        device: where to compute.
        initial: weights to start from, by name, in place of random ones; others than the adapter has are ignored.
        widths: of the cross-attentions of the base, for a decoupled adapter.
    """

    def __init__(
        self,
        adapter_config: AdapterConfig,
        config: TrainConfig,
        device: torch.device,
        initial: Mapping[str, Tensor] | None = None,
        widths: Mapping[str, int] | None = None,
    ) -> None:
        self.config = config
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(config.seed)
            adapter = Adapter(adapter_config, widths)
        drawn = adapter.state_dict()
        adapter.load_state_dict({name: (initial or {}).get(name, value) for name, value in drawn.items()})
        self.adapter = adapter.to(device)
        self.ema = copy.deepcopy(self.adapter).requires_grad_(requires_grad=False).eval()
        self.best: dict[str, Tensor] = {}
        parameters = self.adapter.trainable_parameters()
        self.optimizer: torch.optim.Optimizer
        if config.optimizer == "adam":
            self.optimizer = torch.optim.Adam(parameters, lr=config.learning_rate)
        else:
            self.optimizer = torch.optim.AdamW(parameters, lr=config.learning_rate, weight_decay=config.weight_decay)
        self.plateau = ReduceLROnPlateau(self.optimizer, factor=_PLATEAU_FACTOR, patience=_PLATEAU_PATIENCE)
        self.counters = Counters()
        self._losses: list[Tensor] = []

    @property
    def learning_rate(self) -> float:
        """Learning rate of the next step."""
        return float(self.optimizer.param_groups[0]["lr"])

    def update_learning_rate(self, steps: int) -> None:
        """Set the learning rate of the next step, where the schedule depends on the step.

        Args:
            steps: of the complete training.
        """
        if self.config.schedule == "cosine":
            share = cosine_schedule(self.counters.step, steps, self.config.warmup)
            for group in self.optimizer.param_groups:
                group["lr"] = self.config.learning_rate * share

    def update_ema(self) -> None:
        """Move the EMA towards the adapter; early on with a smaller decay, so that the first weights fade quickly."""
        step = self.counters.step
        decay = min(self.config.ema_decay, (1 + step) / (10 + step))
        with torch.no_grad():
            for mean, value in zip(self.ema.parameters(), self.adapter.parameters(), strict=True):
                if value.requires_grad:
                    mean.lerp_(value, 1 - decay)

    def add_loss(self, loss: Tensor) -> None:
        """Keep the loss of a step; it stays on the device, as fetching it would wait for the step to end."""
        self._losses.append(loss.detach())

    def collect_losses(self, accelerator: Any) -> None:
        """Add the losses since the last call, averaged over the processes, to the counters.

        Raises:
            ModelError: a loss is not finite.
        """
        if not self._losses:
            return
        losses = torch.stack(self._losses)
        losses = losses if losses.device.type == "mps" else losses.double()  # MPS lacks float64
        counters = self.counters
        total = check_finite(float(accelerator.reduce(losses.sum(), reduction="mean")), counters.step)
        counters.window_loss += total
        counters.window_steps += len(self._losses)
        counters.epoch_loss += total
        self._losses = []

    def record_validation(self, loss: float) -> bool:
        """Count a validation and keep the EMA's weights if its loss is the lowest so far; return whether it is."""
        best = self.counters.update_best(loss)
        if best:
            self.best = {name: value.clone() for name, value in self._trained(self.ema).items()}
        if self.config.schedule == "plateau":
            self.plateau.step(loss)
        return best

    def best_adapter(self) -> Adapter:
        """Return a copy of the adapter with the best weights."""
        adapter = copy.deepcopy(self.ema)
        adapter.load_state_dict({**adapter.state_dict(), **self.best})
        return adapter

    def tensors(self) -> dict[str, Tensor]:
        """Return all tensors by name."""
        groups = {"adapter": self.adapter.state_dict(), "average": self._trained(self.ema), "best": self.best}
        named = {f"{group}.{name}": value for group, values in groups.items() for name, value in values.items()}
        for index, values in self.optimizer.state_dict()["state"].items():
            named |= {f"optimizer.{index}.{name}": torch.as_tensor(value) for name, value in values.items()}
        return named

    def scalars(self) -> dict[str, Any]:
        """Return everything that is not a tensor, JSON-able."""
        plateau = {
            name: value
            for name, value in self.plateau.state_dict().items()
            # Before the first validation the best loss is infinite, which JSON lacks; it is the initial value anyway.
            if isinstance(value, (int, float)) and math.isfinite(value)
        }
        return {
            "counters": dataclasses.asdict(self.counters),
            "learning_rate": self.learning_rate,
            "plateau": plateau,
        }

    def restore(self, tensors: Mapping[str, Tensor], scalars: Mapping[str, Any]) -> None:
        """Restore what :meth:`tensors` and :meth:`scalars` returned.

        Raises:
            ModelError: it is the state of another adapter.
        """
        groups: dict[str, dict[str, Tensor]] = {"adapter": {}, "average": {}, "best": {}, "optimizer": {}}
        for name, value in tensors.items():
            group, _, rest = name.partition(".")
            groups[group][rest] = value
        try:
            self.adapter.load_state_dict(groups["adapter"])
            self.ema.load_state_dict({**groups["adapter"], **groups["average"]})
            self.counters = Counters(**scalars["counters"])
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
            group["lr"] = scalars["learning_rate"]
        self.optimizer.load_state_dict({"state": states, "param_groups": settings})
        self.plateau.load_state_dict({**self.plateau.state_dict(), **scalars["plateau"]})

    def _trained(self, adapter: Adapter) -> dict[str, Tensor]:
        """Return the weights of an adapter that are trained, by name."""
        frozen = {name for name, parameter in self.adapter.named_parameters() if not parameter.requires_grad}
        return {name: value for name, value in adapter.state_dict().items() if name not in frozen}


def check_finite(loss: float, step: int) -> float:
    """Return ``loss`` if it is finite.

    Raises:
        ModelError: it is not.
    """
    if not math.isfinite(loss):
        raise ModelError(
            f"the loss is no longer finite after step {step}",
            hint="Try a lower --learning-rate, or --precision fp32, and start over with --resume never.",
        )
    return loss


def cosine_schedule(step: int, steps: int, warmup: float) -> float:
    """Return the share of the peak learning rate at a step: linear warm-up, then half a cosine down to zero.

    Args:
        step: from 0.
        steps: of the complete training.
        warmup: share of them in the warm-up, 0 to 1.
    """
    rising = max(1, round(warmup * steps))
    if step < rising:
        return (step + 1) / rising
    return 0.5 * (1 + math.cos(math.pi * (step - rising) / max(1, steps - rising)))
