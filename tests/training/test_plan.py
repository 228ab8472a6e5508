"""What cannot work is refused before any work, with what to do about it."""

from __future__ import annotations

import dataclasses
import json
import shutil

import pytest
import yaml

from covergen_cli.config import AdapterConfig, TrainConfig
from covergen_cli.errors import ConfigError, InputError, ModelError
from covergen_cli.models.checkpoint import load_adapter
from covergen_cli.training.checkpoints import save_checkpoint
from covergen_cli.training.plan import make_plan
from covergen_cli.training.run_folder import begin_run
from tiny import ENCODER, WIDTH, tiny_adapter, tiny_base, write_json


@pytest.fixture
def plan(data, base_folder, tmp_path):
    """Plan a run, with some settings."""

    def make(run="RUN", *, shape=None, resume="auto", processes=1, **settings):
        config = TrainConfig(**{"base": str(base_folder), **settings})
        return make_plan(data, tmp_path / run, config, shape or AdapterConfig(), resume=resume, processes=processes)

    return make


def begin(plan):
    begin_run(plan.run, plan.record, fresh=plan.fresh)


def test_the_adapter_gets_the_widths_of_base_and_embeddings(plan, tmp_path):
    made = plan()
    assert (made.adapter_config.output_dim, made.adapter_config.embedding_dim) == (WIDTH, 512)
    assert (len(made.train), len(made.validation)) == (10, 4)
    assert made.checkpoints == []
    assert not (tmp_path / "RUN").exists()


def test_a_dataset_that_lacks_something_is_refused(plan, data):
    (data / "images" / "p3.png").rename(data / "gone.png")
    with pytest.raises(InputError, match=r"p3\.png is missing"):
        plan()
    (data / "gone.png").rename(data / "images" / "p3.png")
    (data / "embeddings" / "fake" / "p11.npy").unlink()
    with pytest.raises(InputError, match=r"p11\.npy is missing"):
        plan()
    (data / "splits" / "val.csv").write_text("id,image_path,embedding_path\n")
    with pytest.raises(InputError, match=r"val\.csv is empty"):
        plan()


def test_a_pair_on_both_sides_is_refused(plan, data):
    shutil.copy(data / "splits" / "train.csv", data / "splits" / "val.csv")
    with pytest.raises(InputError, match=r"is both in train\.csv and in val\.csv"):
        plan()


def test_a_base_that_training_cannot_use_is_refused(plan, tmp_path):
    base = tiny_base(tmp_path / "odd")
    config = json.loads((base / "unet" / "config.json").read_text())
    write_json(base / "unet" / "config.json", {**config, "cross_attention_dim": [32, 32]})
    with pytest.raises(ModelError, match="one number is needed"):
        plan(base=str(base))
    write_json(base / "unet" / "config.json", config)
    shutil.rmtree(base / "vae")
    with pytest.raises(ModelError, match="vae"):
        plan(base=str(base))
    write_json(base / "scheduler" / "scheduler_config.json", {"prediction_type": "sample"})
    with pytest.raises(ModelError, match="predicts 'sample'"):
        plan(base=str(base))


def test_a_folder_of_something_else_is_left_alone(plan, tmp_path):
    (tmp_path / "RUN").mkdir()
    (tmp_path / "RUN" / "thesis.txt").write_text("years of work")
    for resume in ("auto", "never"):
        with pytest.raises(ConfigError, match="not a run folder"):
            plan(resume=resume)
    with pytest.raises(ConfigError, match="is a file"):
        plan("RUN/thesis.txt")


def test_other_settings_are_named(plan, data):
    begin(plan())
    with pytest.raises(ConfigError) as caught:
        plan(learning_rate=0.5, shape=AdapterConfig(tokens=3))
    assert f"train.learning_rate was {TrainConfig.learning_rate}, is 0.5" in caught.value.message
    assert "adapter.tokens was 8, is 3" in caught.value.message
    assert "seed" not in caught.value.message
    assert "--resume never" in caught.value.hint
    with pytest.raises(ConfigError, match="processes was 1, is 2"):
        plan(processes=2)
    lines = (data / "splits" / "train.csv").read_text().splitlines()
    (data / "splits" / "train.csv").write_text("\n".join(lines[:-1]))
    with pytest.raises(ConfigError, match=r"data\.train was 10, is 9"):
        plan()


def test_what_changes_nothing_that_is_learned_may_change(plan, tmp_path, base_folder):
    begin(plan())
    moved = shutil.copytree(base_folder, tmp_path / "moved")
    plan(base=str(moved), device="cpu", samples=0, checkpoint_minutes=1.0, accumulate=2, checkpointing=True)


def test_a_run_may_become_longer_but_not_shorter(plan):
    begin(plan(epochs=10))
    assert plan(epochs=10, patience=99, min_epochs=4).remarks == []
    (remark,) = plan(epochs=20).remarks
    assert "from 10 to 20 epochs" in remark
    with pytest.raises(ConfigError, match="started with 10 epochs, which can be raised, but not lowered to 9"):
        plan(epochs=9)
    begin(plan("PLATEAU", epochs=10, schedule="plateau"))
    assert plan("PLATEAU", epochs=20, schedule="plateau").remarks == []


def test_a_run_of_an_earlier_version_has_the_defaults_of_what_it_does_not_record(plan, tmp_path):
    begin(plan())
    path = tmp_path / "RUN" / "config.yaml"
    record = yaml.safe_load(path.read_text())
    for name in ("init", "accumulate", "checkpointing", "clip_norm"):
        del record["train"][name]
    del record["init"]
    path.write_text(yaml.safe_dump(record))
    plan()
    with pytest.raises(ConfigError, match=r"train\.clip_norm was 1\.0, is 2\.0"):
        plan(clip_norm=2.0)


def test_an_adapter_to_start_from_must_fit(plan, tmp_path, base_folder):
    fitting = {"output_dim": WIDTH, "hidden_dim": 16, "rank": 2, "blocks": 1}
    shape = AdapterConfig(**fitting)
    start = tiny_adapter(tmp_path / "start", base_folder, **fitting)
    made = plan(shape=shape, init=str(start))
    assert (made.start.reference, made.remarks) == (str(start), [])
    assert made.record["init"] == {"fingerprint": load_adapter(start).fingerprint}
    other = plan(shape=dataclasses.replace(shape, tokens=4, dropout=0.3), init=str(start))
    assert (other.adapter_config.tokens, other.adapter_config.dropout) == (8, 0.3)
    assert other.remarks == [f"the adapter has the architecture of {start}: tokens 8, not 4"]
    plan(shape=dataclasses.replace(shape, dropout=0.7), init=str(start))
    (remark,) = plan(shape=dataclasses.replace(shape, cross_attention="decoupled"), init=str(start)).remarks
    assert remark == f"{start} has no projections; they start from the base's own"
    other = tiny_adapter(tmp_path / "other", tiny_base(tmp_path / "base2", seed=1), **fitting)
    (remark,) = plan(shape=shape, init=str(other)).remarks
    assert f"{other} was trained for {tmp_path / 'base2'}" in remark
    deaf = tiny_adapter(tmp_path / "deaf", base_folder, encoder={**ENCODER, "version": 2}, **fitting)
    with pytest.raises(ModelError, match="was trained with the audio encoder fake") as caught:
        plan(shape=shape, init=str(deaf))
    assert "covergen embed" in caught.value.hint
    with pytest.raises(ModelError, match="there is no adapter"):
        plan(shape=shape, init=str(tmp_path / "nowhere"))
    begin(made)
    with pytest.raises(ConfigError, match=r"init\.fingerprint was"):
        plan(shape=shape, init=str(tiny_adapter(tmp_path / "third", base_folder, seed=5, **fitting)))


def test_never_removes_what_a_run_left_and_nothing_else(plan, tmp_path):
    begin(plan())
    run = tmp_path / "RUN"
    save_checkpoint(run, 3, {}, {})
    for name in ("metrics.jsonl", "curves.png", "notes.txt"):
        (run / name).write_text("x")
    assert len(plan().checkpoints) == 1
    begin(plan(resume="never", learning_rate=0.5))
    assert sorted(path.name for path in run.iterdir()) == ["config.yaml", "metrics.jsonl", "notes.txt"]
    assert (run / "metrics.jsonl").read_text() == ""
    assert yaml.safe_load((run / "config.yaml").read_text())["train"]["learning_rate"] == 0.5


def test_a_checkpoint_can_be_named_also_of_another_run(plan, tmp_path):
    begin(plan("first"))
    folder = save_checkpoint(tmp_path / "first", 3, {}, {})
    assert plan("second", resume=folder).checkpoints == [folder]
    with pytest.raises(ConfigError, match="first was started with other settings"):
        plan("second", resume=folder, seed=7)
    with pytest.raises(InputError, match="not a checkpoint"):
        plan("second", resume=tmp_path)


def test_the_config_says_everything(plan, tmp_path):
    made = plan()
    begin(made)
    written = yaml.safe_load((tmp_path / "RUN" / "config.yaml").read_text())
    assert written["train"] == dataclasses.asdict(made.config)
    assert written["adapter"] == dataclasses.asdict(made.adapter_config)
    assert written["encoder"] == ENCODER
    assert written["base"]["cross_attention_dim"] == WIDTH


def test_exchanged_covers_and_embeddings_are_noticed(plan):
    made = plan()
    begin(made)
    assert plan().record == made.record
    pair = made.train[0]
    content = pair.embedding.read_bytes()
    pair.embedding.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
    with pytest.raises(ConfigError, match=r"covers or embeddings .* have changed since .*RUN was started"):
        plan()
    pair.embedding.write_bytes(content)
    pair.image.write_bytes(made.train[1].image.read_bytes() + b"x")
    with pytest.raises(ConfigError, match="have changed"):
        plan()


def test_splits_of_other_pairs_are_refused(plan, data):
    (data / "pairs.csv").write_text("id,image_path,embedding_path\n")
    write_json(data / "splits" / "split.json", {"pairs_sha256": "0" * 64})
    with pytest.raises(InputError, match=r"pairs\.csv has changed since") as caught:
        plan()
    assert caught.value.hint == f"Run covergen split {data} again."


def test_an_empty_config_of_a_run(plan, tmp_path):
    begin(plan())
    (tmp_path / "RUN" / "config.yaml").write_text("")
    with pytest.raises(ConfigError, match="does not record the settings"):
        plan()
