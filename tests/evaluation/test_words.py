"""The baseline of words has its row wherever the base has a text encoder."""

import json
from dataclasses import replace

import numpy as np
import pytest
import torch

from covergen_cli.config import EvalConfig
from covergen_cli.evaluation import words
from covergen_cli.evaluation.alignment import measure_conditions
from covergen_cli.evaluation.evaluate import evaluate
from covergen_cli.evaluation.test_data import load_run
from covergen_cli.evaluation.words import measure_words
from covergen_cli.events import EvalPlanned, Warned
from tiny import tiny_adapter, tiny_sd_base
from training_data import drain

QUICK = EvalConfig(pairs=6, draws=5, songs=5, song_draws=2, covers=2, budget=0.1)


@pytest.fixture(scope="module")
def run(tmp_path_factory, drawing):
    place = tmp_path_factory.mktemp("words")
    base = tiny_sd_base(place / "base")
    tiny_adapter(place / "run" / "adapter", base)
    return load_run("run", replace(drawing, adapter=str(place / "run")))


def test_the_report_compares_the_run_with_words(run, test_data, tmp_path):
    list(evaluate([run], test_data, tmp_path, QUICK))
    (metrics,) = json.loads((tmp_path / "metrics.json").read_text())["runs"]
    row = metrics["words"]
    assert row.keys() == {"loss", "increase", "gap", "retrieval"}
    assert row["loss"]["value"] - metrics["loss"]["true"]["value"] == pytest.approx(row["increase"]["mean"])
    assert row["retrieval"]["songs"] == 5
    page = (tmp_path / "report.html").read_text(encoding="utf-8")
    assert page.count("words of the own song, without training (6 pairs)") == 1


def measured(run, test_data, audio):
    pairs = test_data.pairs[:4]
    latents = torch.zeros(4, *run.pipeline.base.latent_shape)
    plan = EvalPlanned(4, 5, 3, 2, 1, 1.0)
    return drain(measure_words(run.pipeline.base, pairs, audio, latents, plan, seed=0, batch_size=8)), pairs, latents


def test_words_are_those_of_each_song(run, test_data):
    (found, _), pairs, latents = measured(run, test_data, test_data.audio)
    assert (found.losses["true"].shape, found.matrix.shape) == ((4, 5), (3, 3))
    assert found.losses.keys() == {"true", "shuffled"}
    assert (found.losses["true"] != found.losses["shuffled"]).any()
    base, ids = run.pipeline.base, [pair.id for pair in pairs]
    nothing = base.null_tokens.expand(4, -1, -1)
    null, _ = drain(measure_conditions(base, ids, latents, nothing, nothing[:1], draws=5, seed=0, batch_size=8))
    assert (found.losses["true"] != null["null"]).any()


def test_only_so_many_songs_are_put_into_words(run, test_data, monkeypatch):
    monkeypatch.setattr(words, "MAX_SONGS", 3)
    found = measured(run, test_data, test_data.audio)[0][0]
    assert (found.losses["true"].shape, found.matrix.shape) == ((3, 5), (3, 3))
    figures = found.figures(np.ones((4, 5)), range(4), range(3), seed=0)
    assert (figures["loss"].count, figures["retrieval"].songs) == (3, 3)


def test_without_words_or_music_there_is_no_row(run, runs, test_data, tmp_path):
    assert measured(runs[0], test_data, test_data.audio)[0] == (None, [])
    some = dict(list(test_data.audio.items())[:2])
    assert measured(run, test_data, some)[0] == (None, [])
    bad = tmp_path / "bad.mp3"
    bad.write_bytes(b"no music")
    found, events = measured(run, test_data, {**test_data.audio, test_data.pairs[0].id: bad})[0]
    assert found is None
    assert any(isinstance(event, Warned) and "words is left out" in event.message for event in events)
