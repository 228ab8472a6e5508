"""The training learns, leaves the base alone, and validates every epoch in the same way."""

from __future__ import annotations

import csv
import dataclasses
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
from covergen_cli.events import (
    CheckpointSaved,
    EpochDone,
    ModelDownloading,
    StepDone,
    TrainFinished,
    TrainPlanned,
    TrainStopped,
    Warned,
)
from covergen_cli.files import sha256_file
from covergen_cli.models.base import load_base
from covergen_cli.models.checkpoint import load_adapter
from covergen_cli.training import gradients, loop, run_folder, setup
from covergen_cli.training.embedding_cache import prepare_embeddings
from covergen_cli.training.latent_cache import prepare_latents
from covergen_cli.training.run_folder import read_records
from covergen_cli.training.tasks import VALIDATION_SEED
from covergen_cli.weights import hub
from tiny import ENCODER, tiny_base, tiny_sd_base, write_json
from training_data import drain, write_dataset

SHAPE = AdapterConfig(hidden_dim=16, rank=2, pooling="attention", tokens=1)  # saved far faster than a resampler
QUICK = {"epochs": 1, "batch_size": 4, "samples": 0, "validation_draws": 2, "device": "cpu"}
SAMPLE_STEPS = "2"


def only(events, kind):
    return [event for event in events if isinstance(event, kind)]


@pytest.fixture
def train(data, base_folder, tmp_path, monkeypatch):
    """Train to the end, without the curves, which take longer than an epoch, and return the events."""
    monkeypatch.setattr(run_folder, "draw_curves", lambda _: None)
    monkeypatch.setenv("COVERGEN_GENERATE_STEPS", SAMPLE_STEPS)

    def run(name="RUN", *, shape=SHAPE, resume="auto", stop=lambda: False, **settings):
        config = TrainConfig(**{"base": str(base_folder), **QUICK, **settings})
        return list(loop.train(data, tmp_path / name, config, shape, resume=resume, stop=stop))

    return run


class Trained:
    """A dataset folder, a run folder, and the events of the training that wrote it."""

    def __init__(self, place, base):
        self.data, self.run = write_dataset(place / "DATA", {"train": 10, "val": 4}), place / "RUN"
        settings = {**QUICK, "epochs": 4, "learning_rate": 3e-3, "samples": 3, "seed": 5}
        self.config = TrainConfig(**settings, base=str(base))
        self.events = list(loop.train(self.data, self.run, self.config, SHAPE))


@pytest.fixture(scope="module")
def trained(base_folder, tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CONFIG_HOME", str(tmp_path_factory.mktemp("config")))
        patch.setenv("COVERGEN_GENERATE_STEPS", SAMPLE_STEPS)
        return Trained(tmp_path_factory.mktemp("trained"), base_folder)


def test_the_loss_falls_and_the_best_adapter_can_be_loaded(trained, base_folder):
    epochs, (finished,) = only(trained.events, EpochDone), only(trained.events, TrainFinished)
    assert epochs[-1].train_loss < epochs[0].train_loss
    loaded = load_adapter(trained.run)
    assert loaded.base["fingerprint"] == load_base(str(base_folder)).fingerprint
    assert loaded.encoder_spec == ENCODER
    best = min(epochs, key=lambda event: event.validation_loss)
    assert (finished.best_epoch, finished.validation_loss) == (best.epoch, best.validation_loss)
    training = json.loads((trained.run / "adapter" / "adapter.json").read_text())["training"]
    assert (training["epoch"], training["validation_loss"]) == (best.epoch, best.validation_loss)
    assert training["settings"]["learning_rate"] == 3e-3
    assert "device" not in training["settings"]


def test_the_validation_loss_can_be_computed_again(trained, base_folder):
    (finished,) = only(trained.events, TrainFinished)
    base, pairs = load_base(str(base_folder)), read_pairs(trained.data, "val")
    work = prepare_latents(trained.data, base, pairs), prepare_embeddings(pairs)
    latents, embeddings = (drain(generator)[0] for generator in work)
    draws = fixed_draws([pair.id for pair in pairs], latents.shape, 2, VALIDATION_SEED)
    everything = range(len(pairs))
    with torch.inference_mode():
        tokens = load_adapter(trained.run).adapter(*embeddings.batch(everything))
    losses = item_losses(base.unet, base.scheduler_config, latents.mean(everything), tokens, draws, 5)
    assert losses.double().mean().item() == pytest.approx(finished.validation_loss, rel=1e-5)


def test_the_log_agrees_with_the_events(trained):
    epochs, steps = read_records(trained.run, "epoch"), read_records(trained.run, "step")
    assert [record["validation_loss"] for record in epochs] == [
        event.validation_loss for event in only(trained.events, EpochDone)
    ]
    assert [record["step"] for record in steps] == [3, 6, 9, 10, 12]
    assert [record["epoch"] for record in steps] == [1, 2, 3, 4, 4]
    assert [record["loss"] for record in steps] == [event.loss for event in only(trained.events, StepDone)]
    assert steps[1]["loss"] == pytest.approx(epochs[1]["train_loss"])
    assert (steps[3]["loss"] + 2 * steps[4]["loss"]) / 3 == pytest.approx(epochs[3]["train_loss"])
    assert set(steps[0]) == {"kind", "epoch", "step", "loss", "learning_rate", "gradient_norm", "pairs_per_second"}


def test_sample_sheets_show_covers_in_the_top_row_and_generated_ones_below(trained):
    sheets = [event.samples for event in only(trained.events, EpochDone)]
    assert sheets == [trained.run / "samples" / f"epoch-00{number}.jpg" for number in (1, 2, 3, 4)]
    with Image.open(sheets[1]) as sheet:
        assert sheet.size == (3 * 16, 2 * 16)
        top = sheet.crop((16, 0, 32, 16)).resize((1, 1)).getpixel((0, 0))
    with Image.open(read_pairs(trained.data, "val")[1].image) as cover:
        assert top == pytest.approx(cover.resize((1, 1)).getpixel((0, 0)), abs=12)


def test_curves_board_and_config_are_written(trained):
    with Image.open(trained.run / "curves.png") as curves:
        assert curves.format == "PNG"
    assert list((trained.run / "tensorboard").glob("events.*"))
    assert yaml.safe_load((trained.run / "config.yaml").read_text())["train"]["seed"] == 5


def test_a_finished_run_has_nothing_left_to_do(trained, tmp_path):
    run = shutil.copytree(trained.run, tmp_path / "RUN")
    events = list(loop.train(trained.data, run, trained.config, SHAPE))
    assert only(events, TrainFinished)
    assert not only(events, StepDone)
    digests = [sha256_file(folder / "adapter" / "adapter.safetensors") for folder in (run, trained.run)]
    assert digests[0] == digests[1]


def test_a_best_adapter_that_was_lost_is_written_again(trained, tmp_path):
    run = shutil.copytree(trained.run, tmp_path / "RUN")
    shutil.rmtree(run / "adapter")
    list(loop.train(trained.data, run, trained.config, SHAPE))
    assert load_adapter(run).fingerprint == load_adapter(trained.run).fingerprint


def test_a_finished_run_can_be_made_longer(trained, tmp_path):
    run = shutil.copytree(trained.run, tmp_path / "RUN")
    longer = dataclasses.replace(trained.config, epochs=6, samples=0)
    calls = []
    part = list(loop.train(trained.data, run, longer, SHAPE, stop=lambda: calls.append(None) or len(calls) == 5))
    assert "from 4 to 6 epochs" in only(part, Warned)[0].message
    assert only(part, TrainPlanned)[0].step == 12
    events = list(loop.train(trained.data, run, longer, SHAPE))
    assert not [event for event in only(events, Warned) if "longer" in event.message]
    (finished,) = only(events, TrainFinished)
    assert (finished.epochs, finished.steps, finished.early) == (6, 18, False)
    assert [record["epoch"] for record in read_records(run, "epoch")] == [1, 2, 3, 4, 5, 6]
    whole = shutil.copytree(trained.run, tmp_path / "WHOLE")
    list(loop.train(trained.data, whole, longer, SHAPE))
    assert load_adapter(whole).fingerprint == load_adapter(run).fingerprint
    rates = [record["learning_rate"] for record in read_records(run, "epoch")]
    assert rates[4] > rates[3]
    assert rates[5] < rates[4]


def test_it_can_start_from_another_adapter(trained, train, tmp_path):
    settings = {"init": str(trained.run), "seed": 9, "learning_rate": 0.0}
    events = train("again", **settings)
    assert only(events, TrainPlanned)[0].start == str(trained.run)
    one, other = (load_adapter(run).adapter.state_dict() for run in (trained.run, tmp_path / "again"))
    assert all(torch.equal(value, other[name]) for name, value in one.items())
    training = json.loads((tmp_path / "again" / "adapter" / "adapter.json").read_text())["training"]
    assert training["init"]["fingerprint"] == load_adapter(trained.run).fingerprint
    best = only(trained.events, TrainFinished)[0].validation_loss
    assert only(events, EpochDone)[0].validation_loss == pytest.approx(best)


@pytest.mark.parametrize(
    ("timesteps", "shape"),
    [("weighted", {}), ("uniform", {"pooling": "attention", "tokens": 1})],
    ids=["weighted-resampler", "uniform-attention"],
)
@pytest.mark.parametrize("kind", ["flow_prediction", "epsilon", "v_prediction"])
def test_every_kind_of_base_can_be_learned_for(train, data, tmp_path, kind, timesteps, shape):
    base = tiny_base(tmp_path / "base")
    write_json(base / "scheduler" / "scheduler_config.json", {"prediction_type": kind, "_class_name": "DDIMScheduler"})
    # Validated on the training pairs under other ids: an untrained U-Net does not generalise to other covers.
    splits = data / "splits"
    (splits / "val.csv").write_text((splits / "train.csv").read_text().replace("\np", "\nq"))
    settings = {"epochs": 3, "batch_size": 2, "learning_rate": 3e-2, "ema_decay": 0.5, "timesteps": timesteps}
    events = train(base=str(base), shape=AdapterConfig(hidden_dim=16, rank=2, dropout=0, **shape), **settings)
    losses = [event.validation_loss for event in only(events, EpochDone)]
    assert losses[-1] < losses[0] - 5e-4


def test_the_base_is_the_same_bit_for_bit_and_gets_no_gradient(train, monkeypatch):
    bases, before = [], []

    def keeping(*arguments):
        bases.append(load_base(*arguments))
        before.append({name: value.clone() for name, value in weights(bases[0]).items()})
        return bases[0]

    def weights(base):
        parts = {"unet": base.unet, "vae": base.vae}
        return {f"{part}.{name}": value for part, model in parts.items() for name, value in model.state_dict().items()}

    monkeypatch.setattr(setup, "load_base", keeping)
    train()
    after = weights(bases[0])
    assert before[0].keys() == after.keys()
    assert all(torch.equal(value, after[name]) for name, value in before[0].items())
    for model in (bases[0].unet, bases[0].vae):
        assert all(parameter.grad is None and not parameter.requires_grad for parameter in model.parameters())


@pytest.mark.parametrize("clip_norm", [1e-4, 1e6])
def test_the_optimiser_gets_gradients_clipped_to_the_norm(train, monkeypatch, clip_norm):
    norms, step = [], torch.optim.AdamW.step

    def recording(self, *arguments, **keywords):
        gradients = [parameter.grad for group in self.param_groups for parameter in group["params"]]
        norms.append(torch.stack([gradient.norm() for gradient in gradients]).norm().item())
        return step(self, *arguments, **keywords)

    monkeypatch.setattr(torch.optim.AdamW, "step", recording)
    unclipped = only(train(clip_norm=clip_norm), StepDone)[-1].gradient_norm
    assert len(norms) == 3
    assert unclipped > 1e-3
    assert norms[-1] == pytest.approx(min(unclipped, clip_norm), rel=0.02)


def test_it_ends_early_when_nothing_improves(train):
    events = train(epochs=30, patience=2, learning_rate=0.0)
    (finished,) = only(events, TrainFinished)
    assert finished.early
    assert (finished.epochs, finished.best_epoch) == (3, 1)


def test_it_does_not_end_before_the_minimum_of_epochs(train):
    (finished,) = only(train(epochs=30, patience=2, min_epochs=5, learning_rate=0.0), TrainFinished)
    assert (finished.early, finished.epochs) == (True, 5)


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


def test_a_loss_that_is_not_finite_ends_it_with_advice(train, monkeypatch, tmp_path):
    monkeypatch.setattr(gradients, "denoising_loss", lambda *arguments: denoising_loss(*arguments) * math.nan)
    with pytest.raises(ModelError, match="no longer finite after step 3") as caught:
        train()
    assert "--learning-rate" in caught.value.hint
    assert not (tmp_path / "RUN" / "adapter").exists()


def test_a_validation_loss_that_is_not_finite_ends_it_too(train, monkeypatch):
    monkeypatch.setattr(gradients, "item_losses", lambda *arguments: item_losses(*arguments) * math.inf)
    with pytest.raises(ModelError, match="no longer finite after step 3"):
        train()


def gpu_for(pairs):
    """A loss that does not fit into the memory for more pairs."""

    def loss(*arguments):
        if len(arguments[2]) > pairs:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return denoising_loss(*arguments)

    return loss


def test_too_little_memory_for_a_single_pair_ends_it_with_advice(train, monkeypatch):
    monkeypatch.setattr(gradients, "denoising_loss", gpu_for(0))
    with pytest.raises(ModelError, match="too little memory") as caught:
        train()
    assert "--checkpointing" in caught.value.hint


@pytest.mark.parametrize("accumulate", [None, 2, 3])
def test_a_step_in_parts_learns_what_a_step_at_once_learns(train, monkeypatch, tmp_path, accumulate):
    shape = dataclasses.replace(SHAPE, dropout=0.3)
    whole = train("whole", shape=shape)
    if accumulate is None:
        monkeypatch.setattr(gradients, "denoising_loss", gpu_for(3))
    parts = train("parts", shape=shape, accumulate=accumulate)
    told = [event.message for event in only(parts, Warned) if "do not fit" in event.message]
    fitted = ["4 pairs do not fit into the memory of the GPU together"] if accumulate is None else []
    assert [text.partition(";")[0] for text in told] == fitted
    one, other = (load_adapter(tmp_path / name).adapter.state_dict() for name in ("whole", "parts"))
    for name, value in one.items():
        torch.testing.assert_close(other[name], value, rtol=1e-3, atol=1e-5)
    losses = [only(events, EpochDone)[0].train_loss for events in (whole, parts)]
    assert losses[1] == pytest.approx(losses[0], rel=1e-5)


def test_checkpointing_learns_the_same_and_may_change_on_resume(train, tmp_path):
    train("kept", epochs=2)
    calls = []
    train("again", epochs=2, checkpointing=True, stop=lambda: len(calls) == 2 or calls.append(None))
    train("again", epochs=2, accumulate=1)
    one, other = (load_adapter(tmp_path / name).adapter.state_dict() for name in ("kept", "again"))
    for name, value in one.items():
        torch.testing.assert_close(other[name], value, rtol=1e-3, atol=1e-5)


@pytest.mark.parametrize(("call", "step"), [(2, 2), (5, 3)], ids=["training", "validating"])
def test_a_request_to_stop_ends_it_and_it_continues_from_there(train, tmp_path, call, step):
    calls = []

    def stop():
        calls.append(None)
        return len(calls) == call

    stopped = train(stop=stop)
    assert only(stopped, TrainStopped)[0].step == step
    assert not only(stopped, TrainFinished)
    events = train()
    (planned,) = only(events, TrainPlanned)
    assert planned.step == step
    assert planned.resumed == tmp_path / "RUN" / "checkpoints" / f"step-00000{step}"
    assert only(events, TrainFinished)[0].steps == 3


def test_never_starts_over_and_a_checkpoint_can_be_resumed_elsewhere(train, tmp_path):
    first = only(train(epochs=2), CheckpointSaved)[0].path
    (planned,) = only(train(epochs=2, resume="never"), TrainPlanned)
    assert planned.step == 0
    events = train("OTHER", epochs=2, resume=first)
    assert only(events, TrainPlanned)[0].step == 3
    assert only(events, TrainFinished)[0].steps == 6
    same = [tmp_path / run / "adapter" / "adapter.safetensors" for run in ("RUN", "OTHER")]
    assert len({sha256_file(path) for path in same}) == 1


def test_dropout_acts_in_training_and_not_in_validation(train):
    plain, dropped = (
        only(train(str(dropout), shape=dataclasses.replace(SHAPE, dropout=dropout), learning_rate=0.0), EpochDone)[0]
        for dropout in (0.0, 0.5)
    )
    assert dropped.train_loss != plain.train_loss
    assert dropped.validation_loss == plain.validation_loss


def test_a_base_like_stable_diffusion_is_trained_for_and_sampled_from(train, tmp_path):
    events = train(base=str(tiny_sd_base(tmp_path / "sd")), samples=1)
    assert only(events, TrainFinished)
    assert only(events, EpochDone)[-1].samples.is_file()


def test_a_full_disk_is_noticed_before_the_work(train, monkeypatch):
    monkeypatch.setattr(shutil, "disk_usage", lambda _: shutil._ntuple_diskusage(10**9, 10**9 - 100, 100))
    with pytest.raises(OutputError, match="the latents of 14 covers need"):
        train()
    monkeypatch.setattr(shutil, "disk_usage", lambda _: shutil._ntuple_diskusage(10**9, 0, 10**6))
    with pytest.raises(OutputError, match="checkpoints in"):
        train()


def test_without_tensorboard_a_line_says_so(train, tmp_path, monkeypatch):
    find = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name == "tensorboard" else find(name))
    events = train()
    assert "pip install tensorboard" in only(events, Warned)[0].message
    assert not (tmp_path / "RUN" / "tensorboard").exists()
    assert only(events, TrainFinished)


@pytest.mark.parametrize("precision", ["bf16", "fp16"])
def test_half_precision_learns_much_the_same(train, precision):
    full, half = (only(train(name, precision=name), EpochDone)[-1] for name in ("fp32", precision))
    assert half.validation_loss == pytest.approx(full.validation_loss, rel=0.05)
    assert half.validation_loss != full.validation_loss


@pytest.mark.parametrize(("setting", "reference"), [("base", "sd15"), ("init", "owner/name")])
def test_the_licence_of_a_model_comes_before_its_download(data, base_folder, tmp_path, monkeypatch, setting, reference):
    order = []

    def download(model, kind):
        order.append((model.name, kind))
        raise ModelError("enough")

    monkeypatch.setattr(hub, "download_model", download)
    monkeypatch.delenv("HF_HUB_OFFLINE")
    config = TrainConfig(**{**QUICK, "base": str(base_folder), setting: reference})
    events = loop.train(data, tmp_path / "RUN", config, SHAPE)
    told = next(events)
    assert (type(told), told.name, order) == (ModelDownloading, reference, [])
    assert told.licence == {"sd15": "CreativeML-OpenRAIL-M"}.get(reference, "see its page")
    with pytest.raises(ModelError, match="enough"):
        next(events)
    assert order == [(reference, "base" if reference == "sd15" else "adapter")]


def test_one_pair_is_enough(tmp_path, base_folder):
    data = write_dataset(tmp_path / "SMALL", {"train": 1, "val": 1})
    events = list(loop.train(data, tmp_path / "RUN", TrainConfig(**QUICK, base=str(base_folder)), SHAPE))
    assert only(events, TrainFinished)[0].steps == 1


@pytest.mark.gpu
def test_on_a_gpu_it_learns_in_half_precision_and_reports_the_memory(train):
    events = train(device="cuda", epochs=8, learning_rate=3e-3, samples=1)
    losses = [event.validation_loss for event in only(events, EpochDone)]
    assert losses[-1] < losses[0]
    assert only(events, StepDone)[-1].memory_bytes > 0
    cpu = only(train("CPU", epochs=8, learning_rate=3e-3), EpochDone)[-1].validation_loss
    assert losses[-1] == pytest.approx(cpu, rel=0.05)
