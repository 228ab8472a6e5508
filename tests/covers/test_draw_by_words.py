"""Covers of any base with a text encoder, without an adapter: what is heard becomes its prompt."""

import dataclasses
import json
import shutil
import types
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from covergen_cli.audio.encoders import get_encoder
from covergen_cli.config import GenerateConfig
from covergen_cli.covers import generate as batch
from covergen_cli.covers.describe import describe_song
from covergen_cli.covers.fingerprint import find_models, song_seed
from covergen_cli.covers.pipeline import load_pipeline
from covergen_cli.covers.reproduce import check_models, read_settings
from covergen_cli.diffusion.guidance import guide
from covergen_cli.diffusion.sampler import denoise
from covergen_cli.errors import ConfigError, ModelError
from covergen_cli.events import CoverFailed, CoverFinished, CoverPlanned, CoverSkipped, FileSaved, ModelDownloading
from covergen_cli.models.base import load_base
from covergen_cli.provenance import read_provenance
from covergen_cli.weights import hub
from dataset_files import write_song
from tiny import (
    tiny_adapter,
    tiny_base,
    tiny_refiner,
    tiny_sd_base,
    tiny_song,
    tiny_turbo_base,
    tiny_xl_base,
    write_clip,
)


@pytest.fixture(scope="module")
def models(tmp_path_factory):
    """A base of each layout; the tiny tokenizers know two letters, so that prompts differ by their a and b."""
    folder = tmp_path_factory.mktemp("models")
    found = types.SimpleNamespace(
        sd=tiny_sd_base(folder / "sd"),
        sd2=tiny_sd_base(folder / "sd2", seed=1, prediction_type="v_prediction"),
        xl=tiny_xl_base(folder / "xl"),
        turbo=tiny_turbo_base(folder / "sd-turbo"),
        flow=tiny_base(folder / "flow"),
        refiner=tiny_refiner(folder / "refiner"),
    )
    found.adapter = tiny_adapter(folder / "adapter", found.sd, encoder=get_encoder("mel").spec())
    return found


@pytest.fixture
def song(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return write_song(tmp_path / "song.wav", seconds=6.0)


@pytest.fixture
def config(models):
    return GenerateConfig(base=str(models.sd), steps=2, guidance=3.0, size=64, device="cpu", negative=None)


def run(song, out, config, **settings):
    config = dataclasses.replace(config, **settings)
    events = batch.generate(batch.plan([song], Path(out), config), config)
    kinds = (CoverFinished, CoverSkipped, CoverFailed, FileSaved)
    return [event for event in events if isinstance(event, kinds)]


def planned(song, out, config, **settings):
    """The kinds of events that a dry run has for covers."""
    config = dataclasses.replace(config, **settings)
    events = batch.dry_run(batch.plan([song], Path(out), config), config)
    return [type(event) for event in events if isinstance(event, (CoverPlanned, CoverSkipped))]


def drawn(song, out, config, **settings):
    (event,) = run(song, f"{out}.png", config, **settings)
    assert isinstance(event, CoverFinished), event
    with Image.open(event.output) as image:
        return event, np.asarray(image).astype(int), read_provenance(event.output)


@pytest.mark.parametrize("base", ["sd", "sd2", "xl", "turbo"])
def test_without_an_adapter_the_song_becomes_the_prompt(models, song, config, base):
    event, pixels, facts = drawn(song, "a", config, base=str(getattr(models, base)))
    assert pixels.std() > 1
    assert facts["adapter"]["name"] == "words"
    assert facts["prompt_drawn"] == event.prompt
    assert event.prompt.endswith("album cover art, square format")
    assert str(models.sd.parent) not in json.dumps(facts)


def test_the_prompt_is_that_of_describe_and_the_picture_that_of_the_prompt(models, song, config):
    _, _, facts = drawn(song, "a", config, raw=True, size=16 * 4, seed=5, steps=4, scheduler="own")
    base = load_base(str(models.sd))
    prompt = describe_song(song, seed=5, segment=tuple(facts["segment"]), count_tokens=base.text.count_tokens).prompt
    assert facts["prompt_drawn"] == prompt
    pipeline = load_pipeline(config, find_models(config))
    embedding = np.array([list(describe_song(song).heard.descriptors.values())], np.float32)
    latents = denoise(base, guide(base.null, [(base.embed(prompt), 1.0)], 3.0), [song_seed(5, embedding)], 4)
    with torch.inference_mode():
        image = pipeline.enlarge(base.decode(latents)[0], 0, dataclasses.replace(config, raw=True))
    with Image.open("a.png") as ours:
        assert np.abs(np.asarray(ours).astype(int) - np.asarray(image).astype(int)).max() <= 2


def test_it_is_reproduced_byte_for_byte(song, config):
    drawn(song, "a", config, seed=3, words="title", prompt="a b")
    made = read_settings(Path("a.png"))
    again = dataclasses.replace(config, **{**made.settings, "base": config.base, "negative": None})
    assert (again.adapter, again.words, again.words_scale) == ("words", "title", 1.0)
    check_models(made, again, {"base"})
    drawn(song, "b", again)
    assert Path("b.png").read_bytes() == Path("a.png").read_bytes()
    assert isinstance(run(song, "a.png", again)[0], CoverSkipped)


def test_what_counts_draws_anew(models, song, config, tmp_path):
    drawn(song, "a", config)
    other = shutil.copytree(models.sd, tmp_path / "other")
    with torch.random.fork_rng():
        torch.manual_seed(9)
        write_clip(other, 32)
    for change in ({"words_scale": 0.5}, {"words": "lyrics"}, {"prompt": "a"}, {"base": str(other)}):
        assert planned(song, "a.png", config, **change) == [CoverPlanned], change
    assert planned(song, "a.png", config) == [CoverSkipped]


def test_prompt_scales_and_silence(song, config):
    seen = []
    for number, settings in enumerate(
        ({}, {"words_scale": 0.3}, {"prompt": "a b"}, {"prompt": "a b", "words_scale": 0.0}, {"no_audio": True})
    ):
        event, pixels, _ = drawn(song, f"{number}", config, **settings)
        assert all((pixels != other).any() for other in seen), settings
        seen.append(pixels)
        unheard = settings.get("no_audio") or settings.get("words_scale") == 0
        assert (event.prompt is None) is bool(unheard)
        assert unheard or event.prompt.startswith(settings.get("prompt", ""))


def test_a_trained_adapter_and_words_side_by_side(models, song, config):
    trained = dataclasses.replace(config, adapter=str(models.adapter), base=None)
    event, alone, facts = drawn(song, "alone", trained)
    assert event.prompt is None
    assert "words_scale" not in facts
    event, both, facts = drawn(song, "both", trained, words_scale=1.0)
    assert (both != alone).any()
    assert (facts["adapter"]["name"], facts["words_scale"], facts["audio_scale"]) == ("adapter", 1.0, 1.0)
    _, words, _ = drawn(song, "words", trained, words_scale=1.0, audio_scale=0.0)
    assert (words != both).any()
    assert facts["prompt_drawn"] == event.prompt


def test_songs_drawn_together_keep_their_own_words(song, config, tmp_path):
    music = tmp_path / "music"
    for number, hertz in enumerate((110, 440, 880)):
        write_song(music / f"{number}.wav", seconds=3.0 + number, hertz=hertz)
    run(music, "alone", config, variations=2)
    run(music, "together", config, variations=2, batch_size=4)
    prompts = set()
    for path in sorted(Path("alone").iterdir()):
        other = Path("together", path.name)
        with Image.open(path) as one, Image.open(other) as two:
            assert np.abs(np.asarray(one).astype(int) - np.asarray(two).astype(int)).max() <= 1
        assert read_provenance(path)["prompt_drawn"] == read_provenance(other)["prompt_drawn"]
        prompts.add(read_provenance(path)["prompt_drawn"])
    assert len(prompts) > 3


def test_an_album_and_shuffled_songs(song, config, tmp_path):
    music = tmp_path / "music"
    for number, hertz in enumerate((110, 880)):
        tiny_song(music / f"{number}.flac", hz=hertz, seconds=3.0, album="Ab")
    plain = [event.prompt for event in run(music, "plain", config)]
    shuffled = [event.prompt for event in run(music, "shuffled", config, shuffle=True)]
    assert plain[0] != plain[1]
    assert shuffled == plain[::-1]
    (event,) = run(music, "album", config, per="album")
    assert event.prompt not in plain


def test_a_long_prompt_is_cut_by_importance_and_the_users_never(models, song, config, capfd):
    base = load_base(str(models.sd))
    event, _, _ = drawn(song, "a", config, words="title", prompt="a b " * 30)
    assert event.prompt.startswith("a b " * 29)
    assert base.text.count_tokens(event.prompt) <= 75
    assert "longer than" not in capfd.readouterr().err
    with pytest.raises(ConfigError, match="takes 75"):
        run(song, "b.png", config, prompt="a " * 76)


@pytest.mark.parametrize("settings", [{"adapter": "words"}, {"adapter": "words", "base": "starter"}])
def test_the_starter_takes_no_words_and_says_what_to_do(song, config, settings):
    with pytest.raises(ModelError, match="starter understands no words") as caught:
        run(song, "a.png", config, **{"base": None, **settings})
    assert "--refine" in caught.value.hint


def test_a_base_without_tokenizer(models, song, config, tmp_path):
    base = shutil.copytree(models.sd, tmp_path / "no tokenizer")
    shutil.rmtree(base / "tokenizer")
    with pytest.raises(ModelError, match="its text_encoder has no tokenizer"):
        run(song, "a.png", config, base=str(base), adapter="words")


def test_words_beside_an_adapter_of_a_base_without_words(models, song, config, tmp_path):
    adapter = tiny_adapter(tmp_path / "adapter", models.flow, encoder=get_encoder("mel").spec())
    with pytest.raises(ModelError, match="understands no words"):
        run(song, "a.png", config, base=None, adapter=str(adapter), words_scale=1.0)


@pytest.mark.parametrize("kind", ["refiner", "sd", "xl"])
def test_a_refiner_takes_the_words_where_the_base_does_not(models, song, config, tmp_path, kind):
    adapter = tiny_adapter(tmp_path / "adapter", models.flow, encoder=get_encoder("mel").spec())
    refined = {"base": None, "adapter": str(adapter), "refine": True, "refine_steps": 4}
    refined |= {"refiner": str(getattr(models, kind)), "refine_strength": 0.8}
    event, pixels, facts = drawn(song, "a", config, prompt="a b", **refined)
    assert event.prompt.startswith("a b, ")
    assert facts["refine_prompt_drawn"] == event.prompt
    assert facts["refiner"]["prompt"] == "auto"
    assert "prompt_drawn" not in facts
    _, other, facts = drawn(song, "b", config, refine_prompt="b", **refined)
    assert (pixels != other).any()
    assert "refine_prompt_drawn" not in facts
    with pytest.raises(ModelError, match="understands no words"):
        run(song, "c.png", config, prompt="a", refine_prompt="b", **refined)
    event, _, _ = drawn(song, "d", config, no_audio=True, **refined)
    assert event.prompt == "album cover art, square format"


def test_the_refined_cover_is_reproduced_byte_for_byte(models, song, config, tmp_path):
    adapter = tiny_adapter(tmp_path / "adapter", models.flow, encoder=get_encoder("mel").spec())
    refined = {"base": None, "adapter": str(adapter), "refine": True, "refine_steps": 4, "refiner": str(models.sd)}
    drawn(song, "a", config, **refined)
    made = read_settings(Path("a.png"))
    assert made.settings["refine_prompt"] == "auto"
    again = {**made.settings, **{name: refined[name] for name in ("base", "adapter", "refiner")}, "negative": None}
    drawn(song, "b", config, **again)
    assert Path("b.png").read_bytes() == Path("a.png").read_bytes()


def test_the_explanation_shows_no_attention_without_an_adapter(song, config):
    finished, explained = run(song, "a.png", config, explain=True)
    assert isinstance(finished, CoverFinished)
    with Image.open(explained.output) as image:
        assert min(image.size) > 600
    trained = run(song, "b.png", config, explain=True, words_scale=0.0)
    assert trained[1].output.read_bytes() != explained.output.read_bytes()


def test_the_licence_comes_before_the_download(models, song, config, monkeypatch):
    order = []

    def download(model, kind):
        order.append((model.name, kind))
        return models.turbo

    monkeypatch.setattr(hub, "download_model", download)
    monkeypatch.delenv("HF_HUB_OFFLINE")
    config = dataclasses.replace(config, base="sd-turbo")
    events = batch.generate(batch.plan([song], Path("a.png"), config), config)
    first = next(event for event in events if isinstance(event, ModelDownloading))
    assert order == []
    assert (first.name, "stabilityai/sd-turbo" in first.source) == ("sd-turbo", True)
    assert "not free for every use" in first.licence
    assert any(isinstance(event, CoverFinished) for event in events)
    assert order[0] == ("sd-turbo", "base")


def test_without_a_network_the_model_is_named(song, config):
    with pytest.raises(ModelError, match="sd15 is not on this machine, and the network is off") as caught:
        run(song, "a.png", config, base="sd15")
    assert "covergen models pull sd15" in caught.value.hint


def test_the_painter_takes_no_adapter(song, config):
    with pytest.raises(ConfigError, match="uses no adapter"):
        run(song, "a.png", config, base="painter", adapter="words")
