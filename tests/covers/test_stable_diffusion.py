"""The paper's route with tiny models of the very same classes: songs in, covers out; words, refiner, batches."""

import dataclasses
import json
import threading
import types
from pathlib import Path
from time import sleep

import numpy as np
import pytest
from PIL import Image

from covergen_cli.audio.encoders import get_encoder
from covergen_cli.audio.io import save_mp3
from covergen_cli.config import GenerateConfig
from covergen_cli.covers import generate as batch
from covergen_cli.covers import pipeline as draw
from covergen_cli.covers import styling
from covergen_cli.diffusion.placement import Placement
from covergen_cli.errors import ConfigError, ModelError
from covergen_cli.events import CoverFailed, CoverFinished, CoverPlanned, CoverSkipped
from covergen_cli.files import atomic_path
from covergen_cli.provenance import read_provenance
from tiny import tiny_adapter, tiny_base, tiny_refiner, tiny_sd_base, tiny_song

RATE_HZ = 22050


@pytest.fixture(scope="module")
def models(tmp_path_factory):
    """A base of each kind with an adapter for it, and a refiner."""
    folder, spec = tmp_path_factory.mktemp("models"), get_encoder("mel").spec()
    bases = {
        "sd": tiny_sd_base(folder / "sd"),
        "sd2": tiny_sd_base(folder / "sd2", seed=1, prediction_type="v_prediction"),
        "flow": tiny_base(folder / "flow", seed=2),
    }
    for name, base in bases.items():
        tiny_adapter(folder / f"{name} adapter", base, encoder=spec)
    return types.SimpleNamespace(folder=folder, refiner=tiny_refiner(folder / "refiner"), **bases)


@pytest.fixture
def config(models):
    return GenerateConfig(adapter=str(models.folder / "sd adapter"), steps=2, guidance=3.0, size=64, device="cpu")


@pytest.fixture
def music(tmp_path, monkeypatch):
    """Three songs of a second, each with a chord of its own."""
    monkeypatch.chdir(tmp_path)
    time = np.arange(RATE_HZ) / RATE_HZ
    for number, hertz in enumerate((110, 220, 330)):
        chord = sum(np.sin(2 * np.pi * hertz * ratio * time) for ratio in (1, 1.25, 1.5))
        save_mp3(tmp_path / "music" / f"{number}.mp3", (0.2 * chord).astype(np.float32), RATE_HZ)
    return tmp_path / "music"


def run(inputs, out, config, **settings):
    """Draw; the events that settle covers."""
    config = dataclasses.replace(config, **settings)
    events = batch.generate(batch.plan([Path(inputs)], Path(out), config), config)
    return [event for event in events if isinstance(event, (CoverFinished, CoverSkipped, CoverFailed))]


def pixels(path):
    with Image.open(path) as image:
        return np.asarray(image).astype(int)


def drawn(music, config, out, **settings):
    (event,) = run(music / "0.mp3", f"{out}.png", config, **settings)
    assert isinstance(event, CoverFinished), event
    return pixels(event.output)


@pytest.mark.parametrize("kind", ["sd", "sd2"])
@pytest.mark.parametrize("scheduler", ["dpm++", "own"])
def test_bases_that_predict_noise_or_velocity(models, music, config, kind, scheduler):
    adapter = str(models.folder / f"{kind} adapter")
    first = drawn(music, config, "a", adapter=adapter, scheduler=scheduler)
    assert first.std() > 5
    facts = read_provenance(Path("a.png"))
    assert facts["base"]["scheduler"]["prediction_type"] == {"sd": "epsilon", "sd2": "v_prediction"}[kind]
    assert facts["negative"] == GenerateConfig.negative
    other = drawn(music, config, "b", adapter=adapter, scheduler=scheduler, seed=1)
    assert (first != other).any()


def test_a_named_base_must_be_the_adapters(models, music, config):
    assert drawn(music, config, "a", base=str(models.sd)).shape == (64, 64, 3)
    with pytest.raises(ModelError, match="was trained for") as caught:
        run(music, "out", config, base=str(models.sd2))
    assert "--base" in caught.value.hint
    assert not Path("out").exists()


def test_words_change_the_picture_and_are_remembered(music, config):
    plain = drawn(music, config, "plain", negative=None)
    seen = [plain]
    for number, words in enumerate(
        (
            {"prompt": "a b"},
            {"prompt": "b"},
            {"prompt": "a b", "audio_scale": 0.3},
            {"negative": "ab"},
            {"no_audio": True},
        )
    ):
        picture = drawn(music, config, f"words {number}", **{"negative": None, **words})
        assert all((picture != other).any() for other in seen), words
        seen.append(picture)
    facts = read_provenance(Path("words 2.png"))
    assert (facts["prompt"], facts["audio_scale"], facts["negative"]) == ("a b", 0.3, None)


def test_without_audio_songs_differ_in_nothing_but_noise(music, config):
    """The null condition draws what it draws; the noise stays the song's own, so that covers can be compared."""
    silent = drawn(music, config, "a", no_audio=True, negative=None)
    scaled = drawn(music, config, "b", audio_scale=0.0, negative=None)
    assert np.abs(silent - scaled).max() <= 1
    assert read_provenance(Path("a.png"))["no_audio"] is True


def test_shuffled_songs_get_the_sound_of_others(music, config):
    run(music, "plain", config)
    events = run(music, "shuffled", config, shuffle=True)
    assert [type(event) for event in events] == [CoverFinished] * 3
    for number in range(3):
        assert (pixels(f"plain/{number}.png") != pixels(f"shuffled/{number}.png")).any()
    facts = [read_provenance(Path(f"shuffled/{number}.png")) for number in range(3)]
    heard = [fact["shuffled_sha256"] for fact in facts]
    assert sorted(heard) == sorted(fact["input_sha256"] for fact in facts)
    assert all(fact["shuffled_sha256"] != fact["input_sha256"] for fact in facts)
    Path("shuffled/1.png").unlink()
    shuffled = dataclasses.replace(config, shuffle=True)
    foreseen = batch.dry_run(batch.plan([music], Path("shuffled"), shuffled), shuffled)
    told = [type(event) for event in foreseen if isinstance(event, (CoverPlanned, CoverSkipped))]
    assert told == [CoverSkipped, CoverPlanned, CoverSkipped]
    again = run(music, "shuffled", config, shuffle=True)
    assert [type(event) for event in again] == [CoverSkipped, CoverFinished, CoverSkipped]


def test_shuffled_albums(tmp_path, monkeypatch, config):
    monkeypatch.chdir(tmp_path)
    for number in range(3):
        tiny_song(Path(f"albums/{number}.flac"), hz=110.0 * (number + 1), album=f"album {number % 2}")
    events = run("albums", "out", config, per="album", shuffle=True)
    assert [type(event) for event in events] == [CoverFinished] * 2
    facts = [read_provenance(event.output) for event in events]
    assert [fact["shuffled_sha256"] for fact in facts] == [fact["input_sha256"] for fact in facts[::-1]]


@pytest.mark.parametrize(
    ("settings", "error", "message"),
    [
        ({"shuffle": True, "no_audio": True}, ConfigError, "nothing to shuffle"),
        ({"prompt": "a " * 76}, ConfigError, "takes 75"),
        ({"refine": True, "refiner": "no such"}, ModelError, "there is no refiner no such"),
    ],
)
def test_settings_that_make_no_sense(music, config, settings, error, message):
    with pytest.raises(error, match=message):
        run(music, "out", config, **settings)
    assert not Path("out").exists()


@pytest.mark.parametrize("words", [{"prompt": "a"}, {"negative": "b"}])
def test_a_base_without_words_says_so(models, music, config, words):
    flow = str(models.folder / "flow adapter")
    with pytest.raises(ModelError, match="understands no words") as caught:
        run(music, "out", config, adapter=flow, **words)
    assert next(iter(words)) in caught.value.hint
    drawn(music, config, "a", adapter=flow)
    assert "negative" not in read_provenance(Path("a.png"))


def test_refined_covers(models, music, config):
    """Larger, other pixels, the same every time, and drawn anew when anything about the refiner changes."""
    refined = {"refine": True, "refiner": str(models.refiner), "refine_steps": 4}
    (event,) = run(music / "0.mp3", "a.png", config, **refined)
    assert event.native_size == 32
    first = Path("a.png").read_bytes()
    assert (pixels("a.png") != drawn(music, config, "plain")).any()
    facts = read_provenance(Path("a.png"))
    assert facts["refiner"]["prompt"] == GenerateConfig.refine_prompt == "auto"
    assert (facts["refiner"]["strength"], facts["refiner"]["steps"], facts["refiner"]["name"]) == (0.5, 4, "refiner")
    assert str(models.folder) not in json.dumps(facts)
    run(music / "0.mp3", "a.png", config, overwrite="force", **refined)
    assert Path("a.png").read_bytes() == first
    assert isinstance(run(music / "0.mp3", "a.png", config, **refined)[0], CoverSkipped)
    for change in ({"refine_prompt": "b"}, {"refine_strength": 0.9}, {"refine_steps": 5}, {"refine_guidance": 2.0}):
        assert isinstance(run(music / "0.mp3", "a.png", config, **{**refined, **change})[0], CoverFinished), change


def test_another_refiner_draws_anew(models, music, config, tmp_path):
    refined = {"refine": True, "refine_steps": 4}
    run(music / "0.mp3", "a.png", config, refiner=str(models.refiner), **refined)
    other = tiny_refiner(tmp_path / "other", seed=1)
    assert isinstance(run(music / "0.mp3", "a.png", config, refiner=str(other), **refined)[0], CoverFinished)


def test_the_starters_kind_can_be_refined_and_takes_negative_words_then(models, music, config):
    settings = {"adapter": str(models.folder / "flow adapter"), "refine": True, "refiner": str(models.refiner)}
    drawn(music, config, "a", negative="b", refine_steps=2, **settings)
    assert read_provenance(Path("a.png"))["negative"] == "b"


def test_progress_counts_both_models(models, music, config):
    config = dataclasses.replace(config, refine=True, refiner=str(models.refiner), refine_steps=4)
    events = batch.generate(batch.plan([music / "0.mp3"], Path("a.png"), config), config)
    told = [(event.done, event.total) for event in events if getattr(event, "task", "") == "draw"]
    assert told == [(1, 4), (2, 4), (3, 4), (4, 4)]


@pytest.mark.parametrize("size", [2, 3, 8])
def test_covers_drawn_together_are_those_drawn_alone(models, music, config, size):
    refined = {"refine": True, "refiner": str(models.refiner), "refine_steps": 2, "variations": 2}
    run(music, "alone", config, **refined)
    events = run(music, "together", config, batch_size=size, **refined)
    assert len(events) == 6
    for path in sorted(Path("alone").iterdir()):
        assert np.abs(pixels(path) - pixels(Path("together", path.name))).max() <= 1, path


def test_one_cover_that_cannot_be_written_does_not_spoil_its_batch(music, config):
    Path("out/1.png").mkdir(parents=True)
    events = run(music, "out", config, batch_size=3, overwrite="force")
    assert [type(event) for event in events] == [CoverFinished, CoverFailed, CoverFinished]
    assert "a folder has this name" in events[1].error


@pytest.mark.parametrize("size", [1, 3])
def test_stopping_while_covers_are_written_leaves_nothing_half(music, config, monkeypatch, size):
    stop, save = threading.Event(), styling.save_cover

    def slowly(path, *rest):
        with atomic_path(path.with_suffix(".slow.png")):
            stop.set()
            sleep(0.5)
        save(path, *rest)

    monkeypatch.setattr(styling, "save_cover", slowly)
    config = dataclasses.replace(config, batch_size=size)
    events = list(batch.generate(batch.plan([music], Path("out"), config), config, stop=stop))
    assert not any(isinstance(event, CoverFailed) for event in events)
    names = [path.name for path in Path("out").iterdir()]
    assert names
    assert not [name for name in names if name.startswith(".")]


def test_models_that_take_turns_draw_the_same(models, music, config, monkeypatch):
    refined = {"refine": True, "refiner": str(models.refiner), "refine_steps": 2}
    alone = drawn(music, config, "a", **refined)
    monkeypatch.setattr(draw, "choose_placement", lambda *_: Placement(together=False))
    assert (drawn(music, config, "b", **refined) == alone).all()


@pytest.mark.parametrize("dtype", ["bf16", "fp32"])
def test_precision_is_chosen_and_remembered(music, config, dtype):
    assert drawn(music, config, "a", dtype=dtype).std() > 5
    assert read_provenance(Path("a.png"))["dtype"] == dtype
