"""Settings of training an adapter."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Literal

from covergen_cli.config.fields import Between, Device, Seed


@dataclass(frozen=True)
class TrainConfig:
    """Settings of the training of an adapter (§3.3).

    Args:
        base: Frozen image model: ``starter``, ``sd15``, a folder in diffusers layout, or a hub id.
        init: Adapter to start from, in place of random weights: a run folder, an adapter folder, ``starter``, or a hub
            id. Its architecture and audio encoder must be the same.
        objective: Objective: ``covers`` predicts the noise in covers; ``words`` predicts what the base's text encoder
            computes for prompts made from the music, which needs no covers.
        epochs: Maximum number of epochs. When a run is resumed, it can be raised.
        min_epochs: Minimum number of epochs, whatever the patience.
        patience: Number of epochs without a lower validation loss after which training stops.
        batch_size: Number of pairs per step and process.
        accumulate: Number of parts into which a batch is split to save memory; their gradients are accumulated, so the
            result is the same. Defaults to 1, and to more on a GPU whose memory is too small.
        checkpointing: Gradient checkpointing: compute the activations of the U-Net again in the backward pass, which
            saves memory and takes longer.
        optimizer: Optimizer; the paper uses ``adam``.
        learning_rate: Peak learning rate.
        weight_decay: Weight decay (AdamW only).
        schedule: Learning rate schedule: ``cosine`` warms up and decays to zero in the last epoch, ``plateau`` halves
            the rate when the validation loss has not improved for two epochs, as in the paper.
        warmup: Fraction of all steps used for warmup (``cosine`` only).
        clip_norm: Maximum gradient norm; larger gradients are clipped.
        timesteps: Weighting of timesteps: ``uniform`` as in the paper, or ``weighted``, which draws the timesteps of a
            batch from equal parts of their range. For a base that predicts a flow, such as ``starter``, it shifts them
            towards noise, where the music has most influence; for others, such as ``sd15``, it weights their losses
            (min-SNR).
        ema_decay: Decay of the exponential moving average (EMA) of the adapter's weights, which is what is saved. 0
            saves the weights of the last step.
        validation_draws: Number of noise samples per validation pair. The range of timesteps is divided into as many
            equal parts, with one sample in each.
        samples: Number of sample covers to generate after every epoch, for songs of the validation split.
        seed: Random seed of the initial weights, the order of the pairs, the noise and the timesteps.
        device: Device to run on; ``auto`` uses a GPU if there is one.
        precision: Precision of the image model and the activations; ``auto`` is ``bf16`` on CUDA cards that
            compute it (Ampere and newer), ``fp16`` with loss scaling on older ones, and ``fp32`` elsewhere.
        compile: Compile the U-Net first. This takes minutes and pays off in long runs on a GPU.
        checkpoint_minutes: Maximum minutes between two checkpoints. One is also saved after every epoch.
    """

    base: str = "starter"
    init: str | None = None
    objective: Literal["covers", "words"] = "covers"
    epochs: Annotated[int, Between(1, 100_000)] = 30
    min_epochs: Annotated[int, Between(1, 100_000)] = 1
    patience: Annotated[int, Between(1)] = 10
    batch_size: Annotated[int, Between(1, 65536)] = 16
    accumulate: Annotated[int | None, Between(1, 65536)] = None
    checkpointing: bool = False
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
    seed: Seed = 0
    device: Device = "auto"
    precision: Literal["auto", "fp32", "bf16", "fp16"] = "auto"
    compile: bool = False
    checkpoint_minutes: Annotated[float, Between(0)] = 10.0
