"""Settings of training an adapter."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Literal

from covergen_cli.config.fields import Between, Matches


@dataclass(frozen=True)
class TrainConfig:
    """How an adapter is trained (§3.3).

    Args:
        base: which frozen image model: ``starter``, ``sd15``, a folder in Stable-Diffusion layout, or a hub id.
        epochs: times that every pair is seen, at most.
        patience: epochs without a lower validation loss after which training ends.
        batch_size: pairs per step and process.
        optimizer: ``adamw``, or the paper's ``adam``.
        learning_rate: the highest.
        weight_decay: of ``adamw``.
        schedule: of the learning rate: ``cosine`` warms up and falls to nothing in the last epoch, ``plateau`` halves
            it when the validation loss has not improved for two epochs, as the paper does.
        warmup: share of all steps in which ``cosine`` rises.
        clip_norm: gradients longer than this are shortened to it.
        timesteps: ``uniform`` as in the paper, or ``weighted``: noisy times count more, where the music decides.
        ema_decay: the adapter that is kept is a running mean over the steps with this decay; 0 keeps the last step's.
        validation_draws: noises per validation pair; each has its own part of the timesteps.
        samples: covers that are drawn for songs of the validation part after every epoch.
        seed: decides the first weights, the order of the pairs, noise and timesteps.
        device: where to compute; ``auto`` takes a GPU where there is one.
        precision: of the image model and the activations; ``auto`` is ``bf16`` on CUDA, else ``fp32``.
        compile: compile the U-Net first; takes minutes, and pays on a GPU in long runs.
        checkpoint_minutes: longest time between two checkpoints; there is one after every epoch too.
    """

    base: str = "starter"
    epochs: Annotated[int, Between(1, 100_000)] = 30
    patience: Annotated[int, Between(1)] = 10
    batch_size: Annotated[int, Between(1, 65536)] = 16
    optimizer: Literal["adamw", "adam"] = "adamw"
    learning_rate: Annotated[float, Between(0, 10)] = 5e-4
    weight_decay: Annotated[float, Between(0, 10)] = 0.01
    schedule: Literal["cosine", "plateau"] = "cosine"
    warmup: Annotated[float, Between(0, 1)] = 0.05
    clip_norm: Annotated[float, Between(1e-6)] = 1.0
    timesteps: Literal["weighted", "uniform"] = "weighted"
    ema_decay: Annotated[float, Between(0, 0.999999)] = 0.99
    validation_draws: Annotated[int, Between(1, 1000)] = 4
    samples: Annotated[int, Between(0, 64)] = 4
    seed: Annotated[int, Between(0, 2**32 - 1)] = 0
    device: Annotated[str, Matches(r"auto|cpu|mps|cuda(:\d+)?", "auto, cpu, cuda, cuda:N or mps")] = "auto"
    precision: Literal["auto", "fp32", "bf16"] = "auto"
    compile: bool = False
    checkpoint_minutes: Annotated[float, Between(0)] = 10.0
