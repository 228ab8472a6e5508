"""The whole way, with tiny models and a fake ear: what is drawn, skipped, refused, and what failure leaves behind."""

import dataclasses
import json
import threading
import time
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from covergen_cli.covers import background, loading
from covergen_cli.covers import generate as batch
from covergen_cli.covers.fingerprint import song_seed
from covergen_cli.covers.pipeline import choose_device
from covergen_cli.errors import ConfigError, ModelError
from covergen_cli.events import (
    CoverFailed,
    CoverFinished,
    CoverSkipped,
    FileSaved,
    ModelLoaded,
    ModelLoading,
    Progress,
    Warned,
)
from covergen_cli.provenance import read_provenance
from tiny import tiny_adapter, tiny_base, tiny_embedding


def run(folder, config, **settings):
    """Draw, and give everything but progress and news of the model."""
    config = dataclasses.replace(config, **settings)
    events = list(batch.generate(batch.plan([folder], Path("out"), config), config))
    return [event for event in events if not isinstance(event, (Progress, ModelLoading, ModelLoaded))]


def kinds(events):
    return [type(event) for event in events]


def read(*names):
    return [Path("out", name).read_bytes() for name in names]


def test_a_cover_is_drawn(music, config):
    (event,) = run(music(song="a"), config)
    assert isinstance(event, CoverFinished)
    assert (event.output, event.seed, event.segment, event.native_size) == (Path("out/song.png"), 0, (2.0, 32.0), 16)
    with Image.open("out/song.png") as image:
        assert (image.size, image.mode) == ((64, 64), "RGB")
    assert sorted(path.name for path in Path("out").iterdir()) == ["song.png"]


def test_what_is_told_and_when(music, config):
    events = list(batch.generate(batch.plan([music(song="a")], Path("out"), config), config))
    assert kinds(events) == [Progress, ModelLoading, ModelLoaded, Progress, Progress, CoverFinished]
    assert [(event.task, event.done, event.total) for event in events if isinstance(event, Progress)] == [
        ("listen", 0, 1),
        ("draw", 1, 2),
        ("draw", 2, 2),
    ]


def test_a_cover_says_what_made_it(music, config, models):
    run(music(song="a"), config)
    facts = read_provenance(Path("out/song.png"))
    assert facts["input"] == "song.mp3"
    assert facts["segment"] == [2.0, 32.0]
    assert (facts["seed"], facts["steps"], facts["guidance"], facts["size"]) == (0, 2, 2.0, 64)
    assert facts["adapter"]["name"] == "adapter"
    assert len(facts["input_sha256"]) == len(facts["base"]["fingerprint"]) == 64
    assert str(models.base.parent) not in json.dumps(facts)


def test_the_same_song_gives_the_same_bytes(music, config):
    run(music(a="a", b="b"), config)
    first = read("a.png", "b.png")
    assert first[0] != first[1]
    run(music(), config, overwrite="force")
    assert read("a.png", "b.png") == first


def test_neither_neighbours_nor_variations_change_a_cover(music, config):
    run(music(b="b"), config, seed=5)
    alone = read("b.png")[0]
    run(music(a="a", b="b"), config, seed=4, variations=3)
    with Image.open("out/b-2.png") as several, Image.open("out/b.png") as one:
        assert np.array_equal(np.asarray(several), np.asarray(one))
    assert read("b-2.png")[0] == alone


def test_variations_and_songs_all_differ(music, config):
    run(music(a="a", b="b"), config, variations=2)
    assert len(set(read("a-1.png", "a-2.png", "b-1.png", "b-2.png"))) == 4


def test_what_is_there_is_skipped_without_a_model(music, config, monkeypatch):
    run(music(a="a", b="b"), config)
    monkeypatch.setattr(loading, "_load", lambda *_: pytest.fail("the model was loaded"))
    before = read("a.png", "b.png")
    events = run(music(), config)
    assert kinds(events) == [CoverSkipped, CoverSkipped]
    assert {event.reason for event in events} == {"unchanged"}
    assert read("a.png", "b.png") == before


@pytest.mark.parametrize(
    "settings",
    [{"steps": 3}, {"guidance": 3.0}, {"seed": 1}, {"size": 72}, {"grain": 0.9}, {"segment": (3.0, 9.0)}],
    ids=lambda settings: next(iter(settings)),
)
def test_a_changed_setting_draws_anew(music, config, settings):
    run(music(a="a"), config)
    before = read("a.png")
    assert kinds(run(music(), config, **settings)) == [CoverFinished]
    assert read("a.png") != before


def test_a_cover_that_replaces_an_earlier_one_says_so(music, config):
    folder = music(song="a")
    assert [event.replaced for seed in (0, 1) for event in run(folder, config, seed=seed)] == [False, True]


def test_a_changed_model_draws_anew(music, config, models, tmp_path):
    run(music(a="a", b="b"), config)
    other = tiny_adapter(tmp_path / "other", models.base, seed=1)
    assert kinds(run(music(), config, adapter=str(other))) == [CoverFinished, CoverFinished]


def test_only_what_is_missing_is_drawn(music, config):
    run(music(a="a", b="b"), config, variations=2)
    Path("out/b-1.png").unlink()
    assert kinds(run(music(), config, variations=2)) == [CoverSkipped, CoverSkipped, CoverFinished, CoverSkipped]


def test_a_foreign_picture_is_not_replaced(music, config):
    music(a="a", b="b")
    Path("out").mkdir()
    Image.new("RGB", (8, 8)).save("out/a.png")
    before = read("a.png")
    refused, drawn = run(Path("music"), config)
    assert isinstance(refused, CoverFailed)
    assert "not made by covergen" in refused.error
    assert "force" in refused.hint
    assert isinstance(drawn, CoverFinished)
    assert read("a.png") == before
    assert kinds(run(Path("music"), config, overwrite="force")) == [CoverFinished] * 2
    assert read("a.png") != before


def test_skip_touches_nothing_that_is_there(music, config, ear):
    music(a="a", b="b")
    Path("out").mkdir()
    Path("out/a.png").write_bytes(b"mine")
    assert kinds(run(Path("music"), config, overwrite="skip")) == [CoverSkipped, CoverFinished]
    assert read("a.png") == [b"mine"]
    assert ear.asked == ["b.mp3"]
    assert kinds(run(Path("music"), config, overwrite="skip", adapter="no such")) == [CoverSkipped] * 2


def test_failures_are_named_and_the_rest_goes_on(music, config):
    folder = music(a_bad="bad", b_empty="", c_bug="bug", d_good="a", e_short="short")
    jobs = batch.plan([folder, Path("missing.mp3")], Path("out"), config)
    told = [event for event in batch.generate(jobs, config) if isinstance(event, (CoverFailed, CoverFinished, Warned))]
    assert kinds(told) == [*[CoverFailed] * 4, CoverFinished, Warned, CoverFinished]
    errors = {event.input.stem: event.error for event in told if isinstance(event, CoverFailed)}
    assert "does not exist" in errors["missing"]
    assert "not audio" in errors["a_bad"]
    assert "empty" in errors["b_empty"]
    assert "ZeroDivisionError" in errors["c_bug"]
    assert sorted(path.name for path in Path("out").iterdir()) == ["d_good.png", "e_short.png"]


def test_a_place_that_cannot_be_written_fails_alone(music, config):
    music(a="a", b="b")
    Path("out/a.png").mkdir(parents=True)
    first, second = run(Path("music"), config, overwrite="force")
    assert isinstance(first, CoverFailed)
    assert "a folder has this name" in first.error
    assert isinstance(second, CoverFinished)


def test_the_segment_is_kept_on_request(music, config, ear):
    run(music(a="a"), config, save_segment=True, variations=2, segment=(10.0, 15.0))
    assert ear.saved == [(Path("out/a.segment.mp3"), 500)]
    assert ear.asked == []


@pytest.mark.parametrize("how", ["close", "stop"])
def test_stopping_leaves_no_half_cover_and_no_more_work(music, config, ear, how):
    folder = music(**{f"s{index}": str(index) for index in range(9)})
    stop = threading.Event()
    events = batch.generate(batch.plan([folder], Path("out"), config), config, stop=stop)
    for event in events:
        if isinstance(event, Progress) and event.task == "draw":
            events.close() if how == "close" else stop.set()
            break
    assert not any(isinstance(event, CoverFinished) for event in events)
    assert len(ear.asked) <= 4
    assert not Path("out").exists() or list(Path("out").iterdir()) == []
    stop.clear()
    assert kinds(run(folder, config)) == [CoverFinished] * 9


def test_at_most_two_songs_ahead(music, config, ear):
    folder = music(**{f"s{index}": str(index) for index in range(9)})
    drawn = 0
    for event in batch.generate(batch.plan([folder], Path("out"), config), config):
        if isinstance(event, CoverFinished):
            drawn += 1
            assert len(ear.asked) <= drawn + 2
    assert drawn == len(ear.asked) == 9


@pytest.mark.parametrize(
    ("settings", "error", "message"),
    [
        ({"adapter": "no such"}, ModelError, "there is no adapter"),
        ({"base": "no such"}, ModelError, "there is no base"),
        ({"scheduler": "quick"}, ConfigError, "no scheduler quick"),
        ({"scheduler": "ddim"}, ModelError, "predicts a flow"),
        ({"device": "cuda:99"}, ConfigError, "no cuda:99"),
    ],
)
def test_what_nothing_can_be_drawn_with(music, config, settings, error, message):
    folder = music(a="a", b="b")
    with pytest.raises(error, match=message):
        run(folder, config, **settings)
    assert not Path("out").exists()


def test_another_base_than_the_adapters_is_refused(music, config, tmp_path):
    other = tiny_base(tmp_path / "other", seed=1)
    folder = music(a="a")
    with pytest.raises(ModelError, match="other weights"):
        run(folder, config, base=str(other))


def test_a_base_that_draws_no_picture(music, config, models, tmp_path):
    from safetensors.torch import load_file, save_file

    broken = tiny_base(tmp_path / "broken")
    path = broken / "vae" / "diffusion_pytorch_model.safetensors"
    save_file({name: tensor * np.nan for name, tensor in load_file(path).items()}, path)
    adapter = tiny_adapter(tmp_path / "adapter", broken)
    folder = music(a="a")
    (failed,) = [event for event in run(folder, config, adapter=str(adapter)) if isinstance(event, CoverFailed)]
    assert "not finite" in failed.error
    assert not Path("out/a.png").exists()


def test_names_that_no_disk_takes_and_locked_folders_fail_alone(music, config):
    folder = music(a="a")
    (folder / ("m" * 251 + ".mp3")).write_text("m")
    (folder / "sub").mkdir()
    (folder / "sub" / "b.mp3").write_text("b")
    Path("out").mkdir()
    Path("out/sub").write_text("a file")
    events = run(folder, config, variations=2)
    assert kinds(events).count(CoverFinished) == 4
    assert [event.error for event in events if isinstance(event, CoverFailed)] == [
        "out/sub cannot be a folder: out/sub is a file"
    ] * 2
    assert all(len(path.name) <= 255 for path in Path("out").iterdir())


def test_seed_and_song_decide_the_noise():
    song, other = tiny_embedding(1), tiny_embedding(2)
    assert song_seed(0, song) == song_seed(0, song * np.float32(1 + 1e-7))
    assert len({song_seed(0, song), song_seed(1, song), song_seed(0, other)}) == 3
    assert 0 <= song_seed(2**32 - 1, song * 0) < 2**63


@pytest.mark.parametrize("name", ["warp", "cuda:99"])
def test_devices_that_are_not_there(name):
    with pytest.raises(ConfigError):
        choose_device(name)
    assert choose_device("cpu").type == "cpu"


def test_no_thread_is_left_that_the_end_of_the_program_would_abort(music, config, monkeypatch):
    """A thread that has given its result takes a moment to end; here a long one."""
    run_task = background.Task._run

    def lingering(task, *arguments):
        run_task(task, *arguments)
        time.sleep(0.3)

    monkeypatch.setattr(background.Task, "_run", lingering)
    run(music(song="a"), config)
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("covergen-")]


def test_a_segment_that_is_missing_is_written_beside_a_cover_that_is_there(music, config, ear, monkeypatch):
    folder = music(a="a")
    run(folder, config)
    monkeypatch.setattr(loading, "_load", lambda *_: pytest.fail("the model was loaded"))
    for overwrite in ("changed", "skip"):
        saved, skipped = run(folder, config, save_segment=True, overwrite=overwrite)
        assert saved == FileSaved(Path("out/a.segment.mp3"), "the segment")
        assert isinstance(skipped, CoverSkipped)
    assert ear.saved == [(Path("out/a.segment.mp3"), 3000)] * 2
    Path("out/a.segment.mp3").write_bytes(b"kept")
    assert kinds(run(folder, config, save_segment=True)) == [CoverSkipped]
    assert len(ear.saved) == 2
