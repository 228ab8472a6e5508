"""The whole of judging on tiny models: report, figures, covers."""

import json
import re
import shutil
from dataclasses import replace
from html.parser import HTMLParser

import pytest

from covergen_cli.config import EvalConfig
from covergen_cli.errors import ConfigError, InputError, ModelError
from covergen_cli.evaluation.evaluate import evaluate
from covergen_cli.evaluation.test_data import check_compatible, load_test_data
from covergen_cli.events import EvalFinished, EvalPlanned, Progress, Warned
from covergen_cli.measures.qualities import EXPECTED
from covergen_cli.provenance import read_provenance
from training_data import write_dataset

TINY = EvalConfig(pairs=2, draws=5, songs=2, song_draws=1, covers=2)
QUICK = EvalConfig(pairs=12, draws=5, songs=11, song_draws=2, covers=9, by="genre", batch_size=16)


class Links(HTMLParser):
    """Everything that a page would fetch, and whether its elements are closed in order."""

    VOID = ("meta", "img", "br", "input", "link")

    def __init__(self):
        super().__init__()
        self.fetched, self.open, self.broken = [], [], []

    def handle_starttag(self, tag, attributes):
        self.fetched += [value for name, value in attributes if name in {"src", "href", "data", "action"}]
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attributes):
        self.fetched += [value for name, value in attributes if name in {"src", "href", "xlink:href"}]

    def handle_endtag(self, tag):
        if not self.open or self.open.pop() != tag:
            self.broken.append(tag)


@pytest.fixture(scope="module")
def evaluated(runs, test_data, tmp_path_factory):
    out = tmp_path_factory.mktemp("report")
    events = list(evaluate(runs, test_data, out, QUICK))
    return events, out, json.loads((out / "metrics.json").read_text())


def test_everything_is_there(evaluated):
    events, out, metrics = evaluated
    assert isinstance(events[0], EvalPlanned)
    assert isinstance(events[-1], EvalFinished)
    assert {event.task for event in events if isinstance(event, Progress)} >= {
        "analysing songs",
        "measuring losses",
        "comparing songs",
        "drawing covers",
    }
    assert sorted(path.name for path in out.iterdir()) == ["covers", "metrics.json", "report.html"]
    assert metrics["schema"] == 1
    assert metrics["data"] | {"name": ""} == {
        "name": "",
        "test_pairs": 12,
        "train_pairs": 6,
        "songs_heard": 9,
        "encoder": "fake",
    }
    assert [run["name"] for run in metrics["runs"]] == ["ours", "paper"]
    for run in metrics["runs"]:
        assert run["count"] == {"pairs": 12, "songs": 11, "covers": 9}
        assert run["loss"].keys() == {"true", "shuffled", "null", "mean"}
        for gap in run["gap"].values():
            assert gap["low"] <= gap["mean"] <= gap["high"]
            assert 0 < gap["p_value"] <= 1
        assert len(run["bands"]) == 5
        assert run["retrieval"]["recall_chance"] == {"1": 1 / 11, "5": 5 / 11, "10": 10 / 11}
        assert [(entry["heard"], entry["seen"]) for entry in run["correspondence"]] == list(EXPECTED)
        assert run["correspondence"][0].keys() == {"heard", "seen", "covers", "true", "shuffled"}
        assert run["diversity"]["covers"]["pairs"] == 36
        assert run["memory"]["compared"] == 6
        assert run["groups"].keys() == {"calm & slow", "loud"}
        assert sum(group["count"]["pairs"] for group in run["groups"].values()) == 12
    ours, paper = metrics["runs"]
    assert (ours["tokens"], paper["tokens"]) == (8, 1)
    assert [record["epoch"] for record in ours["epochs"]] == [1, 2, 3]
    assert metrics["comparison"].keys() == {"loss", "gap"}
    assert ours["loss"]["null"] == paper["loss"]["null"]  # the same base, pairs and noise


def test_groups_are_parts_of_the_whole(evaluated):
    run = evaluated[2]["runs"][0]
    for name in ("true", "shuffled"):
        parts = [(group["count"]["pairs"], group["loss"][name]["value"]) for group in run["groups"].values()]
        mean = sum(count * value for count, value in parts) / sum(count for count, _ in parts)
        assert mean == pytest.approx(run["loss"][name]["value"])


def test_the_page_stands_alone_and_says_it_first(evaluated):
    _, out, metrics = evaluated
    page = (out / "report.html").read_text(encoding="utf-8")
    links = Links()
    links.feed(page)
    assert links.broken == []
    assert links.open == []
    assert links.fetched
    assert all(re.match(r"data:image/jpeg;base64,|#", link) for link in links.fetched)
    assert "default-src 'none'" in page
    verdict = metrics["runs"][0]["verdict"]["text"]
    assert verdict[1:] in page[page.index("<body") : page.index("<section")]
    assert page.index("audio is used") < page.index("<table")
    assert "<script" not in page
    assert "calm &amp; slow" in page
    assert [run["memory"]["covers"]["near_copies"] for run in metrics["runs"]] == [0, 0]
    assert "<strong>near-copy</strong>" not in page
    for settings in ("--pairs 12", "--song-draws 2", "--seed 0"):
        assert settings in page


def test_covers_record_how_they_were_made(evaluated):
    _, out, metrics = evaluated
    covers = sorted((out / "covers" / "ours").glob("*.png"))
    assert len(covers) == 9
    assert read_provenance(covers[0])["adapter"] == metrics["runs"][0]["adapter"]


def test_the_same_again_gives_the_same_files_and_keeps_the_covers(evaluated, runs, test_data, tmp_path):
    out = shutil.copytree(evaluated[1], tmp_path / "out")
    lost, *kept = sorted((out / "covers").rglob("*.png"))
    lost.unlink()
    before = {path: path.stat().st_mtime_ns for path in kept}
    list(evaluate(runs, test_data, out, QUICK))
    assert {path: path.stat().st_mtime_ns for path in kept} == before
    for path in (lost, out / "metrics.json", out / "report.html"):
        assert path.read_bytes() == (evaluated[1] / path.relative_to(out)).read_bytes()


def test_names_are_text_and_nothing_else(runs, test_data, tmp_path):
    named = replace(runs[0], name='_<i>&"$x$')
    list(evaluate([named, replace(named, name="<b>")], test_data, tmp_path, TINY))
    page = (tmp_path / "report.html").read_text(encoding="utf-8")
    links = Links()
    links.feed(page)
    assert links.broken == []
    assert "<i>" not in page
    assert "<b>" not in page
    assert page.count("_&lt;i&gt;&amp;") > 5


def test_without_music_and_training_pairs_the_rest_is_measured(runs, tmp_path):
    folder = write_dataset(tmp_path / "DATA", {"test": 3})
    config = EvalConfig(draws=5, songs=3, song_draws=1, covers=2)
    list(evaluate(runs[:1], load_test_data(folder), tmp_path / "out", config))
    run = json.loads((tmp_path / "out" / "metrics.json").read_text())["runs"][0]
    assert run["correspondence"] is None
    assert run["memory"] is None
    assert "too few test pairs" in run["verdict"]["text"]
    assert "at least eight are needed" in (tmp_path / "out" / "report.html").read_text(encoding="utf-8")


def test_test_songs_that_may_have_been_trained_on_are_not_passed_over(runs, test_data, tmp_path):
    trained = replace(runs[0], trained_on=test_data.training_fingerprint)
    assert list(check_compatible(trained, test_data)) == []
    warning = next(evaluate([replace(trained, trained_on="0" * 64)], test_data, tmp_path, TINY))
    assert isinstance(warning, Warned)
    assert "was trained on other pairs" in warning.message
    folder = write_dataset(tmp_path / "DATA", {"train": 2, "test": 3})
    with (folder / "splits" / "test.csv").open("a") as file:
        file.write("p0,images/p0.png,embeddings/fake/p0.npy\n")
    with pytest.raises(InputError, match=r"p0 is both in train.csv and in test.csv"):
        load_test_data(folder)


def test_a_dataset_that_cannot_be_judged_on_says_why(runs, test_data, tmp_path):
    with pytest.raises(ConfigError, match="no column 'mood'"):
        list(evaluate(runs, test_data, tmp_path, replace(QUICK, by="mood")))
    folder = write_dataset(tmp_path / "one", {"train": 2, "test": 1})
    with pytest.raises(InputError, match="only 1 pair"):
        load_test_data(folder)
    (folder / "splits" / "test.csv").write_text("id,image_path,embedding_path\n")
    with pytest.raises(InputError, match="is empty"):
        load_test_data(folder)
    folder = write_dataset(tmp_path / "other", {"train": 2, "test": 3})
    (folder / "embeddings" / "fake" / "encoder.json").write_text(
        '{"name": "openl3", "version": 1, "embedding_dim": 512}'
    )
    with pytest.raises(ModelError, match=r"trained with the audio encoder fake, but .* name differ"):
        list(evaluate(runs, load_test_data(folder), tmp_path, QUICK))
