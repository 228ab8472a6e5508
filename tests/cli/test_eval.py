"""``covergen eval`` as users type it, on tiny models."""

import json
import shutil

import pytest

from covergen_cli.errors import ModelError
from covergen_cli.weights import hub
from tiny import tiny_adapter, tiny_base, write_json
from training_data import write_dataset

QUICK = ("--pairs", 3, "--draws", 5, "--songs", 3, "--song-draws", 1, "--covers", 2, "--device", "cpu")


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    place = tmp_path_factory.mktemp("cli-eval")
    tiny_base(place / "base")
    tiny_adapter(place / "run" / "adapter", place / "base")
    write_dataset(place / "DATA", {"train": 2, "test": 3})
    return place


@pytest.fixture
def run_folder(place, tmp_path):
    return shutil.copytree(place / "run", tmp_path / "run")


def test_the_report_s_path_goes_to_stdout_and_the_verdict_to_stderr(covergen, place, run_folder):
    done = covergen("eval", run_folder, place / "DATA", *QUICK)
    assert done.code == 0, done.err
    assert done.out == f"{run_folder / 'eval' / 'report.html'}\n"
    assert "3 pairs × 5 draws, 3 songs × 1 draws, 2 covers" in done.err
    assert "run: too few test pairs to tell whether the audio is used" in done.err
    assert "measuring losses: " in done.err
    assert (run_folder / "eval" / "report.html").is_file()


def test_json_is_the_metrics_and_two_runs_stand_side_by_side(covergen, place, run_folder, tmp_path):
    other = tmp_path / "deeper" / "run"
    shutil.copytree(run_folder, other)
    out = tmp_path / "out"
    done = covergen("eval", run_folder, place / "DATA", "--against", other, "-o", out, "--json", *QUICK)
    assert done.code == 0, done.err
    metrics = json.loads(done.out)
    assert metrics == json.loads((out / "metrics.json").read_text())
    assert [run["name"] for run in metrics["runs"]] == [f"{tmp_path.name}-run", "deeper-run"]
    assert metrics["comparison"]["gap"]["mean"] == 0  # the same adapter twice
    assert metrics["settings"]["pairs"] == 3


def test_a_run_can_be_judged_on_another_base_of_the_same_width(covergen, place, run_folder, tmp_path):
    other = tiny_base(tmp_path / "other", seed=1)
    refused = covergen("eval", run_folder, place / "DATA", "--base", other, *QUICK)
    assert refused.code == 1
    assert "--force-base" in refused.err
    done = covergen("eval", run_folder, place / "DATA", "--base", other, "--force-base", "--json", *QUICK)
    assert done.code == 0, done.err
    assert f"the adapter was trained for {place / 'base'}" in done.err
    assert json.loads(done.out)["runs"][0]["base"]["name"] == str(other)


def test_runs_of_several_seeds_are_one_table(covergen, place, run_folder, tmp_path):
    for seed in (0, 1, 10):
        base = tiny_adapter(tmp_path / "runs" / f"seed-{seed}" / "adapter", place / "base", seed=seed)
        assert base.is_dir()
    done = covergen("eval", tmp_path / "runs", place / "DATA", "--table", "markdown", *QUICK)
    assert done.code == 0, done.err
    rows = [line.split(" | ")[0].removeprefix("| ") for line in done.out.splitlines()]
    assert rows == ["run", "---", "seed-0", "seed-1", "seed-10", "3 seeds, mean ± sd", "chance"]
    metrics = json.loads((tmp_path / "runs" / "eval" / "metrics.json").read_text())
    assert metrics["seeds"]["loss"]["seeds"] == 3
    assert metrics["comparison"] is None
    assert "seed-10" in (tmp_path / "runs" / "eval" / "report.html").read_text()
    refused = covergen("eval", tmp_path / "runs", place / "DATA", "--against", run_folder, *QUICK)
    assert "holds 3 runs of train --seeds" in refused.err
    assert covergen("eval", run_folder, place / "DATA", "--table", "csv", "--json").code == 2


def test_a_run_knows_what_it_was_trained_on(covergen, place, run_folder):
    missing = covergen("eval", run_folder, *QUICK)
    assert missing.code == 1
    assert "does not record what it was trained on" in missing.err
    (run_folder / "config.yaml").write_text(f"data:\n  folder: {place / 'gone'}\n")
    assert "which does not exist" in covergen("eval", run_folder, *QUICK).err
    (run_folder / "config.yaml").write_text(f"data:\n  folder: {place / 'DATA'}\n")
    assert covergen("eval", run_folder, *QUICK).code == 0


def test_the_licence_of_a_base_is_told_before_it_is_downloaded(covergen, place, run_folder, monkeypatch):
    asked = []

    def download(model, kind):
        asked.append((model.name, kind))
        raise ModelError("no more room")

    monkeypatch.setattr(hub, "download_model", download)
    monkeypatch.delenv("HF_HUB_OFFLINE")
    path = run_folder / "adapter" / "adapter.json"
    facts = json.loads(path.read_text())
    write_json(path, {**facts, "base": {**facts["base"], "reference": "sd15"}})
    done = covergen("eval", run_folder, place / "DATA", *QUICK)
    assert done.code == 1
    assert asked == [("sd15", "base")]
    assert done.err.index("CreativeML-OpenRAIL-M") < done.err.index("no more room")


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ((), "name the run folder"),
        (("run", "--survey-answers", "answers"), "cannot be used with RUN"),
        (("run", "DATA", "--survey", "3", "--against", "run"), "cannot be used with --against"),
        (("run", "DATA", "--draws", "3"), "takes 5 to 10000"),
    ],
)
def test_lines_that_make_no_sense(covergen, arguments, words):
    done = covergen("eval", *arguments)
    assert (done.code, done.out) == (2, "")
    assert words in done.err


def test_what_is_broken_is_named_with_a_way_out(covergen, place, run_folder, tmp_path):
    def says(*arguments):
        done = covergen("eval", *arguments, *QUICK)
        assert (done.code, done.out) == (1, ""), done.err
        assert "hint:" in done.err
        assert "Traceback" not in done.err
        return done.err

    assert "holds no adapter" in says(tmp_path, place / "DATA")
    (run_folder / "adapter" / "adapter.safetensors").write_bytes(b"broken")
    assert "is damaged" in says(run_folder, place / "DATA")
    facts = json.loads((place / "run" / "adapter" / "adapter.json").read_text())
    shutil.copytree(place / "run", run_folder, dirs_exist_ok=True)
    facts["base"]["reference"] = str(tmp_path / "no-base")
    write_json(run_folder / "adapter" / "adapter.json", facts)
    assert "no-base" in says(run_folder, place / "DATA")
    data = write_dataset(tmp_path / "unsplit", {"train": 2})
    assert "Run covergen split" in says(place / "run", data)
    (data / "splits" / "test.csv").write_text("id,image_path,embedding_path\n")
    assert "test.csv is empty" in says(place / "run", data)
    assert "music files for only 0 test songs" in says(place / "run", place / "DATA", "--survey", "3")


def test_answers_need_no_model(covergen, tmp_path):
    items = {f"0{n}": {"song": f"s{n}", "cover_of": f"s{n}", "control": n > 2, "group": ""} for n in range(1, 5)}
    write_json(tmp_path / "key.json", {"schema": 1, "survey": "abc", "run": "run", "items": items})
    for rater in "xy":
        ratings = {"01": 4, "02": 5, "03": 2, "04": 1}
        write_json(
            tmp_path / "answers" / f"{rater}.json", {"schema": 1, "survey": "abc", "rater": rater, "ratings": ratings}
        )
    done = covergen("eval", "--survey-answers", tmp_path / "answers")
    assert done.code == 0, done.err
    assert done.out == f"{tmp_path / 'survey.html'}\n"
    assert "100 % of the ratings are 4 or 5" in done.err
    done = covergen("eval", "--survey-answers", tmp_path / "answers", "--survey-key", tmp_path / "key.json", "--json")
    assert json.loads(done.out)["agreement"]["at_least_4"]["controls"]["value"] == 0
