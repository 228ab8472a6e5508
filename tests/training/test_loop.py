"""The training learns, leaves the base alone, and judges every epoch by the same measure."""

from __future__ import annotations

import csv
import importlib.util
import json
import math
import shutil

import pytest
import torch
import yaml
from PIL import Image

from covergen_cli.config import AdapterConfig, TrainConfig
from covergen_cli.dataset.pairs import read_pairs
from covergen_cli.diffusion.objective import denoising_loss, fixed_draws, item_losses
from covergen_cli.errors import ModelError, OutputError
from covergen_cli.events import CheckpointSaved, EpochDone, StepDone, TrainFinished, TrainPlanned, TrainStopped, Warned
from covergen_cli.files import sha256_file
from covergen_cli.models.base import load_base
from covergen_cli.models.checkpoint import load_adapter
from covergen_cli.training import loop, setup
from covergen_cli.training.embedding_cache import prepare_embeddings
from covergen_cli.training.latent_cache import prepare_latents
from covergen_cli.training.run_folder import read_records
from tiny import tiny_base, tiny_sd_base, write_json
from training_data import drain, write_dataset

SHAPE = AdapterConfig(hidden_dim=16, rank=2)
PAPER = AdapterConfig(hidden_dim=16, rank=2, pooling="attention", tokens=1)
QUICK = {"epochs": 2, "batch_size": 4, "samples": 0, "device": "cpu"}


@pytest.fixture
def train(data, base_folder, tmp_path):
    """Train to the end and return the events."""

    def run(name="RUN", *, shape=SHAPE, resume="auto", stop=lambda: False, **settings):
        config = TrainConfig(**{"base": str(base_folder), **QUICK, **settings})
        return list(loop.train(data, tmp_path / name, config, shape, resume=resume, stop=stop))

    return run


def only(events, kind):
    return [event for event in events if isinstance(event, kind)]


def test_the_loss_falls_and_the_result_can_be_loaded(train, tmp_path, base_folder):
    events = train(epochs=8, learning_rate=3e-3)
    epochs = only(events, EpochDone)
    assert epochs[-1].train_loss < epochs[0].train_loss
    (finished,) = only(events, TrainFinished)
    loaded = load_adapter(tmp_path / "RUN")
    assert loaded.base["fingerprint"] == load_base(str(base_folder)).fingerprint
    assert loaded.encoder_spec == {"name": "fake", "version": 1}
    best = min(epochs, key=lambda event: event.validation_loss)
    assert (finished.best_epoch, finished.validation_loss) == (best.epoch, best.validation_loss)
    facts = json.loads((tmp_path / "RUN" / "adapter" / "adapter.json").read_text())["training"]
    assert (facts["epoch"], facts["validation_loss"]) == (best.epoch, best.validation_loss)


@pytest.mark.parametrize("shape", [SHAPE, PAPER], ids=["resampler", "attention"])
@pytest.mark.parametrize("kind", ["flow_prediction", "epsilon", "v_prediction"])
def test_every_kind_of_base_can_be_learned_for(train, data, tmp_path, kind, shape):
    base = tiny_base(tmp_path / "base")
    write_json(base / "scheduler" / "scheduler_config.json", {"prediction_type": kind, "_class_name": "DDIMScheduler"})
    # Judged by what it learns from, under other names: an untrained U-Net has nothing to say about other covers.
    splits = data / "splits"
    (splits / "val.csv").write_text((splits / "train.csv").read_text().replace("\np", "\nq"))
    for timesteps in ("weighted", "uniform"):
        events = train(timesteps, base=str(base), epochs=12, learning_rate=1e-2, timesteps=timesteps, shape=shape)
        losses = [event.validation_loss for event in only(events, EpochDone)]
        assert losses[-1] < losses[0]


def test_the_base_is_the_same_bit_for_bit_and_gets_no_gradient(train, monkeypatch):
    bases = []

    def keeping(*arguments):
        bases.append(load_base(*arguments))
        before.append({name: value.clone() for name, value in weights(bases[0]).items()})
        return bases[0]

    def weights(base):
        parts = {"unet": base.unet, "vae": base.vae}
        return {f"{part}.{name}": value for part, model in parts.items() for name, value in model.state_dict().items()}

    before = []
    monkeypatch.setattr(setup, "load_base", keeping)
    train()
    after = weights(bases[0])
    assert before[0].keys() == after.keys()
    assert all(torch.equal(value, after[name]) for name, value in before[0].items())
    for model in (bases[0].unet, bases[0].vae):
        assert all(parameter.grad is None and not parameter.requires_grad for parameter in model.parameters())


def test_validation_is_the_measure_that_others_can_take_again(train, data, tmp_path, base_folder):
    (finished,) = only(train(validation_draws=3, seed=7), TrainFinished)
    base, pairs = load_base(str(base_folder)), read_pairs(data, "val")
    latents, embeddings = (drain(work)[0] for work in (prepare_latents(data, base, pairs), prepare_embeddings(pairs)))
    draws = fixed_draws([pair.id for pair in pairs], latents.shape, 3, loop.VALIDATION_SEED)
    everything = range(len(pairs))
    with torch.inference_mode():
        tokens = load_adapter(tmp_path / "RUN").adapter(*embeddings.batch(everything))
    losses = item_losses(base.unet, base.scheduler_config, latents.mean(everything), tokens, draws, 5)
    assert losses.double().mean().item() == pytest.approx(finished.validation_loss, rel=1e-5)


def test_the_log_holds_what_the_events_tell(train, tmp_path):
    events = train(epochs=5)
    records = read_records(tmp_path / "RUN", "epoch")
    assert [record["validation_loss"] for record in records] == [
        event.validation_loss for event in only(events, EpochDone)
    ]
    steps = read_records(tmp_path / "RUN", "step")
    assert [record["step"] for record in steps] == [3, 6, 9, 10, 12, 15]
    assert [record["loss"] for record in steps] == [event.loss for event in only(events, StepDone)]
    by_epoch = [record["loss"] for record in steps if record["epoch"] == 2]
    assert by_epoch == [pytest.approx(records[1]["train_loss"])]
    assert set(steps[0]) == {"kind", "epoch", "step", "loss", "learning_rate", "gradient_norm", "pairs_per_second"}


def test_it_ends_early_when_nothing_improves(train):
    events = train(epochs=30, patience=2, learning_rate=0.0)
    (finished,) = only(events, TrainFinished)
    assert finished.early
    assert (finished.epochs, finished.best_epoch) == (3, 1)


def test_the_weight_of_a_pair_counts(train, data):
    even = only(train("even"), EpochDone)[-1].train_loss
    path = data / "splits" / "train.csv"
    with path.open(newline="") as file:
        rows = list(csv.DictReader(file))
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, [*rows[0], "weight"])
        writer.writeheader()
        writer.writerows({**row, "weight": 100 if row["id"] == "p1" else 1} for row in rows)
    assert only(train("uneven"), EpochDone)[-1].train_loss != pytest.approx(even, rel=1e-3)


def test_a_loss_that_is_no_number_ends_it_with_advice(train, monkeypatch, tmp_path):
    monkeypatch.setattr(loop, "denoising_loss", lambda *arguments: denoising_loss(*arguments) * math.nan)
    with pytest.raises(ModelError, match="no longer finite after step 3") as caught:
        train()
    assert "--learning-rate" in caught.value.hint
    assert not (tmp_path / "RUN" / "adapter").exists()


def test_too_little_memory_ends_it_with_advice(train, monkeypatch):
    def too_much(*_):
        raise torch.OutOfMemoryError("CUDA out of memory")

    monkeypatch.setattr(loop, "denoising_loss", too_much)
    with pytest.raises(ModelError, match="too little memory for batches of 4") as caught:
        train()
    assert "--batch-size" in caught.value.hint


def test_a_wish_to_stop_ends_it_after_the_step_and_it_goes_on_from_there(train, tmp_path):
    calls = []

    def stop():
        calls.append(None)
        return len(calls) == 2

    stopped = train(stop=stop)
    assert only(stopped, TrainStopped)[0].step == 2
    assert not only(stopped, TrainFinished)
    events = train()
    (planned,) = only(events, TrainPlanned)
    assert planned.step == 2
    assert planned.resumed == tmp_path / "RUN" / "checkpoints" / "step-000002"


def test_a_finished_run_has_nothing_left_to_do(train, tmp_path):
    train()
    digest = sha256_file(tmp_path / "RUN" / "adapter" / "adapter.safetensors")
    events = train()
    assert only(events, TrainFinished)
    assert not only(events, StepDone)
    assert sha256_file(tmp_path / "RUN" / "adapter" / "adapter.safetensors") == digest


def test_never_begins_anew_and_a_checkpoint_can_be_gone_on_from_elsewhere(train, tmp_path):
    first = only(train(), CheckpointSaved)[0].path
    (planned,) = only(train(resume="never"), TrainPlanned)
    assert planned.step == 0
    events = train("OTHER", resume=first)
    assert only(events, TrainPlanned)[0].step == 3
    assert only(events, TrainFinished)[0].steps == 6
    same = [tmp_path / run / "adapter" / "adapter.safetensors" for run in ("RUN", "OTHER")]
    assert len({sha256_file(path) for path in same}) == 1


def test_sheets_show_the_songs_covers_above_and_drawn_ones_below(train, tmp_path):
    sheets = [event.samples for event in only(train(samples=3), EpochDone)]
    assert sheets == [tmp_path / "RUN" / "samples" / f"epoch-00{number}.jpg" for number in (1, 2)]
    with Image.open(sheets[1]) as sheet:
        assert sheet.size == (3 * 16, 2 * 16)


def test_a_base_like_stable_diffusion_is_trained_for_and_sampled_from(train, tmp_path):
    base = tiny_sd_base(tmp_path / "sd")
    events = train(base=str(base), samples=1)
    assert only(events, TrainFinished)
    assert only(events, EpochDone)[-1].samples.is_file()


def test_a_full_disk_is_noticed_before_the_work(train, monkeypatch):
    monkeypatch.setattr(shutil, "disk_usage", lambda _: shutil._ntuple_diskusage(10**9, 10**9 - 100, 100))
    with pytest.raises(OutputError, match="the latents of 14 covers need"):
        train()
    monkeypatch.setattr(shutil, "disk_usage", lambda _: shutil._ntuple_diskusage(10**9, 0, 10**6))
    with pytest.raises(OutputError, match="checkpoints in"):
        train()


def test_curves_and_board_are_written(train, tmp_path):
    train()
    with Image.open(tmp_path / "RUN" / "curves.png") as curves:
        assert curves.format == "PNG"
    assert list((tmp_path / "RUN" / "tensorboard").glob("events.*"))


def test_without_tensorboard_a_line_says_so(train, tmp_path, monkeypatch):
    find = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name == "tensorboard" else find(name))
    events = train()
    assert "pip install tensorboard" in only(events, Warned)[0].message
    assert not (tmp_path / "RUN" / "tensorboard").exists()
    assert only(events, TrainFinished)


def test_half_precision_learns_much_the_same(train):
    full, half = (only(train(name, precision=name), EpochDone)[-1] for name in ("fp32", "bf16"))
    assert half.validation_loss == pytest.approx(full.validation_loss, rel=0.05)
    assert half.validation_loss != full.validation_loss


def test_one_pair_is_enough(tmp_path, base_folder):
    data = write_dataset(tmp_path / "SMALL", {"train": 1, "val": 1})
    events = list(loop.train(data, tmp_path / "RUN", TrainConfig(**QUICK, base=str(base_folder)), SHAPE))
    assert only(events, TrainFinished)[0].steps == 2


def test_the_config_is_that_of_the_run(train, tmp_path):
    train(seed=5)
    assert yaml.safe_load((tmp_path / "RUN" / "config.yaml").read_text())["train"]["seed"] == 5


@pytest.mark.gpu
def test_on_a_gpu_it_learns_in_half_precision_and_says_how_much_memory_it_takes(train):
    events = train(device="cuda", epochs=8, learning_rate=3e-3, samples=1)
    losses = [event.validation_loss for event in only(events, EpochDone)]
    assert losses[-1] < losses[0]
    assert only(events, StepDone)[-1].memory_bytes > 0
    cpu = only(train("CPU", epochs=8, learning_rate=3e-3), EpochDone)[-1].validation_loss
    assert losses[-1] == pytest.approx(cpu, rel=0.05)
